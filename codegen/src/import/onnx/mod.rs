//! ONNX files as float graphs.
//!
//! * `proto`, `tensors`: what is in a file and beside it.
//! * `file`: its nodes, functions inlined, in an order in which they can be computed.
//! * `array`: constants of any number of axes; what follows from constants and shapes is computed while the file is read.
//! * `layout`: how a tensor of any number of axes lies in a map of height, width and channels. Files have channels first, niello has them last;
//!   transposes and reshapes cost nothing until an operator needs another order in memory.
//! * `codes`: what a quantised file says of its values.
//! * `context`, `graph`: what the functions of operators see, and what they can add to the graph.
//! * `ports`: inputs, outputs and layers as the file has them.
//! * `ops`: the operators, one function each, in one table: [`OPERATORS`].
//!
//! Everything that cannot be imported is listed in one error.

mod array;
mod codes;
mod context;
mod file;
mod graph;
mod layout;
mod ops;
mod ports;
pub mod proto;
mod tensors;
mod value;

pub use file::OPSETS;
pub use ops::{MICROSOFT, OPERATORS, Operator};
pub use ports::Port;

use super::{end::Element, network::NetworkOptions};
use crate::{
    error::{Error, Result},
    graph::{Graph, ValueId},
    quantize::QGraph,
    weights::Zeros,
};
use array::Type;
use codes::Codes;
use context::Cx;
use file::Step;
use graph::Builder;
use layout::Layout;
use ports::{layers, name_outputs, port};
use prost::Message;
use proto::{GraphProto, ModelProto, TensorProto, TypeTensorProto, ValueInfoProto};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
};
use value::{Live, Value};

/// A graph with what the file says of its inputs and outputs.
#[derive(Debug)]
pub struct Model {
    /// The graph.
    pub graph: Graph,
    /// The same with number formats, if the file is a quantised one.
    pub quantized: Option<QGraph>,
    /// Its inputs.
    pub inputs: Vec<Port>,
    /// Its outputs.
    pub outputs: Vec<Port>,
    /// Results of nodes, each with the name that its value has in the graph.
    pub layers: Vec<(String, Port)>,
    /// Layers of which onnxruntime has several results, each with the reason.
    pub warnings: Vec<(String, String)>,
}

/// The graph of an ONNX file. `name` is the file's, for errors; its stem is the graph's. `folder` is where it lies, for weights in files beside it. A
/// batch whose size is not known is 1; a height and width that are not known are `options.input_size`. Inputs that nothing reads are left out.
///
/// # Errors
/// Bytes that are no ONNX file, or one that contradicts itself; all operators and attributes that are not imported; inputs of unknown size, of a
/// batch other than 1, or other than the options say.
pub fn import(name: &Path, bytes: &[u8], folder: Option<&Path>, options: &NetworkOptions) -> Result<Graph> {
    import_model(name, bytes, folder, options).map(|model| model.graph)
}

/// As [`import`], with what the file says of inputs and outputs.
///
/// # Errors
/// As for [`import`].
pub fn import_model(
    name: &Path,
    bytes: &[u8],
    folder: Option<&Path>,
    options: &NetworkOptions,
) -> Result<Model> {
    read(name, bytes, folder, options)
        .map_err(|problems| Error::Model { file: name.display().to_string(), problems })
}

fn read(
    name: &Path,
    bytes: &[u8],
    folder: Option<&Path>,
    options: &NetworkOptions,
) -> Result<Model, Vec<String>> {
    let one = |problem: String| vec![problem];
    let mut model = ModelProto::decode(bytes).map_err(|e| {
        one(format!("not an ONNX model, or a truncated one; no graph is read: {}", described(&e.to_string())))
    })?;
    let mut file =
        model.graph.take().ok_or_else(|| one("no graph: not an ONNX model, or an empty one".into()))?;
    check_constants(&file)?;
    if file.output.is_empty() {
        return Err(one("the graph has no output".into()));
    }
    let steps = file::steps(&mut model, &mut file)?;
    let outputs = file.output.iter().filter_map(|v| v.name.clone());
    let all_read: Vec<String> =
        steps.iter().flat_map(|step| step.node.input.clone()).chain(outputs).collect();
    let read = all_read.iter().cloned().collect();
    let mut zeros = Zeros;
    let title = name.file_stem().unwrap_or_default().to_string_lossy();
    let mut walk = Walk {
        graph: Builder::new(&title, &mut zeros, read, bytes.len().max(1 << 22)),
        values: HashMap::new(),
        initializers: named(&file.initializer),
        folder,
        inputs: vec![],
        problems: vec![],
    };
    for input in &file.input {
        walk.input(input, &steps, options);
    }
    walk.look_ahead(&steps, &all_read);
    for step in &steps {
        walk.step(step);
    }
    walk.finish(&file)
}

/// The message of a reader without what it says of itself.
fn described(message: &str) -> String {
    message.replace("failed to decode Protobuf message: ", "protobuf: ")
}

fn named(tensors: &[TensorProto]) -> HashMap<&str, &TensorProto> {
    tensors.iter().filter_map(|t| Some((t.name.as_deref()?, t))).collect()
}

/// Constants that two have the name of, or that are not read.
fn check_constants(file: &GraphProto) -> Result<(), Vec<String>> {
    let mut names = HashSet::new();
    let names = file.initializer.iter().filter_map(|t| t.name.as_deref()).filter(|name| !names.insert(*name));
    let twice = names.map(|name| format!("two initializers are called `{name}`"));
    let sparse = file.sparse_initializer.iter().map(|tensor| {
        let name = tensor.values.as_ref().and_then(|t| t.name.as_deref()).unwrap_or_default();
        format!("initializer `{name}` is sparse; only dense ones are read")
    });
    let problems: Vec<String> = twice.chain(sparse).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The graph while its nodes are imported.
struct Walk<'f, 'w> {
    graph: Builder<'w>,
    values: HashMap<String, Value>,
    initializers: HashMap<&'f str, &'f TensorProto>,
    folder: Option<&'f Path>,
    inputs: Vec<(Live, Port)>,
    problems: Vec<String>,
}

impl Walk<'_, '_> {
    /// An input that some node reads; others are left out.
    fn input(&mut self, info: &ValueInfoProto, steps: &[Step], options: &NetworkOptions) {
        let name = info.name.as_deref().unwrap_or_default();
        if self.initializers.contains_key(name) || !self.graph.is_read(name) {
            return;
        }
        let tensor = tensor_type(info);
        let made = dims(tensor, &|rank, last| is_channels_last(name, rank, last, steps), options).and_then(
            |(dims, last)| {
                let at = if last { Layout::of(&dims, [&[1], &[2], &[3]]) } else { Layout::usual(&dims) };
                if dims.len() == 4 && dims[0] != 1 {
                    // What reads it may say why.
                    self.problems.push(format!("input `{name}`: a batch of {}, expected 1", dims[0]));
                }
                self.graph.input(name, at)
            },
        );
        let value = match made {
            Ok(live) => {
                let port = port(name, &live, tensor);
                if matches!(port.element, Element::Int8 | Element::UInt8) {
                    self.graph.quantization.names.insert(name.into());
                    self.graph.quantization.inputs.insert(live.id, port.element == Element::UInt8);
                }
                self.inputs.push((live.clone(), port));
                Value::Live(live)
            }
            Err(problem) => {
                self.problems.push(format!("input `{name}`: {problem}"));
                Value::Broken
            }
        };
        self.values.insert(name.into(), value);
    }

    /// A value by its name, constants of the file as soon as somebody reads them.
    fn value(&mut self, name: &str) -> Value {
        if let Some(value) = self.values.get(name) {
            return value.clone();
        }
        let value = match self.initializers.get(name).map(|tensor| tensors::read(tensor, self.folder)) {
            Some(Ok(array)) => Value::Known(array),
            Some(Err(problem)) => {
                self.problems.push(problem);
                Value::Broken
            }
            // Every name has been looked up.
            None => Value::Broken,
        };
        self.values.insert(name.into(), value.clone());
        value
    }

    /// Which numbers only their codes are used of, and what is read once.
    fn look_ahead(&mut self, steps: &[Step], read: &[String]) {
        let mut count = HashMap::<&str, usize>::new();
        read.iter().for_each(|name| *count.entry(name).or_default() += 1);
        let mut constants: HashMap<&str, &TensorProto> = self.initializers.clone();
        for step in steps.iter().filter(|step| step.node.op() == "Constant") {
            let value = step.node.attribute.iter().find(|a| a.name.as_deref() == Some("value"));
            let value = value.and_then(|value| value.t.as_ref());
            constants.extend(step.node.output.first().map(String::as_str).zip(value));
        }
        let array = |name: &String| tensors::read(constants.get(name.as_str())?, self.folder).ok();
        for step in steps.iter().filter(|step| step.node.op() == "QuantizeLinear") {
            let [value, scale, rest @ ..] = &step.node.input[..] else { continue };
            let zero_point = rest.first().filter(|name| !name.is_empty());
            let known = zero_point.map(array);
            let (Some(scale), false) = (array(scale), matches!(known, Some(None))) else { continue };
            let codes = Codes::of(&scale, known.flatten().as_ref());
            if let (Ok(codes), Some(1)) = (codes, count.get(value.as_str())) {
                self.graph.quantization.wanted.insert(value.clone(), codes);
            }
        }
        // Rounding goes before what only cuts off.
        for step in steps.iter().rev().filter(|step| matches!(step.node.op(), "Relu" | "Clip")) {
            let (Some(value), Some(result)) = (step.node.input.first(), step.node.output.first()) else {
                continue;
            };
            let codes = self.graph.quantization.wanted.get(result).copied();
            if let (Some(codes), Some(1)) = (codes, count.get(value.as_str())) {
                self.graph.quantization.wanted.insert(value.clone(), codes);
            }
        }
        let once = count.iter().filter(|(_, count)| **count == 1).map(|(name, _)| name.to_string());
        self.graph.quantization.once = once.collect();
    }

    fn step(&mut self, step: &Step) {
        let node = &step.node;
        let inputs: Vec<Option<Value>> =
            node.input.iter().map(|name| (!name.is_empty()).then(|| self.value(name))).collect();
        let operator = ops::find(node.set(), node.op());
        let made = match operator {
            None => Err(ops::instead_of(node.op()).to_string()),
            Some(operator) if operator.since > step.version => {
                Err(format!("came with opset {}, the file has {}", operator.since, step.version))
            }
            Some(_) if inputs.iter().flatten().any(|value| matches!(value, Value::Broken)) => Ok(vec![]),
            Some(operator) => {
                let name = node.output.iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
                let mut cx = Cx::new(&mut self.graph, node, step.version, inputs, name, self.folder);
                let made = ops::import(&mut cx, operator);
                match (made, cx.unread()) {
                    (Ok(_), Some(attribute)) => Err(format!("attribute `{attribute}` is not known")),
                    (Ok(made), None) => match (made.len()..node.output.len()).find(|i| cx.wants(*i)) {
                        Some(i) => Err(format!("output {i} (`{}`) is not imported", node.output[i])),
                        None => Ok(made),
                    },
                    (error, _) => error,
                }
            }
        };
        let made = made.unwrap_or_else(|problem| {
            self.problems.push(format!("{}: {problem}", step.label()));
            vec![]
        });
        let values = made.into_iter().chain(std::iter::repeat(Value::Broken));
        self.values.extend(node.output.iter().cloned().zip(values));
    }

    fn finish(mut self, file: &GraphProto) -> Result<Model, Vec<String>> {
        let mut outputs = vec![];
        for info in &file.output {
            let name = info.name.as_deref().unwrap_or_default();
            let made = match self.value(name) {
                Value::Live(live) => self.output(name, live, tensor_type(info)),
                Value::Known(array) => self.graph.constant(name, &array).map(|live| {
                    let port = port(name, &live, tensor_type(info));
                    (live, port)
                }),
                Value::Places(_) => Err("positions in a tensor, which only max unpooling takes".into()),
                Value::Broken => continue,
            };
            match made {
                Ok((live, port)) => outputs.push((live.id, port)),
                Err(problem) => self.problems.push(format!("output `{name}`: {problem}")),
            }
        }
        for (live, port) in &self.inputs {
            let codes = &self.graph.quantization;
            if codes.inputs.contains_key(&live.id) && !codes.of.contains_key(&live.id) {
                let (name, of) = (&port.name, port.element.name());
                self.problems.push(format!(
                    "input `{name}`: is of type {of}, expected float32, or a `DequantizeLinear` or an operator of codes that reads it"
                ));
            }
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let (ids, outputs): (Vec<ValueId>, Vec<Port>) = outputs.into_iter().unzip();
        let (mut graph, quantization) = self.graph.finish(&ids).map_err(|problem| vec![problem])?;
        let inputs = self.inputs.into_iter().map(|(_, port)| port).collect();
        name_outputs(&mut graph, &outputs);
        let layers = layers(&self.values, &graph, &quantization);
        let warnings = quantization.warnings();
        let quantized = quantization.apply(&graph);
        Ok(Model { graph, quantized, inputs, outputs, layers, warnings })
    }

    /// An output in an order of memory that the caller can make sense of: that in which it lies, if its axes lie in one piece each.
    fn output(
        &mut self,
        name: &str,
        live: Live,
        declared: Option<&TypeTensorProto>,
    ) -> Result<(Live, Port), String> {
        let live = self.graph.unrepeated(name, live)?;
        if live.at.plain().is_some() {
            let port = port(name, &live, declared);
            return Ok((live, port));
        }
        let axes = match live.at.order() {
            Some(mut order) => {
                let (c, w) = (order.pop(), order.pop());
                [order, Vec::from_iter(w), Vec::from_iter(c)]
            }
            None => Layout::usual_groups(live.dims()),
        };
        let [h, w, c] = &axes;
        let live = self.graph.arranged(name, &live, [h, w, c])?;
        let port = Port { axes, ..port(name, &live, declared) };
        Ok((live, port))
    }
}

fn tensor_type(info: &ValueInfoProto) -> Option<&TypeTensorProto> {
    info.r#type.as_ref()?.tensor_type.as_ref()
}

/// Whether an input has its channels last: every reader moves them, or there is one only.
fn is_channels_last(name: &str, rank: usize, last: Option<i64>, steps: &[Step]) -> bool {
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

/// Sizes of an input, and whether its channels are the last axis.
fn dims(
    tensor: Option<&TypeTensorProto>,
    channels_last: &dyn Fn(usize, Option<i64>) -> bool,
    options: &NetworkOptions,
) -> Result<(Vec<usize>, bool), String> {
    let tensor = tensor.ok_or("has no type, or is no tensor")?;
    let of = Type::of(tensor.elem_type.unwrap_or_default())?;
    if !matches!(of, Type::F32 | Type::F16 | Type::Bf16 | Type::Int { bits: 8, .. }) {
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
    let shape = Layout::usual(&dims).shape();
    crate::ops::check_shape(shape)?;
    Ok((dims, last))
}
