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

/// A table of inputs and outputs; with scales, where there are any.
pub(crate) fn render(inputs: &[Described], outputs: &[Described]) -> String {
    let is_quantized = inputs.iter().chain(outputs).any(|end| end.scale.is_some());
    let row = |what: &str, end: &Described| {
        let mut row = vec![what.into(), end.name.clone(), end.element.into(), format!("{:?}", end.shape)];
        if is_quantized {
            row.push(end.scale.map_or("-".into(), |s| s.to_string()));
            row.push(end.zero_point.map_or("-".into(), |z| z.to_string()));
        }
        row
    };
    let inputs = inputs.iter().map(|end| row("input", end));
    let rows: Vec<Vec<String>> = inputs.chain(outputs.iter().map(|end| row("output", end))).collect();
    let headings = ["", "name", "elements", "shape", "scale", "zero point"];
    table::render(&headings[..if is_quantized { 6 } else { 4 }], &rows)
}
