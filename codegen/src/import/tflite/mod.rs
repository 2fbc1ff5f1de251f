//! TensorFlow Lite.

mod reader;

#[doc(hidden)]
pub use reader::outline;
