//! The reference tile: one pixel, one channel, one product at a time, over any packed layout.

use super::{Layout, Panels, Rows, dsp};

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
        let (nr, kr) = (self.layout.nr as usize, self.layout.kr as usize);
        let offset = self.layout.activation_offset as i32;
        // Where the weights of channel `n` start: its panel, and its place there. This is `Layout::index` without
        // divisions.
        let (mut panel, mut place) = (constants.weights, 0);
        for n in 0..channels {
            // SAFETY: `n` lies within the panels, by the caller's promise.
            let mut acc = unsafe { *constants.bias.add(n) };
            // Two channels that share 16 bits are found by `pair`, from the start of their group.
            let mut weights = panel.wrapping_add(if self.layout.pairs { 0 } else { place * kr });
            for s in 0..rows.segments {
                // SAFETY: `pixel` and `s` lie within the offsets, by the caller's promise.
                let x = unsafe { rows.segment(pixel, s) };
                let mut k = 0;
                while k < rows.k {
                    for j in 0..kr {
                        // SAFETY: `rows.k` is a multiple of `kr` and that many bytes are readable; the panel holds
                        // `nr` channels for each of them.
                        let (x, w) = unsafe {
                            let w = if self.layout.pairs { pair(weights, place, j) } else { *weights.add(j) };
                            (*x.add(k + j) as i32, w as i32)
                        };
                        acc = acc.wrapping_add((x + offset) * w);
                    }
                    weights = weights.wrapping_add(nr * kr);
                    k += kr;
                }
            }
            // SAFETY: `n < channels`, which are writable.
            unsafe { out.add(n).write(constants.stage.store(acc, constants.multiplier(n))) };
            place += 1;
            if place == nr {
                (panel, place) = (panel.wrapping_add(constants.weights_stride), 0);
            }
        }
    }
}

/// The weight of channel `n < 2` for byte `j < 4` of the group of eight at `group`, from the pair that holds it.
///
/// # Safety
/// Eight bytes are readable there.
#[inline(always)]
unsafe fn pair(group: *const i8, n: usize, j: usize) -> i8 {
    // SAFETY: the caller's promise; the places of channel 0 are even and less than 8.
    dsp::split(unsafe { group.add(dsp::place(0, j)).cast::<[i8; 2]>().read() }, n)
}
