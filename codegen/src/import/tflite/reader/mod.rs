//! The reader of `.tflite` files: what stands in them, owned and checked, before any operator is understood.
//!
//! The schema is TensorFlow's (`tensorflow/compiler/mlir/lite/schema/schema.fbs`, version 3 with its additions up to 3c): numbers of
//! fields, of operators, of types and of members of unions are taken from there. What image networks do without is left out, and skipped.

mod check;
mod file;
mod flatbuffer;
mod model;
mod options;

pub(crate) use model::{Code, Data, Element, Model, Operator, TensorDef};
pub(crate) use options::{Activation, Add, Div, Gelu, LeakyRelu, Mirror, Mul, Options, Padding, Pool2D, Sub};
#[cfg(test)]
pub(crate) use {model::*, options::*};

/// What stands in a file, as text; for the fuzz target.
pub fn outline(name: &str, bytes: Vec<u8>) -> crate::Result<String> {
    Model::read(name, bytes).map(|model| format!("{model:#?}"))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod write;
