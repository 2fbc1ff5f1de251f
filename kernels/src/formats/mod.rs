//! The same operators for other formats than 8-bit codes.

pub mod float;
pub mod int16;
