//! Intermediate activations of one inference, in real values.

use crate::{
    error::{Error, Result},
    execute::Executor,
    graph::{Graph, ValueId},
    program::Program,
    tensor::Tensor,
};

/// The activations `wanted`, in that order, as the float reference computes them.
///
/// # Errors
/// Inputs that do not fit the graph, a value that it does not compute.
pub fn float_intermediates(
    graph: &Graph,
    inputs: &[Tensor<f32>],
    wanted: &[ValueId],
) -> Result<Vec<Tensor<f32>>> {
    let mut collected = Collected::new(wanted);
    graph.observe_f32(inputs, |id, tensor| collected.see(id, || tensor.clone()))?;
    collected.finish(|id| format!("{}: `{}` is not computed", graph.name, graph.values[id.0].name))
}

/// The same as a program computes them: its codes, dequantized. The program must have a step for each of them
/// ([`crate::lower::lower_apart`] makes one that does); a concatenation whose operands are written in place has none of its own
/// and is taken when the last of them is there.
///
/// # Errors
/// Inputs that do not fit the program, a value that is never whole in memory.
pub fn coded_intermediates(
    program: &Program,
    inputs: &[Tensor<f32>],
    wanted: &[ValueId],
) -> Result<Vec<Tensor<f32>>> {
    let codes: Vec<Vec<i8>> =
        program.inputs.iter().zip(inputs).map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect();
    let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
    let mut collected = Collected::new(wanted);
    for (id, codes) in program.inputs.iter().zip(&codes) {
        collected.see(*id, || program.tensor(*id).dequantize(codes));
    }
    let whole_after: Vec<Option<usize>> = wanted.iter().map(|id| whole_after(program, *id)).collect();
    Executor::new(program).run_observed(&views, |step, view| {
        for (id, _) in wanted.iter().zip(&whole_after).filter(|(_, after)| **after == Some(step)) {
            collected.see(*id, || program.tensor(*id).dequantize(&view.tensor(*id)));
        }
    })?;
    collected
        .finish(|id| format!("{}: the result of `{}` is not kept", program.name, program.tensor(id).name))
}

/// The last step that writes to `value`, or to a slice of it.
fn whole_after(program: &Program, value: ValueId) -> Option<usize> {
    let is_part = |id: ValueId| {
        std::iter::successors(Some(id), |id| program.plan.slice_of[id.0]).any(|whole| whole == value)
    };
    program.steps.iter().rposition(|step| is_part(step.writes))
}

/// The wanted activations, as far as they have been computed.
struct Collected<'a> {
    wanted: &'a [ValueId],
    found: Vec<Option<Tensor<f32>>>,
}

impl<'a> Collected<'a> {
    fn new(wanted: &'a [ValueId]) -> Self {
        Self { wanted, found: vec![None; wanted.len()] }
    }

    fn see(&mut self, id: ValueId, tensor: impl Fn() -> Tensor<f32>) {
        for (_, found) in self.wanted.iter().zip(&mut self.found).filter(|(wanted, _)| **wanted == id) {
            *found = Some(tensor());
        }
    }

    fn finish(self, missing: impl Fn(ValueId) -> String) -> Result<Vec<Tensor<f32>>> {
        let all = self.wanted.iter().zip(self.found);
        all.map(|(id, tensor)| tensor.ok_or_else(|| Error::Invalid(missing(*id)))).collect()
    }
}
