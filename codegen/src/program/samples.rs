//! Samples as the codes that a program takes, and results as real numbers.

use super::{Program, TensorInfo};
use crate::{
    format::{Format, QParams},
    graph::ValueId,
    tensor::Tensor,
};
use niello_kernels::{Float, float::half, memory::Element};

impl Program {
    /// Pseudo-random codes for every input: those of a generated crate's known-answer test with this seed.
    pub fn seeded_inputs(&self, seed: u64) -> Vec<Vec<i8>> {
        let mut codes = niello_runtime::self_test::Codes::new(seed);
        let fill = |id: &ValueId| {
            let info = self.tensor(*id);
            let mut input = vec![0; info.shape.len()];
            codes.fill(&mut input);
            match info.format {
                Format::Float(_) => {
                    info.quantize(&input.iter().map(|c| f32::from_code(*c)).collect::<Vec<_>>())
                }
                Format::Int16 { .. } => input.iter().flat_map(|code| [*code; 2]).collect(),
                _ => input,
            }
        };
        self.inputs.iter().map(fill).collect()
    }
}

impl TensorInfo {
    /// Scale and zero point; `None` for labels, 16 bits and floating point.
    pub fn qparams(&self) -> Option<QParams> {
        match self.format {
            Format::Int8(q) => Some(q),
            Format::Int16 { .. } | Format::Float(_) | Format::Label => None,
        }
    }

    /// Codes for real values, or the bytes of their nearest numbers.
    pub fn quantize(&self, values: &[f32]) -> Vec<i8> {
        self.format.encode(values)
    }

    /// Real values of codes; labels stay numbers.
    pub fn dequantize(&self, codes: &[i8]) -> Tensor<f32> {
        let data = match self.format {
            Format::Int8(q) => codes.iter().map(|c| q.dequantize(*c)).collect(),
            Format::Int16 { scale, .. } => codes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|code| scale * i16::from_le_bytes(code.map(|byte| byte as u8)) as f32)
                .collect(),
            Format::Float(Float::F32) => codes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|c| f32::from_le_bytes(c.map(|byte| byte as u8)))
                .collect(),
            Format::Float(Float::F16) => codes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|c| half::to_f32(u16::from_le_bytes(c.map(|byte| byte as u8))))
                .collect(),
            Format::Label => codes.iter().map(|c| *c as u8 as f32).collect(),
        };
        Tensor { shape: self.shape, data }
    }
}
