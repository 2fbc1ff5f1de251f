//! From the file's tables to a model.

use super::{
    check,
    flatbuffer::{Fault, File, Table},
    model::{Code, Data, Element, Model, Operator, Signature, brief, label},
    options::Options,
};
use crate::error::{Error, Result};
use std::{ops::Range, sync::Arc};

impl Model {
    /// Reads and checks a file; `name` is its name in the error, which lists everything that is wrong. What niello does not support is no error
    /// yet, but for sparse tensors, state between calls and several graphs.
    pub(crate) fn read(name: &str, bytes: impl Into<Arc<[u8]>>) -> Result<Self> {
        let mut problems = Problems(vec![]);
        // A fault ends the reading: it stands before what was found until then.
        let model = read(&bytes.into(), &mut problems).map_err(|fault| problems.0.insert(0, fault));
        match model {
            Ok(model) if problems.0.is_empty() => Ok(model),
            _ => Err(Error::Model { file: name.into(), problems: problems.0 }),
        }
    }
}

/// What is wrong with a file.
pub(super) struct Problems(Vec<String>);

impl Problems {
    /// Only so many are kept: a small file can have a great many.
    pub(super) fn push(&mut self, problem: String) {
        if self.0.len() < 1000 {
            self.0.push(problem);
        }
    }
}

/// A tensor as it stands in the file.
pub(super) struct RawTensor {
    pub(super) name: String,
    pub(super) shape: Vec<i32>,
    pub(super) signature: Vec<i32>,
    pub(super) element: Element,
    pub(super) buffer: u32,
    pub(super) quantization: RawQuantization,
    pub(super) variable: bool,
    pub(super) sparse: bool,
}

impl RawTensor {
    fn read(index: usize, table: &Table<'_>) -> Result<Self, Fault> {
        let name = table.text((3, "name"))?.filter(|name| !name.is_empty());
        let quantization = table.table((4, "quantization"))?;
        Ok(Self {
            name: name.unwrap_or_else(|| format!("tensor {index}")),
            shape: table.numbers((0, "shape"))?,
            signature: table.numbers((7, "shape_signature"))?,
            element: Element::new(table.number((1, "type"))?.unwrap_or(0)),
            buffer: table.number((2, "buffer"))?.unwrap_or(0),
            quantization: quantization.map(RawQuantization::read).transpose()?.unwrap_or_default(),
            variable: table.number((5, "is_variable"))?.unwrap_or(false),
            sparse: table.table((6, "sparsity"))?.is_some(),
        })
    }
}

/// What a tensor's integers mean, as it stands in the file.
#[derive(Default)]
pub(super) struct RawQuantization {
    pub(super) scale: Vec<f32>,
    pub(super) zero_point: Vec<i64>,
    pub(super) dimension: i32,
    /// In a way of its own, beside scales.
    pub(super) details: bool,
}

impl RawQuantization {
    fn read(table: Table<'_>) -> Result<Self, Fault> {
        Ok(Self {
            scale: table.numbers((2, "scale"))?,
            zero_point: table.numbers((3, "zero_point"))?,
            details: table.number((4, "details_type"))?.is_some_and(|tag: u8| tag != 0),
            dimension: table.number((6, "quantized_dimension"))?.unwrap_or(0),
        })
    }
}

/// The bytes of a buffer, or what is wrong with where they lie.
pub(super) type Place = std::result::Result<Range<usize>, String>;

/// Bytes within the file, or behind the flatbuffer if fields `offset` and `size` say so.
fn place(table: &Table<'_>, inside: Range<usize>, offset: usize, size: usize) -> Result<Place, Fault> {
    let offset: u64 = table.number((offset, "offset"))?.unwrap_or(0);
    let size: u64 = table.number((size, "size"))?.unwrap_or(0);
    if offset <= 1 {
        return Ok(Ok(inside));
    }
    let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok());
    let range = range.filter(|(start, length)| table.file.slice(*start, *length).is_some());
    Ok(range
        .map(|(start, length)| start..start + length)
        .ok_or_else(|| format!("{size} bytes at offset {offset}, which leaves the file")))
}

/// What the tables of a graph refer to.
struct Reader<'a> {
    bytes: &'a Arc<[u8]>,
    /// Kinds of operators with their versions.
    codes: Vec<(Code, i32)>,
    tensors: Vec<RawTensor>,
    problems: &'a mut Problems,
}

fn read(bytes: &Arc<[u8]>, problems: &mut Problems) -> Result<Model, Fault> {
    let found = bytes.get(4..8);
    let found = found.ok_or_else(|| format!("the file has {} bytes: no .tflite file", bytes.len()))?;
    if found != b"TFL3" {
        return Err(format!("no .tflite file: its identifier is {}, expected TFL3", found.escape_ascii()));
    }
    let file = &File::new(bytes);
    let root = file.root()?;
    let version: u32 = root.number((0, "version"))?.unwrap_or(0);
    if version != 3 {
        return Err(format!("version {version} of the schema, expected 3"));
    }
    let graphs = root.tables((2, "subgraphs"))?.collect::<Result<Vec<_>, Fault>>()?;
    // Others are called by operators that are not imported, or by programs.
    let [graph, ref others @ ..] = graphs[..] else {
        return Err("0 subgraphs, expected 1 or more".into());
    };
    let codes = root.tables((1, "operator_codes"))?.map(|code| read_code(&code?));
    let tensors = graph.tables((0, "tensors"))?.enumerate().map(|(i, tensor)| RawTensor::read(i, &tensor?));
    let mut reader = Reader {
        bytes,
        codes: codes.collect::<Result<_, Fault>>()?,
        tensors: tensors.collect::<Result<_, Fault>>()?,
        problems,
    };
    let metadata =
        root.tables((6, "metadata"))?.map(|table| Ok(table?.text((0, "name"))?.unwrap_or_default()));
    let signatures = root.tables((7, "signature_defs"))?.filter_map(|table| match table {
        Ok(table) => reader.signature(&table).transpose(),
        Err(fault) => Some(Err(fault)),
    });
    let mut model = Model {
        description: root.text((3, "description"))?.unwrap_or_default(),
        other_graphs: others.len(),
        metadata_names: metadata.collect::<Result<_, Fault>>()?,
        signatures: signatures.collect::<Result<_, Fault>>()?,
        inputs: reader.ends(&graph, (1, "inputs"))?,
        outputs: reader.ends(&graph, (2, "outputs"))?,
        tensors: vec![],
        operators: vec![],
    };
    for (i, operator) in graph.tables((3, "operators"))?.enumerate() {
        model.operators.push(reader.operator(i, &operator?)?);
    }
    let buffers = root.tables((4, "buffers"))?.map(|buffer| {
        let buffer = buffer?;
        place(&buffer, buffer.range((0, "data"))?, 1, 2)
    });
    let buffers: Vec<Place> = buffers.collect::<Result<_, Fault>>()?;
    let used = model.used(reader.tensors.len());
    for (raw, used) in reader.tensors.into_iter().zip(used) {
        let mut found = Problems(vec![]);
        model.tensors.push(raw.check(&buffers, bytes, file, &mut found)?);
        found.0.into_iter().filter(|_| used).for_each(|problem| reader.problems.push(problem));
    }
    check::order(&model, reader.problems);
    Ok(model)
}

fn read_code(table: &Table<'_>) -> Result<(Code, i32), Fault> {
    let old: i8 = table.number((0, "deprecated_builtin_code"))?.unwrap_or(0);
    let new: i32 = table.number((3, "builtin_code"))?.unwrap_or(0);
    let name = table.text((1, "custom_code"))?.unwrap_or_default();
    let code = match Code::new(new.max(old.into())) {
        Code::Builtin("CUSTOM") => Code::Custom(name),
        code => code,
    };
    Ok((code, table.number((2, "version"))?.unwrap_or(1)))
}

impl Reader<'_> {
    /// The index of a tensor, if there is such a one.
    fn index(&self, number: i64) -> Option<usize> {
        usize::try_from(number).ok().filter(|index| *index < self.tensors.len())
    }

    /// Inputs or outputs of the graph.
    fn ends(&mut self, graph: &Table<'_>, field: (usize, &'static str)) -> Result<Vec<usize>, Fault> {
        let mut ends = vec![];
        for number in graph.numbers::<i32>(field)? {
            match self.index(number.into()) {
                Some(index) => ends.push(index),
                None => self.problems.push(format!(
                    "one of the graph's {} is tensor {number} of {}",
                    field.1,
                    self.tensors.len()
                )),
            }
        }
        Ok(ends)
    }

    /// A signature, if it is of the graph.
    fn signature(&mut self, table: &Table<'_>) -> Result<Option<Signature>, Fault> {
        if table.number((4, "subgraph_index"))?.unwrap_or(0u32) != 0 {
            return Ok(None);
        }
        let key = table.text((2, "signature_key"))?.unwrap_or_default();
        let mut ends = |field| -> Result<Vec<(String, usize)>, Fault> {
            let mut ends = vec![];
            for end in table.tables(field)? {
                let end = end?;
                let name = end.text((0, "name"))?.unwrap_or_default();
                let number: u32 = end.number((1, "tensor_index"))?.unwrap_or(0);
                match self.index(number.into()) {
                    Some(index) => ends.push((name, index)),
                    None => self.problems.push(format!(
                        "signature `{}`: `{}` is tensor {number} of {}",
                        brief(&key),
                        brief(&name),
                        self.tensors.len()
                    )),
                }
            }
            Ok(ends)
        };
        let (inputs, outputs) = (ends((0, "inputs"))?, ends((1, "outputs"))?);
        Ok(Some(Signature { key, inputs, outputs }))
    }

    fn operator(&mut self, index: usize, table: &Table<'_>) -> Result<Operator, Fault> {
        let number: u32 = table.number((0, "opcode_index"))?.unwrap_or(0);
        let (code, version) = self.codes.get(number as usize).cloned().unwrap_or_else(|| {
            self.problems
                .push(format!("operator {index}: its code is number {number} of {}", self.codes.len()));
            (Code::Unknown(-1), 1)
        });
        if let Code::Custom(name) = &code {
            table.file.charge(name.len())?;
            if name.is_empty() {
                self.problems.push(format!("operator {index}: a custom operator without a name"));
            }
        }
        let numbers: Vec<i32> = table.numbers((2, "outputs"))?;
        let result = numbers.first().and_then(|number| self.index((*number).into()));
        let name = label(index, &code, result.map(|index| &*self.tensors[index].name));
        let mut outputs = vec![];
        for (i, number) in numbers.into_iter().enumerate() {
            match self.index(number.into()) {
                Some(index) => outputs.push(index),
                None => self
                    .problems
                    .push(format!("{name}: output {i} is tensor {number} of {}", self.tensors.len())),
            }
        }
        let mut inputs = vec![];
        for (i, number) in table.numbers::<i32>((1, "inputs"))?.into_iter().enumerate() {
            let index = self.index(number.into());
            if index.is_none() && number != -1 {
                self.problems.push(format!("{name}: input {i} is tensor {number} of {}", self.tensors.len()));
            }
            inputs.push(index);
        }
        let mut options = Options::None;
        if let Code::Builtin(operator) = code {
            let tag = table.number((3, "builtin_options_type"))?.unwrap_or(0);
            match Options::read(operator, tag, table.table((4, "builtin_options"))?) {
                Ok(read) => options = read,
                Err(fault) => self.problems.push(format!("{name}: {fault}")),
            }
        }
        let range = place(table, table.range((5, "custom_options"))?, 9, 10)?.unwrap_or_else(|fault| {
            self.problems.push(format!("{name}: its options are {fault}"));
            0..0
        });
        let custom_options = Data { file: self.bytes.clone(), range };
        Ok(Operator { code, version, inputs, outputs, options, custom_options })
    }
}
