//! The loop over the image for tiles of whole lines, and the patches that they read.

use super::driver::{ConvParams, Cursor, Sizes};
use crate::microkernels::{
    Line, LineTile,
    mve::patches::{Block, copy},
};
use core::cell::Cell;

/// Bytes of the pixels of a pass that needs no patches: enough that what happens once for a panel of weights does not matter, few enough for a cache.
const PASS: usize = 16 << 10;
/// Pixels of a tile's turn: passes are whole ones.
const TURN: usize = 4;

impl ConvParams<'_> {
    /// Computes everything.
    #[inline(never)]
    pub(super) fn lines(&self, sizes: Sizes, tile: impl LineTile) {
        let ([h, w, _], [rows, columns]) = (self.input.shape(), self.grid);
        // 1x1 kernels whose pixels are whole groups: the image is its patches. A transposed convolution may have points below its image.
        let plain = self.taps == [1, 1] && self.stride == [1, 1] && self.origin == [0, 0];
        let direct = plain && sizes.k == sizes.cin && rows <= h && columns == w;
        let whole = self.grid_step == [1, 1] && columns == self.output.shape()[1];
        let long = PASS.checked_div(sizes.k).unwrap_or(0) / TURN * TURN;
        let pass = if direct { self.pixels_per_pass.max(long) } else { self.pixels_per_pass };
        let out_pitch = self.grid_step[1].wrapping_mul(self.output.stride());
        let (mut left, mut cursor) = (rows * columns, self.start());
        while left > 0 {
            let count = pass.min(left);
            for group in 0..self.groups {
                let (x, pitch) = if direct {
                    let pixel = (cursor.gy * w + cursor.gx) * self.input.stride();
                    (self.input.as_ptr().wrapping_add(pixel + group * sizes.cin), self.input.stride())
                } else {
                    (self.patches(sizes, cursor, count, group), sizes.k)
                };
                let constants = self.panels(sizes, group, 0);
                let (mut p, mut cursor) = (0, cursor);
                while p < count {
                    let pixels = if whole { count } else { (count - p).min(columns - cursor.gx) };
                    let line = Line {
                        x: x.wrapping_add(p * pitch),
                        pitch,
                        out: self.output.as_ptr().wrapping_add(group * sizes.cout + cursor.out),
                        out_pitch,
                        pixels,
                    };
                    // SAFETY: `ConvParams::check` measured the constants against the layout and bounded the grid by the output;
                    // pixels are of the input, whole groups each, or patches in scratch, of `k` bytes each. Neither meets the
                    // output. All are live cells or, for an input of the model, bytes that nobody writes.
                    unsafe { tile.line(&line, sizes.k, &constants, sizes.cout) };
                    self.advance(&mut cursor, pixels);
                    p += pixels;
                }
            }
            left -= count;
            self.skip(&mut cursor, count);
        }
    }

    /// The grid point `n` further, over ends of rows.
    fn skip(&self, cursor: &mut Cursor, n: usize) {
        let mut left = n;
        while left > 0 {
            let row = left.min(self.grid[1] - cursor.gx);
            self.advance(cursor, row);
            left -= row;
        }
    }

    /// Copies the patches of `count` points from `cursor` on into scratch, `k` bytes each. Returns where they are.
    fn patches(&self, sizes: Sizes, mut cursor: Cursor, count: usize, group: usize) -> *const i8 {
        let Sizes { cin, k, segments, .. } = sizes;
        let (_, scratch) = self.split_scratch(segments);
        let mut p = 0;
        while p < count {
            let target = scratch.get(p * k..).unwrap_or(&[]);
            let done = match self.copy_line(cursor, count - p, sizes, group * cin, target) {
                0 => {
                    self.copy_patch(cursor, group * cin, cin, target.get(..k).unwrap_or(&[]));
                    1
                }
                done => done,
            };
            self.advance(&mut cursor, done);
            p += done;
        }
        scratch.as_ptr().cast()
    }

    /// Copies the patches of as many of the `count` points from `cursor` on as are in a row with all columns of their taps within the image. Returns how many.
    #[inline(always)]
    fn copy_line(
        &self,
        cursor: Cursor,
        count: usize,
        sizes: Sizes,
        first: usize,
        target: &[Cell<i8>],
    ) -> usize {
        let ([h, w, _], [kh, kw], [dy, dx]) = (self.input.shape(), self.taps, self.dilation);
        let Sizes { cin, k, .. } = sizes;
        let (y, x) = (self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx));
        if !self.columns_inside(x) {
            return 0;
        }
        let pixels = self.run_from(cursor).min(count);
        if pixels * kh * kw * cin == 0 || kh * kw * cin > k || target.len() < pixels * k {
            return 0;
        }
        // Rows in the padding wrap around.
        let inside = y < h && y + kh.saturating_sub(1) * dy < h;
        if !inside && self.pad.len() < cin {
            return 0;
        }
        let stride = self.input.stride();
        let from = self.input.as_ptr().wrapping_add(x * stride + first);
        let to = target.as_ptr().cast::<i8>().cast_mut();
        let (step, row) = (self.stride[1] * stride, dy * w * stride);
        if inside && dx == 1 && stride == cin {
            let from = from.wrapping_add(y * w * stride);
            let block = Block { from, pitch: row, len: kw * cin, rows: kh, to, step, k, pixels };
            // SAFETY: columns and rows of the taps of all points are in the image, without gaps; there is room for the patches.
            unsafe { copy(&block) };
            return pixels;
        }
        for ky in 0..kh {
            let (at, to) = (y.wrapping_add(ky * dy), to.wrapping_add(ky * kw * cin));
            let block = if at < h {
                let from = from.wrapping_add(at * w * stride);
                Block { from, pitch: dx * stride, len: cin, rows: kw, to, step, k, pixels }
            } else {
                Block { from: self.pad.as_ptr(), pitch: 0, len: cin, rows: kw, to, step: 0, k, pixels }
            };
            // SAFETY: as above, for one row of taps and the channels of a group; the padding has so many bytes.
            unsafe { copy(&block) };
        }
        pixels
    }
}
