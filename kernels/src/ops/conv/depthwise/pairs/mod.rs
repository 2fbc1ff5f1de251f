//! 3x3 kernels with the DSP instructions of Cortex-M4, M7, M33 and M55: two columns at a time.
//!
//! Three rows of four channels are widened to 16 bits, so that one word holds a channel of two neighbouring columns; padding holds the zero
//! point. Each word serves up to three rows of the output and three taps. Then the six words of a channel's weights stay in registers for a row of
//! the output, and two results of stride 1 take three loads and twelve multiplications for their 18 products, with `a b` and `c d` in the words of a row:
//!
//! ```text
//! first:   smlad (a, b) (w0, w1)    smlabt c w2
//! second:  smlatb b w0              smlad (c, d) (w1, w2)
//! ```
//!
//! Weights are doubled: [`Twice`] wants twice a sum.

#[cfg(niello_dsp)]
mod assembly;
#[cfg(not(niello_dsp))]
mod plain;

#[cfg(niello_dsp)]
use assembly::{Compute, pack};
#[cfg(not(niello_dsp))]
use plain::{Compute, pack};

use super::DepthwiseConv2d;
use crate::{
    Multiplier,
    base::memory::{In, Out},
    microkernels::dsp::{
        twice::{Ending, Twice},
        widen,
    },
};
use core::ops::Range;

/// Channels that are handled together.
pub(super) const CHANNELS: usize = 4;
/// Rows and columns of a kernel.
const SIDE: usize = 3;
/// Pairs of columns for which there is room.
const PAIRS: usize = 13;
/// Bytes of a channel of a row.
const PLANE: usize = PAIRS * size_of::<u32>();
/// Where the weights of a channel begin.
const WEIGHTS: usize = core::mem::offset_of!(Channel, weights);
/// Rows of the output after which channels change.
const BAND: usize = 16;

/// A channel of [`Planes`] in a row of the output.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Channel {
    mantissa: i32,
    offset: i32,
    /// Where two sums begin.
    init: [i32; 2],
    /// The shift, plus 256 for each two pixels but the first: negative for one pixel.
    shift: i32,
    /// `w0 w1` and `w1 w2` of three rows, doubled, and of the first two again.
    weights: [[u32; 2]; 2 * SIDE - 1],
}

/// One row of the output, four channels of it.
#[repr(C)]
struct Row {
    channels: *const Channel,
    /// The weights of the first channel that meet the first row of [`Planes`].
    weights: *const [u32; 2],
    planes: *const Planes,
    out: *mut i8,
    /// Bytes from one pixel's results to the next one's.
    step: usize,
    /// Whether the number of pixels is odd.
    odd: usize,
    /// Smallest and largest value to store.
    clamp: [i32; 2],
}

/// Four channels of a row of the image, to be widened.
#[repr(C)]
struct Line {
    /// The first pixel.
    x: *const i8,
    /// Bytes from one pixel to the next.
    step: usize,
    /// The row of [`Planes`].
    to: *mut [u32; PAIRS],
    /// The zero point, four times.
    zero: u32,
    /// Whether a pixel of padding comes first, with which the first pixel of the image is a pair.
    lead: usize,
    /// Pairs of pixels.
    pairs: usize,
    /// Whether a pixel is left, for a pair with padding.
    tail: usize,
    /// Pairs of padding at the end.
    fill: usize,
}

/// Row `y` of the image is row `y % 3` after the first: `[row][channel][pair of columns]`.
type Planes = [[[u32; PAIRS]; CHANNELS]; SIDE];

/// Computes the layer, if it is of this kind. Channels are handed back to `other`, four from the one that it is called with, for whose factors there is
/// no short way.
///
/// The caller has checked the parameters.
#[inline(never)]
pub(super) fn run(conv: &DepthwiseConv2d<'_>, input: In<'_>, out: Out<'_>, other: impl Fn(usize)) -> bool {
    let ([_, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
    let [sy, sx] = conv.stride.map(|d| d as usize);
    let Some(ending) = Ending::of(&conv.stage) else { return false };
    let kind = conv.kernel == [SIDE as u32; 2] && conv.dilation == [1, 1] && conv.padding[1] <= 1;
    if !kind || !matches!(sx, 1 | 2) || sy > SIDE || channels < CHANNELS || w * oh * ow == 0 {
        return false;
    }
    let compute = Compute::new(ending, sx);
    // Two pixels more need so many pairs more, and the first ones two or three.
    let most = (PAIRS - 1) / sx * 2;
    let width = if ow <= most { ow } else { ow.div_ceil(ow.div_ceil(most)).next_multiple_of(2) };
    let mut planes: Planes = [[[0; PAIRS]; CHANNELS]; SIDE];
    let mut own = [Channel::default(); CHANNELS];
    for band in (0..oh).step_by(BAND) {
        let mut next = 0;
        while next < channels {
            // The last four may have been computed in part.
            let first = next.min(channels - CHANNELS);
            next += CHANNELS;
            if !constants(conv, channels, first, &mut own) {
                other(first);
                continue;
            }
            for ox in (0..ow).step_by(width) {
                let block =
                    Block { first, x: ox, width: width.min(ow - ox), rows: band..oh.min(band + BAND) };
                block.run(conv, input, out, &compute, &mut own, &mut planes);
            }
        }
    }
    true
}

/// Columns and rows of four channels of the output that are computed together.
struct Block {
    /// The first of the channels.
    first: usize,
    /// The first column.
    x: usize,
    /// Columns.
    width: usize,
    rows: Range<usize>,
}

impl Block {
    #[inline(always)]
    fn run(
        self,
        conv: &DepthwiseConv2d<'_>,
        input: In<'_>,
        out: Out<'_>,
        compute: &Compute,
        own: &mut [Channel; CHANNELS],
        planes: &mut Planes,
    ) {
        let Self { first, x, width, rows } = self;
        let ([h, w, _], [_, ow, _]) = (input.shape(), out.shape());
        let [sy, sx] = conv.stride.map(|d| d as usize);
        let [above, left] = conv.padding.map(|d| d as usize);
        for channel in own.iter_mut() {
            channel.shift = (channel.shift & 0xff) + 256 * ((width / 2) as i32 - 1);
        }
        let mut row = Row {
            channels: own.as_ptr(),
            weights: core::ptr::null(),
            planes,
            out: out.as_ptr().wrapping_add((rows.start * ow + x) * out.stride() + first),
            step: out.stride(),
            odd: width % 2,
            clamp: [conv.stage.min, conv.stage.max].map(i32::from),
        };
        // Padding before the first column, and columns of the image.
        let pairs = width.div_ceil(2) * sx + 1;
        let padding = left.saturating_sub(x * sx);
        let column = (x * sx).saturating_sub(left);
        let columns = w.saturating_sub(column).min(2 * pairs - padding);
        let lead = padding.min(columns);
        let (whole, tail) = ((columns - lead) / 2, (columns - lead) % 2);
        let mut line = Line {
            x: core::ptr::null(),
            step: input.stride(),
            to: core::ptr::null_mut(),
            zero: u32::from_ne_bytes([conv.input_zero_point as u8; 4]),
            lead,
            pairs: whole,
            tail,
            fill: pairs - lead - whole - tail,
        };
        let mut outside = Line { lead: 0, pairs: 0, tail: 0, fill: pairs, ..line };
        let pitch = w * input.stride();
        // The first row of the image that was not widened, after the padding above; where it and the first row that is seen lie.
        let (mut new, mut to, mut slot) = (rows.start * sy, 0, 0);
        for y in rows {
            while new < y * sy + SIDE {
                let line = if new >= above && new - above < h { &mut line } else { &mut outside };
                let from =
                    new.wrapping_sub(above).wrapping_mul(pitch).wrapping_add(column * input.stride() + first);
                line.x = input.as_ptr().wrapping_add(from);
                line.to = row.planes.cast_mut().cast::<[[u32; PAIRS]; CHANNELS]>().wrapping_add(to).cast();
                // SAFETY: the pixels are in the image, and so are four channels from `first` on; there is room for the pairs.
                unsafe { pack(line) };
                (new, to) = (new + 1, if to + 1 == SIDE { 0 } else { to + 1 });
            }
            // The row at `slot` meets the first row of weights.
            let turn = if slot == 0 { 0 } else { SIDE - slot };
            row.weights =
                row.channels.cast::<u8>().wrapping_add(WEIGHTS).cast::<[u32; 2]>().wrapping_add(turn);
            // SAFETY: pairs for all pixels were widened, and the pixels of the output exist.
            unsafe { compute.row(&row) };
            row.out = row.out.wrapping_add(ow * out.stride());
            slot = if slot + sy >= SIDE { slot + sy - SIDE } else { slot + sy };
        }
    }
}

/// Makes those of four channels; false if there is no short way for one of them.
#[inline(never)]
fn constants(
    conv: &DepthwiseConv2d<'_>,
    channels: usize,
    first: usize,
    own: &mut [Channel; CHANNELS],
) -> bool {
    let zero = 2 * conv.stage.zero_point as i32 + 1;
    let [biases, mantissas] = [conv.bias, conv.mantissa].map(|of| of.get(first..first + CHANNELS));
    let (Some(biases), Some(mantissas), Some(shifts)) =
        (biases, mantissas, conv.shift.get(first..first + CHANNELS))
    else {
        return false;
    };
    for (i, channel) in own.iter_mut().enumerate() {
        let multiplier = Multiplier { mantissa: mantissas[i], shift: shifts[i] as i32 };
        let Some(twice) = Twice::with_zero(multiplier, biases[i], zero) else { return false };
        let Twice { mantissa, offset, shift, bias } = twice;
        (channel.mantissa, channel.offset, channel.init, channel.shift) =
            (mantissa, offset, [bias; 2], shift);
    }
    if conv.weights.len() < (SIDE * SIDE - 1) * channels + first + CHANNELS {
        return false;
    }
    let mut at = conv.weights.as_ptr().wrapping_add(first);
    let mut tap = || {
        // SAFETY: the next of nine taps, four channels, which were measured.
        let word = unsafe { at.cast::<u32>().read_unaligned() };
        at = at.wrapping_add(channels);
        word
    };
    for ky in 0..SIDE {
        let taps = [tap(), tap(), tap()];
        for pair in 0..2 {
            for (channel, word) in own.iter_mut().zip(widened(taps[pair], taps[pair + 1])) {
                let word = widen::twice(word);
                channel.weights[ky][pair] = word;
                if ky < SIDE - 1 {
                    channel.weights[ky + SIDE][pair] = word;
                }
            }
        }
    }
    true
}

/// Channel by channel, that of `a` in the lower half and that of `b` in the upper.
#[inline(always)]
fn widened(a: u32, b: u32) -> [u32; CHANNELS] {
    let (lower, upper) = (a & 0xffff | b << 16, a >> 16 | b & 0xffff_0000);
    [widen::even(lower), widen::odd(lower), widen::even(upper), widen::odd(upper)]
}
