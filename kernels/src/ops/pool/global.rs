//! Mean over the whole image.

#[cfg(niello_mve)]
use super::sums::{CHANNELS, MOST, add};
use crate::{
    Isa, Memory, Multiplier, Operand, OutputParams,
    base::{
        isa::Vectorize,
        memory::{In, Out, in_blocks, put},
    },
};

/// Mean over the image, to another scale: TensorFlow Lite's int8 `MEAN` over height and width.
///
/// `out = stage(multiplier(sum over pixels of (in - input_zero_point)))`, where `multiplier` holds
/// `s_in / (s_out * pixels)`, as [`GlobalAveragePool::multiplier`] rounds it. For 1 to `2^23` pixels, so that the
/// sum fits.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePool {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[1, 1, c]`.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / (s_out * h * w)`, from [`GlobalAveragePool::multiplier`].
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

/// Numbers of pixels of which there is a mean whose sum fits.
pub(crate) const PIXELS: core::ops::RangeInclusive<usize> = 1..=1 << 23;

impl GlobalAveragePool {
    /// The multiplier for scales `s_in` and `s_out` and a mean over `pixels`, as TensorFlow Lite's
    /// `QuantizedMeanOrSum` derives it: `s_in / s_out` is rounded to 31 bits first, then divided by the number of
    /// pixels in integers, truncating. Its mantissa may lie below `2^30`.
    ///
    /// ```text
    /// shift = min(floor(log2 pixels), 32, 31 + e)        with s_in / s_out ~ m / 2^31 * 2^e
    /// m' = floor(m * 2^shift / pixels), e' = e - shift
    /// ```
    ///
    /// Returns `None` for no pixels and where [`Multiplier::from_real`] does for `s_in / s_out`.
    pub const fn multiplier(s_in: f64, s_out: f64, pixels: u32) -> Option<Multiplier> {
        let Some(m) = Multiplier::from_real(s_in / s_out) else { return None };
        if pixels == 0 {
            return None;
        }
        let log2 = pixels.ilog2() as i32;
        // `e` is at least -31, so the shift is not negative.
        let shift = if log2 < 31 + m.shift { log2 } else { 31 + m.shift };
        let mantissa = ((m.mantissa as i64) << shift) / pixels as i64;
        Some(Multiplier { mantissa: mantissa as i32, shift: m.shift - shift })
    }

    fn mean<'m>(&self, mem: &Memory<'m>) -> Option<GlobalMean<'_, 'm>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let [h, w, channels] = input.shape();
        (out.shape() == [1, 1, channels] && PIXELS.contains(&(h * w))).then_some(GlobalMean {
            pool: self,
            input,
            out,
            #[cfg(niello_mve)]
            first: 0,
        })
    }
}

crate::schedule::kernel!(GlobalAveragePool, |pool| {
    check: |mem| pool.mean(mem),
    run: |mean, isa| mean.compute(isa),
});

struct GlobalMean<'k, 'm> {
    pool: &'k GlobalAveragePool,
    input: In<'m>,
    out: Out<'m>,
    /// The first channel that is left.
    #[cfg(niello_mve)]
    first: usize,
}

impl GlobalMean<'_, '_> {
    #[inline(always)]
    fn compute(self, isa: Isa) {
        #[cfg(niello_mve)]
        return isa.vectorize(Self { first: self.by_vectors(isa), ..self });
        #[cfg(not(niello_mve))]
        isa.vectorize(self);
    }

    /// As many channels as there are vectors for.
    #[cfg(niello_mve)]
    fn by_vectors(&self, isa: Isa) -> usize {
        let Self { pool, input, out, .. } = *self;
        let ([h, w, channels], cells) = (input.shape(), out.pixel(0, 0));
        let whole = if isa.has_mve() { channels - channels % CHANNELS } else { 0 };
        for first in (0..whole).step_by(CHANNELS) {
            let zero = (h.wrapping_mul(w) as i32).wrapping_mul(pool.input_zero_point as i32);
            let mut sums = [0i32.wrapping_sub(zero); CHANNELS];
            for start in (0..h * w).step_by(MOST) {
                let x = input.as_ptr().wrapping_add(start * input.stride() + first);
                let mut some = [0; CHANNELS];
                // SAFETY: these pixels are in the input, and have so many channels from there on.
                unsafe { add(x, input.stride(), MOST.min(h * w - start), &mut some) };
                for (sum, some) in sums.iter_mut().zip(some) {
                    *sum = sum.wrapping_add(some.into());
                }
            }
            put(cells, first, sums.map(|sum| pool.stage.store(sum, pool.multiplier)));
        }
        whole
    }
}

impl Vectorize for GlobalMean<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out, .. } = self;
        #[cfg(niello_mve)]
        let start = self.first;
        #[cfg(not(niello_mve))]
        let start = 0;
        let [h, w, channels] = input.shape();
        // The zero points of all pixels at once: sums are modulo 2^32, and the true value fits.
        let zero = (h.wrapping_mul(w) as i32).wrapping_mul(pool.input_zero_point as i32);
        let cells = out.pixel(0, 0);
        in_blocks!(offset in channels - start, N => {
            let first = start + offset;
            let mut sums = [0i32.wrapping_sub(zero); N];
            for y in 0..h {
                for x in 0..w {
                    let values = input.pixel(y, x).block::<N>(first);
                    for (sum, v) in sums.iter_mut().zip(values) {
                        *sum = sum.wrapping_add(v as i32);
                    }
                }
            }
            let mut means = [0; N];
            for (mean, sum) in means.iter_mut().zip(sums) {
                *mean = pool.stage.store(sum, pool.multiplier);
            }
            put(cells, first, means);
        });
    }
}
