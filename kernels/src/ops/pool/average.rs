//! Mean of each window.

use super::window;
use crate::{
    Isa, Kernel, Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks},
    },
    schedule::by_rows::{elements, positive},
};

/// Mean of each window: TensorFlow Lite's int8 `AVERAGE_POOL_2D`. Input and output share scale and zero point.
///
/// The sum of the stored values is divided by the number of cells, to nearest, ties away from zero. With
/// `count_padding`, cells in the padding count as zero points (PyTorch's `count_include_pad`). A window without cells
/// gives the zero point. For windows of at most `2^23` cells, so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Below, to the right: only to count cells with `count_padding`.
    pub padding_end: [u32; 2],
    /// Whether cells in the padding take part.
    pub count_padding: bool,
    /// Zero point of input and output.
    pub zero_point: i8,
    /// Smallest value to store.
    pub min: i8,
    /// Largest value to store.
    pub max: i8,
}

impl Kernel for AveragePool2d {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let Some((input, out)) = self.views(mem) else {
            debug_assert!(
                false,
                "operands outside memory, numbers of channels differ, or windows of no or too many cells"
            );
            return;
        };
        let channels = out.shape()[2];
        isa.vectorize(Walk::new(self, (input, out), channels, [self.min, self.max]));
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }
}

impl AveragePool2d {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let fits = input.shape()[2] == out.shape()[2] && sum_fits(self.kernel, self.stride);
        fits.then_some((input, out))
    }
}

/// The loop over codes of either width.
pub(crate) struct Walk<'k, 'm, T> {
    pool: &'k AveragePool2d,
    input: In<'m>,
    out: Out<'m>,
    /// Codes of a pixel.
    channels: usize,
    /// Smallest and largest code to store; the pool's own are bytes.
    bounds: [T; 2],
}

impl<'k, 'm, T: Code> Walk<'k, 'm, T> {
    pub(crate) const fn new(
        pool: &'k AveragePool2d,
        (input, out): (In<'m>, Out<'m>),
        channels: usize,
        bounds: [T; 2],
    ) -> Self {
        Self { pool, input, out, channels, bounds }
    }
}

/// Whether windows have cells, but no more than 2^23: so many add up in 32 bits, and their number is one in single precision.
pub(crate) fn sum_fits(kernel: [u32; 2], stride: [u32; 2]) -> bool {
    positive(&[kernel, stride]) && elements([kernel[0], kernel[1], 1]) <= 1 << 23
}

/// How many rows or columns of window `index` lie within the padded image: PyTorch counts no further (ceil mode).
#[inline(always)]
pub(crate) fn padded_len(index: usize, kernel: usize, stride: usize, padded: usize) -> usize {
    let start = index.saturating_mul(stride);
    start.saturating_add(kernel).min(padded).saturating_sub(start)
}

impl<T: Code> Vectorize for Walk<'_, '_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out, channels, bounds: [low, high] } = self;
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        let [kh, kw] = pool.kernel.map(|d| d as usize);
        let [sh, sw] = pool.stride.map(|d| d as usize);
        let [ph, pw] = pool.padding.map(|d| d as usize);
        let [eh, ew] = pool.padding_end.map(|d| d as usize);
        let (padded_h, padded_w) =
            (h.saturating_add(ph).saturating_add(eh), w.saturating_add(pw).saturating_add(ew));
        for oy in 0..oh {
            let rows = window(oy, kh, sh, ph, h);
            for ox in 0..ow {
                let columns = window(ox, kw, sw, pw, w);
                let inside = rows.len().wrapping_mul(columns.len()) as i32;
                let padded =
                    padded_len(oy, kh, sh, padded_h).wrapping_mul(padded_len(ox, kw, sw, padded_w)) as i32;
                let count = if pool.count_padding { padded } else { inside };
                let base = count.wrapping_sub(inside).wrapping_mul(pool.zero_point as i32);
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    let mut sums = [base; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = T::block::<N>(input.pixel(y, x), first);
                            for (sum, v) in sums.iter_mut().zip(values) {
                                *sum = sum.wrapping_add(v.into());
                            }
                        }
                    }
                    let mut means = [T::LEAST; N];
                    for (mean, sum) in means.iter_mut().zip(sums) {
                        let value = rounded_quotient(sum, count).unwrap_or(pool.zero_point as i32);
                        *mean = T::cut(value).max(low).min(high);
                    }
                    T::put(cells, first, means);
                });
            }
        }
    }
}

/// `sum / count` to nearest, ties away from zero; `None` if there is nothing to divide by.
#[inline(always)]
fn rounded_quotient(sum: i32, count: i32) -> Option<i32> {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    sum.wrapping_add(half).checked_div(count)
}
