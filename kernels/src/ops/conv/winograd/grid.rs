//! Tiles of F(4x4, 3x3) on an image: which pixels each of them reads and writes, in integers and in f16.

use crate::base::memory::{In, Out};

/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = 36;

/// Tiles that cover an output.
#[inline]
pub(crate) fn tiles(output: &Out<'_>) -> usize {
    let [h, w, _] = output.shape();
    h.div_ceil(4) * w.div_ceil(4)
}

/// A tile: its row and column among tiles.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    y: usize,
    x: usize,
}

impl Place {
    /// At the top left.
    pub(crate) const FIRST: Self = Self { y: 0, x: 0 };

    /// The next tile of the row, or the first of the next one.
    #[inline]
    pub(crate) fn advance(&mut self, output: &Out<'_>) {
        self.x += 1;
        if 4 * self.x >= output.shape()[1] {
            *self = Self { y: self.y + 1, x: 0 };
        }
    }

    /// The 6x6 pixels that the tile reads; those outside the image are `beyond`.
    #[inline]
    pub(crate) fn reads(
        self,
        input: &In<'_>,
        [py, px]: [usize; 2],
        beyond: *const i8,
    ) -> [*const i8; POSITIONS] {
        let [h, w, _] = input.shape();
        let (top, left) = ((4 * self.y).wrapping_sub(py), (4 * self.x).wrapping_sub(px));
        let mut pixels = [beyond; POSITIONS];
        for (dy, row) in pixels.chunks_exact_mut(6).enumerate() {
            let y = top.wrapping_add(dy);
            if y < h {
                for (dx, pixel) in row.iter_mut().enumerate() {
                    let x = left.wrapping_add(dx);
                    if x < w {
                        *pixel = input.as_ptr().wrapping_add((y * w + x) * input.stride());
                    }
                }
            }
        }
        pixels
    }

    /// Where byte `offset` of its 4x4 pixels lies; null outside the output.
    #[inline]
    pub(crate) fn writes(self, output: &Out<'_>, offset: usize) -> [*mut i8; 16] {
        let [oh, ow, _] = output.shape();
        let mut pixels = [core::ptr::null_mut(); 16];
        for (i, pixel) in pixels.iter_mut().enumerate() {
            let (y, x) = (4 * self.y + i / 4, 4 * self.x + i % 4);
            if y < oh && x < ow {
                *pixel = output.as_ptr().wrapping_add((y * ow + x) * output.stride() + offset);
            }
        }
        pixels
    }
}
