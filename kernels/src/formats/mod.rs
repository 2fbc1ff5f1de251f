//! The same operators for other formats than 8-bit codes.

mod elements;
pub mod float;
pub mod int16;
