//! Files that hold a whole network.

use super::{
    end::End,
    network::{Network, NetworkOptions, Reference},
    onnx, tflite,
};
use crate::{
    error::{Error, Result},
    graph::Graph,
    quantize::QGraph,
    tensor::Shape,
    weights::{WeightSource, sha256_of},
};
use std::path::{Path, PathBuf};

/// The content of a model file.
pub(crate) enum Content {
    /// Real numbers: to be calibrated, or computed in floating point.
    Float(Graph),
    /// Integers with the scales of the file.
    Quantized(QGraph),
}

impl Content {
    fn graph(&self) -> &Graph {
        match self {
            Self::Float(graph) => graph,
            Self::Quantized(q) => &q.graph,
        }
    }
}

/// A network as a file has it: a [`Network`] with the weights in it.
pub struct ModelFile {
    path: PathBuf,
    name: String,
    file_name: String,
    summary: String,
    sha256: String,
    preprocess: &'static str,
    content: Content,
    inputs: Vec<End>,
    outputs: Vec<End>,
    layers: Vec<(String, End)>,
    warnings: Vec<(String, String)>,
}

/// What the reader of a format makes of a file.
pub(crate) struct Read {
    pub(crate) content: Content,
    /// Format, version and origin, in one line.
    pub(crate) summary: String,
    pub(crate) inputs: Vec<End>,
    pub(crate) outputs: Vec<End>,
    /// As [`ModelFile::layers`].
    pub(crate) layers: Vec<(String, End)>,
    /// As [`Network::warnings`].
    pub(crate) warnings: Vec<(String, String)>,
}

impl ModelFile {
    /// Reads a file; its extension says the format.
    ///
    /// # Errors
    /// A file that cannot be read or is broken; operators that cannot be imported, all of them in one error.
    pub fn open(path: &Path, options: &NetworkOptions) -> Result<Self> {
        Self::from_bytes(path, &std::fs::read(path).map_err(Error::io("cannot read", path))?, options)
    }

    /// As [`ModelFile::open`], with the bytes of the file.
    ///
    /// # Errors
    /// As there.
    pub fn from_bytes(path: &Path, bytes: &[u8], options: &NetworkOptions) -> Result<Self> {
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (name, file_name) = (text(path.file_stem()), text(path.file_name()));
        let extension = text(path.extension()).to_lowercase();
        let is_of = |reference: &Reference| (*reference == Reference::OnnxRuntime) == (extension == "onnx");
        let foreign = options.reference.filter(|reference| !is_of(reference));
        if foreign.is_some() && matches!(&extension[..], "onnx" | "tflite") {
            let why = "`reference`: of `.tflite` files `litert`, `tflm` or `tflm-interpreter`, of `.onnx` files `onnxruntime`";
            return Err(Error::file(path, why));
        }
        let Read { content, summary, inputs, outputs, layers, warnings } = match extension.as_str() {
            "tflite" => tflite::read(path, &name, bytes, options)?,
            "onnx" => {
                let onnx::Model { graph, quantized, inputs, outputs, layers, warnings } =
                    onnx::import_model(path, bytes, path.parent(), options)?;
                let ends = |ports: Vec<onnx::Port>| ports.into_iter().map(End::from).collect();
                let (inputs, outputs) = (ends(inputs), ends(outputs));
                let (content, what) = match quantized {
                    Some(q) => (Content::Quantized(q), "int8"),
                    None => (Content::Float(graph), "float"),
                };
                let layers = layers.into_iter().map(|(value, port)| (value, port.into())).collect();
                Read { content, summary: format!("ONNX model, {what}"), inputs, outputs, layers, warnings }
            }
            other => return Err(Error::file(path, format!("no importer for files of type `{other}`"))),
        };
        let preprocess = preprocess_of(&content);
        Ok(Self {
            path: path.into(),
            name,
            file_name,
            summary,
            sha256: sha256_of(bytes),
            preprocess,
            content,
            inputs,
            outputs,
            layers,
            warnings,
        })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of its bytes.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The network in real numbers.
    pub fn graph(&self) -> &Graph {
        self.content.graph()
    }

    /// The same with the scales of the file, if it is a quantised one.
    pub fn quantized(&self) -> Option<&QGraph> {
        match &self.content {
            Content::Float(_) => None,
            Content::Quantized(q) => Some(q),
        }
    }

    /// Inputs as the file declares them.
    pub fn inputs(&self) -> &[End] {
        &self.inputs
    }

    /// Outputs as the file declares them.
    pub fn outputs(&self) -> &[End] {
        &self.outputs
    }

    /// Results of the file's operators as it declares them, each with the name that its value has in the graph.
    pub fn layers(&self) -> &[(String, End)] {
        &self.layers
    }
}

/// The pre-processing whose numbers are in the range of a quantised input; for others those from 0 to 1.
fn preprocess_of(content: &Content) -> &'static str {
    let Content::Quantized(q) = content else { return "unit" };
    match q.graph.inputs.first().and_then(|id| q.formats[id.0].range()) {
        Some((low, high)) if low < -0.5 && high < 2.0 => "mean-std:0.5,0.5",
        Some((_, high)) if (100.0..1e6).contains(&high) => "raw",
        _ => "unit",
    }
}

impl Network for ModelFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> &str {
        &self.summary
    }

    fn source(&self) -> &str {
        &self.file_name
    }

    fn default_input(&self) -> Shape {
        self.graph().inputs.first().map_or(Shape::new(1, 1, 1), |id| self.graph().shape(*id))
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &[]
    }

    fn default_preprocess(&self) -> &str {
        self.preprocess
    }

    fn warnings(&self) -> Vec<(String, String)> {
        self.warnings.clone()
    }

    fn build(&self, _: &NetworkOptions, _: &mut dyn WeightSource) -> Result<Graph> {
        Ok(self.graph().clone())
    }
}
