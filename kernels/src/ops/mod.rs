//! The operators on 8-bit codes, by subject; those that stand alone are files.

pub mod argmax;
pub mod attention;
pub mod conv;
pub mod elementwise;
pub mod embedding;
pub mod normalize;
pub mod pool;
pub mod shape;
pub mod softmax;
