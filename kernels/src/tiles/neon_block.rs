//! The loops inside a tile of aarch64: panels, then pixels; and what all of them share.

use super::{
    Panels, Rows,
    neon_stage::{self, CHANNELS, Scale, Stage, mode, with_mode},
};
use core::arch::aarch64::*;

/// The arithmetic of one instruction set: sums of a few pixels by one panel of [`super::Layout::NEON`].
pub(crate) trait Sums: Copy {
    /// Computes and stores some of `left` pixels, at least one; says how many.
    ///
    /// # Safety
    /// The instructions exist; `rows` holds `left` pixels and at least one segment, `panel.weights` are packed for it, and `panel.live` channels are
    /// writable at each of `out`, which are `left` pointers.
    unsafe fn some<const MODE: u8>(
        self,
        rows: &Rows,
        panel: &Panel<'_>,
        left: usize,
        out: &[*mut i8],
    ) -> usize;
}

/// A panel of channels, and what happens to its sums.
pub(crate) struct Panel<'a> {
    pub(crate) weights: *const i8,
    pub(crate) stage: &'a Stage,
    pub(crate) scale: &'a Scale,
    /// Its first channel, and how many it has.
    pub(crate) first: usize,
    pub(crate) live: usize,
    /// Whether any segment of the pixels lies in the padding.
    pub(crate) padded: bool,
}

impl Panel<'_> {
    /// [`Rows::resolve`], short where nothing lies in the padding.
    #[inline(always)]
    pub(crate) fn resolve<const PX: usize>(&self, rows: &Rows, offsets: [i32; PX]) -> [*const i8; PX] {
        if self.padded {
            offsets.map(|offset| rows.resolve(offset))
        } else {
            offsets.map(|offset| rows.base.wrapping_offset(offset as isize))
        }
    }

    /// Whether [`neon_finish`](super::neon_finish) can do it.
    #[inline(always)]
    pub(crate) const fn is_whole<const MODE: u8>(&self) -> bool {
        self.live == CHANNELS && matches!(MODE, mode::RELU | mode::LINEAR)
    }

    /// Requantises the sums of a pixel and stores them at `out`.
    ///
    /// # Safety
    /// `live` channels from `first` on are writable at `out`.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(crate) unsafe fn finish<const MODE: u8>(&self, sums: [int32x4_t; 4], out: *mut i8) {
        let bytes = self.stage.bytes::<MODE>(self.scale, sums);
        // SAFETY: the caller's promise.
        unsafe { neon_stage::store(out.add(self.first), bytes, self.live) };
    }
}

/// Whether one of `count` offsets is negative.
///
/// # Safety
/// They are readable.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn any_padding(offsets: *const i32, count: usize) -> bool {
    let (mut all, mut i) = (vdupq_n_s32(0), 0);
    // SAFETY: offsets from `i` on, at most `count`.
    unsafe {
        while i + 4 <= count {
            all = vorrq_s32(all, vld1q_s32(offsets.add(i)));
            i += 4;
        }
        let mut rest = vminvq_s32(all);
        while i < count {
            rest |= *offsets.add(i);
            i += 1;
        }
        rest < 0
    }
}

/// See [`super::Tile::run`].
///
/// # Safety
/// As there, where the instructions exist.
#[inline]
#[target_feature(enable = "neon")]
pub(crate) unsafe fn block(
    sums: impl Sums,
    rows: &Rows,
    constants: &Panels,
    panels: usize,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let stage = Stage::new(&constants.stage);
    let Some(out) = out.get(..pixels) else { return };
    // SAFETY: the pixels have as many offsets.
    let padded = unsafe { any_padding(rows.offsets, pixels * rows.segments) };
    for n in 0..panels {
        // SAFETY: `n < panels`.
        let scale = unsafe { Scale::load(constants, n) };
        let panel = Panel {
            weights: constants.weights.wrapping_add(n * constants.weights_stride),
            stage: &stage,
            scale: &scale,
            first: CHANNELS * n,
            live: channels.saturating_sub(CHANNELS * n).min(CHANNELS),
            padded,
        };
        // SAFETY: the caller's promise, for panel `n`.
        unsafe { with_mode!(scale.mode(&stage), pixels_of(sums, rows, &panel, out)) };
    }
}

/// All pixels by one panel.
///
/// # Safety
/// As for [`Sums::some`] with as many pixels as `out` has, but any number of segments.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn pixels_of<const MODE: u8>(sums: impl Sums, rows: &Rows, panel: &Panel<'_>, mut out: &[*mut i8]) {
    if rows.segments == 0 {
        // Nothing but biases.
        for out in out {
            // SAFETY: the caller's promise.
            unsafe { panel.finish::<MODE>(panel.scale.bias, *out) };
        }
        return;
    }
    let mut rows = *rows;
    while !out.is_empty() {
        // SAFETY: the rest of the pixels.
        let done = unsafe { sums.some::<MODE>(&rows, panel, out.len(), out) };
        rows.offsets = rows.offsets.wrapping_add(done * rows.segments);
        out = out.get(done..).unwrap_or_default();
    }
}
