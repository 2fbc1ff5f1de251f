//! Tensors and operators of a file to values and nodes of a graph.

use super::{
    context::Cx,
    fold::{self, Known},
    ops::{self, OPERATORS, Row},
    reader::{self, Code, Model, Operator, TensorDef},
};
use crate::{
    error::{Error, Result},
    format::{Format, Mode, QParams},
    graph::{Graph, Node, Op, Value, ValueId},
    import::{
        end::{Element, End},
        file::{Content, Read},
        network::{NetworkOptions, Reference},
    },
    ops::{Constant, check_shape},
    quantize::QGraph,
    tensor::{Shape, Tensor},
};
use niello_kernels::{Float, Rounding};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Versions of operators beyond this are none that TensorFlow Lite has had.
const NEWEST: i32 = 24;

/// Reads a file.
///
/// # Errors
/// A broken file; everything in it that cannot be imported, in one error.
pub(in crate::import) fn read(
    path: &Path,
    name: &str,
    bytes: &[u8],
    options: &NetworkOptions,
) -> Result<Read> {
    let model = Model::read(&path.display().to_string(), bytes)?;
    import(&model, name, options)
        .map_err(|problems| Error::Model { file: path.display().to_string(), problems })
}

/// The graph of a model that has been read, or everything of it that cannot be imported.
pub(super) fn import(model: &Model, name: &str, options: &NetworkOptions) -> Result<Read, Vec<String>> {
    Importer::new(model, name, options).run()
}

/// A tensor of the file as far as the import has come.
#[derive(Clone)]
pub(super) enum Seen {
    /// Not made yet.
    Nothing,
    /// A value of the graph.
    Value(ValueId),
    /// Known without running the network.
    Known(Known),
}

pub(super) struct Importer<'m> {
    model: &'m Model,
    pub(super) graph: Graph,
    pub(super) formats: Vec<Format>,
    modes: BTreeMap<ValueId, Mode>,
    pub(super) seen: Vec<Seen>,
    /// Of a tensor that holds, one behind the other, the maps which blocks of pixels of one map are taken apart into: rows and columns of a block.
    pub(super) blocks: Vec<Option<[usize; 2]>>,
    names: BTreeSet<String>,
    pub(super) reference: Reference,
    quantized: bool,
    /// Layers, and what a build should say of them.
    pub(super) warnings: Vec<(String, String)>,
}

/// The shape of a tensor of the file: its axes from the last one on are channels, columns, rows; more axes than that are rows too.
pub(super) fn shape_of(dims: &[usize]) -> Result<Shape, String> {
    let axis = |from_last: usize| dims.len().checked_sub(from_last).map_or(1, |at| dims[at]);
    let rows = &dims[..dims.len().saturating_sub(2)];
    let h = rows.iter().try_fold(1usize, |product, d| product.checked_mul(*d));
    let h = h.ok_or_else(|| format!("a shape of {dims:?} is too large"))?;
    let shape = Shape::new(h, axis(2), axis(1));
    check_shape(shape).map(|()| shape)
}

impl<'m> Importer<'m> {
    fn new(model: &'m Model, name: &str, options: &NetworkOptions) -> Self {
        let graph =
            Graph { name: name.into(), inputs: vec![], outputs: vec![], values: vec![], nodes: vec![] };
        // Constants of 8 bits alone are weights of a network in real numbers.
        let quantized = model.tensors.iter().any(|t| t.data.is_none() && is_quantized(t));
        Self {
            model,
            graph,
            formats: vec![],
            modes: BTreeMap::new(),
            seen: vec![Seen::Nothing; model.tensors.len()],
            blocks: vec![None; model.tensors.len()],
            names: BTreeSet::new(),
            reference: options.reference.unwrap_or(Reference::LiteRt),
            quantized,
            warnings: vec![],
        }
    }

    fn run(mut self) -> Result<Read, Vec<String>> {
        let mut problems = vec![];
        for (at, tensor) in self.model.tensors.iter().enumerate() {
            if tensor.data.is_some() {
                self.seen[at] = Seen::Known(Known::of_tensor(tensor));
            }
        }
        for at in self.model.inputs.clone() {
            let batch = match self.model.tensors[at].shape[..] {
                [batch, _, _, _] if batch != 1 => Err(format!("a batch of {batch}, expected 1")),
                _ => Ok(()),
            };
            match batch.and_then(|()| self.declare(at)) {
                Ok(id) => {
                    self.graph.inputs.push(id);
                    self.seen[at] = Seen::Value(id);
                }
                Err(problem) => problems.push(format!("input `{}`: {problem}", self.model.tensors[at].name)),
            }
        }
        for (at, operator) in self.model.operators.iter().enumerate() {
            if let ([at], Some(known)) = (&operator.outputs[..], fold::folded(&self, operator)) {
                self.seen[*at] = Seen::Known(known);
                continue;
            }
            let handler = OPERATORS.iter().find(|row| row.name == name_of(&operator.code));
            let result = match handler {
                None => Err("is not supported".to_string()),
                // What follows from a mistake is no other one.
                Some(_) if self.lacks_input(operator) => continue,
                Some(row) if operator.outputs.len() != 1 && !row.has_several_results => {
                    Err(format!("has {} results, expected one", operator.outputs.len()))
                }
                Some(_) if operator.version > NEWEST => {
                    Err(format!("is of version {}, newer than this importer", operator.version))
                }
                Some(row) => self
                    .check_wide(row, operator)
                    .and_then(|()| self.pass_blocks(row, operator))
                    .and_then(|()| (row.import)(&mut Cx { importer: &mut self, operator })),
            };
            if let Err(problem) = result {
                problems.push(format!("{}: {problem}", self.model.label(at)));
            }
        }
        if problems.is_empty() {
            for at in self.model.outputs.clone() {
                let whole = self.blocks[at].map_or(Ok(()), |_| Err("lacks a BATCH_TO_SPACE_ND".to_string()));
                match whole.and_then(|()| self.value(at)) {
                    Ok(id) => self.push_output(id),
                    Err(problem) => {
                        problems.push(format!("output `{}`: {problem}", self.model.tensors[at].name));
                    }
                }
            }
        }
        if problems.is_empty() { self.finish().map_err(|problem| vec![problem]) } else { Err(problems) }
    }

    /// Whether an operator between codes of 16 bits is one that is imported with them.
    fn check_wide(&self, row: &Row, operator: &Operator) -> Result<(), String> {
        let tensors = operator.inputs.iter().flatten().chain(&operator.outputs);
        let is_value = |at: &&usize| self.known(**at).is_none();
        let mut values = tensors.filter(is_value).map(|at| self.tensor(*at).element).peekable();
        let wide = |element: reader::Element| element == reader::Element::Int16;
        if !values.clone().any(wide) {
            return Ok(());
        }
        match () {
            _ if !ops::TAKE_INT16.contains(&row.name) => {
                Err("is not supported between activations of 16 bits; the float file with `format.int16` is"
                    .into())
            }
            _ if self.reference != Reference::LiteRt => {
                Err("between activations of 16 bits is imported with `format.reference = \"litert\"` only"
                    .into())
            }
            _ if !matches!(row.name, "QUANTIZE" | "DEQUANTIZE") && !values.all(wide) => {
                Err("mixes activations of 16 bits with others; put QUANTIZE between".into())
            }
            _ => Ok(()),
        }
    }

    /// Lets results be maps that blocks were taken apart into, if an operand is, and the operator can work on the map that they are of.
    fn pass_blocks(&mut self, row: &Row, operator: &Operator) -> Result<(), String> {
        let mut blocks = None;
        for at in operator.inputs.iter().flatten() {
            match self.blocks[*at] {
                Some(of) if *blocks.get_or_insert(of) != of => {
                    return Err("has operands of other blocks".into());
                }
                _ => {}
            }
        }
        if blocks.is_none() {
            return Ok(());
        }
        if !ops::TAKE_BLOCKS.contains(&row.name) {
            return Err("is not supported between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND".into());
        }
        // Others would be repeated by their places.
        let of_channels = |at: usize| {
            let dims = &self.tensor(at).shape;
            dims.iter().product::<usize>() == dims.last().copied().unwrap_or(1)
        };
        let whole = |at: &usize| self.blocks[*at].is_none() && self.known(*at).is_none();
        let constant = |at: &usize| matches!(row.name, "ADD" | "SUB" | "MUL") && self.known(*at).is_some();
        for at in operator.inputs.iter().flatten() {
            if whole(at) || (constant(at) && !of_channels(*at)) {
                return Err(format!(
                    "cannot combine `{}` with what SPACE_TO_BATCH_ND made",
                    self.tensor(*at).name
                ));
            }
        }
        operator.outputs.iter().for_each(|at| self.blocks[*at] = blocks);
        Ok(())
    }

    /// The shape that the value of a tensor has.
    pub(super) fn shape_of(&self, at: usize) -> Result<Shape, String> {
        let dims = &self.tensor(at).shape;
        let Some([rows, columns]) = self.blocks[at] else { return shape_of(dims) };
        match dims.split_first() {
            Some((batch, map)) if *batch == rows * columns && dims.len() <= 4 => {
                let Shape { h, w, c } = shape_of(map)?;
                let shape = Shape::new(h.saturating_mul(rows), w.saturating_mul(columns), c);
                check_shape(shape).map(|()| shape)
            }
            _ => Err(format!(
                "`{}` has shape {dims:?}, expected {} maps",
                self.tensor(at).name,
                rows * columns
            )),
        }
    }

    /// Whether an operator reads what an operator before should have made, and did not.
    fn lacks_input(&self, operator: &Operator) -> bool {
        operator.inputs.iter().flatten().any(|at| matches!(self.seen[*at], Seen::Nothing))
    }

    fn push_output(&mut self, id: ValueId) {
        self.graph.push_output(id);
        if self.formats.len() < self.graph.values.len() {
            self.formats.push(self.formats[id.0]);
            if let Format::Float(_) = self.formats[id.0] {
                self.modes.insert(ValueId(self.formats.len() - 1), Mode::F32);
            }
        }
    }

    fn finish(self) -> Result<Read, String> {
        if self.graph.inputs.is_empty() || self.graph.outputs.is_empty() {
            return Err("the model has no input or no output".into());
        }
        let ends =
            |tensors: &[usize]| tensors.iter().map(|at| end_of(&self.model.tensors[*at], None)).collect();
        let layers = self.model.operators.iter().flat_map(|operator| &operator.outputs).filter_map(|at| {
            let Seen::Value(id) = self.seen[*at] else { return None };
            Some((self.graph.values[id.0].name.clone(), end_of(&self.model.tensors[*at], self.blocks[*at])))
        });
        let layers: Vec<(String, End)> = layers.collect();
        let (inputs, outputs): (Vec<End>, Vec<End>) = (ends(&self.model.inputs), ends(&self.model.outputs));
        let is_rounded = |t: &TensorDef| t.data.is_some() && is_quantized(t);
        let is_wide = |format: &Format| matches!(format, Format::Int16 { .. });
        let what = match self.quantized {
            true if self.formats.iter().any(is_wide) => "int16x8",
            true => "int8",
            false if self.model.tensors.iter().any(is_rounded) => {
                "float, with weights of 8 bits as real numbers"
            }
            false => "float",
        };
        let summary = format!("TensorFlow Lite model, {what}{}", self.model.about());
        let count = self.graph.values.len();
        let mut q = QGraph {
            graph: self.graph,
            formats: self.formats,
            rounding: Rounding::TfliteDouble,
            channel_means: vec![None; count],
            corrections: BTreeMap::new(),
            wide_weights: BTreeSet::new(),
            modes: self.modes,
        };
        let content = if self.quantized {
            q.concatenate_in_one_format();
            Content::Quantized(q)
        } else {
            Content::Float(q.graph)
        };
        Ok(Read { content, summary, inputs, outputs, layers, warnings: self.warnings })
    }

    /// A new value for a tensor of the file.
    pub(super) fn declare(&mut self, at: usize) -> Result<ValueId, String> {
        let tensor = &self.model.tensors[at];
        let (shape, format) = (self.shape_of(at)?, format_of(tensor)?);
        let name = if tensor.name.is_empty() { format!("tensor {at}") } else { tensor.name.clone() };
        Ok(self.new_value(name, shape, format))
    }

    pub(super) fn new_value(&mut self, name: String, shape: Shape, format: Format) -> ValueId {
        let mut unique = name.clone();
        let mut next = 1;
        while !self.names.insert(unique.clone()) {
            next += 1;
            unique = format!("{name} {next}");
        }
        self.graph.values.push(Value { name: unique, shape });
        self.formats.push(format);
        ValueId(self.formats.len() - 1)
    }

    /// The value of a tensor: of one that is known, a constant.
    pub(super) fn value(&mut self, at: usize) -> Result<ValueId, String> {
        match self.seen[at].clone() {
            Seen::Value(id) => Ok(id),
            Seen::Nothing => Err(format!("tensor `{}` is never made", self.model.tensors[at].name)),
            Seen::Known(known) => {
                let id = self.declare(at)?;
                let shape = self.graph.shape(id);
                let value = Tensor::new(shape, known.real()).ok_or("holds another number of elements")?;
                self.push_node(Arc::new(Constant { value }), vec![], id);
                self.seen[at] = Seen::Value(id);
                Ok(id)
            }
        }
    }

    pub(super) fn push_node(&mut self, op: Arc<dyn Op>, inputs: Vec<ValueId>, output: ValueId) {
        let is_float = |id: &ValueId| matches!(self.formats[id.0], Format::Float(_));
        if inputs.iter().chain([&output]).any(is_float) {
            self.modes.insert(output, Mode::F32);
        }
        let name = self.graph.values[output.0].name.clone();
        self.graph.nodes.push(Node { name, op, inputs, outputs: vec![output] });
    }

    /// What is known of a tensor without running the network.
    pub(super) fn known(&self, at: usize) -> Option<&Known> {
        match &self.seen[at] {
            Seen::Known(known) => Some(known),
            _ => None,
        }
    }

    pub(super) fn tensor(&self, at: usize) -> &'m TensorDef {
        &self.model.tensors[at]
    }
}

/// Whether a tensor holds codes of numbers.
pub(super) fn is_quantized(tensor: &TensorDef) -> bool {
    use reader::Element as E;
    matches!(tensor.element, E::Int8 | E::UInt8 | E::Int16) && tensor.quantization.is_some()
}

/// A tensor as the file declares it; one of maps that blocks were taken apart into has an axis for each side of a block.
fn end_of(tensor: &TensorDef, blocks: Option<[usize; 2]>) -> End {
    if let Some(blocks) = blocks {
        let map = tensor.shape.get(1..).unwrap_or_default();
        let missing = std::iter::repeat_n(1, 3usize.saturating_sub(map.len()));
        let shape: Vec<usize> = blocks.into_iter().chain(missing).chain(map.iter().copied()).collect();
        let axes = [vec![2, 0], vec![3, 1], vec![4]];
        return End { name: tensor.name.clone(), shape, element: element_of(tensor.element), axes };
    }
    let rank = tensor.shape.len();
    let (front, last) = (rank.saturating_sub(2), rank.max(1) - 1);
    let axes = [0..front, front..last, last..rank].map(Iterator::collect);
    End { name: tensor.name.clone(), shape: tensor.shape.clone(), element: element_of(tensor.element), axes }
}

/// How elements stand in an input or an output.
fn element_of(element: reader::Element) -> Element {
    use reader::Element as E;
    match element {
        E::Int4 | E::Int8 => Element::Int8,
        E::UInt8 => Element::UInt8,
        E::Int16 => Element::Int16,
        E::Int32 | E::Bool => Element::Int32,
        E::Int64 => Element::Int64,
        E::Float32 | E::Float16 | E::Other(_) => Element::Float32,
    }
}

/// The name that an operator has in the table.
pub(super) fn name_of(code: &Code) -> &str {
    match code {
        Code::Builtin(name) => name,
        Code::Custom(name) => name,
        Code::Unknown(_) => "",
    }
}

/// The number format of a tensor: codes without a sign are those with one, plus 128.
pub(super) fn format_of(tensor: &TensorDef) -> Result<Format, String> {
    use reader::Element as E;
    match tensor.element {
        E::Float32 | E::Float16 => Ok(Format::Float(Float::F32)),
        E::Int8 | E::UInt8 => Ok(Format::Int8(params_of(tensor)?)),
        E::Int16 => match tensor.quantization.as_ref().map(|q| (&q.scale[..], &q.zero_point[..])) {
            Some(([scale], [0])) => Ok(Format::Int16 { scale: *scale, given: true }),
            _ => Err(format!("`{}` has 16 bits and not one scale and the zero point 0", tensor.name)),
        },
        E::Int32 | E::Int64 | E::Bool => Ok(Format::Label),
        other => Err(format!("elements of type {other} are not supported")),
    }
}

/// Scale and zero point of a tensor of 8 bits.
pub(super) fn params_of(tensor: &TensorDef) -> Result<QParams, String> {
    let name = &tensor.name;
    let quantization = tensor.quantization.as_ref().filter(|q| q.scale.len() == 1);
    let quantization =
        quantization.ok_or_else(|| format!("`{name}` has 8 bits and not one scale for all of it"))?;
    let offset = if tensor.element == reader::Element::UInt8 { 128 } else { 0 };
    let zero_point = quantization.zero_point.first().map_or(0, |z| z - offset);
    let zero_point =
        i8::try_from(zero_point).map_err(|_| format!("`{name}` has a zero point out of range"))?;
    Ok(QParams { scale: quantization.scale[0], zero_point })
}
