//! Elements of a file and of a program, one as the other.

use niello_codegen::{
    format::Format,
    import::{Element, End},
};
use niello_kernels::{Float, float::half};
use safetensors::tensor::{Dtype, TensorView};

/// How an input, an output or a layer lies in a file, beside how it lies in the program.
pub(super) struct Order {
    pub(super) end: End,
    places: Option<Vec<usize>>,
}

impl Order {
    pub(super) fn new(end: End) -> Self {
        let places = end.places();
        Self { end, places }
    }

    /// From the file's order to the program's.
    fn for_program<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        match &self.places {
            Some(places) => places.iter().map(|at| values[*at]).collect(),
            None => values,
        }
    }

    /// From the program's order to the file's.
    fn for_file<T: Copy>(&self, values: Vec<T>) -> Vec<T> {
        let Some(places) = &self.places else { return values };
        let mut moved = values.clone();
        places.iter().zip(values).for_each(|(at, value)| moved[*at] = value);
        moved
    }
}

/// The type of elements in a safetensors file.
pub(super) fn dtype(element: Element) -> Dtype {
    match element {
        Element::Float32 => Dtype::F32,
        Element::Float16 => Dtype::F16,
        Element::Int8 => Dtype::I8,
        Element::UInt8 => Dtype::U8,
        Element::Int16 => Dtype::I16,
        Element::Int32 => Dtype::I32,
        Element::Int64 => Dtype::I64,
    }
}

fn each<const N: usize, T>(bytes: &[u8], convert: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| convert(*chunk)).collect()
}

/// Elements as real numbers; `None` for integers.
fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::F16 => Some(each(bytes, |b| half::to_f32(u16::from_le_bytes(b)))),
        Dtype::BF16 => Some(each(bytes, |[low, high]| f32::from_le_bytes([0, 0, low, high]))),
        Dtype::F32 => Some(each(bytes, f32::from_le_bytes)),
        Dtype::F64 => Some(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        _ => None,
    }
}

/// Elements as integers; `None` for others.
fn integers(tensor: &TensorView<'_>) -> Option<Vec<i64>> {
    let bytes = tensor.data();
    match tensor.dtype() {
        Dtype::U8 | Dtype::BOOL => Some(each(bytes, |b| u8::from_le_bytes(b) as i64)),
        Dtype::I8 => Some(each(bytes, |b| i8::from_le_bytes(b) as i64)),
        Dtype::U16 => Some(each(bytes, |b| u16::from_le_bytes(b) as i64)),
        Dtype::I16 => Some(each(bytes, |b| i16::from_le_bytes(b) as i64)),
        Dtype::U32 => Some(each(bytes, |b| u32::from_le_bytes(b) as i64)),
        Dtype::I32 => Some(each(bytes, |b| i32::from_le_bytes(b) as i64)),
        Dtype::I64 => Some(each(bytes, i64::from_le_bytes)),
        _ => None,
    }
}

/// An input as the program takes it: codes as they are, real numbers in the program's format.
pub(super) fn encode(tensor: &TensorView<'_>, order: &Order, format: Format) -> Result<Vec<i8>, String> {
    let (declared, found) = (order.end.element, tensor.dtype());
    if format == Format::Label {
        let labels = integers(tensor).or_else(|| Some(floats(tensor)?.into_iter().map(whole).collect()));
        let labels = labels.ok_or_else(|| format!("expected integers, found {found}"))?;
        if let Some(other) = labels.iter().find(|label| !(0..=127).contains(*label)) {
            return Err(format!("expected labels of 0 to 127, found {other}"));
        }
        return Ok(order.for_program(labels.into_iter().map(|label| label as i8).collect()));
    }
    if let Some(values) = floats(tensor) {
        return Ok(format.encode(&order.for_program(values)));
    }
    // Integers and truth values of the file are real numbers of the program.
    let whole = matches!(declared, Element::Int32 | Element::Int64) || found == Dtype::BOOL;
    if let (Format::Float(_), true, Some(values)) = (format, whole, integers(tensor)) {
        return Ok(format.encode(&order.for_program(values.into_iter().map(|x| x as f32).collect())));
    }
    let bytes = tensor.data();
    match (format, declared, found) {
        (Format::Int8(_), Element::UInt8, Dtype::U8) => {
            Ok(order.for_program(bytes.iter().map(|b| (b ^ 0x80) as i8).collect()))
        }
        (Format::Int8(_), Element::Int8 | Element::Float32 | Element::Float16, Dtype::I8) => {
            Ok(order.for_program(bytes.iter().map(|b| *b as i8).collect()))
        }
        (Format::Int16 { .. }, _, Dtype::I16) => Ok(order
            .for_program(bytes.as_chunks::<2>().0.to_vec())
            .into_iter()
            .flatten()
            .map(|b| b as i8)
            .collect()),
        _ => {
            let codes = match (format, declared) {
                (Format::Int8(_), Element::UInt8) => "uint8 codes or float numbers",
                (Format::Int8(_), _) => "int8 codes or float numbers",
                (Format::Int16 { .. }, _) => "int16 codes or float numbers",
                _ => "float numbers",
            };
            Err(format!("expected {codes}, found elements of type {found}"))
        }
    }
}

/// A label that is given as a real number; -1 for one that is none.
fn whole(x: f32) -> i64 {
    if x.fract() == 0.0 { x as i64 } else { -1 }
}

/// Real numbers of the program's bytes.
fn real(bytes: &[i8], format: Format) -> Vec<f32> {
    let raw: Vec<u8> = bytes.iter().map(|b| *b as u8).collect();
    match format {
        Format::Int8(q) => bytes.iter().map(|code| q.dequantize(*code)).collect(),
        Format::Int16 { scale, .. } => each(&raw, |b| scale * i16::from_le_bytes(b) as f32),
        Format::Float(Float::F32) => each(&raw, f32::from_le_bytes),
        Format::Float(Float::F16) => each(&raw, |b| half::to_f32(u16::from_le_bytes(b))),
        Format::Label => raw.iter().map(|label| *label as f32).collect(),
    }
}

/// A result of the program as the file has it.
pub(super) fn decode(bytes: &[i8], order: &Order, format: Format) -> Vec<u8> {
    fn all<const N: usize>(order: &Order, values: Vec<[u8; N]>) -> Vec<u8> {
        order.for_file(values).into_iter().flatten().collect()
    }
    if order.end.elements() == 0 {
        return vec![];
    }
    let label = |bytes: &[i8]| bytes.iter().map(|b| *b as u8).collect::<Vec<u8>>();
    match (order.end.element_of(format), format) {
        (Element::UInt8, Format::Int8(_)) => order.for_file(bytes.iter().map(|b| *b as u8 ^ 0x80).collect()),
        (Element::Int8 | Element::UInt8, _) => order.for_file(label(bytes)),
        (Element::Int16, Format::Label) => {
            all(order, label(bytes).iter().map(|b| i16::from(*b).to_le_bytes()).collect())
        }
        (Element::Int16, _) => all(order, each(&label(bytes), |b: [u8; 2]| b)),
        (Element::Int32, _) => all(order, label(bytes).iter().map(|b| i32::from(*b).to_le_bytes()).collect()),
        (Element::Int64, _) => all(order, label(bytes).iter().map(|b| i64::from(*b).to_le_bytes()).collect()),
        (Element::Float32, _) => all(order, real(bytes, format).into_iter().map(f32::to_le_bytes).collect()),
        (Element::Float16, Format::Float(Float::F16)) => all(order, each(&label(bytes), |b: [u8; 2]| b)),
        (Element::Float16, _) => {
            all(order, real(bytes, format).into_iter().map(|x| half::from_f32(x).to_le_bytes()).collect())
        }
    }
}
