//! The same in plain Rust.

use super::{Triples, Twice, Two};
use crate::{Multiplier, microkernels::dsp::twice::Ending};

/// The sum and both products of 16-bit halves, modulo `2^32`.
#[inline(always)]
fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let lower = a as i16 as i32 * b as i16 as i32;
    let upper = (a as i32 >> 16) * (b as i32 >> 16);
    sum.wrapping_add(lower).wrapping_add(upper)
}

/// `S` and `A` of three interleaved pixels: sums of products with words of weights, and with their lower bytes.
///
/// # Safety
/// `6 * groups` words are readable at `x`, `8 * groups` bytes at `weights`. `groups` is not 0.
pub(in super::super) unsafe extern "C" fn three(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    sums: &mut [[i32; 3]; 2],
) {
    // SAFETY: the caller's promise.
    *sums = unsafe { dot(x, weights, groups) };
}

/// `S` and `A` of one pixel.
///
/// # Safety
/// `2 * groups` words are readable at `x`, `8 * groups` bytes at `weights`. `groups` is not 0.
pub(in super::super) unsafe extern "C" fn one(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    sums: &mut [[i32; 1]; 2],
) {
    // SAFETY: the caller's promise.
    *sums = unsafe { dot(x, weights, groups) };
}

/// `S` and `A` of one pixel and two panels.
///
/// # Safety
/// `2 * groups` words are readable at `x`, `8 * groups` bytes at `weights` and at `panels.stride` from there. `groups` is not 0.
pub(in super::super) unsafe extern "C" fn two(
    x: *const u32,
    weights: *const i8,
    groups: usize,
    panels: &mut Two,
) {
    for (n, sums) in panels.sums.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        let [[s], [a]] = unsafe { dot(x, weights.wrapping_add(n * panels.stride), groups) };
        *sums = [s, a];
    }
}

/// The panels of `triples`, behind a ReLU, up to one that has a factor for which there is no short way.
///
/// # Safety
/// `6 * groups` words for each three of the addresses at `out` are readable at `x`, `8 * groups` bytes of each panel at `weights`, and two
/// biases and factors; the channels from `first` to `last` are writable at each of the addresses. `groups` is in `1..=128`.
pub(in super::super) unsafe extern "C" fn panels_relu(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { panels(groups, triples, Ending::Relu) };
}

/// As [`panels_relu`], for the double rounding.
///
/// # Safety
/// As there.
pub(in super::super) unsafe extern "C" fn panels_double(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { panels(groups, triples, Ending::Double) };
}

/// As [`panels_relu`], for one rounding.
///
/// # Safety
/// As there.
pub(in super::super) unsafe extern "C" fn panels_single(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { panels(groups, triples, Ending::Single) };
}

/// The channels of the first pixel of `triples`, which stands alone, behind a ReLU: up to four of which one has a factor for which there is no
/// short way.
///
/// # Safety
/// `2 * groups` words are readable at `x`, `8 * groups` bytes of each panel at `weights`, and biases and factors; the channels from `first` to
/// `last`, a multiple of four, are writable at the first address. `groups` is in `1..=128`.
pub(in super::super) unsafe extern "C" fn column_relu(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { column(groups, triples, Ending::Relu) };
}

/// As [`column_relu`], for the double rounding.
///
/// # Safety
/// As there.
pub(in super::super) unsafe extern "C" fn column_double(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { column(groups, triples, Ending::Double) };
}

/// As [`column_relu`], for one rounding.
///
/// # Safety
/// As there.
pub(in super::super) unsafe extern "C" fn column_single(groups: usize, triples: &mut Triples) {
    // SAFETY: the caller's promise.
    unsafe { column(groups, triples, Ending::Single) };
}

/// All of them.
///
/// # Safety
/// As there.
unsafe fn column(groups: usize, triples: &mut Triples, ending: Ending) {
    while triples.first != triples.last {
        for c in 0..4 {
            let (panel, n) = (c / 2, c % 2);
            // SAFETY: a channel of a promised panel, and the first address.
            unsafe {
                let weights = triples.weights.wrapping_add(panel * triples.stride);
                let [[both], [lower]] = dot::<1>(triples.x, weights, groups);
                let sum = [lower, both.wrapping_sub(lower) >> 8][n];
                let (mantissa, shift) =
                    (triples.mantissa.wrapping_add(c).read(), triples.shift.wrapping_add(c).read().into());
                let bias = triples.bias.wrapping_add(c).read();
                let own = Twice::with_zero(Multiplier { mantissa, shift }, bias, triples.zero);
                let Some(own) = own else { return };
                let byte = own.requantize(ending, own.bias.wrapping_add(2 * sum), Some(triples.clamp));
                triples.out.read().wrapping_add(triples.first + c).write(byte);
            }
        }
        triples.advance();
        triples.advance();
    }
}

/// All of them.
///
/// # Safety
/// As there.
unsafe fn panels(groups: usize, triples: &mut Triples, ending: Ending) {
    while triples.first != triples.last {
        for (n, channel) in triples.channels.iter_mut().enumerate() {
            // SAFETY: one of both channels.
            let own = unsafe {
                let (mantissa, shift) =
                    (triples.mantissa.wrapping_add(n).read(), triples.shift.wrapping_add(n).read().into());
                let bias = triples.bias.wrapping_add(n).read();
                Twice::with_zero(Multiplier { mantissa, shift }, bias, triples.zero)
            };
            let Some(own) = own else { return };
            *channel = own;
        }
        let mut x = triples.x;
        while triples.out != triples.end {
            // SAFETY: the next three pixels of those promised.
            let [both, lower] = unsafe { dot::<3>(x, triples.weights, groups) };
            for (both, lower) in both.into_iter().zip(lower) {
                let sums = [lower, both.wrapping_sub(lower) >> 8];
                for (n, (channel, sum)) in triples.channels.iter().zip(sums).enumerate() {
                    let byte =
                        channel.requantize(ending, channel.bias.wrapping_add(2 * sum), Some(triples.clamp));
                    // SAFETY: the next address; the channel is writable there.
                    unsafe { triples.out.read().wrapping_add(triples.first + n).write(byte) };
                }
                triples.out = triples.out.wrapping_add(1);
            }
            x = x.wrapping_add(6 * groups);
        }
        triples.advance();
    }
}

/// `S` and `A` of `PX` interleaved pixels.
///
/// # Safety
/// `2 * PX * groups` words are readable at `x`, `8 * groups` bytes at `weights`.
#[inline(always)]
unsafe fn dot<const PX: usize>(x: *const u32, weights: *const i8, groups: usize) -> [[i32; PX]; 2] {
    let (mut both, mut lower) = ([0; PX], [0; PX]);
    for i in 0..2 * groups {
        // SAFETY: word `i` of the weights, and those of the pixels for it.
        let (w, x) = unsafe {
            let w = weights.cast::<u32>().wrapping_add(i).read_unaligned();
            (w, x.wrapping_add(PX * i).cast::<[u32; PX]>().read())
        };
        let a = crate::microkernels::dsp::widen::even(w);
        for p in 0..PX {
            both[p] = smlad(w, x[p], both[p]);
            lower[p] = smlad(a, x[p], lower[p]);
        }
    }
    [both, lower]
}
