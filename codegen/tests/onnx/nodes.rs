//! ONNX's own tests of single operators: a model with inputs and outputs each, of the wheel `onnx` (Apache-2.0).
//!
//! They come as a folder, `TEST/model.onnx` and `TEST/test_data_set_N/{input,output}_I.pb`, or as one safetensors file with the same paths as names
//! of tensors of bytes. A table says which of them count and which of their inputs are constants of a network, as weights are.

use niello_codegen::{
    Tensor,
    execute::Executor,
    format::{Format, Mode},
    import::{
        Element, End, ModelFile,
        network::NetworkOptions,
        onnx::proto::{ModelProto, TensorProto},
    },
    lower::{Target, lower},
    passes::optimize,
    precision::float,
    program::{Metadata, Program},
};
use prost::Message;
use safetensors::{SafeTensors, tensor::Dtype};
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

/// The name of the table in a safetensors file.
pub(crate) const TABLE: &str = "manifest.tsv";

/// How far a number may be off: of itself, as ONNX's own runner has it.
const OF_ITSELF: f64 = 1e-3;

/// How far a number may be off: of the largest one of its tensor.
const OF_LARGEST: f64 = 1e-5;

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// `must` or `may`; others are not tried.
    pub(crate) set: String,
    /// Its name.
    pub(crate) name: String,
    /// Numbers of the inputs that are constants.
    pub(crate) constants: Vec<usize>,
}

/// The tests, with their files.
pub(crate) struct Nodes {
    /// Those of the table that are `must` or `may`.
    pub(crate) rows: Vec<Row>,
    files: Files,
}

enum Files {
    Folder(PathBuf),
    Baked(BTreeMap<String, Vec<u8>>),
}

impl Nodes {
    /// Of a folder of tests and a table, tab-separated with a header: `test`, `class`, `constant_inputs` among its columns.
    pub(crate) fn of_folder(folder: &Path, table: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(table).map_err(|e| format!("{}: {e}", table.display()))?;
        Ok(Self { rows: rows(&text)?, files: Files::Folder(folder.into()) })
    }

    /// Of the bytes of a safetensors file, as [`Nodes::bake`] makes it.
    pub(crate) fn baked(bytes: &[u8]) -> Result<Self, String> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| e.to_string())?;
        let files: BTreeMap<String, Vec<u8>> =
            tensors.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
        let table = files.get(TABLE).ok_or_else(|| format!("no {TABLE}"))?;
        let rows = rows(&String::from_utf8_lossy(table))?;
        Ok(Self { rows, files: Files::Baked(files) })
    }

    /// The bytes of one of the files.
    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        match &self.files {
            Files::Folder(folder) => fs::read(folder.join(name)).ok(),
            Files::Baked(files) => files.get(name).cloned(),
        }
    }

    /// The tests in one safetensors file, without those that have no files.
    pub(crate) fn bake(&self) -> Result<Vec<u8>, String> {
        let mut table = "test\tclass\tconstant_inputs\n".to_string();
        let mut files = BTreeMap::new();
        for row in &self.rows {
            let constants: Vec<String> = row.constants.iter().map(|i| i.to_string()).collect();
            let Some(model) = self.file(&format!("{}/model.onnx", row.name)) else { continue };
            table += &format!("{}\t{}\t{}\n", row.name, row.set, constants.join(","));
            files.insert(format!("{}/model.onnx", row.name), model);
            for set in 0.. {
                let all = |kind: &str| -> Vec<(String, Vec<u8>)> {
                    (0..)
                        .map(|i| format!("{}/test_data_set_{set}/{kind}_{i}.pb", row.name))
                        .map_while(|name| Some((name.clone(), self.file(&name)?)))
                        .collect()
                };
                let (inputs, outputs) = (all("input"), all("output"));
                if outputs.is_empty() {
                    break;
                }
                files.extend(inputs.into_iter().chain(outputs));
            }
        }
        files.insert(TABLE.into(), table.into_bytes());
        let view = |bytes| safetensors::tensor::TensorView::new(Dtype::U8, vec![Vec::len(bytes)], bytes);
        let views: Result<Vec<_>, _> =
            files.iter().map(|(name, bytes)| view(bytes).map(|view| (name, view))).collect();
        safetensors::serialize(views.map_err(|e| e.to_string())?, None).map_err(|e| e.to_string())
    }

    /// What becomes of a test.
    pub(crate) fn verdict(&self, row: &Row) -> Verdict {
        let mut made = Verdict::Equal;
        for set in 0.. {
            let folder = format!("{}/test_data_set_{set}", row.name);
            let has_one = self.file(&format!("{folder}/output_0.pb")).is_some();
            match (set, has_one) {
                (0, false) => return Verdict::Absent,
                (_, false) => break,
                _ => {}
            }
            match self.run(row, &folder) {
                Verdict::Equal => {}
                other => made = other,
            }
        }
        made
    }

    fn run(&self, row: &Row, folder: &str) -> Verdict {
        let Some(model) = self.file(&format!("{}/model.onnx", row.name)) else { return Verdict::Absent };
        let stored = |kind: &str| -> Result<Vec<Values>, String> {
            let files = (0..).map_while(|i| self.file(&format!("{folder}/{kind}_{i}.pb")));
            files.map(|bytes| Values::read(&bytes)).collect()
        };
        let all = (|| Ok((stored("input")?, stored("output")?)))();
        let (inputs, outputs) = match all {
            Ok(all) => all,
            Err(problem) => return Verdict::Unread(problem),
        };
        let (model, inputs) = match with_constants(&model, inputs, &row.constants) {
            Ok(made) => made,
            Err(problem) => return Verdict::Unread(problem),
        };
        let path = PathBuf::from(format!("{}.onnx", row.name));
        let file = match ModelFile::from_bytes(&path, &model, &NetworkOptions::default()) {
            Ok(file) => file,
            Err(error) => {
                let text = error.to_string();
                let own = format!("{}: ", path.display());
                return Verdict::Refused(text.strip_prefix(&own).unwrap_or(&text).to_string());
            }
        };
        match compare(&file, &inputs, &outputs) {
            Ok(()) => Verdict::Equal,
            Err(problem) => Verdict::Differs(problem),
        }
    }
}

/// What becomes of a test.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Every output is that of the file.
    Equal,
    /// One is not, or cannot be computed.
    Differs(String),
    /// The importer says why not.
    Refused(String),
    /// Its tensors cannot be read.
    Unread(String),
    /// It has no files.
    Absent,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, reason) = match self {
            Self::Equal => ("equal", ""),
            Self::Differs(reason) => ("differs", &reason[..]),
            Self::Refused(reason) => ("refused", &reason[..]),
            Self::Unread(reason) => ("unread", &reason[..]),
            Self::Absent => ("absent", ""),
        };
        write!(f, "{word}\t{}", reason.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

fn rows(table: &str) -> Result<Vec<Row>, String> {
    let mut lines = table.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let column = |name: &str| header.iter().position(|h| *h == name).ok_or(format!("no column `{name}`"));
    let [name, set, constants] = [column("test")?, column("class")?, column("constant_inputs")?];
    let cell = |row: &[&str], i: usize| row.get(i).copied().unwrap_or_default().to_string();
    let row = |row: Vec<&str>| Row {
        set: cell(&row, set),
        name: cell(&row, name),
        constants: cell(&row, constants).split(',').filter_map(|i| i.parse().ok()).collect(),
    };
    Ok(lines.map(row).filter(|row| matches!(&row.set[..], "must" | "may")).collect())
}

/// The model with some of its inputs as constants, and the inputs by name.
fn with_constants(
    model: &[u8],
    inputs: Vec<Values>,
    constants: &[usize],
) -> Result<(Vec<u8>, BTreeMap<String, Values>), String> {
    let mut model = ModelProto::decode(model).map_err(|e| e.to_string())?;
    let graph = model.graph.as_mut().ok_or("no graph")?;
    let mut by_name = BTreeMap::new();
    let declared = std::mem::take(&mut graph.input);
    for (i, (input, values)) in declared.into_iter().zip(inputs).enumerate() {
        let name = input.name.clone().unwrap_or_default();
        if constants.contains(&i) {
            graph.initializer.push(TensorProto { name: Some(name), ..values.proto });
        } else {
            graph.input.push(input);
            by_name.insert(name, values);
        }
    }
    Ok((model.encode_to_vec(), by_name))
}

/// A tensor of a test.
struct Values {
    proto: TensorProto,
    dims: Vec<usize>,
    numbers: Vec<f64>,
    /// Whether a number that is not the same is another one.
    exact: bool,
}

impl Values {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
        }
        let proto = TensorProto::decode(bytes).map_err(|e| e.to_string())?;
        let raw = proto.raw_data.as_deref().unwrap_or_default();
        let kind = proto.data_type.unwrap_or_default();
        let numbers = match kind {
            1 if proto.raw_data.is_none() => proto.float_data.iter().map(|x| *x as f64).collect(),
            1 => each(raw, |b| f32::from_le_bytes(b) as f64),
            2 | 9 => each(raw, |b| u8::from_le_bytes(b) as f64),
            3 => each(raw, |b| i8::from_le_bytes(b) as f64),
            6 => each(raw, |b| i32::from_le_bytes(b) as f64),
            7 => each(raw, |b| i64::from_le_bytes(b) as f64),
            11 => each(raw, f64::from_le_bytes),
            other => return Err(format!("elements of type {other}")),
        };
        let dims: Vec<usize> = proto.dims.iter().map(|d| *d as usize).collect();
        // What is no tensor, but a sequence of some, has any sizes.
        if dims.iter().try_fold(1usize, |len, d| len.checked_mul(*d)) != Some(numbers.len()) {
            return Err(format!("{} numbers of {dims:?}", numbers.len()));
        }
        Ok(Self { proto, dims, numbers, exact: !matches!(kind, 1 | 11) })
    }
}

/// The file's order of elements as the program has it.
fn in_order(end: &End, numbers: &[f64]) -> Vec<f64> {
    match end.places() {
        Some(places) => places.iter().map(|at| numbers[*at]).collect(),
        None => numbers.to_vec(),
    }
}

/// Runs the file as a program, in single precision if it is no quantised one, and as its graph in double precision; compares what comes out.
fn compare(file: &ModelFile, inputs: &BTreeMap<String, Values>, wanted: &[Values]) -> Result<(), String> {
    let of_input = |end: &End| -> Result<Vec<f64>, String> {
        let values = inputs.get(&end.name).ok_or_else(|| format!("no input `{}`", end.name))?;
        if values.dims != end.shape {
            return Err(format!("input `{}` is {:?}, expected {:?}", end.name, end.shape, values.dims));
        }
        Ok(in_order(end, &values.numbers))
    };
    let inputs: Vec<Vec<f64>> = file.inputs().iter().map(of_input).collect::<Result<_, _>>()?;
    let ends = file.outputs();
    if ends.len() != wanted.len() {
        return Err(format!("{} outputs, expected {}", ends.len(), wanted.len()));
    }
    for (end, wanted) in ends.iter().zip(wanted) {
        if end.shape != wanted.dims {
            return Err(format!("output `{}` is {:?}, expected {:?}", end.name, end.shape, wanted.dims));
        }
    }
    let mut results = vec![];
    let target = Target::find("host").map_err(|e| e.to_string())?;
    let program = match file.quantized() {
        Some(q) => lower(q, target, Metadata::default()),
        None => {
            let graph = file.graph();
            let maps = graph.inputs.iter().zip(&inputs);
            let maps: Option<Vec<Tensor<f64>>> =
                maps.map(|(id, x)| Tensor::new(graph.shape(*id), x.clone())).collect();
            let made = graph.eval_f64(&maps.ok_or("an input of another size")?).map_err(|e| e.to_string())?;
            results.push(made.into_iter().map(|map| map.data).collect());
            lower(&float::everywhere(optimize(graph.clone()), Mode::F32), target, Metadata::default())
        }
    };
    results.push(run(&program.map_err(|e| e.to_string())?, file, &inputs)?);
    for result in results {
        for ((end, found), wanted) in ends.iter().zip(&result).zip(wanted) {
            let numbers = in_order(end, &wanted.numbers);
            let largest = numbers.iter().filter(|x| x.is_finite()).fold(0f64, |m, x| m.max(x.abs()));
            for (i, (found, wanted_one)) in found.iter().zip(&numbers).enumerate() {
                let near =
                    if wanted.exact { 0.0 } else { OF_LARGEST * largest + OF_ITSELF * wanted_one.abs() };
                // What is no number is near to nothing.
                let is_near = found == wanted_one || (found - wanted_one).abs() <= near;
                if !is_near {
                    return Err(format!("output `{}`: {found} at {i}, expected {wanted_one}", end.name));
                }
            }
        }
    }
    Ok(())
}

/// What the program makes of numbers, as numbers of the file's type.
fn run(program: &Program, file: &ModelFile, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, String> {
    let bytes = |(i, values): (usize, &Vec<f64>)| {
        let (format, element) = (program.tensor(program.inputs[i]).format, file.inputs()[i].element);
        match (format, element) {
            (Format::Int8(_), Element::UInt8) => values.iter().map(|x| (*x - 128.0) as i8).collect(),
            (Format::Int8(_), Element::Int8) => values.iter().map(|x| *x as i8).collect(),
            _ => format.encode(&values.iter().map(|x| *x as f32).collect::<Vec<f32>>()),
        }
    };
    let inputs: Vec<Vec<i8>> = inputs.iter().enumerate().map(bytes).collect();
    let views: Vec<&[i8]> = inputs.iter().map(|input| &input[..]).collect();
    let outputs = Executor::new(program).run(&views).map_err(|e| e.to_string())?;
    let numbers = |(i, bytes): (usize, Vec<i8>)| {
        let (tensor, element) = (program.tensor(program.outputs[i]), file.outputs()[i].element);
        match (tensor.format, element) {
            (Format::Int8(_), Element::UInt8) => bytes.iter().map(|b| *b as f64 + 128.0).collect(),
            (Format::Int8(_), Element::Int8) => bytes.iter().map(|b| *b as f64).collect(),
            _ => tensor.dequantize(&bytes).data.iter().map(|x| *x as f64).collect(),
        }
    };
    Ok(outputs.into_iter().enumerate().map(numbers).collect())
}
