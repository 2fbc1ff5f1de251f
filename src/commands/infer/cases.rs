//! Cases: the tensors of a file that a network is run on.

use super::codes::{Order, encode};
use niello_codegen::{
    Error, Result,
    import::End,
    program::{Program, TensorInfo},
};
use safetensors::{SafeTensors, tensor::TensorView};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Cases by name, each with one tensor for every input.
pub(super) struct Cases<'a> {
    file: PathBuf,
    inputs: Vec<(&'a TensorInfo, Order)>,
    cases: Vec<(String, Vec<(String, TensorView<'a>)>)>,
}

/// The case and the input that a tensor's name stands for.
fn split<'n>(name: &'n str, ends: &[End]) -> Option<(&'n str, usize)> {
    let whole = ends.iter().position(|end| end.name == name).map(|input| ("", input));
    let behind = |(input, end): (usize, &End)| {
        let case = name.strip_suffix(end.name.as_str())?.strip_suffix('/')?;
        Some((case, input))
    };
    let longest = || ends.iter().enumerate().filter_map(behind).min_by_key(|(case, _)| case.len());
    whole.or_else(longest).or_else(|| (ends.len() == 1).then_some((name, 0)))
}

impl<'a> Cases<'a> {
    /// Sorts the tensors of a file into cases and checks their types and shapes.
    ///
    /// # Errors
    /// No safetensors file, tensors that are no inputs or of other types or shapes, cases that lack an input.
    pub(super) fn read(file: &Path, bytes: &'a [u8], ends: &[End], program: &'a Program) -> Result<Self> {
        let fail = |message: String| Error::file(file, message);
        let names = || ends.iter().map(|end| format!("`{}`", end.name)).collect::<Vec<_>>().join(", ");
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|e| fail(format!("no safetensors file: {e}")))?;
        let mut found: BTreeMap<String, Vec<Option<(String, TensorView<'a>)>>> = BTreeMap::new();
        let mut tensors = tensors.tensors();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (name, tensor) in tensors {
            let Some((case, input)) = split(&name, ends) else {
                let message = format!(
                    "tensor `{name}`: expected the name CASE/INPUT with one of the inputs {}",
                    names()
                );
                return Err(fail(message));
            };
            let of_case = found.entry(case.to_string()).or_insert_with(|| vec![None; ends.len()]);
            if let Some((other, _)) = of_case[input].replace((name.clone(), tensor)) {
                return Err(fail(format!("case `{case}`: `{other}` and `{name}` are the same input")));
            }
        }
        if found.is_empty() {
            return Err(fail(format!("holds no tensors, expected CASE/INPUT with the inputs {}", names())));
        }
        let inputs: Vec<(&TensorInfo, Order)> = program
            .inputs
            .iter()
            .zip(ends)
            .map(|(id, end)| (program.tensor(*id), Order::new(end.clone())))
            .collect();
        let mut cases = vec![];
        for (case, tensors) in found {
            let whole = |(tensor, end): (Option<(String, TensorView<'a>)>, &End)| {
                let (name, tensor) =
                    tensor.ok_or_else(|| format!("no tensor for the input `{}`", end.name))?;
                if !end.takes(tensor.shape()) {
                    let (expected, shape) = (&end.shape, tensor.shape());
                    return Err(format!("tensor `{name}`: expected the shape {expected:?}, found {shape:?}"));
                }
                Ok((name, tensor))
            };
            let tensors = tensors.into_iter().zip(ends).map(whole).collect::<Result<Vec<_>, String>>();
            cases.push((case.clone(), tensors.map_err(|message| fail(format!("case `{case}`: {message}")))?));
        }
        Ok(Self { file: file.into(), inputs, cases })
    }

    pub(super) fn len(&self) -> usize {
        self.cases.len()
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.cases.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The inputs of a case as the program takes them.
    ///
    /// # Errors
    /// Elements of another type, labels out of range.
    pub(super) fn codes(&self, case: usize) -> Result<Vec<Vec<i8>>> {
        let (case, tensors) = &self.cases[case];
        let one = |((info, order), (name, tensor)): (&(&TensorInfo, Order), &(String, TensorView<'_>))| {
            let found = encode(tensor, order, info.format);
            found.map_err(|e| Error::file(&self.file, format!("case `{case}`: tensor `{name}`: {e}")))
        };
        self.inputs.iter().zip(tensors).map(one).collect()
    }
}
