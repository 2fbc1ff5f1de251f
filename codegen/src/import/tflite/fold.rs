//! What is known without running the network: constants, and what the arithmetic of shapes makes of them.

use super::{
    importer::{Importer, name_of},
    reader::{Data, Element, Operator, Options, TensorDef},
};
use niello_kernels::float::half;
use std::sync::Arc;

/// The elements of a constant.
#[derive(Clone)]
enum Numbers {
    /// Little-endian, as the file has them.
    Bytes(Option<Data>),
    Real(Arc<[f32]>),
    Integers(Arc<[i64]>),
}

/// A tensor whose elements are known.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) dims: Vec<usize>,
    element: Element,
    numbers: Numbers,
    scale: Arc<[f32]>,
    zero_point: Arc<[i64]>,
    dimension: usize,
}

impl Known {
    /// Of a constant of the file; the reader has compared its size with its shape.
    pub(super) fn of_tensor(tensor: &TensorDef) -> Self {
        let bytes = tensor.data.clone();
        let (scale, zero_point, dimension) = match &tensor.quantization {
            Some(q) => (q.scale.clone().into(), q.zero_point.clone().into(), q.dimension),
            None => (Arc::default(), Arc::default(), 0),
        };
        let (dims, element) = (tensor.shape.clone(), tensor.element);
        Self { dims, element, numbers: Numbers::Bytes(bytes), scale, zero_point, dimension }
    }

    fn new(dims: Vec<usize>, element: Element, numbers: Numbers) -> Self {
        Self { dims, element, numbers, scale: Arc::default(), zero_point: Arc::default(), dimension: 0 }
    }

    fn of_integers(dims: Vec<usize>, integers: Vec<i64>) -> Self {
        Self::new(dims, Element::Int64, Numbers::Integers(integers.into()))
    }

    fn of_reals(dims: Vec<usize>, reals: Vec<f32>) -> Self {
        Self::new(dims, Element::Float32, Numbers::Real(reals.into()))
    }

    /// The type of its elements.
    pub(super) fn element(&self) -> Element {
        self.element
    }

    /// Scales, one or one along an axis; none for real numbers.
    pub(super) fn scales(&self) -> &[f32] {
        &self.scale
    }

    /// The axis that scales lie along.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    pub(super) fn zero_point(&self, channel: usize) -> i64 {
        self.zero_point.get(channel).or(self.zero_point.first()).copied().unwrap_or(0)
    }

    /// Its codes or integers, as the file has them; numbers are truncated.
    pub(super) fn integers(&self) -> Vec<i64> {
        let bytes = match &self.numbers {
            Numbers::Integers(integers) => return integers.to_vec(),
            Numbers::Real(reals) => return reals.iter().map(|x| *x as i64).collect(),
            Numbers::Bytes(bytes) => bytes.as_deref().unwrap_or_default(),
        };
        match self.element {
            Element::Int8 => bytes.iter().map(|b| *b as i8 as i64).collect(),
            Element::Int4 => {
                let halves = bytes.iter().flat_map(|b| [(*b << 4) as i8 >> 4, *b as i8 >> 4]);
                halves.take(self.dims.iter().product()).map(i64::from).collect()
            }
            Element::UInt8 | Element::Bool => bytes.iter().map(|b| *b as i64).collect(),
            Element::Int16 => each(bytes, |b| i16::from_le_bytes(b) as i64),
            Element::Int32 => each(bytes, |b| i32::from_le_bytes(b) as i64),
            Element::Int64 => each(bytes, i64::from_le_bytes),
            _ => self.real().iter().map(|x| *x as i64).collect(),
        }
    }

    /// Its real numbers: `scale * (code - zero point)` of codes.
    pub(super) fn real(&self) -> Vec<f32> {
        match (&self.numbers, self.element) {
            (Numbers::Real(reals), _) => reals.to_vec(),
            (Numbers::Bytes(Some(bytes)), Element::Float32) => each(bytes, f32::from_le_bytes),
            (Numbers::Bytes(Some(bytes)), Element::Float16) => {
                each(bytes, |b| half::to_f32(u16::from_le_bytes(b)))
            }
            _ if self.scale.is_empty() => self.integers().iter().map(|i| *i as f32).collect(),
            _ => {
                let inner: usize = self.dims.iter().skip(self.dimension + 1).product();
                let channel =
                    |i: usize| if self.scale.len() == 1 { 0 } else { i / inner.max(1) % self.scale.len() };
                let real =
                    |(i, q): (usize, &i64)| self.scale[channel(i)] * (q - self.zero_point(channel(i))) as f32;
                self.integers().iter().enumerate().map(real).collect()
            }
        }
    }

    /// The same elements in another shape.
    fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        let len = |dims: &[usize]| dims.iter().try_fold(1usize, |product, d| product.checked_mul(*d));
        (len(dims) == len(&self.dims)).then(|| Self { dims: dims.to_vec(), ..self.clone() })
    }
}

fn each<const N: usize, T>(bytes: &[u8], of: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|b| of(*b)).collect()
}

/// The result of an operator whose operands are known, where it is one of those that exporters write for shapes and weights.
pub(super) fn folded(importer: &Importer<'_>, operator: &Operator) -> Option<Known> {
    let tensor = |at: usize| importer.tensor(at);
    let dims = &tensor(*operator.outputs.first()?).shape;
    if name_of(&operator.code) == "SHAPE" {
        let of = &tensor(operator.inputs.first().copied().flatten()?).shape;
        return Some(Known::of_integers(vec![of.len()], of.iter().map(|d| *d as i64).collect()));
    }
    let operands: Option<Vec<&Known>> =
        operator.inputs.iter().flatten().map(|at| importer.known(*at)).collect();
    let operands = operands?;
    let first = *operands.first()?;
    let integers = |i: usize| operands.get(i).map(|known| known.integers());
    match name_of(&operator.code) {
        "DEQUANTIZE" => Some(Known::of_reals(first.dims.clone(), first.real())),
        "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => first.reshaped(dims),
        "CAST" => match tensor(operator.outputs[0]).element {
            Element::Int32 | Element::Int64 => Some(Known::of_integers(dims.clone(), first.integers())),
            Element::Float32 => Some(Known::of_reals(dims.clone(), first.real())),
            _ => None,
        },
        _ if first.element() != Element::Int32 && first.element() != Element::Int64 => None,
        "ADD" => of_two(&operands, dims, i64::checked_add),
        "SUB" => of_two(&operands, dims, i64::checked_sub),
        "MUL" => of_two(&operands, dims, i64::checked_mul),
        "DIV" | "FLOOR_DIV" => of_two(&operands, dims, i64::checked_div),
        "MAXIMUM" => of_two(&operands, dims, |a, b| Some(a.max(b))),
        "MINIMUM" => of_two(&operands, dims, |a, b| Some(a.min(b))),
        "PACK" | "CONCATENATION" if operands.iter().all(|k| k.dims.len() <= 1) => {
            let all: Vec<i64> = operands.iter().flat_map(|known| known.integers()).collect();
            Some(Known::of_integers(vec![all.len()], all))
        }
        "REDUCE_PROD" => {
            let product = first.integers().iter().try_fold(1i64, |product, i| product.checked_mul(*i))?;
            Some(Known::of_integers(dims.clone(), vec![product]))
        }
        "GATHER" if first.dims.len() == 1 => {
            let of = first.integers();
            let picked: Option<Vec<i64>> =
                integers(1)?.iter().map(|i| of.get(usize::try_from(*i).ok()?).copied()).collect();
            Some(Known::of_integers(dims.clone(), picked?))
        }
        "STRIDED_SLICE" if first.dims.len() == 1 => {
            let Options::StridedSlice(masks) = &operator.options else { return None };
            let (of, len) = (first.integers(), first.dims[0] as i64);
            let (begin, end, step) = (*integers(1)?.first()?, *integers(2)?.first()?, *integers(3)?.first()?);
            let wrapped = |at: i64| if at < 0 { at + len } else { at }.clamp(0, len);
            let from = if masks.begin_mask & 1 != 0 { 0 } else { wrapped(begin) };
            let to = match () {
                _ if masks.shrink_axis_mask & 1 != 0 => from + 1,
                _ if masks.end_mask & 1 != 0 => len,
                _ => wrapped(end),
            };
            let step = usize::try_from(step).ok().filter(|step| *step > 0)?;
            let picked: Vec<i64> = (from..to.min(len)).step_by(step).map(|i| of[i as usize]).collect();
            (picked.len() == dims.iter().product::<usize>()).then(|| Known::of_integers(dims.clone(), picked))
        }
        _ => None,
    }
}

/// Two vectors element by element, or one of them with a scalar.
fn of_two(operands: &[&Known], dims: &[usize], f: impl Fn(i64, i64) -> Option<i64>) -> Option<Known> {
    let [a, b] = operands else { return None };
    let (a, b) = (a.integers(), b.integers());
    let len = a.len().max(b.len());
    let fits = |of: &[i64]| of.len() == len || of.len() == 1;
    if !fits(&a) || !fits(&b) || dims.iter().product::<usize>() != len {
        return None;
    }
    let all: Option<Vec<i64>> = (0..len).map(|i| f(a[i % a.len()], b[i % b.len()])).collect();
    Some(Known::of_integers(dims.to_vec(), all?))
}
