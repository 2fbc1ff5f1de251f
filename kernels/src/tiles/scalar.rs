//! The reference tile: one pixel, one channel, one product at a time, over any packed layout.

use super::{Layout, Panels, Rows};

/// Reads weights packed in any layout. The meaning of every other tile.
#[derive(Clone, Copy, Debug)]
pub struct Scalar {
    /// How the weights are packed.
    pub layout: Layout,
}

impl Scalar {
    /// One output pixel, all `channels`, at `out`.
    ///
    /// # Safety
    /// As for [`super::Tile::run`] with one pixel and as many panels as `channels` need.
    #[inline(always)]
    pub unsafe fn pixel(self, rows: &Rows, constants: &Panels, channels: usize, pixel: usize, out: *mut i8) {
        let offset = self.layout.activation_offset as i32;
        for n in 0..channels {
            // SAFETY: `n` lies within the panels, by the caller's promise.
            let mut acc = unsafe { *constants.bias.add(n) };
            for s in 0..rows.segments {
                // SAFETY: `pixel` and `s` lie within the offsets, by the caller's promise.
                let x = unsafe { rows.segment(pixel, s) };
                for k in 0..rows.k {
                    let w = self.layout.index(rows.segments, rows.k, n, s, k);
                    // SAFETY: `k` bytes are readable, and `index` lies within the packed panels.
                    let (x, w) = unsafe { (*x.add(k) as i32 + offset, *constants.weights.add(w) as i32) };
                    acc = acc.wrapping_add(x * w);
                }
            }
            // SAFETY: `n < channels`, which are writable.
            unsafe { out.add(n).write(constants.stage.store(acc, constants.multiplier(n))) };
        }
    }
}
