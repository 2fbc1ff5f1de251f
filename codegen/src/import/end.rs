//! Inputs, outputs and layers as a file has them.

use super::onnx;
use crate::{format::Format, tensor::Shape};
use niello_kernels::Float;

/// How an element of an input or an output stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Single precision.
    Float32,
    /// Half precision.
    Float16,
    /// Codes of 8 bits, as the program has them.
    Int8,
    /// Codes of 8 bits without a sign: those of the program plus 128.
    UInt8,
    /// Codes of 16 bits.
    Int16,
    /// Integers of 32 bits: positions, or labels.
    Int32,
    /// Integers of 64 bits: positions, or labels.
    Int64,
}

impl Element {
    /// As a program has it. Labels are integers of 32 bits.
    pub fn of(format: Format) -> Self {
        match format {
            Format::Int8(_) => Self::Int8,
            Format::Int16 { .. } => Self::Int16,
            Format::Float(Float::F16) => Self::Float16,
            Format::Float(Float::F32) => Self::Float32,
            Format::Label => Self::Int32,
        }
    }

    /// Its size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 => 1,
            Self::Float16 | Self::Int16 => 2,
            Self::Float32 | Self::Int32 => 4,
            Self::Int64 => 8,
        }
    }

    /// Its name: `int8`, `float32`, ….
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float16 => "float16",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        }
    }
}

/// An input, an output or a layer as a file declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Its name there.
    pub name: String,
    /// Its shape there, with a free batch as 1.
    pub shape: Vec<usize>,
    /// Its elements there.
    pub element: Element,
    /// Which axes of the shape are height, width and channels of the value; in the order of memory, where one is several axes.
    pub axes: [Vec<usize>; 3],
}

impl From<onnx::Port> for End {
    fn from(port: onnx::Port) -> Self {
        Self { name: port.name, shape: port.dims, element: port.element, axes: port.axes }
    }
}

impl End {
    /// One of a network that no file declares: as PyTorch has it, `[1, c, h, w]`.
    pub fn usual(name: &str, shape: Shape, format: Format) -> Self {
        let (shape, axes) = (vec![1, shape.c, shape.h, shape.w], [vec![2], vec![3], vec![1]]);
        Self { name: name.into(), shape, element: Element::of(format), axes }
    }

    /// The elements that values of this format have: the declared ones, if those can hold them.
    pub fn element_of(&self, format: Format) -> Element {
        use Element as E;
        let fits = match format {
            Format::Int8(_) => matches!(self.element, E::Int8 | E::UInt8 | E::Float32 | E::Float16),
            Format::Int16 { .. } => matches!(self.element, E::Int16 | E::Float32 | E::Float16),
            Format::Float(_) => matches!(self.element, E::Float32 | E::Float16),
            Format::Label => true,
        };
        if fits { self.element } else { Element::of(format) }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a tensor of that shape is one of these: axes of size 1 in front may be left out or added, and in vectors anywhere.
    pub fn takes(&self, shape: &[usize]) -> bool {
        let large = |shape: &[usize]| shape.iter().copied().filter(|size| *size != 1).collect::<Vec<_>>();
        let from_large =
            |shape: &[usize]| shape.iter().copied().skip_while(|size| *size == 1).collect::<Vec<_>>();
        from_large(shape) == from_large(&self.shape)
            || (large(&self.shape).len() <= 1 && large(shape) == large(&self.shape))
    }

    /// For each element of the value (in the order height, width, channels) its place in the file's order; `None` where both are the same.
    pub fn places(&self) -> Option<Vec<usize>> {
        let order = self.axes.concat();
        let order: Vec<usize> = order.into_iter().filter(|axis| self.shape[*axis] != 1).collect();
        if order.is_sorted() {
            return None;
        }
        let step = |axis: usize| self.shape[axis + 1..].iter().product::<usize>();
        let mut places = vec![0];
        for axis in order {
            let along = |from: usize| (0..self.shape[axis]).map(move |i| from + i * step(axis));
            places = places.into_iter().flat_map(along).collect();
        }
        Some(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(shape: &[usize], axes: [&[usize]; 3]) -> End {
        let axes = axes.map(<[usize]>::to_vec);
        End { name: "x".into(), shape: shape.into(), element: Element::Int8, axes }
    }

    #[test]
    fn channels_first_are_put_last() {
        let first = end(&[1, 2, 2, 3], [&[2], &[3], &[1]]);
        assert_eq!(first.places().unwrap(), [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
        assert_eq!(end(&[1, 2, 3, 2], [&[0, 1], &[2], &[3]]).places(), None);
        assert_eq!(end(&[1, 1, 2, 3], [&[2], &[3], &[1]]).places(), None);
        assert_eq!(end(&[3, 2], [&[], &[1], &[0]]).places().unwrap(), [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn axes_of_size_one_may_be_left_out() {
        let image = end(&[1, 1, 2, 3], [&[2], &[3], &[1]]);
        assert!(image.takes(&[2, 3]) && image.takes(&[1, 2, 3]) && image.takes(&[1, 1, 2, 3]));
        assert!(!image.takes(&[3, 2]) && !image.takes(&[2, 3, 1]));
        let vector = end(&[1, 4], [&[], &[], &[1]]);
        assert!(vector.takes(&[4]) && vector.takes(&[1, 4, 1, 1]) && !vector.takes(&[2, 2]));
    }
}
