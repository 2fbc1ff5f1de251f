//! Where graphs come from: published networks, built layer by layer from a checkpoint's tensors, and files that hold a whole network.
//!
//! * [`GraphBuilder`]: what importers and `models/` use; it asks a [`crate::weights::WeightSource`] for tensors by their
//!   checkpoint names and collects everything that is wrong with them into one error.
//! * [`network`]: what a published network tells about itself, and how it is found by its name.
//! * [`ModelFile`]: a network as a file has it. [`tflite`], [`onnx`]: the formats.

mod builder;
mod end;
mod file;
mod filters;
pub mod network;
#[doc(hidden)]
pub mod onnx;
#[doc(hidden)]
pub mod tflite;

pub use builder::GraphBuilder;
pub use end::{Element, End};
pub use file::ModelFile;
