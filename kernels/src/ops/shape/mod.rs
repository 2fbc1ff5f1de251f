//! Operators that move elements to other places, or between them.

pub mod channels;
pub mod reshape;
pub mod resize;
