//! Operators that move elements.

pub mod channels;
pub mod reshape;
pub mod resize;
