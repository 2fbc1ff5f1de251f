//! Where graphs come from: published networks, built layer by layer from a checkpoint's tensors, and files that hold a network.
//!
//! * [`GraphBuilder`]: what importers and `models/` use; it asks a [`crate::weights::WeightSource`] for tensors by their
//!   checkpoint names and collects everything that is wrong with them into one error.
//! * [`onnx`]: reads files of ONNX.
//! * [`network`]: what a published network tells about itself, and how it is found by its name.

mod builder;
pub mod network;
pub mod onnx;

pub use builder::GraphBuilder;
