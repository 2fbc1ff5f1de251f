//! AVX-512: 16 sums at a time.

use super::{Add, LEFT_SHIFT};
use crate::{
    Isa,
    tiles::avx512_stage::{Scale, Stage, store},
};
use core::arch::x86_64::*;

/// Proof that AVX-512 F, BW and VL can be executed.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx512_vnni() { Some(Self(())) } else { None }
    }

    /// `out[i] = a[i] + b[i]` in the sense of `add`, for `len` bytes. `out` may be `a` or `b`.
    ///
    /// # Safety
    /// `len` bytes are readable at `a` and `b` and writable at `out`.
    #[inline(always)]
    pub(super) unsafe fn sums(self, add: &Add, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise.
        unsafe { sums(add, a, b, out, len) }
    }
}

/// See [`Avx512::sums`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn sums(add: &Add, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
    let stage = Stage::new(&add.stage);
    let rounding = add.stage.rounding;
    let (scale_a, scale_b) = (Scale::splat(add.a_multiplier), Scale::splat(add.b_multiplier));
    let scale = Scale::splat(add.multiplier);
    let zero = [add.a_zero_point, add.b_zero_point].map(|z| _mm512_set1_epi32(z as i32));
    let mut i = 0;
    while i < len {
        let live = (len - i).min(16);
        let mask = ((1u32 << live) - 1) as u16;
        // SAFETY: the unmasked bytes are the `live` ones at `i`.
        let (a, b) = unsafe { (_mm_maskz_loadu_epi8(mask, a.add(i)), _mm_maskz_loadu_epi8(mask, b.add(i))) };
        let wide = |v, zero| _mm512_slli_epi32::<LEFT_SHIFT>(_mm512_sub_epi32(_mm512_cvtepi8_epi32(v), zero));
        let a = scale_a.apply(wide(a, zero[0]), rounding);
        let b = scale_b.apply(wide(b, zero[1]), rounding);
        // SAFETY: `live` bytes are writable at `i`.
        unsafe { store(out.add(i), stage.bytes(&scale, _mm512_add_epi32(a, b)), live) };
        i += 16;
    }
}
