//! AVX-512: sixteen sums at a time.

use crate::{
    Add, Isa, Multiplier, Rounding,
    base::memory::{ContiguousSpans, put},
    microkernels::x86::avx512_stage::{Scale, Stage},
    ops::elementwise::add::LEFT_SHIFT,
};
use core::arch::x86_64::*;

/// A sum, where AVX-512 can be executed.
#[derive(Clone, Copy)]
pub(crate) struct Avx512<'a>(&'a Add);

impl<'a> Avx512<'a> {
    pub(crate) fn new(isa: Isa, add: &'a Add) -> Option<Self> {
        isa.has_avx512_vnni().then_some(Self(add))
    }

    /// As [`Add`]'s own loop; `sum` is for what does not fill a vector.
    #[inline(always)]
    pub(crate) fn run(self, runs: &ContiguousSpans<'_, 2>, sum: impl Fn(i8, i8) -> i8) {
        // SAFETY: made only where the instructions exist.
        unsafe { run(self.0, runs, sum) }
    }
}

/// An operand's zero point and factor in registers.
struct Operand {
    zero_point: __m512i,
    /// The factor is 1/2, that of the operand with the larger scale: a shift less, and nothing to round.
    half: bool,
    scale: Scale,
}

impl Operand {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(zero_point: i8, multiplier: Multiplier) -> Self {
        let Multiplier { mantissa, shift } = multiplier;
        Self {
            zero_point: _mm512_set1_epi32(zero_point as i32),
            half: multiplier == Multiplier { mantissa: 1 << 30, shift: 0 },
            scale: Scale::new(_mm512_set1_epi32(mantissa), _mm512_set1_epi32(shift)),
        }
    }

    /// Sixteen values at the common scale.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn common(&self, x: __m128i, rounding: Rounding) -> __m512i {
        let x = _mm512_sub_epi32(_mm512_cvtepi8_epi32(x), self.zero_point);
        if self.half {
            return _mm512_slli_epi32::<{ LEFT_SHIFT - 1 }>(x);
        }
        self.scale.apply(_mm512_slli_epi32::<LEFT_SHIFT>(x), rounding)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn run(add: &Add, runs: &ContiguousSpans<'_, 2>, sum: impl Fn(i8, i8) -> i8) {
    let a = Operand::new(add.a_zero_point, add.a_multiplier);
    let b = Operand::new(add.b_zero_point, add.b_multiplier);
    let Multiplier { mantissa, shift } = add.multiplier;
    let scale = Scale::new(_mm512_set1_epi32(mantissa), _mm512_set1_epi32(shift));
    let (stage, rounding) = (Stage::new(&add.stage), add.stage.rounding);
    for run in 0..runs.len() {
        let (cells, [x, y]) = runs.get(run);
        let mut i = 0;
        while i + 16 <= cells.len() {
            let (x, y) = (x.block::<16>(i), y.block::<16>(i));
            // SAFETY: arrays of sixteen bytes.
            let (x, y) = unsafe { (_mm_loadu_si128(x.as_ptr().cast()), _mm_loadu_si128(y.as_ptr().cast())) };
            let sums = _mm512_add_epi32(a.common(x, rounding), b.common(y, rounding));
            let mut bytes = [0i8; 16];
            // SAFETY: an array of sixteen bytes.
            unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), stage.bytes(&scale, sums)) };
            put(cells, i, bytes);
            i += 16;
        }
        while i < cells.len() {
            put(cells, i, [sum(x.get(i), y.get(i))]);
            i += 1;
        }
    }
}
