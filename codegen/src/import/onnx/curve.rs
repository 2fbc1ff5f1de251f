//! Values as functions of others, by samples: how several layers are recognised as one function.

use crate::{graph::ValueId, ops::Function};
use std::rc::Rc;

/// A value as a function of each element of another one: samples of it.
#[derive(Clone)]
pub(super) struct Curve {
    pub base: ValueId,
    pub samples: Rc<[f64]>,
}

/// Functions that exporters write as several operators.
pub(super) const COMPOSITE: [Function; 8] = [
    Function::Silu,
    Function::HardSwish,
    Function::Gelu,
    Function::GeluTanh,
    Function::Mish,
    Function::Softplus,
    Function::Softsign,
    Function::HardSigmoid(1.0 / 6.0, 0.5),
];

/// Where functions are compared.
pub(super) fn samples() -> impl Iterator<Item = f64> {
    let near = (-240..=240).map(|i| i as f64 * 0.05 + 0.003);
    near.chain([15.0, 20.0, 35.0, 70.0, 1e3, 1e5].into_iter().flat_map(|x| [-x, x]))
}
