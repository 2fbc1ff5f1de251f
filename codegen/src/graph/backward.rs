//! The way back through an operator, for gradients.

use super::Op;
use crate::tensor::Tensor;

/// From the gradient of a number by an operator's only result to that by one of its operands: what [`Op::gradient`] is told.
#[derive(Clone, Copy, Debug)]
pub struct Backward<'a> {
    /// The operands.
    pub inputs: &'a [&'a Tensor<f64>],
    /// The result that [`Op::eval_f64`] makes of them.
    pub output: &'a Tensor<f64>,
    /// The gradient by the result, of its shape.
    pub gradient: &'a Tensor<f64>,
    /// The operand that is asked for, an index of `inputs`.
    pub index: usize,
}

impl Backward<'_> {
    /// The operand that is asked for.
    pub fn input(&self) -> &Tensor<f64> {
        self.inputs[self.index]
    }

    /// The gradient of a function of one value, from its derivative there.
    pub fn by_slope(&self, slope: impl Fn(f64) -> f64) -> Tensor<f64> {
        let input = self.input();
        let data = input.data.iter().zip(&self.gradient.data).map(|(x, g)| g * slope(*x)).collect();
        Tensor { shape: input.shape, data }
    }

    /// The gradient of an operator of one operand that moves values, repeats them, leaves some out and puts constants beside them: where each value
    /// comes from shows when their numbers are moved.
    pub fn moved(&self, op: &dyn Op) -> Tensor<f64> {
        let shape = self.input().shape;
        let numbered = |first: usize| {
            let data = (first..first + shape.len()).map(|i| i as f64).collect();
            op.eval_f64(&[&Tensor { shape, data }]).remove(0).data
        };
        let mut sums = Tensor::filled(shape, 0.0);
        for ((from, next), gradient) in numbered(0).iter().zip(numbered(1)).zip(&self.gradient.data) {
            // A constant is the same both times.
            if next > *from {
                sums.data[*from as usize] += gradient;
            }
        }
        sums
    }
}
