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

/// Channels that are handled together.
pub(super) const CHANNELS: usize = 4;
/// Rows and columns of a kernel.
const SIDE: usize = 3;
/// Pairs of columns for which there is room.
const PAIRS: usize = 13;
/// Bytes of a channel of a row.
const PLANE: usize = PAIRS * size_of::<u32>();
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

/// Columns of a row of the output that are computed together.
#[derive(Clone, Copy)]
struct Columns {
    /// The first one's first column of the image; -1 in the padding.
    x: isize,
    /// Pairs of columns of the image.
    pairs: usize,
}

impl Columns {
    /// What is widened of row `y` of the image into `to`, with `first` of four channels.
    fn line(
        self,
        conv: &DepthwiseConv2d<'_>,
        input: In<'_>,
        y: isize,
        first: usize,
        to: &mut [[u32; PAIRS]; CHANNELS],
    ) -> Line {
        let [h, w, _] = input.shape();
        let lead = (self.x < 0) as usize;
        let x = self.x.max(0) as usize;
        let (y, inside) = usize::try_from(y).map_or((0, false), |y| (y, y < h));
        // Columns of the image, beside the padding that comes first.
        let columns = if inside { w.saturating_sub(x).min(2 * self.pairs - lead) } else { 0 };
        let lead = lead * (columns > 0) as usize;
        let rest = columns - lead;
        let (pairs, tail) = (rest / 2, rest % 2);
        Line {
            x: input.as_ptr().wrapping_add((y * w + x).wrapping_mul(input.stride()).wrapping_add(first)),
            step: input.stride(),
            to: to.as_mut_ptr(),
            zero: u32::from_ne_bytes([conv.input_zero_point as u8; 4]),
            lead,
            pairs,
            tail,
            fill: self.pairs - lead - pairs - tail,
        }
    }
}

/// Computes the layer, if it is of this kind. Channels are handed back to `other`, four from the one that it is called with, for whose factors there is
/// no short way.
///
/// The caller has checked the parameters.
pub(super) fn run(conv: &DepthwiseConv2d<'_>, input: In<'_>, out: Out<'_>, other: impl Fn(usize)) -> bool {
    let ([_, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
    let [sy, sx] = conv.stride.map(|d| d as usize);
    let [above, left] = conv.padding.map(|d| d as isize);
    let Some(ending) = Ending::of(&conv.stage) else { return false };
    let kind = conv.kernel == [SIDE as u32; 2] && conv.dilation == [1, 1] && matches!(sx, 1 | 2);
    if !kind || left > 1 || channels < CHANNELS || w * oh * ow == 0 {
        return false;
    }
    let compute = Compute::new(ending, sx);
    // Two pixels more need so many pairs more, and the first ones two or three.
    let most = (PAIRS - 1) / sx * 2;
    let width = ow.div_ceil(ow.div_ceil(most)).next_multiple_of(2);
    let mut planes: Planes = [[[0; PAIRS]; CHANNELS]; SIDE];
    for band in (0..oh).step_by(BAND) {
        let mut next = 0;
        while next < channels {
            // The last four may have been computed in part.
            let first = next.min(channels - CHANNELS);
            next += CHANNELS;
            let Some(mut own) = constants(conv, channels, first) else {
                other(first);
                continue;
            };
            for ox in (0..ow).step_by(width) {
                let count = width.min(ow - ox);
                let x = (ox * sx) as isize - left;
                let columns = Columns { x, pairs: count.div_ceil(2) * sx + 1 };
                for channel in &mut own {
                    channel.shift = (channel.shift & 0xff) + 256 * ((count / 2) as i32 - 1);
                }
                let mut row = Row {
                    channels: own.as_ptr(),
                    weights: own[0].weights.as_ptr(),
                    planes: &raw const planes,
                    out: out.as_ptr().wrapping_add((band * ow + ox) * out.stride() + first),
                    step: out.stride(),
                    odd: count % 2,
                    clamp: [conv.stage.min, conv.stage.max].map(i32::from),
                };
                let mut y = (band * sy) as isize - above;
                // The first row that was not widened, and where `y` lies in `planes`.
                let (mut new, mut slot) = (y, 0);
                for _ in band..oh.min(band + BAND) {
                    for ky in 0..SIDE {
                        let y = y + ky as isize;
                        if y >= new {
                            new = y + 1;
                            let at = slot + ky;
                            let to = &mut planes[if at < SIDE { at } else { at - SIDE }];
                            let line = columns.line(conv, input, y, first, to);
                            // SAFETY: the pixels are in the image, and so are four channels from `first` on; no more pairs than
                            // there is room for.
                            unsafe { pack(&line) };
                        }
                    }
                    // Row `slot` meets the first row of weights.
                    row.weights =
                        own[0].weights.as_ptr().wrapping_add(if slot == 0 { 0 } else { SIDE - slot });
                    row.planes = &raw const planes;
                    // SAFETY: pairs for all pixels were widened, and the pixels of the output exist.
                    unsafe { compute.row(&row) };
                    row.out = row.out.wrapping_add(ow * out.stride());
                    y += sy as isize;
                    slot = (slot + sy) % SIDE;
                }
            }
        }
    }
    true
}

/// Of four channels; `None` if there is no short way for one of them.
fn constants(conv: &DepthwiseConv2d<'_>, channels: usize, first: usize) -> Option<[Channel; CHANNELS]> {
    let mut own = [Channel::default(); CHANNELS];
    for (i, channel) in own.iter_mut().enumerate() {
        let c = first + i;
        let multiplier = Multiplier { mantissa: *conv.mantissa.get(c)?, shift: *conv.shift.get(c)? as i32 };
        let Twice { mantissa, offset, shift, bias } =
            Twice::new(multiplier, *conv.bias.get(c)?, &conv.stage)?;
        *channel = Channel { mantissa, offset, init: [bias; 2], shift, ..Channel::default() };
    }
    let tap = |tap: usize| {
        let four = conv.weights.get(tap * channels + first..)?.first_chunk::<CHANNELS>()?;
        Some(u32::from_ne_bytes(four.map(|w| w as u8)))
    };
    for ky in 0..SIDE {
        let taps = [tap(SIDE * ky)?, tap(SIDE * ky + 1)?, tap(SIDE * ky + 2)?];
        for (pair, [a, b]) in [[taps[0], taps[1]], [taps[1], taps[2]]].into_iter().enumerate() {
            for (channel, word) in own.iter_mut().zip(widened(a, b)) {
                // Each half twice.
                let word = (word << 1) & !(1 << 16);
                channel.weights[ky][pair] = word;
                if let Some(again) = channel.weights.get_mut(ky + SIDE) {
                    again[pair] = word;
                }
            }
        }
    }
    Some(own)
}

/// Channel by channel, that of `a` in the lower half and that of `b` in the upper.
#[inline(always)]
fn widened(a: u32, b: u32) -> [u32; CHANNELS] {
    let (lower, upper) = (a & 0xffff | b << 16, a >> 16 | b & 0xffff_0000);
    [widen::even(lower), widen::odd(lower), widen::even(upper), widen::odd(upper)]
}
