//! The DSP instructions of Cortex-M4, M7, M33 and M55: four channels at a time.
//!
//! Weights of four channels are widened to 16 bits once for some rows of the output. A tap is then one load of four activations, two
//! `sxtb16`, one load of two words of weights, and four multiply-accumulates of single halves: eight instructions for four
//! products. Pixels that see the same taps within the image form a run; what the taps in the padding add is the same for
//! all of them, and part of where their sums begin.

use super::DepthwiseConv2d;
use crate::{
    Rounding,
    base::memory::{In, Out},
    microkernels::dsp::{stage::Channel, widen},
};

/// Channels that are handled together.
const CHANNELS: usize = 4;
/// Rows of the output for which weights are widened once.
const BAND: usize = 4;
/// The most taps whose weights are kept on the stack.
const MAX_TAPS: usize = 49;

/// Consecutive pixels of one row that see the same taps.
#[repr(C)]
struct Run {
    /// The first tap within the image of the next pixel, first of the four channels.
    x: *const i8,
    /// Where the next pixel's results go.
    out: *mut i8,
    /// Pixels; not 0.
    count: usize,
    /// Bytes from one pixel's taps to the next one's, and between their results.
    steps: [usize; 2],
    /// Weights of the first tap within the image: channels 0 and 2, 1 and 3.
    weights: *const [u32; 2],
    /// Where the sums begin.
    init: [i32; CHANNELS],
    /// How they become bytes.
    channels: [Channel; CHANNELS],
    /// Smallest and largest value to store, four times in a word.
    clamp: [u32; 2],
    /// Bytes from a tap to the next in its row.
    tap: usize,
    /// Bytes from a tap to that in the next row.
    pitch: usize,
    /// Rows and columns of taps within the image.
    taps: [usize; 2],
    /// Bytes from the weights of a tap to those in the next row.
    weights_pitch: usize,
}

/// Taps `first..end` of an axis lie within the image.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Within {
    pub(super) first: usize,
    pub(super) end: usize,
}

/// The columns that a run sees: those within the image, the first of them, and how many pixels.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) columns: Within,
    pub(super) x: usize,
    pub(super) count: usize,
}

/// The most runs of one row: padding on both sides makes one for each pixel that it reaches.
pub(super) const MAX_RUNS: usize = 8;
/// No taps, unlike any.
pub(super) const NONE: Within = Within { first: usize::MAX, end: 0 };

impl Within {
    /// For a first tap at `start`, which is negative in the padding, on an axis of `size`.
    pub(super) fn new(start: isize, taps: usize, dilation: usize, size: usize) -> Self {
        // How many taps lie before a position. The dilation is not 0, of which the compiler does not know.
        let before = |to: isize| usize::try_from(to - start).unwrap_or(0).div_ceil(dilation.max(1)).min(taps);
        Self { first: before(0), end: before(size as isize) }
    }

    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.first)
    }
}

/// Computes the layer, if it has enough channels, few enough taps, and factors for which there is a short way.
///
/// The caller has checked the parameters.
#[inline(never)]
pub(super) fn run(conv: &DepthwiseConv2d<'_>, input: In<'_>, out: Out<'_>) -> bool {
    let ([h, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    let [dy, dx] = conv.dilation.map(|d| d as usize);
    let taps = kh * kw;
    if channels < CHANNELS || taps > MAX_TAPS || (0..channels).any(|c| channel(conv, c).is_none()) {
        return false;
    }
    let mut weights = [[0; 2]; MAX_TAPS];
    let stride = input.stride();
    let Some((columns, columns_len)) = columns(conv, w, ow) else { return false };
    // Some rows at a time, so that the image's are still in the cache for the next channels.
    for band in (0..oh).step_by(BAND) {
        let mut next = 0;
        while next < channels {
            // The last four may have been computed in part.
            let first = next.min(channels - CHANNELS);
            next += CHANNELS;
            for (tap, wide) in weights.iter_mut().enumerate().take(taps) {
                *wide = widened(conv.weights, tap * channels + first);
            }
            let of = |i| channel(conv, first + i);
            let (Some(a), Some(b), Some(c), Some(d)) = (of(0), of(1), of(2), of(3)) else {
                return false;
            };
            let mut run = Run {
                x: input.as_ptr(),
                out: out.as_ptr(),
                count: 0,
                steps: [conv.stride[1] as usize * stride, out.stride()],
                weights: weights.as_ptr(),
                init: [0; CHANNELS],
                channels: [a, b, c, d],
                clamp: [conv.stage.min, conv.stage.max].map(|v| u32::from_ne_bytes([v as u8; 4])),
                tap: dx * stride,
                pitch: dy * w * stride,
                taps: [0, 0],
                weights_pitch: kw * size_of::<[u32; 2]>(),
            };
            // Where sums begin depends on the taps that are seen: row for row the same.
            let mut known = [([NONE; 2], [0; CHANNELS]); MAX_RUNS];
            for oy in band..oh.min(band + BAND) {
                let y = (oy * conv.stride[0] as usize) as isize - conv.padding[0] as isize;
                let rows = Within::new(y, kh, dy, h);
                // Negative without rows; then nothing is read.
                let row = (y.wrapping_add_unsigned(rows.first * dy) as usize).wrapping_mul(w * stride);
                let row = input.as_ptr().wrapping_add(row.wrapping_add(first));
                let mut to = out.as_ptr().wrapping_add(oy * ow * out.stride() + first);
                for (run_of, known) in columns.iter().take(columns_len).zip(&mut known) {
                    let seen = [rows, run_of.columns];
                    if known.0 != seen {
                        *known = (seen, init(conv, &weights, seen, first));
                    }
                    run.init = known.1;
                    run.count = run_of.count;
                    run.taps = [seen[0].len(), seen[1].len()];
                    if run.taps.contains(&0) {
                        run.taps = [0, 0];
                    }
                    run.x = row.wrapping_add(run_of.x.wrapping_mul(stride));
                    run.weights = weights.as_ptr().wrapping_add(rows.first * kw + run_of.columns.first);
                    run.out = to;
                    to = to.wrapping_add(run_of.count * out.stride());
                    // SAFETY: all taps of `rows` and `columns` lie within the image for all `count` pixels, and so do their
                    // four channels; the pixels of the output exist; weights are there for all taps.
                    unsafe {
                        match conv.stage.rounding {
                            Rounding::TfliteDouble => double(&mut run),
                            // No channel of `FloatEven` has a short way.
                            Rounding::Single | Rounding::FloatEven => single(&mut run),
                        }
                    }
                }
            }
        }
    }
    true
}

/// The runs of a row of `ow` pixels, and how many there are; `None` for too many.
pub(super) fn columns(
    conv: &DepthwiseConv2d<'_>,
    w: usize,
    ow: usize,
) -> Option<([Columns; MAX_RUNS], usize)> {
    let (kw, dx, stride) = (conv.kernel[1] as usize, conv.dilation[1] as usize, conv.stride[1] as usize);
    let mut runs = [Columns { columns: NONE, x: 0, count: 0 }; MAX_RUNS];
    let (mut ox, mut len) = (0, 0);
    while ox < ow {
        let x = (ox * stride) as isize - conv.padding[1] as isize;
        let columns = Within::new(x, kw, dx, w);
        let count = if columns.len() == kw { inside(conv, x, w).min(ow - ox) } else { 1 };
        let first = x.wrapping_add_unsigned(columns.first * dx) as usize;
        *runs.get_mut(len)? = Columns { columns, x: first, count };
        (ox, len) = (ox + count, len + 1);
    }
    Some((runs, len))
}

/// How many pixels from the one on whose columns of taps begin at `x` have all of these within the image, at least 1.
fn inside(conv: &DepthwiseConv2d<'_>, x: isize, w: usize) -> usize {
    let reach =
        x.wrapping_add_unsigned((conv.kernel[1] as usize).saturating_sub(1) * conv.dilation[1] as usize);
    let room = usize::try_from(w as isize - 1 - reach).unwrap_or(0);
    room.checked_div(conv.stride[1] as usize).unwrap_or(usize::MAX - 1) + 1
}

/// Factor of a channel; the bias is added where sums begin.
fn channel(conv: &DepthwiseConv2d<'_>, c: usize) -> Option<Channel> {
    let (mantissa, shift) = (*conv.mantissa.get(c)?, *conv.shift.get(c)? as i32);
    Channel::new(crate::Multiplier { mantissa, shift }, 0, &conv.stage)
}

/// Four weights, widened.
fn widened(weights: &[i8], at: usize) -> [u32; 2] {
    let four = weights.get(at..).and_then(|rest| rest.first_chunk::<CHANNELS>()).copied().unwrap_or_default();
    let word = u32::from_ne_bytes(four.map(|w| w as u8));
    [widen::even(word), widen::odd(word)]
}

/// Biases, and what the taps outside the image add: they read the zero point.
fn init(
    conv: &DepthwiseConv2d<'_>,
    weights: &[[u32; 2]],
    [rows, columns]: [Within; 2],
    first: usize,
) -> [i32; CHANNELS] {
    let bias = conv.bias.get(first..).and_then(|rest| rest.first_chunk::<CHANNELS>()).copied();
    let mut init = bias.unwrap_or_default();
    let [kh, kw] = conv.kernel.map(|d| d as usize);
    if rows.len() == kh && columns.len() == kw {
        return init;
    }
    let zero = conv.input_zero_point as i32;
    for ky in 0..kh {
        for kx in 0..kw {
            let within = ky >= rows.first && ky < rows.end && kx >= columns.first && kx < columns.end;
            if let (false, Some([even, odd])) = (within, weights.get(ky * kw + kx)) {
                for (i, sum) in init.iter_mut().enumerate() {
                    let word = if i % 2 == 0 { even } else { odd };
                    let weight = (word >> (16 * (i / 2))) as i16 as i32;
                    *sum = sum.wrapping_add(weight * zero);
                }
            }
        }
    }
    init
}

#[cfg(niello_dsp)]
use assembly::{double, single};
#[cfg(not(niello_dsp))]
use plain::{double, single};

#[cfg(niello_dsp)]
mod assembly {
    use super::Run;
    use crate::microkernels::dsp::stage::requantize;
    use core::arch::asm;

    /// One tap of four channels at `$x`, its weights at r1; the sums are in r8 to r11.
    macro_rules! tap {
        ($x:literal) => {
            concat!(
                concat!("ldr r3, ", $x, "\n"),
                "ldrd r5, r12, [r1], #8\n",
                "sxtb16 r4, r3\n",
                "sxtb16 r3, r3, ror #8\n",
                "smlabb r8, r4, r5, r8\n",
                "smlatt r10, r4, r5, r10\n",
                "smlabb r9, r3, r12, r9\n",
                "smlatt r11, r3, r12, r11\n",
            )
        };
    }
    /// Three taps in a row.
    macro_rules! three {
        () => {
            concat!(tap!("[r0]"), tap!("[r0, r2]"), tap!("[r0, r2, lsl #1]"))
        };
    }

    /// Defines the function for one rounding.
    macro_rules! run {
        ($name:ident, $rounding:ident) => {
            /// All pixels of a run; see [`super::plain`].
            ///
            /// # Safety
            /// As there.
            #[inline(never)]
            pub(super) unsafe extern "C" fn $name(run: &mut Run) {
                // SAFETY: reads and writes what was promised; registers that are not named as operands are restored.
                unsafe {
                    asm!(
                        "push {{r6, r7}}",
                        "mov r7, r0",
                        "ldrd r2, r6, [r7, #112]",
                        // lr is 0 for three rows and columns whose weights lie without gaps.
                        "ldrd r3, r4, [r7, #120]",
                        "ldr r5, [r7, #128]",
                        "eor r3, r3, #3",
                        "eor r4, r4, #3",
                        "eor r5, r5, #24",
                        "orr lr, r3, r4",
                        "orr lr, lr, r5",
                        "2:",
                        "ldr r0, [r7]",
                        "ldr r1, [r7, #20]",
                        "add r3, r7, #24",
                        "ldm r3, {{r8, r9, r10, r11}}",
                        "cmp lr, #0",
                        "bne 4f",
                        three!(),
                        "add r0, r0, r6",
                        three!(),
                        "add r0, r0, r6",
                        three!(),
                        // Requantise, clamp, store.
                        "3:",
                        "add r1, r7, #40",
                        "ldm r1!, {{r2, r3, r4, r5}}",
                        requantize!($rounding, "r8"),
                        "ldm r1!, {{r2, r3, r4, r5}}",
                        requantize!($rounding, "r9"),
                        "ldm r1!, {{r2, r3, r4, r5}}",
                        requantize!($rounding, "r10"),
                        "ldm r1!, {{r2, r3, r4, r5}}",
                        requantize!($rounding, "r11"),
                        "bfi r8, r9, #8, #8",
                        "bfi r8, r10, #16, #8",
                        "bfi r8, r11, #24, #8",
                        "ldrd r3, r4, [r7, #104]",
                        "ssub8 r5, r4, r8",
                        "sel r8, r8, r4",
                        "ssub8 r5, r8, r3",
                        "sel r8, r8, r3",
                        "ldm r7, {{r0, r1, r2, r3, r4}}",
                        "str r8, [r1]",
                        "add r0, r3",
                        "add r1, r4",
                        "subs r2, #1",
                        "stm r7, {{r0, r1, r2}}",
                        "ldr r2, [r7, #112]",
                        "bne 2b",
                        "b 8f",
                        // Any number of rows and columns: what is left of both is on the stack, and in lr.
                        "4:",
                        "ldr r3, [r7, #120]",
                        "cmp r3, #0",
                        "beq 3b",
                        "push {{r3, lr}}",
                        "5:",
                        "push {{r0, r1}}",
                        "ldr lr, [r7, #124]",
                        "6:",
                        tap!("[r0]"),
                        "add r0, r0, r2",
                        "subs lr, #1",
                        "bne 6b",
                        "pop {{r0, r1}}",
                        "ldr r3, [r7, #128]",
                        "add r0, r0, r6",
                        "add r1, r1, r3",
                        "ldr r3, [sp]",
                        "subs r3, #1",
                        "str r3, [sp]",
                        "bne 5b",
                        "pop {{r3, lr}}",
                        "b 3b",
                        "8:",
                        "pop {{r6, r7}}",
                        inout("r0") run => _,
                        out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _,
                        out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                    );
                }
            }
        };
    }
    run!(double, double);
    run!(single, single);
}

#[cfg(not(niello_dsp))]
mod plain {
    use super::{CHANNELS, Run};

    /// All pixels of a run, for factors of the double rounding.
    ///
    /// # Safety
    /// For each pixel, four bytes are readable at each tap and writable at the result; weights are there for each tap.
    pub(super) unsafe extern "C" fn double(run: &mut Run) {
        // SAFETY: the caller's promise.
        unsafe { pixels::<true>(run) };
    }

    /// As [`double`], for one rounding.
    ///
    /// # Safety
    /// As there.
    pub(super) unsafe extern "C" fn single(run: &mut Run) {
        // SAFETY: the caller's promise.
        unsafe { pixels::<false>(run) };
    }

    /// Both.
    ///
    /// # Safety
    /// As there.
    unsafe fn pixels<const DOUBLE: bool>(run: &mut Run) {
        let [min, max] = run.clamp.map(|word| word as i8 as i32);
        while run.count > 0 {
            let mut sums = run.init;
            for ky in 0..run.taps[0] {
                for kx in 0..run.taps[1] {
                    let x = run.x.wrapping_add(ky * run.pitch + kx * run.tap);
                    let weights = run.weights.wrapping_byte_add(ky * run.weights_pitch).wrapping_add(kx);
                    // SAFETY: a tap of a promised pixel.
                    let (x, [even, odd]) = unsafe { (x.cast::<[i8; CHANNELS]>().read(), weights.read()) };
                    let weights = [even, odd, even >> 16, odd >> 16].map(|w| w as i16 as i32);
                    for ((sum, x), w) in sums.iter_mut().zip(x).zip(weights) {
                        *sum = sum.wrapping_add(x as i32 * w);
                    }
                }
            }
            let mut bytes = [0; CHANNELS];
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = run.channels[i].requantize::<DOUBLE>(sums[i], Some([min, max]));
            }
            // SAFETY: the result of a promised pixel.
            unsafe { run.out.cast::<[i8; CHANNELS]>().write(bytes) };
            run.x = run.x.wrapping_add(run.steps[0]);
            run.out = run.out.wrapping_add(run.steps[1]);
            run.count -= 1;
        }
    }
}
