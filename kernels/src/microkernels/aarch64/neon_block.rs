//! The loops inside a tile of aarch64: panels, then pixels; and what all of them share.

use super::{
    super::{Panels, Rows},
    neon_stage::{self, CHANNELS, Scale, Stage, mode, with_mode},
};
use core::{arch::aarch64::*, mem::MaybeUninit};

/// The arithmetic of one instruction set: sums of pixels by one panel of [`Layout::NEON`](crate::Layout::NEON).
pub(crate) trait Sums: Copy {
    /// Computes and stores as many pixels as `out` has pointers.
    ///
    /// # Safety
    /// The instructions exist; `pixels` are as many, the panel's weights are packed for them, and `panel.live` channels are
    /// writable at each of `out`.
    unsafe fn all<const MODE: u8>(self, pixels: Pixels, panel: &Panel<'_>, out: &[*mut i8]);

    /// Puts the activations of `count` pixels into the room in another order, if that pays for so many panels: [`Pixels::staged`].
    ///
    /// # Safety
    /// The instructions exist; there are so many pixels, and room for them ([`Rows::room`]).
    #[inline(always)]
    unsafe fn stage(self, _pixels: &Pixels, _count: usize, _panels: usize, _room: *mut i8) -> bool {
        false
    }
}

/// The activations of pixels.
#[derive(Clone, Copy)]
pub(crate) struct Pixels {
    /// `[pixel][segment]`: where they begin.
    pub(crate) pointers: *const *const i8,
    /// Segments, at least one, and bytes of each, at least four.
    pub(crate) segments: usize,
    pub(crate) k: usize,
    /// Whether they lie in the room too, as [`Sums::stage`] has put them.
    pub(crate) staged: bool,
}

impl Pixels {
    /// The pixels from `p` on.
    #[inline(always)]
    pub(crate) fn from(&self, p: usize) -> Self {
        Self { pointers: self.of(p), ..*self }
    }

    /// The pointers of pixel `p`.
    #[inline(always)]
    pub(crate) fn of(&self, p: usize) -> *const *const i8 {
        self.pointers.wrapping_add(p * self.segments)
    }
}

/// A panel of channels, and what happens to its sums.
pub(crate) struct Panel<'a> {
    pub(crate) weights: *const i8,
    pub(crate) stage: &'a Stage,
    pub(crate) scale: &'a Scale,
    /// Its first channel, and how many it has.
    pub(crate) first: usize,
    pub(crate) live: usize,
    /// [`Rows::room`].
    pub(crate) room: *mut i8,
}

impl Panel<'_> {
    /// Whether a tile of `MODE` may finish whole vectors by itself.
    #[inline(always)]
    pub(crate) const fn is_whole<const MODE: u8>(&self) -> bool {
        self.live == CHANNELS && matches!(MODE, mode::RELU | mode::LINEAR | mode::FLOAT)
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

/// Pointers that a call keeps: those of 60 pixels of a 3x3 kernel.
const POINTERS: usize = 540;

/// See [`Tile::run`](crate::microkernels::Tile::run).
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
    // Where there are many segments, fewer pixels are computed together, and where that is not enough, fewer segments.
    let together = POINTERS.checked_div(rows.segments).unwrap_or(0).min(pixels);
    if together == 0 || rows.k == 0 {
        // SAFETY: the caller's promise.
        return unsafe { slow(rows, constants, channels, out) };
    }
    let mut pointers = [const { MaybeUninit::uninit() }; POINTERS];
    for (i, out) in out.chunks(together).enumerate() {
        let offsets = rows.offsets.wrapping_add(i * together * rows.segments);
        for (s, pointer) in pointers.iter_mut().enumerate().take(out.len() * rows.segments) {
            // SAFETY: the pixels have as many offsets.
            pointer.write(rows.resolve(unsafe { *offsets.wrapping_add(s) }));
        }
        let mut pixels =
            Pixels { pointers: pointers.as_ptr().cast(), segments: rows.segments, k: rows.k, staged: false };
        // SAFETY: the caller's promise; there is room for the pixels of a call.
        pixels.staged = unsafe { sums.stage(&pixels, out.len(), panels, rows.room) };
        for n in 0..panels {
            // SAFETY: `n < panels`.
            let scale = unsafe { Scale::load(constants, n) };
            let panel = Panel {
                weights: constants.weights.wrapping_add(n * constants.weights_stride),
                stage: &stage,
                scale: &scale,
                first: CHANNELS * n,
                live: channels.saturating_sub(CHANNELS * n).min(CHANNELS),
                room: rows.room,
            };
            // SAFETY: the caller's promise, for panel `n`.
            unsafe { with_mode!(scale.mode(&stage), all(sums, pixels, &panel, out)) };
        }
    }
}

/// All pixels by one panel.
///
/// # Safety
/// As for [`Sums::all`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn all<const MODE: u8>(sums: impl Sums, pixels: Pixels, panel: &Panel<'_>, out: &[*mut i8]) {
    // SAFETY: the caller's promise.
    unsafe { sums.all::<MODE>(pixels, panel, out) }
}

/// [`block`] for what no network has: kernels of more than [`POINTERS`] taps, or of none.
///
/// # Safety
/// As there.
#[cold]
unsafe fn slow(rows: &Rows, constants: &Panels, channels: usize, out: &[*mut i8]) {
    let tile = super::super::scalar::Scalar { layout: super::super::Layout::NEON };
    for (p, out) in out.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { tile.pixel(rows, constants, channels, p, *out) };
    }
}

/// A tile of [`block`]: its token, `Tile`, and `block` compiled for its instructions. The type has [`Sums`] besides.
macro_rules! tile {
    ($(#[$about:meta])* $name:ident: $has:ident, $features:literal, $pixels:expr) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(());

        impl $name {
            /// The token, where `isa` has the instructions.
            pub const fn new(isa: Isa) -> Option<Self> {
                if isa.$has() { Some(Self(())) } else { None }
            }
        }

        impl Tile for $name {
            const LAYOUT: Layout = Layout::NEON;
            // What a call does once for all panels is not repeated.
            const MAX_PANELS: usize = 64;
            const MAX_PIXELS: usize = {
                assert!($pixels <= ROOM_PIXELS);
                $pixels
            };

            #[inline(always)]
            fn pixels(self, _: usize) -> usize {
                Self::MAX_PIXELS
            }

            #[inline(always)]
            unsafe fn run(
                self,
                rows: &Rows,
                constants: &Panels,
                panels: usize,
                channels: usize,
                pixels: usize,
                out: &[*mut i8],
            ) {
                // SAFETY: the token proves the instructions; the rest is the caller's promise, passed on unchanged.
                unsafe { run(self, rows, constants, panels, channels, pixels, out) };
            }
        }

        /// [`block`], compiled for these instructions.
        ///
        /// # Safety
        /// As for [`Tile::run`], where the instructions exist.
        #[target_feature(enable = $features)]
        unsafe fn run(
            tile: $name,
            rows: &Rows,
            constants: &Panels,
            panels: usize,
            channels: usize,
            pixels: usize,
            out: &[*mut i8],
        ) {
            // SAFETY: the caller's promise.
            unsafe { block(tile, rows, constants, panels, channels, pixels, out) };
        }
    };
}
pub(super) use tile;
