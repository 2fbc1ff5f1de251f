//! The same operators for other formats than 8-bit codes.

mod elements;
mod extremum;
pub mod float;
pub mod int16;
mod interpolate;
mod reduce;

pub use extremum::{Extremum, ExtremumFloat};
pub use interpolate::{Interpolate, InterpolateFloat};
pub use reduce::{
    DilatedMaxPool2d, DilatedMaxPool2dFloat, ReduceExtremum, ReduceFloat, ReduceSum, ReduceSumInt16,
    Reduction,
};
