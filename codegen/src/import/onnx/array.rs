//! Constant tensors of any number of axes, and the moves that constant folding needs.

use std::rc::Rc;

/// The type of a tensor's elements, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Half precision.
    F16,
    /// `bfloat16`.
    Bf16,
    /// Integers, signed or not.
    Int {
        /// 8, 16, 32 or 64.
        bits: u32,
        /// Whether there are negative ones.
        signed: bool,
    },
    /// Truth values.
    Bool,
}

impl Type {
    /// 64 bits with a sign, as shapes have them.
    pub(super) const I64: Self = Self::Int { bits: 64, signed: true };

    /// From the number that the format has for it; else its name, or the number.
    ///
    /// # Errors
    /// A type that no network here has.
    pub(super) fn of(number: i32) -> Result<Self, String> {
        let int = |bits, signed| Ok(Self::Int { bits, signed });
        match number {
            1 => Ok(Self::F32),
            2 => int(8, false),
            3 => int(8, true),
            4 => int(16, false),
            5 => int(16, true),
            6 => int(32, true),
            7 => int(64, true),
            9 => Ok(Self::Bool),
            10 => Ok(Self::F16),
            11 => Ok(Self::F64),
            12 => int(32, false),
            13 => int(64, false),
            16 => Ok(Self::Bf16),
            0 => Err("has no type".into()),
            8 => Err("has elements of type string".into()),
            14 | 15 => Err("has complex elements".into()),
            17..=20 => Err("has elements of type float8".into()),
            21 => Err("has elements of type uint4".into()),
            22 => Err("has elements of type int4".into()),
            23 => Err("has elements of type float4".into()),
            other => Err(format!("has elements of unknown type {other}")),
        }
    }

    /// Bytes of an element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Int { bits, .. } => bits as usize / 8,
            Self::Bool => 1,
        }
    }

    /// Whether elements are real numbers.
    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }

    /// The name that exporters use.
    pub(super) fn name(self) -> String {
        match self {
            Self::F32 => "float32".into(),
            Self::F64 => "double".into(),
            Self::F16 => "float16".into(),
            Self::Bf16 => "bfloat16".into(),
            Self::Bool => "bool".into(),
            Self::Int { bits, signed } => format!("{}int{bits}", if signed { "" } else { "u" }),
        }
    }
}

/// Elements in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// Real numbers of any precision.
    Float(Rc<[f32]>),
    /// Integers of any width.
    Int(Rc<[i64]>),
    /// Truth values.
    Bool(Rc<[bool]>),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    /// Size of each axis; none for a single number.
    pub dims: Vec<usize>,
    /// As many elements as the sizes say.
    pub data: Data,
    /// What they were in the file.
    pub of: Type,
}

/// The number of elements.
pub(super) fn count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |product, d| product.checked_mul(*d))
}

/// Steps from one element to the next along each axis of a dense tensor.
pub(super) fn strides(dims: &[usize]) -> Vec<isize> {
    let mut steps = vec![1isize; dims.len()];
    for axis in (1..dims.len()).rev() {
        steps[axis - 1] = steps[axis].wrapping_mul(dims[axis] as isize);
    }
    steps
}

/// Places in a source of the elements of a tensor of size `dims`, which are `steps` apart, from `start` on.
pub(super) fn places(dims: &[usize], steps: &[isize], start: isize) -> impl Iterator<Item = usize> + use<> {
    let (dims, steps) = (dims.to_vec(), steps.to_vec());
    let mut at = vec![0usize; dims.len()];
    let mut place = start;
    let left = dims.iter().product::<usize>();
    (0..left).map(move |_| {
        let here = place as usize;
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            place += steps[axis];
            if at[axis] < dims[axis] {
                break;
            }
            place -= steps[axis] * dims[axis] as isize;
            at[axis] = 0;
        }
        here
    })
}

/// What two tensors' sizes become when each axis of size 1 is repeated to the other's.
///
/// # Errors
/// Sizes that do not go together.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |axis| dims[axis]);
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} do not go together")),
        })
        .collect()
}

/// An axis that may be counted from the end.
///
/// # Errors
/// One that there is not.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_start = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(from_start)
        .ok()
        .filter(|axis| *axis < rank)
        .ok_or_else(|| format!("axis {axis} of {rank} dimensions"))
}

impl Array {
    /// A vector of integers.
    pub(super) fn ints(values: Vec<i64>) -> Self {
        Self { dims: vec![values.len()], data: Data::Int(values.into()), of: Type::I64 }
    }

    /// Real numbers; there must be as many as `dims` says.
    pub(super) fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        debug_assert_eq!(count(&dims), Some(values.len()));
        Self { dims, data: Data::Float(values.into()), of: Type::F32 }
    }

    /// A tensor without elements.
    pub(super) fn empty(dims: Vec<usize>, of: Type) -> Self {
        let data = match of {
            Type::Bool => Data::Bool([].into()),
            Type::Int { .. } => Data::Int([].into()),
            _ => Data::Float([].into()),
        };
        Self { dims, data, of }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        match &self.data {
            Data::Float(v) => v.len(),
            Data::Int(v) => v.len(),
            Data::Bool(v) => v.len(),
        }
    }

    /// The same elements with other sizes, of which there must be as many.
    pub(super) fn with_dims(&self, dims: Vec<usize>) -> Self {
        Self { dims, ..self.clone() }
    }

    /// The elements at `places`.
    pub(super) fn pick(&self, dims: Vec<usize>, places: impl Iterator<Item = usize>) -> Self {
        let data = match &self.data {
            Data::Float(v) => Data::Float(places.map(|i| v[i]).collect()),
            Data::Int(v) => Data::Int(places.map(|i| v[i]).collect()),
            Data::Bool(v) => Data::Bool(places.map(|i| v[i]).collect()),
        };
        Self { dims, data, of: self.of }
    }

    /// Axes in another order.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let steps = strides(&self.dims);
        let dims: Vec<usize> = order.iter().map(|axis| self.dims[*axis]).collect();
        let steps: Vec<isize> = order.iter().map(|axis| steps[*axis]).collect();
        self.pick(dims.clone(), places(&dims, &steps, 0))
    }

    /// Steps through the elements as a tensor of size `dims`, to which these sizes must broadcast.
    pub(super) fn broadcast_steps(&self, dims: &[usize]) -> Vec<isize> {
        let own = strides(&self.dims);
        let missing = dims.len() - self.dims.len();
        (0..dims.len())
            .map(|axis| match axis.checked_sub(missing) {
                Some(axis) if self.dims[axis] != 1 => own[axis],
                _ => 0,
            })
            .collect()
    }

    /// Repeated to `dims`, to which the sizes must broadcast.
    pub(super) fn expanded(&self, dims: &[usize]) -> Self {
        let steps = self.broadcast_steps(dims);
        self.pick(dims.to_vec(), places(dims, &steps, 0))
    }

    /// Real numbers.
    ///
    /// # Errors
    /// Elements of another type.
    pub(super) fn as_floats(&self) -> Result<&Rc<[f32]>, String> {
        match &self.data {
            Data::Float(v) => Ok(v),
            _ => Err(format!("expected real numbers, got {}", self.of.name())),
        }
    }

    /// Integers.
    ///
    /// # Errors
    /// Elements of another type.
    pub(super) fn as_ints(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Int(v) => Ok(v),
            _ => Err(format!("expected integers, got {}", self.of.name())),
        }
    }

    /// The elements as double precision.
    pub(super) fn to_f64(&self) -> Vec<f64> {
        match &self.data {
            Data::Float(v) => v.iter().map(|x| *x as f64).collect(),
            Data::Int(v) => v.iter().map(|x| *x as f64).collect(),
            Data::Bool(v) => v.iter().map(|x| *x as u8 as f64).collect(),
        }
    }

    /// The only element.
    pub(super) fn single(&self) -> Option<f64> {
        (self.len() == 1).then(|| self.to_f64()[0])
    }

    /// Another type's elements of the same values, as a cast gives them.
    pub(super) fn cast(&self, to: Type) -> Self {
        let data = match (&self.data, to) {
            (Data::Float(_), t) if t.is_float() => self.data.clone(),
            (Data::Int(v), Type::Int { bits, signed }) => {
                Data::Int(v.iter().map(|x| wrapped(*x, bits, signed)).collect())
            }
            (_, Type::Int { .. }) => Data::Int(self.to_f64().into_iter().map(|x| x as i64).collect()),
            (_, Type::Bool) => Data::Bool(self.to_f64().into_iter().map(|x| x != 0.0).collect()),
            _ => Data::Float(self.to_f64().into_iter().map(|x| x as f32).collect()),
        };
        Self { dims: self.dims.clone(), data, of: to }
    }
}

/// The integer of that width with the same low bits.
fn wrapped(x: i64, bits: u32, signed: bool) -> i64 {
    if bits >= 64 {
        return x;
    }
    let shift = 64 - bits;
    if signed { x << shift >> shift } else { ((x as u64) << shift >> shift) as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_keep_elements_in_their_places() {
        let a = Array::ints((0..6).collect()).with_dims(vec![2, 3]);
        assert_eq!(a.transposed(&[1, 0]).as_ints().unwrap(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(a.transposed(&[1, 0]).dims, [3, 2]);
        let row = Array::ints(vec![7, 8]).with_dims(vec![2, 1]);
        assert_eq!(row.expanded(&[3, 2, 2]).as_ints().unwrap(), [7, 7, 8, 8, 7, 7, 8, 8, 7, 7, 8, 8]);
        assert_eq!(broadcast(&[4, 1], &[3, 1, 5]).unwrap(), [3, 4, 5]);
        assert!(broadcast(&[4], &[3]).is_err());
        assert_eq!(
            Array::ints(vec![300, -1]).cast(Type::Int { bits: 8, signed: false }).as_ints().unwrap(),
            [44, 255]
        );
        assert_eq!((axis(-1, 4), axis(4, 4).is_err(), axis(i64::MIN, 4).is_err()), (Ok(3), true, true));
    }
}
