//! The same operators for other formats than 8-bit codes.

mod elements;
mod extremum;
pub mod float;
pub mod int16;

pub use extremum::{Extremum, ExtremumFloat};
