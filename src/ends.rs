//! Inputs and outputs, as commands show them.

use crate::table;
use niello_codegen::{
    format::Format,
    import::{Element, End},
};
use serde::Serialize;

/// An input or output as a file has it.
#[derive(Serialize)]
pub(crate) struct Described {
    name: String,
    element: &'static str,
    shape: Vec<usize>,
    /// The program's format.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f32>,
    /// The code of 0, as the file has codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_point: Option<i32>,
}

impl Described {
    /// As declared, with the format of the value, if one is known.
    pub(crate) fn new(end: &End, format: Option<Format>) -> Self {
        let element = format.map_or(end.element, |format| end.element_of(format));
        let zero_point = match format {
            Some(Format::Int8(q)) if element == Element::UInt8 => Some(i32::from(q.zero_point) + 128),
            Some(Format::Int8(q)) => Some(i32::from(q.zero_point)),
            _ => None,
        };
        Self {
            name: end.name.clone(),
            element: element.name(),
            shape: end.shape.clone(),
            format: format.map(Format::name),
            scale: format.and_then(Format::step),
            zero_point,
        }
    }
}

/// A table of inputs and outputs.
pub(crate) fn render(inputs: &[Described], outputs: &[Described]) -> String {
    let row = |what: &str, end: &Described| {
        let scale = end.scale.map_or("-".into(), |s| s.to_string());
        let zero_point = end.zero_point.map_or("-".into(), |z| z.to_string());
        vec![what.into(), end.name.clone(), end.element.into(), format!("{:?}", end.shape), scale, zero_point]
    };
    let inputs = inputs.iter().map(|end| row("input", end));
    let rows: Vec<Vec<String>> = inputs.chain(outputs.iter().map(|end| row("output", end))).collect();
    table::render(&["", "name", "elements", "shape", "scale", "zero point"], &rows)
}
