//! The loops over the image: gather rows of activations, and hand tiles of them to the micro-kernel.

use super::{Gather, scratch_bytes};
#[cfg(niello_mve)]
use crate::microkernels::LineTile;
use crate::{
    Isa,
    base::{
        arith::OutputParams,
        memory::{In, Out},
    },
    microkernels::{Layout, Panels, Rows, Tile, WithTile, dispatch, scalar::Scalar},
};
use core::cell::Cell;

/// One dense convolution over a grid of output pixels. All checks are made by [`ConvParams::run`].
pub(super) struct ConvParams<'a> {
    pub(super) input: In<'a>,
    pub(super) output: Out<'a>,
    /// Kernel rows and columns.
    pub(super) taps: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) dilation: [usize; 2],
    /// Input row and column of tap (0, 0) of grid point (0, 0); negative in the padding.
    pub(super) origin: [isize; 2],
    /// Grid of output pixels that are computed: `first + index * step`.
    pub(super) grid: [usize; 2],
    pub(super) grid_first: [usize; 2],
    pub(super) grid_step: [usize; 2],
    pub(super) groups: usize,
    pub(super) layout: Layout,
    pub(super) gather: Gather,
    pub(super) weights: &'a [i8],
    pub(super) bias: &'a [i32],
    pub(super) mantissa: &'a [i32],
    pub(super) shift: &'a [i8],
    pub(super) pad: &'a [i8],
    pub(super) stage: OutputParams,
    /// Output pixels per pass.
    pub(super) pixels_per_pass: usize,
    pub(super) scratch: &'a [Cell<i8>],
}

/// Sizes that follow from a params. To have them is to know that every pointer that a tile may form lies within its
/// slice: only [`ConvParams::check`] makes them.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Input channels per group.
    pub(super) cin: usize,
    /// Output channels per group.
    pub(super) cout: usize,
    /// Output channels per group, padded to whole panels.
    channels: usize,
    /// Segments per pixel.
    pub(super) segments: usize,
    /// Bytes per segment, padded to whole groups of the layout.
    pub(super) k: usize,
    /// Where [`Rows::room`] begins in scratch.
    pub(super) room: usize,
}

/// Bound on every coordinate, in pixels: sums and differences of two fit 32 bits.
const FAR: usize = 1 << 29;

impl ConvParams<'_> {
    /// Checks everything that the tiles rely on, then computes. Does nothing if a check fails.
    pub(super) fn run(&self, isa: Isa) {
        if let Some(sizes) = self.check() {
            dispatch(self.layout, isa, CheckedConv { params: self, sizes });
        } else {
            debug_assert!(false, "convolution parameters do not fit together");
        }
    }

    /// Whether [`ConvParams::run`] computes.
    pub(super) fn fits(&self) -> bool {
        self.check().is_some()
    }

    /// `None` if a pointer that a tile may form could lie outside its slice.
    fn check(&self) -> Option<Sizes> {
        let check = |ok: bool| ok.then_some(());
        let (all_in, all_out) = (self.input.shape()[2], self.output.shape()[2]);
        let cin = all_in.checked_div(self.groups)?;
        let cout = all_out.checked_div(self.groups)?;
        check(cin * self.groups == all_in && cout * self.groups == all_out)?;
        check(self.layout.nr > 0 && self.layout.kr > 0 && self.pixels_per_pass > 0)?;
        check(!self.layout.pairs || (self.layout.nr == 2 && self.layout.kr == 4))?;
        let taps = self.taps[0].checked_mul(self.taps[1])?;
        let (segments, k) = self.gather.segments(taps, cin);
        // Sizes that overflow are saturated, and no slice is that long.
        let (channels, k_padded) = (self.layout.padded_channels(cout), self.layout.padded_k(k));
        match self.gather {
            // A tile reads whole groups of the layout from the pad and from the image.
            Gather::Indirect => check(k_padded == k && self.pad.len() >= cin)?,
            // Patches that are widened take whole taps from the pad.
            Gather::Im2col => {
                check(self.pad.len() >= if self.layout.pairs { cin } else { cin.min(1) })?;
            }
        }
        let constants = channels.checked_mul(self.groups)?;
        check(
            self.bias.len() >= constants && self.mantissa.len() >= constants && self.shift.len() >= constants,
        )?;
        check(self.weights.len() >= self.layout.packed_len(cout, segments, k).checked_mul(self.groups)?)?;

        // Offsets into scratch are 32 bits wide, aligned, and must not change while they are in use.
        let bytes = scratch_bytes(self.layout, self.gather, taps, cin, self.pixels_per_pass);
        check(self.scratch.len() >= bytes && bytes <= i32::MAX as usize)?;
        check((self.scratch.as_ptr() as usize).is_multiple_of(align_of::<i32>()))?;
        check(!self.output.overlaps(self.scratch) && !self.output.meets(&self.input))?;

        let [oh, ow, _] = self.output.shape();
        for (axis, size) in [oh, ow].into_iter().enumerate() {
            if let Some(last) = self.grid[axis].checked_sub(1) {
                check(last.checked_mul(self.grid_step[axis])?.checked_add(self.grid_first[axis])? < size)?;
                check(last.checked_mul(self.stride[axis])? < FAR)?;
                check(self.taps[axis].saturating_sub(1).checked_mul(self.dilation[axis])? < FAR)?;
                check(self.origin[axis].unsigned_abs() < FAR)?;
            }
        }
        let room = bytes - self.layout.room_len(self.pixels_per_pass, segments, k_padded);
        Some(Sizes { cin, cout, channels, segments, k: k_padded, room })
    }

    /// The first grid point.
    pub(super) fn start(&self) -> Cursor {
        self.row_start(0)
    }

    /// The first grid point of row `gy`.
    fn row_start(&self, gy: usize) -> Cursor {
        let y = self.grid_first[0] + gy * self.grid_step[0];
        let pixel = y * self.output.shape()[1] + self.grid_first[1];
        Cursor { gy, gx: 0, out: pixel * self.output.stride() }
    }

    /// The grid point `n` further, at most the first of the next row.
    #[inline(always)]
    pub(super) fn advance(&self, cursor: &mut Cursor, n: usize) {
        cursor.gx += n;
        cursor.out = cursor.out.wrapping_add((n * self.grid_step[1]).wrapping_mul(self.output.stride()));
        if cursor.gx >= self.grid[1] {
            *cursor = self.row_start(cursor.gy + 1);
        }
    }

    /// Constants from channel `n` (a multiple of the panel width) of `group` on.
    pub(super) fn panels(&self, sizes: Sizes, group: usize, n: usize) -> Panels {
        let channel = group * sizes.channels + n;
        let row = sizes.segments * sizes.k;
        Panels {
            weights: self.weights.as_ptr().wrapping_add(channel * row),
            weights_stride: row * self.layout.nr as usize,
            bias: self.bias.as_ptr().wrapping_add(channel),
            mantissa: self.mantissa.as_ptr().wrapping_add(channel),
            shift: self.shift.as_ptr().wrapping_add(channel),
            stage: self.stage,
        }
    }
}

/// A point of the grid.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    pub(super) gy: usize,
    pub(super) gx: usize,
    /// Byte offset of its pixel in the output.
    pub(super) out: usize,
}

/// The loops around the tile: chunks of pixels, groups, blocks of panels, tiles of pixels.
struct CheckedConv<'j, 'a> {
    params: &'j ConvParams<'a>,
    sizes: Sizes,
}

impl CheckedConv<'_, '_> {
    /// Calls `each` with the first grid point of every pixels_per_pass, its number of pixels and the group, after gathering, of 16-bit
    /// activations if `wide`.
    #[inline(always)]
    fn chunks(&self, wide: bool, mut each: impl FnMut(&Rows, Cursor, usize, usize)) {
        let Self { params, sizes } = *self;
        let (mut left, mut cursor) = (params.grid[0] * params.grid[1], params.start());
        while left > 0 {
            let count = params.pixels_per_pass.min(left);
            let mut next = cursor;
            for group in 0..params.groups {
                let rows;
                (rows, next) = if wide {
                    params.gather_wide(sizes, cursor, count, group)
                } else {
                    params.gather(sizes, cursor, count, group)
                };
                each(&rows, cursor, count, group);
            }
            cursor = next;
            left -= count;
        }
    }
}

impl WithTile for CheckedConv<'_, '_> {
    fn call<T: Tile>(self, tile: T) {
        let Self { params, sizes } = self;
        let misplaced = !(params.weights.as_ptr() as usize).is_multiple_of(T::ALIGNMENT);
        if misplaced || (T::WIDE && params.gather == Gather::Indirect) {
            return self.call_scalar(Scalar { layout: T::LAYOUT });
        }
        let nr = T::LAYOUT.nr as usize;
        // A fixed bound for the array of output pointers; tiles are checked against it here, at compile time.
        const MAX_PIXELS: usize = if cfg!(target_pointer_width = "64") { 60 } else { 16 };
        const { assert!(T::MAX_PIXELS <= MAX_PIXELS) };
        let mut out = [core::ptr::null_mut(); MAX_PIXELS];
        // Small cores have time for few instructions between pixels, and where products are cheap they count too.
        let whole = (T::WIDE || cfg!(target_arch = "aarch64"))
            && params.grid_step == [1, 1]
            && params.grid[1] == params.output.shape()[1];
        self.chunks(T::WIDE, |rows, cursor, count, group| {
            let mut start = 0;
            while start < sizes.cout {
                let left = (sizes.cout - start).div_ceil(nr);
                // The last blocks share their panels evenly: 5 panels in blocks of 4 are 3 + 2.
                let panels = if left <= T::MAX_PANELS || left >= 2 * T::MAX_PANELS {
                    left.min(T::MAX_PANELS)
                } else {
                    left.div_ceil(2)
                };
                let constants = params.panels(sizes, group, start);
                let channels = (sizes.cout - start).min(panels * nr);
                let first = params.output.as_ptr().wrapping_add(group * sizes.cout + start);
                let step = tile.pixels(panels);
                let (mut p, mut cursor) = (0, cursor);
                while p < count {
                    let pixels = step.min(count - p);
                    if whole {
                        for o in out.iter_mut().take(pixels) {
                            *o = first.wrapping_add(cursor.out);
                            cursor.out += params.output.stride();
                        }
                    } else {
                        for o in out.iter_mut().take(pixels) {
                            *o = first.wrapping_add(cursor.out);
                            params.advance(&mut cursor, 1);
                        }
                    }
                    let rows = Rows { offsets: rows.offsets.wrapping_add(p * sizes.segments), ..*rows };
                    // SAFETY: `ConvParams::check` measured the constants against the layout and bounded the grid by the
                    // output; `gather` and `gather_wide` filled offsets of segments within the input or within
                    // scratch; neither meets the output, so they stay as they are. Input, output and scratch
                    // are live cells or, for an input of the model, bytes that nobody writes. Panels are aligned
                    // as the first: their sizes are multiples. The room is the end of scratch, behind offsets and patches.
                    unsafe { tile.run(&rows, &constants, panels, channels, pixels, &out) };
                    p += pixels;
                }
                start += panels * nr;
            }
        });
    }

    #[cfg(niello_mve)]
    fn call_lines<T: LineTile>(self, tile: T) {
        if self.params.gather == Gather::Indirect || self.sizes.k == 0 {
            return self.call_scalar(Scalar { layout: T::LAYOUT });
        }
        self.params.lines(self.sizes, tile);
    }

    fn call_scalar(self, tile: Scalar) {
        let Self { params, sizes } = self;
        self.chunks(false, |rows, mut cursor, count, group| {
            let constants = params.panels(sizes, group, 0);
            for p in 0..count {
                let out = params.output.as_ptr().wrapping_add(group * sizes.cout + cursor.out);
                // SAFETY: as in `call`.
                unsafe { tile.pixel(rows, &constants, sizes.cout, p, out) };
                params.advance(&mut cursor, 1);
            }
        });
    }
}
