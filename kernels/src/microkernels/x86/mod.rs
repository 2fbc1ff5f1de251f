//! AVX2, AVX-512 with VNNI.

pub mod avx2;
mod avx2_block;
pub(crate) mod avx2_stage;
pub(crate) mod avx512_stage;
pub mod avx512vnni;
