//! How weights are packed: see [`super`].

use super::dsp;

/// How weights are packed for a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Output channels per panel.
    pub nr: u8,
    /// Consecutive reduction bytes of one channel that lie together.
    pub kr: u8,
    /// The offset that the tile adds to every activation (0 or 128).
    pub activation_offset: u8,
    /// Whether weights of two channels share 16 bits, see [`dsp`]. Only for panels of 2 channels by groups of 4.
    pub pairs: bool,
}

impl Layout {
    /// For the portable tile: small panels, no padding of the reduction.
    pub const SCALAR: Self = Self { nr: 4, kr: 1, activation_offset: 0, pairs: false };
    /// For `vpdpbusd`: 16 channels by 4 bytes in a 512-bit register, unsigned activations.
    pub const VNNI: Self = Self { nr: 16, kr: 4, activation_offset: 128, pairs: false };
    /// For every aarch64: `sdot` reads 4 channels by 4 bytes, and so does NEON without it. Weights must not be -128.
    pub const NEON: Self = Self { nr: 16, kr: 4, activation_offset: 0, pairs: false };

    /// For `smlad` (Cortex-M4, M7, M33): two channels in each half of a word. Weights must not be -128.
    pub const DSP: Self = Self { nr: 2, kr: 4, activation_offset: 0, pairs: true };

    /// For `vmladava` of Helium (Cortex-M52, M55, M85): 4 channels by 16 bytes.
    pub const MVE: Self = Self { nr: 4, kr: 16, activation_offset: 0, pairs: false };

    /// All of the above: what tests loop over.
    pub const ALL: &[Self] = &[Self::SCALAR, Self::VNNI, Self::NEON, Self::DSP, Self::MVE];

    /// A good number of output pixels per pass, as a convolution's `chunk`: enough that a panel of weights that was
    /// loaded is used many times, few enough that their activations stay in the first-level cache. Measured on Zen 5
    /// (`examples/conv_bench.rs`): from 24 to 96 the speed changes by less than 5 %. For the portable tile, which reads
    /// two pixels at a time, it only bounds the scratch.
    pub const fn default_chunk(self) -> usize {
        if self.pairs {
            dsp::CHUNK
        } else if self.wants_patches() {
            24
        } else if self.kr > 1 {
            48
        } else {
            8
        }
    }

    /// Whether its tile reads patches only: pixels that follow each other.
    pub(crate) const fn wants_patches(self) -> bool {
        self.pairs || self.kr == Self::MVE.kr
    }

    /// `k` rounded up to whole groups; `usize::MAX` if that is more than can be counted, or for an empty layout.
    pub const fn padded_k(&self, k: usize) -> usize {
        round_up(k, self.kr)
    }

    /// `channels` rounded up to whole panels; `usize::MAX` as for [`Layout::padded_k`].
    pub const fn padded_channels(&self, channels: usize) -> usize {
        round_up(channels, self.nr)
    }

    /// Bytes of the packed weights of `channels` outputs over `segments` of `k` (unpadded) bytes; `usize::MAX` if
    /// that is more than can be counted.
    pub const fn packed_len(&self, channels: usize, segments: usize, k: usize) -> usize {
        self.padded_channels(channels).saturating_mul(segments.saturating_mul(self.padded_k(k)))
    }

    /// Bytes that a tile may want to put operands of up to `pixels` pixels in another order, see [`super::Rows::room`]: one panel's weights
    /// in pairs of channels, or the activations of `ROOM_PIXELS` where each has several segments. 0 for layouts of which no tile wants any;
    /// `usize::MAX` if that is more than can be counted.
    pub const fn room_len(&self, pixels: usize, segments: usize, padded_k: usize) -> usize {
        if self.nr != Self::NEON.nr || self.kr != Self::NEON.kr || self.activation_offset != 0 || self.pairs {
            return 0;
        }
        let rows = if segments < 2 || pixels < self.nr as usize {
            self.nr as usize
        } else if pixels > ROOM_PIXELS {
            ROOM_PIXELS
        } else {
            pixels
        };
        segments.saturating_mul(round_up(padded_k, 8)).saturating_mul(rows)
    }

    /// Index of the weight of output `channel` for byte `k` of `segment`; `padded_k` from [`Layout::padded_k`].
    #[inline(always)]
    pub const fn index(
        &self,
        segments: usize,
        padded_k: usize,
        channel: usize,
        segment: usize,
        k: usize,
    ) -> usize {
        let (nr, kr) = (self.nr as usize, self.kr as usize);
        let (panel, n) = (channel / nr, channel % nr);
        let place = if self.pairs { dsp::place(n, k % kr) } else { n * kr + k % kr };
        ((panel * segments + segment) * padded_k + (k - k % kr)) * nr + place
    }

    /// Finishes packed weights, once each is at its [`Layout::index`]: where two share 16 bits, the upper one takes
    /// the sign of the lower.
    pub const fn finish(&self, weights: &mut [i8]) {
        if self.pairs {
            dsp::join(weights);
        }
    }
}

/// Pixels whose activations [`Layout::room_len`] has room for.
pub(super) const ROOM_PIXELS: usize = 60;

/// `n` rounded up to a multiple of `unit`.
const fn round_up(n: usize, unit: u8) -> usize {
    match n.checked_next_multiple_of(unit as usize) {
        Some(n) => n,
        None => usize::MAX,
    }
}
