//! The float reference: evaluates a graph in `f32` or `f64`.

use super::{Graph, ValueId};
use crate::{
    error::{Error, Result},
    tensor::Tensor,
};

macro_rules! evaluate {
    ($name:ident, $observe:ident, $t:ty, $eval:ident) => {
        /// Outputs for `inputs`.
        pub fn $name(&self, inputs: &[Tensor<$t>]) -> Result<Vec<Tensor<$t>>> {
            self.$observe(inputs, |_, _| {})
        }

        /// Outputs for `inputs`; `observe` sees every value once, inputs included, as soon as it is there.
        pub fn $observe(
            &self,
            inputs: &[Tensor<$t>],
            mut observe: impl FnMut(ValueId, &Tensor<$t>),
        ) -> Result<Vec<Tensor<$t>>> {
            self.check_inputs(inputs.iter().map(|t| t.shape))?;
            let mut left: Vec<usize> = vec![0; self.values.len()];
            for id in self.nodes.iter().flat_map(|n| &n.inputs).chain(&self.outputs) {
                left[id.0] += 1;
            }
            let mut live: Vec<Option<Tensor<$t>>> = (0..self.values.len()).map(|_| None).collect();
            for (id, tensor) in self.inputs.iter().zip(inputs) {
                observe(*id, tensor);
                live[id.0] = Some(tensor.clone());
            }
            for node in &self.nodes {
                let read: Vec<&Tensor<$t>> =
                    node.inputs.iter().map(|id| live[id.0].as_ref().expect("nodes are in order")).collect();
                let made = node.op.$eval(&read);
                for (id, tensor) in node.outputs.iter().zip(made) {
                    debug_assert_eq!(tensor.shape, self.shape(*id), "{}", node.name);
                    observe(*id, &tensor);
                    live[id.0] = Some(tensor);
                }
                for id in node.inputs.iter().chain(&node.outputs) {
                    if node.inputs.contains(id) {
                        left[id.0] -= node.inputs.iter().filter(|i| *i == id).count().min(1);
                    }
                    if left[id.0] == 0 {
                        live[id.0] = None;
                    }
                }
            }
            Ok(self.outputs.iter().map(|id| live[id.0].clone().expect("outputs are made")).collect())
        }
    };
}

impl Graph {
    evaluate!(eval_f32, observe_f32, f32, eval_f32);
    evaluate!(eval_f64, observe_f64, f64, eval_f64);

    fn check_inputs(&self, shapes: impl ExactSizeIterator<Item = crate::tensor::Shape>) -> Result<()> {
        if shapes.len() != self.inputs.len() {
            return Err(Error::Invalid(format!(
                "{}: expected {} inputs, got {}",
                self.name,
                self.inputs.len(),
                shapes.len()
            )));
        }
        for (id, shape) in self.inputs.iter().zip(shapes) {
            if shape != self.shape(*id) {
                let name = &self.values[id.0].name;
                let want = self.shape(*id);
                return Err(Error::Invalid(format!("input `{name}`: expected {want}, got {shape}")));
            }
        }
        Ok(())
    }
}
