//! Inputs and outputs as another framework computed them.

use super::{
    Build,
    inputs::{Given, as_given, given},
};
use crate::{
    Tensor,
    error::{Error, Result},
    weights::read_tensors_of_kinds,
};
use std::{collections::BTreeMap, path::Path};

/// A case of a file of pairs.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    /// One tensor for every input of the network; empty if the file has none for the case.
    pub inputs: Vec<Tensor<f32>>,
    /// The network's first output, as the framework computed it in floating point.
    pub output: Option<Tensor<f32>>,
}

/// A case while tensors are sorted: a place for each input, and the output.
type Sorted = (Vec<Option<Tensor<f32>>>, Option<Tensor<f32>>);

/// Names of an output, besides the network's own.
const OUTPUTS: [&str; 4] = ["output", "outputs", "logits", "expected"];

/// The case of a tensor that has one of these names in it: `CASE/NAME`, or the name alone.
fn case<'n>(tensor: &'n str, name: &str) -> Option<&'n str> {
    if tensor == name { Some("") } else { tensor.strip_suffix(name)?.strip_suffix('/') }
}

impl Build {
    /// The cases of a safetensors file: tensors `CASE/INPUT` with the inputs' names or `CASE/input`, and `CASE/OUTPUT` with the output's name, or `output`,
    /// `outputs`, `logits` or `expected`. A network of one input takes any other name as that of a case. Shapes are as for [`Build::samples`].
    ///
    /// # Errors
    /// A file that cannot be read; tensors of other shapes; cases that have some of their inputs only.
    pub fn pairs(&self, path: &Path) -> Result<BTreeMap<String, Pair>> {
        let tensors = read_tensors_of_kinds(path)?;
        if tensors.is_empty() {
            return Err(Error::file(path, "holds no tensors, expected inputs"));
        }
        let (graph, program) = (&self.quantized.graph, &self.program);
        let formats: Vec<_> = program.inputs.iter().map(|id| program.tensor(*id).format).collect();
        let inputs = given("input", graph, &graph.inputs, &self.ends.inputs, &formats);
        let outputs = given("output", graph, &graph.outputs[..1], &self.ends.outputs, &[]);
        let output = &outputs[0];
        let mut found: BTreeMap<String, Sorted> = BTreeMap::new();
        for (name, tensor) in &tensors {
            let of_inputs = |(i, input): (usize, &Given)| Some((case(name, &input.end.name)?, i));
            let is_only = inputs.len() == 1;
            let of_output = || {
                let names = OUTPUTS.into_iter().chain([output.end.name.as_str()]);
                names.filter_map(|o| case(name, o)).min_by_key(|case| case.len())
            };
            let of_input = inputs.iter().enumerate().filter_map(of_inputs).min_by_key(|(case, _)| case.len());
            let (case, input) = match (of_input, of_output()) {
                (Some((case, i)), _) => (case, Some(i)),
                (None, Some(case)) => (case, None),
                (None, None) if is_only => (case(name, "input").unwrap_or(name), Some(0)),
                (None, None) => {
                    let names: Vec<String> =
                        inputs.iter().chain(&outputs).map(|g| format!("`{}`", g.end.name)).collect();
                    let message = format!("tensor `{name}` is none of {}", names.join(", "));
                    return Err(Error::file(path, message));
                }
            };
            let (of_case, result) =
                found.entry(case.into()).or_insert_with(|| (vec![None; inputs.len()], None));
            let (slot, given) = match input {
                Some(i) => (&mut of_case[i], &inputs[i]),
                None => (result, output),
            };
            if slot.replace(as_given(path, name, tensor, given)?).is_some() {
                return Err(Error::file(path, format!("case `{case}` has two tensors like `{name}`")));
            }
        }
        let whole = |(case, (of_case, output)): (String, Sorted)| {
            if let (true, Some(lacking)) =
                (of_case.iter().any(Option::is_some), of_case.iter().position(Option::is_none))
            {
                let name = &inputs[lacking].end.name;
                return Err(Error::file(path, format!("case `{case}` has no tensor for the input `{name}`")));
            }
            Ok((case, Pair { inputs: of_case.into_iter().flatten().collect(), output }))
        };
        found.into_iter().map(whole).collect()
    }
}
