//! TensorFlow Lite: `.tflite` files, in integers with the scales that they have, or in real numbers.
//!
//! * `reader`: the file as checked, plain data.
//! * `importer`: tensors and operators of the file to values and nodes of a graph. `fold`: what is known without running it.
//! * `context`: what the functions of operators see, and what they can add to the graph.
//! * `ops`: one operator of the format each, and the table of all of them.

mod context;
mod fold;
mod importer;
mod ops;
mod reader;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod tests;

pub(super) use importer::read;
pub use ops::{OPERATORS, Row, TAKE_INT16};
#[doc(hidden)]
pub use reader::outline;
