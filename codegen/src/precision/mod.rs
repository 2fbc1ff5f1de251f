//! Other number formats than int8: for a whole network, or for some of its layers.
//!
//! * [`float`]: floating point, in single or half precision.
//! * [`int16`]: integers of 16 bits, by name or as many as an error budget needs.

pub mod float;
pub mod int16;
