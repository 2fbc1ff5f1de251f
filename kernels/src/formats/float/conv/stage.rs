//! Copies what a pass reads to scratch.

use super::{
    super::Float,
    plan::{Dense, Stage},
    tile::{Number, Tile},
};
use crate::{base::memory::In, ops::conv::gather::copy_rows};

/// Where the numbers of a pass lie.
pub(super) struct Staged<N> {
    /// Tap (0, 0) of the first pixel.
    pub(super) first: *const N,
    /// From a pixel to the one below, to the next, in numbers.
    pub(super) pixels: [usize; 2],
    /// From a tap to the one below, to the next.
    pub(super) taps: [isize; 2],
}

/// The channels of a group, to be staged.
pub(super) struct Source<'m, T> {
    pub(super) tile: T,
    pub(super) input: In<'m>,
    pub(super) from: Float,
    /// The first channel, and how many.
    pub(super) channels: [usize; 2],
}

impl<T: Tile> Source<'_, T> {
    /// Stages a pass over `points` rows and columns of the grid, whose first point's tap (0, 0) meets `origin`.
    ///
    /// # Safety
    /// `scratch` has room for as many numbers as [`super::plan::Plan::stage`] says, and nothing that is read lies there. If that says
    /// that numbers are read where they are, they are.
    pub(super) unsafe fn stage(
        &self,
        stage: Stage,
        dense: &Dense,
        origin: [isize; 2],
        points: [usize; 2],
        scratch: *mut T::Number,
    ) -> Staged<T::Number> {
        let cin = self.channels[1];
        match stage {
            Stage::Direct => {
                let ([_, w, _], bytes) = (self.input.shape(), self.from.bytes());
                let pixel = self.input.stride() / bytes;
                let [y, x] = origin.map(|d| d as usize);
                let start = (y * w + x) * self.input.stride() + self.channels[0] * bytes;
                let steps = [w * pixel, pixel];
                Staged {
                    first: self.input.as_ptr().wrapping_add(start).cast(),
                    pixels: [0, 1].map(|axis| dense.stride[axis] * steps[axis]),
                    taps: [0, 1].map(|axis| dense.dilation[axis].wrapping_mul(steps[axis] as isize)),
                }
            }
            Stage::Band => {
                let back = [0, 1].map(|axis| dense.back(axis));
                let [rows, columns] = [0, 1].map(|axis| dense.met(axis, points[axis]));
                let [y, x] = [0, 1].map(|axis| origin[axis] - back[axis] as isize);
                for row in 0..rows {
                    let target = scratch.wrapping_add(row * columns * cin);
                    // SAFETY: row `row` of `rows * columns` pixels, as the caller promised.
                    unsafe { self.row(y.wrapping_add(row as isize), x, columns, 1, target) };
                }
                let steps = [columns * cin, cin];
                Staged {
                    first: scratch.wrapping_add(back[0] * steps[0] + back[1] * steps[1]),
                    pixels: [0, 1].map(|axis| dense.stride[axis] * steps[axis]),
                    taps: [0, 1].map(|axis| dense.dilation[axis].wrapping_mul(steps[axis] as isize)),
                }
            }
            Stage::Patches => {
                let [kh, kw] = dense.taps;
                let patch = kh * kw * cin;
                let mut target = scratch;
                for (py, px) in (0..points[0]).flat_map(|y| (0..points[1]).map(move |x| (y, x))) {
                    let [y, x] = [(0, py), (1, px)].map(|(a, p)| origin[a] + (p * dense.stride[a]) as isize);
                    // SAFETY: one of the patches, for which there is room.
                    if unsafe { self.whole(dense, [y, x], target) } {
                        target = target.wrapping_add(patch);
                        continue;
                    }
                    for ky in 0..kh {
                        let y = y + ky as isize * dense.dilation[0];
                        // SAFETY: a row of taps of one of the patches, for which there is room.
                        unsafe { self.row(y, x, kw, dense.dilation[1], target) };
                        target = target.wrapping_add(kw * cin);
                    }
                }
                let row = kw * cin;
                Staged {
                    first: scratch,
                    pixels: [points[1] * patch, patch],
                    taps: [row as isize, cin as isize],
                }
            }
        }
    }

    /// Copies a patch whose tap (0, 0) meets `[y, x]`, if none of its taps lies beyond the image and its rows have no gaps.
    ///
    /// # Safety
    /// There is room for a patch at `target`.
    #[inline(always)]
    unsafe fn whole(&self, dense: &Dense, [y, x]: [isize; 2], target: *mut T::Number) -> bool {
        let ([h, w, _], [kh, kw], [_, cin]) = (self.input.shape(), dense.taps, self.channels);
        let (len, pixel) = (kw * cin * self.from.bytes(), self.input.stride());
        let inside = x >= 0 && x as usize + kw <= w && y >= 0 && y as usize + dense.met(0, 1) <= h;
        let dense_rows = dense.dilation[1] == 1 && dense.dilation[0] > 0 && pixel == cin * self.from.bytes();
        if !(inside && dense_rows && self.from == T::Number::TYPE) {
            return false;
        }
        let pitch = w * pixel * dense.dilation[0] as usize;
        let source = self.input.as_ptr().wrapping_add((y as usize * w + x as usize) * pixel);
        // SAFETY: rows of taps within the image; the caller's promise.
        unsafe {
            if (33..=48).contains(&len) {
                // Rows of a first layer's taps.
                for row in 0..kh {
                    let (from, to) =
                        (source.wrapping_add(row * pitch), target.cast::<i8>().wrapping_add(row * len));
                    for at in [0, 16, len - 16] {
                        to.add(at).cast::<[i8; 16]>().write(from.add(at).cast::<[i8; 16]>().read());
                    }
                }
            } else {
                copy_rows(source, pitch, target.cast(), len, kh);
            }
        }
        true
    }

    /// Stages `n` pixels of row `y`, from column `x` on, `step` columns apart; zeros beyond the image.
    ///
    /// # Safety
    /// There is room for `n` pixels at `target`.
    #[inline(always)]
    unsafe fn row(&self, y: isize, x: isize, n: usize, step: isize, target: *mut T::Number) {
        let ([h, w, _], [first, cin], bytes) = (self.input.shape(), self.channels, self.from.bytes());
        let row = self.input.as_ptr().wrapping_add(first * bytes);
        // SAFETY: all parts below lie within `n` pixels of `target`; pixels that are read are within the image.
        unsafe {
            if y as usize >= h {
                target.write_bytes(0, n * cin);
                return;
            }
            let row = row.wrapping_add(y as usize * w * self.input.stride());
            if step != 1 {
                for i in 0..n {
                    let (x, target) = (x + i as isize * step, target.wrapping_add(i * cin));
                    if (x as usize) < w {
                        self.copy(row.wrapping_add(x as usize * self.input.stride()), target, cin);
                    } else {
                        target.write_bytes(0, cin);
                    }
                }
                return;
            }
            let left = (x.min(0).unsigned_abs()).min(n);
            let inside = (n - left).min(w.saturating_sub(x.max(0) as usize));
            let mut target = target;
            if left > 0 {
                target.write_bytes(0, left * cin);
                target = target.wrapping_add(left * cin);
            }
            let mut source = row.wrapping_add((x.max(0) as usize).min(w) * self.input.stride());
            if self.input.stride() == cin * bytes {
                self.copy(source, target, inside * cin);
            } else {
                for i in 0..inside {
                    self.copy(source, target.wrapping_add(i * cin), cin);
                    source = source.wrapping_add(self.input.stride());
                }
            }
            if left + inside < n {
                target.wrapping_add(inside * cin).write_bytes(0, (n - left - inside) * cin);
            }
        }
    }

    /// Copies `n` numbers.
    ///
    /// # Safety
    /// They are readable and writable.
    #[inline(always)]
    unsafe fn copy(&self, source: *const i8, target: *mut T::Number, n: usize) {
        // SAFETY: the caller's promise. F16 values are widened only where numbers are in single precision: no tile narrows.
        unsafe {
            if self.from == T::Number::TYPE {
                copy_rows(source, 0, target.cast(), n * self.from.bytes(), 1);
            } else {
                self.tile.widen(source.cast(), target.cast(), n);
            }
        }
    }
}
