//! Golden files: the bytes of every layer, written once, reproduced everywhere.
//!
//! A [`Golden`] holds checksums of every layer's result for a few inputs. They do not depend on the target: how weights are
//! packed, which instructions compute and where tensors lie change no byte. [`record`] makes one, [`check`] runs a program
//! against it and names the first layer, row and element that differ. `docs/bit-exactness.md` describes the text format.
//!
//! Layers are matched by name. Results of concatenations are left out of the comparison: whether one is copied or written
//! in place is the planner's choice, and it adds no byte that its operands do not have. A step that computes several layers
//! is named after all of them, `a+b`, and shows the last one's result; the others are not compared. Names stand there as words
//! ([`crate::program::names`]).

mod bundle;
mod check;
mod text;

pub use bundle::Bundle;
pub use check::{Difference, check};

use crate::{
    error::{Error, Result},
    execute::Executor,
    program::{Program, names::word},
};
use niello_kernels::{Isa, Rounding};
use niello_runtime::self_test::Checksum;
use std::collections::BTreeMap;

/// The results that a program must compute, for any target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// The network.
    pub network: String,
    /// The rounding of every requantisation.
    pub rounding: Rounding,
    /// One per input.
    pub cases: Vec<Case>,
}

/// The bytes of one inference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Where the input comes from.
    pub source: Source,
    /// Checksum of the codes of each input.
    pub inputs: Vec<u64>,
    /// In order of execution.
    pub layers: Vec<Layer>,
    /// Checksum of each output.
    pub outputs: Vec<u64>,
}

/// Where the codes of a case's inputs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// [`niello_runtime::self_test::Codes`] from this seed.
    Seed(u64),
    /// An image or a tensor, by the name of its file.
    File(String),
}

impl Source {
    /// `seed:1` or `file:NAME`, one word.
    pub fn name(&self) -> String {
        match self {
            Source::Seed(seed) => format!("seed:{seed}"),
            Source::File(name) => format!("file:{}", word(name)),
        }
    }
}

/// The bytes of one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Index of the step in a program of target `portable`.
    pub index: usize,
    /// The checkpoint's name, as a [`word`].
    pub name: String,
    /// Height, width, bytes of a pixel: its channels, twice as many where codes have 16 bits.
    pub shape: [usize; 3],
    /// Of all codes, in `[h, w, c]` order.
    pub checksum: u64,
    /// Of each row, folded to 32 bits: to find where a difference begins.
    pub rows: Vec<u32>,
}

/// A case to record: where its codes come from, and the codes of every input, dense NHWC.
pub type Input = (Source, Vec<Vec<i8>>);

/// Codes of whole layers, by case and layer, as golden files name both: to name the element that differs where no reference can be run.
pub type Codes = BTreeMap<(String, String), Vec<i8>>;

/// Runs `program` with the reference kernels and records every layer.
///
/// # Errors
/// Inputs that do not fit the program, or a program that does not keep every layer's result
/// ([`crate::lower::lower_apart`] makes one that does).
pub fn record(program: &Program, inputs: &[Input]) -> Result<(Golden, Codes)> {
    if let Some(step) = program.steps.iter().find(|step| step.layers.len() > 1) {
        let message = format!("`{}` is one step: a golden file wants each layer's result", step.name);
        return Err(Error::Invalid(format!("{}: {message}", program.name)));
    }
    let mut codes = Codes::new();
    let mut cases = vec![];
    for (source, inputs) in inputs {
        let mut layers = vec![];
        let outputs = observe(program, Isa::scalar(), inputs, |index, name, bytes| {
            let tensor = program.tensor(program.steps[index].writes);
            let shape = [tensor.shape.h, tensor.shape.w, tensor.pixel_bytes()];
            let (checksum, rows) = (Checksum::of_codes(bytes), rows(bytes, shape));
            layers.push(Layer { index, name: name.into(), shape, checksum, rows });
            codes.insert((source.name(), name.into()), bytes.to_vec());
        })?;
        cases.push(Case {
            source: source.clone(),
            inputs: inputs.iter().map(|i| Checksum::of_codes(i)).collect(),
            layers,
            outputs: outputs.iter().map(|o| Checksum::of_codes(o)).collect(),
        });
    }
    let golden = Golden { network: program.metadata.network.clone(), rounding: program.rounding, cases };
    Ok((golden, codes))
}

/// Runs a program; `each` sees index, name and codes of every layer that a golden file compares.
fn observe(
    program: &Program,
    isa: Isa,
    inputs: &[Vec<i8>],
    mut each: impl FnMut(usize, &str, &[i8]),
) -> Result<Vec<Vec<i8>>> {
    let inputs: Vec<&[i8]> = inputs.iter().map(|i| &i[..]).collect();
    Executor::with_isa(program, isa).run_observed(&inputs, |index, view| {
        let step = &program.steps[index];
        if program.is_compared(index) {
            each(index, &word(step.layer()), &view.tensor(step.writes));
        }
    })
}

/// A checksum for each row.
fn rows(bytes: &[i8], shape: [usize; 3]) -> Vec<u32> {
    let row = (shape[1] * shape[2]).max(1);
    bytes.chunks(row).map(|r| fold(Checksum::of_codes(r))).collect()
}

fn fold(sum: u64) -> u32 {
    (sum ^ (sum >> 32)) as u32
}

/// The codes of one layer of one inference, dense NHWC, with the reference kernels.
///
/// # Errors
/// An index that is no layer, inputs that do not fit.
pub fn layer_codes(program: &Program, inputs: &[Vec<i8>], layer: usize) -> Result<Vec<i8>> {
    let mut found = None;
    observe(program, Isa::scalar(), inputs, |index, _, bytes| {
        if index == layer {
            found = Some(bytes.to_vec());
        }
    })?;
    let steps = program.steps.len();
    found.ok_or_else(|| Error::Invalid(format!("{}: no layer {layer} among {steps}", program.name)))
}

/// The known answers of a generated model: the checksum of every step's result (0 where later steps add to it) and
/// of every output, for the codes that follow from `seed`.
pub(crate) fn known_answers(program: &Program, seed: u64) -> Result<(Vec<u64>, Vec<u64>)> {
    let inputs = program.seeded_inputs(seed);
    let inputs: Vec<&[i8]> = inputs.iter().map(|i| &i[..]).collect();
    let mut layers = vec![];
    let outputs = Executor::new(program).run_observed(&inputs, |index, view| {
        let complete = program.completes(index);
        layers.push(if complete { Checksum::of_codes(&view.tensor(program.steps[index].writes)) } else { 0 });
    })?;
    Ok((layers, outputs.iter().map(|o| Checksum::of_codes(o)).collect()))
}
