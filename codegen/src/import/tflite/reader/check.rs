//! What must be right before any operator is looked at: shapes, constants, number formats, and the order of execution.

use super::{
    file::{Place, Problems, RawTensor},
    flatbuffer::{Fault, File},
    model::{Data, Model, Quantization, TensorDef, brief, label},
};
use std::{mem, sync::Arc};

impl RawTensor {
    /// The tensor with its data; what is wrong with it goes to `problems`.
    pub(super) fn check(
        self,
        buffers: &[Place],
        bytes: &Arc<[u8]>,
        file: &File<'_>,
        problems: &mut Problems,
    ) -> Result<TensorDef, Fault> {
        let mut problem = |text: String| problems.push(format!("`{}`: {text}", brief(&self.name)));
        if self.variable {
            problem(
                "it keeps its value between calls (a variable): streaming models are not supported".into(),
            );
        }
        if self.sparse {
            problem("it is sparse, which is not supported".into());
        }
        let mut shape = vec![];
        for (axis, size) in self.shape.iter().enumerate() {
            match usize::try_from(*size) {
                Ok(size) => shape.push(size),
                Err(_) if axis == 0 && *size == -1 => shape.push(1),
                Err(_) => problem(format!("size {size} of axis {axis}")),
            }
        }
        if shape.len() > 8 {
            problem(format!("{} axes, expected at most 8", shape.len()));
            shape.truncate(8);
        }
        let elements = shape.iter().try_fold(1usize, |all, size| all.checked_mul(*size));
        let elements = elements.filter(|all| i32::try_from(*all).is_ok());
        if elements.is_none() {
            problem(format!("shape {shape:?} has more than 2^31 - 1 elements"));
        }
        let range = match buffers.get(self.buffer as usize) {
            Some(Ok(range)) => Ok(range.clone()),
            Some(Err(fault)) => Err(format!("its data are {fault}")),
            None => Err(format!("its data are buffer {} of {}", self.buffer, buffers.len())),
        };
        let data = match range {
            Ok(range) => {
                let expected = elements.and_then(|all| self.element.bytes_of(all)).unwrap_or(range.len());
                if !range.is_empty() && range.len() != expected {
                    let (found, element) = (range.len(), self.element);
                    problem(format!("{found} bytes of data, expected {expected} ({shape:?} of {element})"));
                }
                (!range.is_empty() || elements == Some(0)).then_some(range)
            }
            Err(fault) => {
                problem(fault);
                Some(0..0)
            }
        };
        let data = data.map(|range| Data { file: bytes.clone(), range });
        let quantization = self.quantization(&shape, data.as_deref(), file, &mut problem)?;
        let free = self.signature.iter().skip(1).any(|size| *size == -1);
        Ok(TensorDef { name: self.name, shape, free, element: self.element, quantization, data })
    }

    /// What its integers mean, if the file says so.
    fn quantization(
        &self,
        shape: &[usize],
        data: Option<&[u8]>,
        file: &File<'_>,
        problem: &mut impl FnMut(String),
    ) -> Result<Option<Quantization>, Fault> {
        let Some(zero_points) = self.element.zero_points() else { return Ok(None) };
        let raw = &self.quantization;
        if raw.details {
            problem("it is quantised in a way that is not supported, by a table `details`".into());
        }
        if raw.scale.is_empty() {
            return Ok(None);
        }
        let count = raw.scale.len();
        if raw.zero_point.len() != count {
            problem(format!("{count} scales, but {} zero points", raw.zero_point.len()));
        }
        if let Some(wrong) = raw.zero_point.iter().find(|point| !zero_points.contains(point)) {
            let (first, last) = zero_points.into_inner();
            problem(format!("zero point {wrong}, expected {first} to {last} for {}", self.element));
        }
        let mut dimension = 0;
        if count > 1 {
            // Biases of older files have the dimension of their weights.
            let axis = if shape.len() == 1 { 0 } else { raw.dimension };
            match usize::try_from(axis).ok().and_then(|axis| Some((axis, *shape.get(axis)?))) {
                Some((axis, size)) if size == count => dimension = axis,
                Some((axis, size)) => {
                    problem(format!("{count} scales, but axis {axis} of {shape:?} has size {size}"))
                }
                None => problem(format!("{count} scales along axis {axis} of {shape:?}")),
            }
            if data.is_none() {
                problem(format!("{count} scales for a tensor that is no constant"));
            }
        }
        for (i, scale) in
            raw.scale.iter().enumerate().filter(|(_, scale)| !scale.is_normal() || **scale < 0.0)
        {
            let tiny = (0.0..f32::MIN_POSITIVE).contains(scale);
            if !(tiny && self.is_zero(shape, data, (dimension, i), file)?) {
                problem(format!(
                    "scale {scale:?} (number {i} of {count}), expected a positive and normal number"
                ));
            }
        }
        Ok(Some(Quantization { scale: raw.scale.clone(), zero_point: raw.zero_point.clone(), dimension }))
    }

    /// Whether a constant has only codes 0 at an index of an axis, or everywhere if there is one scale.
    fn is_zero(
        &self,
        shape: &[usize],
        data: Option<&[u8]>,
        (axis, index): (usize, usize),
        file: &File<'_>,
    ) -> Result<bool, Fault> {
        let raw = &self.quantization;
        let (Some(data), Some(bytes)) = (data, self.element.bytes()) else { return Ok(false) };
        if raw.zero_point.iter().any(|point| *point != 0) {
            return Ok(false);
        }
        file.charge(data.len() / raw.scale.len())?;
        let inner = match raw.scale.len() {
            1 => data.len(),
            _ => shape.iter().skip(axis + 1).fold(bytes, |all, size| all.saturating_mul(*size)),
        };
        let outer = inner.saturating_mul(raw.scale.len());
        let mut parts = data.chunks(outer.max(1));
        Ok(parts.all(|part| part.iter().skip(index.saturating_mul(inner)).take(inner).all(|byte| *byte == 0)))
    }
}

impl Model {
    /// For each of so many tensors whether an operator or an end of the graph names it.
    pub(super) fn used(&self, tensors: usize) -> Vec<bool> {
        let mut used = vec![false; tensors];
        let named = self
            .operators
            .iter()
            .flat_map(|operator| operator.inputs.iter().flatten().chain(&operator.outputs));
        named.chain(&self.inputs).chain(&self.outputs).for_each(|index| used[*index] = true);
        used
    }

    /// An operator's name in errors: its place in the file, what it does, and the name of its first result.
    pub(crate) fn label(&self, index: usize) -> String {
        let operator = &self.operators[index];
        label(index, &operator.code, operator.outputs.first().map(|output| &*self.tensors[*output].name))
    }
}

/// Each tensor is an input, a constant or the result of one operator, and is there before it is read.
pub(super) fn order(model: &Model, problems: &mut Problems) {
    let name = |index: usize| brief(&model.tensors[index].name);
    let is_constant = |index: usize| model.tensors[index].data.is_some();
    let is_empty = |index: usize| model.tensors[index].shape.contains(&0);
    let mut given = vec![false; model.tensors.len()];
    for input in &model.inputs {
        let name = name(*input);
        if mem::replace(&mut given[*input], true) {
            problems.push(format!("`{name}` is an input twice"));
        } else if is_empty(*input) {
            problems.push(format!("input `{name}` has no elements: {:?}", model.tensors[*input].shape));
        } else if is_constant(*input) {
            problems.push(format!("input `{name}` has data"));
        }
    }
    for (what, ends) in [("inputs", &model.inputs), ("outputs", &model.outputs)] {
        if ends.is_empty() {
            problems.push(format!("the graph has no {what}"));
        }
    }
    let mut makers = vec![None; model.tensors.len()];
    for (i, operator) in model.operators.iter().enumerate() {
        for output in &operator.outputs {
            let (label, name) = (model.label(i), name(*output));
            if let Some(before) = makers[*output].replace(i) {
                problems.push(format!("`{name}` is made by {} and by {label}", model.label(before)));
            } else if given[*output] {
                problems.push(format!("{label} writes `{name}`, an input of the graph"));
            } else if is_empty(*output) {
                problems.push(format!(
                    "{label} makes `{name}`, which has no elements: {:?}",
                    model.tensors[*output].shape
                ));
            } else if is_constant(*output) {
                problems.push(format!("{label} writes `{name}`, a constant"));
            }
        }
    }
    let is_there = |index: usize| given[index] || is_constant(index);
    for (i, operator) in model.operators.iter().enumerate() {
        for input in operator.inputs.iter().flatten().filter(|input| !is_there(**input)) {
            let (label, name) = (|| model.label(i), name(*input));
            match makers[*input] {
                None => problems.push(format!(
                    "{} reads `{name}`, which has no data and is made by no operator",
                    label()
                )),
                Some(maker) if maker == i => {
                    problems.push(format!("{} reads its own result `{name}`", label()))
                }
                Some(maker) if maker > i => problems.push(format!(
                    "{} reads `{name}` before {} makes it: operators must stand in the order of execution",
                    label(),
                    model.label(maker)
                )),
                Some(_) => {}
            }
        }
    }
    for output in model.outputs.iter().filter(|output| makers[**output].is_none() && !is_there(**output)) {
        problems.push(format!("output `{}` is made by no operator", name(*output)));
    }
}
