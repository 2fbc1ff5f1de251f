//! The walk over the image: gathers rows of activations, hands tiles of them to the micro-kernel.

use super::{Gather, scratch_bytes};
use crate::{
    Isa,
    arith::OutputStage,
    memory::{In, Out},
    tiles::{Layout, Panels, Rows, Tile, WithTile, dispatch, scalar::Scalar},
};
use core::cell::Cell;

/// One dense convolution over a grid of output pixels. All checks are made by [`Job::run`].
pub(super) struct Job<'a> {
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
    pub(super) stage: OutputStage,
    /// Output pixels per pass.
    pub(super) chunk: usize,
    pub(super) scratch: &'a [Cell<i8>],
}

impl Job<'_> {
    /// Checks everything that the tiles rely on, then computes. Does nothing if a check fails.
    pub(super) fn run(&self, isa: Isa) {
        let fits = self.fits();
        debug_assert!(fits.is_some(), "convolution parameters do not fit together");
        if fits.is_some() {
            dispatch(self.layout, isa, Walk(self));
        }
    }

    /// `Some` when every pointer that a tile may form lies within its slice.
    fn fits(&self) -> Option<()> {
        let check = |ok: bool| if ok { Some(()) } else { None };
        let [_, _, cin] = self.input.shape();
        let [oh, ow, cout] = self.output.shape();
        check(self.groups > 0 && cin.is_multiple_of(self.groups) && cout.is_multiple_of(self.groups))?;
        let (cin, cout) = (cin / self.groups, cout / self.groups);
        check(self.layout.nr > 0 && self.layout.kr > 0 && self.chunk > 0)?;
        check(
            self.gather == Gather::Patches
                || cin.is_multiple_of(self.layout.kr as usize) && self.pad.len() >= cin,
        )?;
        let taps = self.taps[0].checked_mul(self.taps[1])?;
        let (segments, k) = self.gather.segments(taps, cin);
        let channels = self.layout.padded_channels(cout).checked_mul(self.groups)?;
        check(
            self.bias.len() >= channels && self.mantissa.len() >= channels && self.shift.len() >= channels,
        )?;
        check(self.weights.len() >= self.layout.packed_len(cout, segments, k).checked_mul(self.groups)?)?;
        check(self.pad.len() >= cin.min(1))?;
        check(self.scratch.len() >= scratch_bytes(self.layout, self.gather, taps, cin, self.chunk))?;
        // Offsets are written as i32.
        check((self.scratch.as_ptr() as usize).is_multiple_of(4))?;
        for axis in 0..2 {
            let size = [oh, ow][axis];
            if self.grid[axis] > 0 {
                let last = (self.grid[axis] - 1).checked_mul(self.grid_step[axis])?;
                check(last.checked_add(self.grid_first[axis])? < size)?;
            }
        }
        Some(())
    }

    fn pixels(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Row and column of input under tap `t` of grid point `p`, if it is not padding.
    #[inline(always)]
    fn tap(&self, gy: usize, gx: usize, ky: usize, kx: usize) -> Option<usize> {
        let [h, w, _] = self.input.shape();
        let y = (gy * self.stride[0] + ky * self.dilation[0]) as isize + self.origin[0];
        let x = (gx * self.stride[1] + kx * self.dilation[1]) as isize + self.origin[1];
        if (y as usize) < h && (x as usize) < w {
            Some((y as usize * w + x as usize) * self.input.stride())
        } else {
            None
        }
    }

    /// Fills offsets (and patches) for grid points `first..first + count` of `group`.
    fn gather(&self, first: usize, count: usize, group: usize) -> Rows {
        let [kh, kw] = self.taps;
        let cin = self.input.shape()[2] / self.groups;
        let (segments, k) = self.gather.segments(kh * kw, cin);
        let k = self.layout.padded_k(k);
        let (offsets, patches) = self.scratch.split_at_checked(self.chunk * segments * 4).unwrap_or_default();
        let offset_ptr = offsets.as_ptr() as *mut i32;
        let (mut gy, mut gx) = (first / self.grid[1], first % self.grid[1]);
        for p in 0..count {
            match self.gather {
                Gather::Pixels => {
                    let mut s = p * segments;
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let offset = match self.tap(gy, gx, ky, kx) {
                                Some(offset) => offset as i32,
                                None => -1,
                            };
                            // SAFETY: `p < chunk` and `s < chunk * segments`; `offsets` holds that many aligned
                            // i32 (checked in `fits`).
                            unsafe { offset_ptr.add(s).write(offset) };
                            s += 1;
                        }
                    }
                }
                Gather::Patches => {
                    // SAFETY: as above, with one segment.
                    unsafe { offset_ptr.add(p).write((p * k) as i32) };
                    self.copy_patch(gy, gx, group * cin, cin, patches.get(p * k..(p + 1) * k).unwrap_or(&[]));
                }
            }
            gx += 1;
            if gx == self.grid[1] {
                gx = 0;
                gy += 1;
            }
        }
        let base = match self.gather {
            Gather::Pixels => self.input.as_ptr().wrapping_add(group * cin),
            Gather::Patches => patches.as_ptr().cast(),
        };
        Rows { base, offsets: offset_ptr, pad: self.pad.as_ptr(), segments, k }
    }

    /// Copies the patch of one grid point into scratch; padding is the zero point, the tail is zero.
    fn copy_patch(&self, gy: usize, gx: usize, first: usize, cin: usize, patch: &[Cell<i8>]) {
        let [kh, kw] = self.taps;
        let zero = self.pad.first().copied().unwrap_or(0);
        let mut rest = patch;
        for ky in 0..kh {
            for kx in 0..kw {
                let Some((cells, tail)) = rest.split_at_checked(cin) else { return };
                rest = tail;
                match self.tap(gy, gx, ky, kx) {
                    Some(offset) => {
                        let src = self.input.as_ptr().wrapping_add(offset + first);
                        for (i, cell) in cells.iter().enumerate() {
                            // SAFETY: `tap` returned a pixel within the input, whose channels are readable;
                            // `first + cin` is at most the number of channels.
                            cell.set(unsafe { *src.add(i) });
                        }
                    }
                    None => cells.iter().for_each(|cell| cell.set(zero)),
                }
            }
        }
        rest.iter().for_each(|cell| cell.set(0));
    }

    /// Address of the first output channel of grid point `p`.
    #[inline(always)]
    fn out_pixel(&self, p: usize) -> *mut i8 {
        let (gy, gx) = (p / self.grid[1], p % self.grid[1]);
        let y = self.grid_first[0] + gy * self.grid_step[0];
        let x = self.grid_first[1] + gx * self.grid_step[1];
        self.output.as_ptr().wrapping_add((y * self.output.shape()[1] + x) * self.output.stride())
    }

    /// Constants from channel `n` (a multiple of the panel width) of `group` on.
    fn panels(&self, group: usize, n: usize, rows: &Rows) -> Panels {
        let cout = self.output.shape()[2] / self.groups;
        let channel = group * self.layout.padded_channels(cout) + n;
        let row = rows.segments * rows.k;
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

/// The loops around the tile: chunks of pixels, groups, blocks of panels, tiles of pixels.
struct Walk<'j, 'a>(&'j Job<'a>);

impl WithTile for Walk<'_, '_> {
    fn call<T: Tile>(self, tile: T) {
        let job = self.0;
        let cout = job.output.shape()[2] / job.groups;
        let nr = T::LAYOUT.nr as usize;
        let panels = cout.div_ceil(nr);
        let blocks = panels.div_ceil(T::MAX_PANELS);
        // A fixed bound for the array of output pointers; tiles are checked against it here, at compile time.
        const MAX_PIXELS: usize = 16;
        const { assert!(T::MAX_PIXELS <= MAX_PIXELS) };
        let mut out = [core::ptr::null_mut(); MAX_PIXELS];
        let mut first = 0;
        while first < job.pixels() {
            let count = job.chunk.min(job.pixels() - first);
            for group in 0..job.groups {
                let rows = job.gather(first, count, group);
                for block in 0..blocks {
                    // Spread panels evenly over blocks: 5 panels in blocks of 4 are 3 + 2.
                    let (start, end) = (block * panels / blocks, (block + 1) * panels / blocks);
                    let constants = job.panels(group, start * nr, &rows);
                    let channels = (cout - start * nr).min((end - start) * nr);
                    let step = tile.pixels(end - start);
                    let mut p = 0;
                    while p < count {
                        let pixels = step.min(count - p);
                        for (i, o) in out.iter_mut().enumerate().take(pixels) {
                            *o = job.out_pixel(first + p + i).wrapping_add(group * cout + start * nr);
                        }
                        let rows = Rows { offsets: rows.offsets.wrapping_add(p * rows.segments), ..rows };
                        // SAFETY: `Job::fits` checked the constants against the layout, `gather` filled offsets that
                        // lie within the input (or patches in scratch), `out_pixel` lies within the output because
                        // the grid does. Outputs are never inputs of the same convolution: lowering does not
                        // allow it, and scratch is disjoint from both by the plan.
                        unsafe { tile.run(&rows, &constants, end - start, channels, pixels, &out) };
                        p += pixels;
                    }
                }
            }
            first += count;
        }
    }

    fn call_scalar(self, tile: Scalar) {
        let job = self.0;
        let cout = job.output.shape()[2] / job.groups;
        let mut first = 0;
        while first < job.pixels() {
            let count = job.chunk.min(job.pixels() - first);
            for group in 0..job.groups {
                let rows = job.gather(first, count, group);
                let constants = job.panels(group, 0, &rows);
                for p in 0..count {
                    let out = job.out_pixel(first + p).wrapping_add(group * cout);
                    // SAFETY: as in `call`.
                    unsafe { tile.pixel(&rows, &constants, cout, p, out) };
                }
            }
            first += count;
        }
    }
}
