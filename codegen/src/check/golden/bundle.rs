//! The bytes beside a golden file, as safetensors: inputs, every layer, outputs as they are and in float.

use super::{Codes, Input, Source};
use crate::{
    error::{Error, Result},
    format::Format,
    graph::Graph,
    program::Program,
    tensor::Tensor,
};
use niello_kernels::{Float, Isa};
use safetensors::{
    SafeTensors,
    tensor::{Dtype, TensorView},
};
use std::{collections::BTreeMap, path::Path};

/// The type of an output's elements.
fn dtype(format: Format) -> Dtype {
    match format {
        Format::Float(Float::F16) => Dtype::F16,
        Format::Float(Float::F32) => Dtype::F32,
        Format::Int8(_) | Format::Int16 { .. } | Format::Label => Dtype::I8,
    }
}

/// The tensors beside a golden file. They are `[h, w, c]`; their names begin with the case's.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// `CASE/layer NAME`: codes of every layer.
    pub layers: Codes,
    /// `CASE/input I`: codes.
    pub inputs: BTreeMap<(String, usize), Vec<i8>>,
    /// `CASE/output I` (codes) and `CASE/float I` (the float network's answer to the same codes).
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Bundle {
    /// Of what [`super::record`] saw, with the answers of `graph`, the float graph of the program.
    ///
    /// # Errors
    /// Inputs that do not fit.
    pub fn new(program: &Program, graph: &Graph, inputs: &[Input], layers: Codes) -> Result<Self> {
        let mut bundle = Self { layers, ..Self::default() };
        for (source, codes) in inputs {
            let case = source.name();
            let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
            let outputs = crate::execute::Executor::with_isa(program, Isa::detect()).run(&views)?;
            let real = program.inputs.iter().zip(codes).map(|(id, c)| program.tensor(*id).dequantize(c));
            let floats = graph.eval_f32(&real.collect::<Vec<Tensor<f32>>>())?;
            for (i, codes) in codes.iter().enumerate() {
                bundle.inputs.insert((case.clone(), i), codes.clone());
            }
            for (i, (codes, float)) in outputs.iter().zip(&floats).enumerate() {
                let shape = [float.shape.h, float.shape.w, float.shape.c].to_vec();
                let bytes = bytemuck::cast_slice(codes).to_vec();
                let dtype = dtype(program.tensor(program.outputs[i]).format);
                bundle.tensors.insert(format!("{case}/output {i}"), (dtype, shape.clone(), bytes));
                let bytes = float.data.iter().flat_map(|v| v.to_le_bytes()).collect();
                bundle.tensors.insert(format!("{case}/float {i}"), (Dtype::F32, shape, bytes));
            }
        }
        Ok(bundle)
    }

    /// The codes of a case's inputs, if they were kept.
    pub fn input(&self, source: &Source) -> Option<Vec<Vec<i8>>> {
        let case = source.name();
        let codes = self.inputs.iter().filter(|((name, _), _)| *name == case).map(|(_, codes)| codes.clone());
        let codes: Vec<Vec<i8>> = codes.collect();
        (!codes.is_empty()).then_some(codes)
    }

    /// As a safetensors file.
    ///
    /// # Errors
    /// None that a caller can cause.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let layers = self.layers.iter().map(|((case, name), codes)| (format!("{case}/layer {name}"), codes));
        let inputs = self.inputs.iter().map(|((case, i), codes)| (format!("{case}/input {i}"), codes));
        let mut tensors = self.tensors.clone();
        tensors.extend(layers.chain(inputs).map(|(name, codes)| {
            (name, (Dtype::I8, vec![codes.len()], bytemuck::cast_slice(codes).to_vec()))
        }));
        let bad = |e: safetensors::SafeTensorError| Error::Invalid(format!("golden bytes: {e}"));
        let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(bad)?;
        safetensors::serialize(views, None).map_err(bad)
    }

    /// Reads inputs and layers back.
    ///
    /// # Errors
    /// A file that cannot be read or is no safetensors file.
    pub fn open(path: &Path) -> Result<Self> {
        Self::from_bytes(path, &std::fs::read(path).map_err(Error::io("cannot read", path))?)
    }

    /// As [`Bundle::open`], of a file's bytes; `path` stands for it in errors.
    ///
    /// # Errors
    /// Bytes that are no safetensors file.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::file(path, e.to_string()))?;
        let mut bundle = Self::default();
        for (name, tensor) in file.tensors() {
            let codes = || bytemuck::cast_slice(tensor.data()).to_vec();
            // Cases have no blanks in their names.
            if let Some((case, layer)) = name.split_once("/layer ") {
                bundle.layers.insert((case.into(), layer.into()), codes());
            } else if let Some((case, i)) = name.split_once("/input ") {
                let i = i.parse().map_err(|_| Error::file(path, format!("tensor `{name}` has no number")))?;
                bundle.inputs.insert((case.into(), i), codes());
            }
        }
        Ok(bundle)
    }
}
