//! TensorFlow Lite.

mod reader;
