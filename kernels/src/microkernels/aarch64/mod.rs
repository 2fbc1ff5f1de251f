//! NEON, dot products, matrix products.

pub mod dotprod;
pub mod i8mm;
pub mod neon;
mod neon_block;
pub(crate) mod neon_finish;
pub(crate) mod neon_stage;
