//! What a file declares of its values: sizes, types, the order of axes.

use super::{
    array::Type,
    file::Step,
    proto::{GraphProto, TypeTensorProto, ValueInfoProto},
};
use crate::import::network::NetworkOptions;
use std::collections::HashMap;

/// The type of a value, if it is a tensor.
pub(super) fn tensor_type(info: &ValueInfoProto) -> Option<&TypeTensorProto> {
    info.r#type.as_ref()?.tensor_type.as_ref()
}

/// Whether an input has its channels last: every reader moves them, or there is one only.
pub(super) fn is_channels_last(name: &str, rank: usize, last: Option<i64>, steps: &[Step]) -> bool {
    let mut readers =
        steps.iter().filter(|step| step.node.input.iter().any(|input| input == name)).peekable();
    let moves = |step: &Step| {
        let perm = step.node.attribute.iter().find(|a| a.name.as_deref() == Some("perm"));
        match step.node.op() {
            "Transpose" => perm.is_some_and(|perm| perm.ints == [0, 3, 1, 2]),
            "Reshape" => last == Some(1),
            _ => false,
        }
    };
    rank == 4 && readers.peek().is_some() && readers.all(moves)
}

/// Sizes of values where the file declares all of them.
pub(super) fn declared(file: &GraphProto) -> HashMap<String, Vec<i64>> {
    let known = |info: &ValueInfoProto| {
        let dims = &tensor_type(info)?.shape.as_ref()?.dim;
        let sizes = dims.iter().map(|d| d.dim_value.filter(|size| *size >= 0)).collect::<Option<Vec<i64>>>();
        info.name.clone().zip(sizes)
    };
    file.value_info.iter().chain(&file.output).filter_map(known).collect()
}

/// An input as the file declares it.
pub(super) struct Declared {
    pub dims: Vec<usize>,
    pub of: Type,
    /// Whether its channels are the last axis.
    pub last: bool,
}

/// Sizes and type of an input.
pub(super) fn dims(
    tensor: Option<&TypeTensorProto>,
    channels_last: &dyn Fn(usize, Option<i64>) -> bool,
    options: &NetworkOptions,
) -> Result<Declared, String> {
    let tensor = tensor.ok_or("has no type, or is no tensor")?;
    let of = Type::of(tensor.elem_type.unwrap_or_default())?;
    if of == Type::F64 {
        return Err(format!("is of type {}, expected float32", of.name()));
    }
    let shape = &tensor.shape.as_ref().ok_or("has no shape")?.dim;
    let last = channels_last(shape.len(), shape.last().and_then(|d| d.dim_value));
    let [h, w, c] = match (shape.len(), last) {
        (4, true) => [Some(1), Some(2), Some(3)],
        (4, false) => [Some(2), Some(3), Some(1)],
        (3, _) => [None, Some(2), Some(1)],
        (2, _) => [None, None, Some(1)],
        _ => [None; 3],
    };
    let size = options.input_size;
    let wanted = [(h, size.map(|s| s[0])), (w, size.map(|s| s[1])), (c, options.input_channels)];
    let mut dims = vec![];
    let mut unknown = vec![];
    for (axis, dim) in shape.iter().enumerate() {
        let wanted = wanted.iter().find(|(a, _)| *a == Some(axis)).and_then(|(_, size)| *size);
        match (dim.dim_value, wanted) {
            (Some(size), wanted) if size > 0 => {
                let size = usize::try_from(size).map_err(|_| format!("a size of {size}"))?;
                if let Some(wanted) = wanted.filter(|wanted| *wanted != size) {
                    return Err(format!(
                        "axis {axis} has {size} elements in the file, which {wanted} cannot replace"
                    ));
                }
                dims.push(size);
            }
            (Some(0), _) if dim.dim_param.is_none() => dims.push(0),
            (Some(size), _) if dim.dim_param.is_none() => {
                return Err(format!("a size of {size} on axis {axis}"));
            }
            (_, Some(wanted)) => dims.push(wanted),
            _ if axis == 0 && shape.len() > 1 => dims.push(1),
            _ => {
                dims.push(1);
                unknown.push(format!("axis {axis} (`{}`)", dim.dim_param.as_deref().unwrap_or("?")));
            }
        }
    }
    if !unknown.is_empty() {
        return Err(format!("the size of {} is not known; choose the input's size", unknown.join(" and ")));
    }
    Ok(Declared { dims, of, last })
}
