//! Whether a program computes what it should.
//!
//! * [`golden`]: the bytes of every layer, the same on every target.
//! * [`compare`]: the program beside the float network, layer by layer.
//! * [`warnings`]: what is allowed, and probably not what is wanted. [`advice`]: what would make a layer's own error smaller.

pub mod advice;
pub mod compare;
pub mod golden;
pub mod warnings;
