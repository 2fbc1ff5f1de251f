//! From a run of grid points to what a tile reads: offsets of segments, and patches.

use super::{
    Gather,
    driver::{ConvParams, Cursor, Sizes},
};
use crate::microkernels::Rows;
use core::cell::Cell;

/// The offset that stands for a segment in the padding.
const PADDING: i32 = -1;

impl ConvParams<'_> {
    /// The two parts of scratch: offsets, `segments` for each point of a pixels_per_pass, and patches.
    #[inline(always)]
    pub(super) fn split_scratch(&self, segments: usize) -> (&[Cell<i32>], &[Cell<i8>]) {
        let entries = self.pixels_per_pass * segments;
        let (offsets, patches) =
            self.scratch.split_at_checked(entries * size_of::<i32>()).unwrap_or_default();
        let entries = offsets.len() / size_of::<i32>();
        // SAFETY: `entries` times four cells of one byte; `check` made sure that the first is aligned.
        let offsets = unsafe { core::slice::from_raw_parts(offsets.as_ptr().cast::<Cell<i32>>(), entries) };
        (offsets, patches)
    }

    /// What a tile reads: activations at `base`.
    #[inline(always)]
    pub(super) fn rows(&self, sizes: Sizes, base: *const i8, offsets: &[Cell<i32>]) -> Rows {
        let Sizes { segments, k, room, .. } = sizes;
        let room = self.scratch.as_ptr().cast::<i8>().cast_mut().wrapping_add(room);
        Rows { base, offsets: offsets.as_ptr().cast(), pad: self.pad.as_ptr(), segments, k, room }
    }

    /// Fills scratch for `count` grid points of `group` from `cursor` on. Returns what the tile reads, and the next
    /// grid point.
    pub(super) fn gather(
        &self,
        sizes: Sizes,
        mut cursor: Cursor,
        count: usize,
        group: usize,
    ) -> (Rows, Cursor) {
        let Sizes { cin, segments, k, .. } = sizes;
        let (offsets, patches) = self.split_scratch(segments);
        let base = match self.gather {
            Gather::Indirect => {
                let mut p = 0;
                while p < count {
                    let run = self.run_from(cursor).min(count - p);
                    self.segments_of(offsets.get(p * segments..(p + run) * segments).unwrap_or(&[]), cursor);
                    self.advance(&mut cursor, run);
                    p += run;
                }
                self.input.as_ptr().wrapping_add(group * cin)
            }
            Gather::Im2col => {
                let mut p = 0;
                while p < count {
                    if cfg!(target_arch = "aarch64") {
                        // Products cost so little there that what stands around each patch counts.
                        let (offsets, patches) = (offsets.get(p..count), patches.get(p * k..count * k));
                        let run = self.copy_run(sizes, cursor, patches.unwrap_or_default());
                        for (i, offset) in offsets.unwrap_or_default().iter().enumerate().take(run) {
                            offset.set(((p + i) * k) as i32);
                        }
                        if run > 0 {
                            self.advance(&mut cursor, run);
                            p += run;
                            continue;
                        }
                    }
                    if let (Some(offset), Some(patch)) = (offsets.get(p), patches.get(p * k..p * k + k)) {
                        offset.set((p * k) as i32);
                        self.copy_patch(cursor, group * cin, cin, patch);
                    }
                    self.advance(&mut cursor, 1);
                    p += 1;
                }
                patches.as_ptr().cast()
            }
        };
        (self.rows(sizes, base, offsets), cursor)
    }

    /// Input row (axis 0) or column (axis 1) of the first tap of grid line `g`; beyond every size in the padding
    /// before the first.
    #[inline(always)]
    pub(super) fn first_tap(&self, axis: usize, g: usize) -> usize {
        (g * self.stride[axis]).wrapping_add_signed(self.origin[axis])
    }

    /// Whether no column of taps from `x` on lies in the padding.
    #[inline(always)]
    pub(super) fn columns_inside(&self, x: usize) -> bool {
        let w = self.input.shape()[1];
        x < w && x + self.taps[1].saturating_sub(1) * self.dilation[1] < w
    }

    /// How many grid points of the row of `cursor`, from there on, see the same rows of taps and no column in the
    /// padding; 1 if the first sees a column in the padding.
    #[inline(always)]
    pub(super) fn run_from(&self, cursor: Cursor) -> usize {
        let x = self.first_tap(1, cursor.gx);
        if !self.columns_inside(x) {
            return 1;
        }
        let room = self.input.shape()[1] - 1 - (x + self.taps[1].saturating_sub(1) * self.dilation[1]);
        let steps = room.checked_div(self.stride[1]).unwrap_or(usize::MAX);
        steps.min(self.grid[1] - 1 - cursor.gx) + 1
    }

    /// Fills offsets, one for each tap, for a run of grid points from `cursor` on (see [`ConvParams::run_from`]).
    #[inline(always)]
    fn segments_of(&self, offsets: &[Cell<i32>], cursor: Cursor) {
        let [h, w, _] = self.input.shape();
        let segments = self.taps[0] * self.taps[1];
        let Some((first, rest)) = offsets.split_at_checked(segments) else { return };
        let x = self.first_tap(1, cursor.gx);
        let mut y = self.first_tap(0, cursor.gy);
        let mut cells = first.iter();
        for _ in 0..self.taps[0] {
            let mut tap = x;
            for cell in cells.by_ref().take(self.taps[1]) {
                let inside = y < h && tap < w;
                cell.set(if inside { ((y * w + tap) * self.input.stride()) as i32 } else { PADDING });
                tap = tap.wrapping_add(self.dilation[1]);
            }
            y = y.wrapping_add(self.dilation[0]);
        }
        // Each further point lies one step to the right; a row in the padding stays there.
        let step = self.stride[1].wrapping_mul(self.input.stride()) as i32;
        let (mut rest, mut shift) = (rest, step);
        while let Some((point, more)) = rest.split_at_checked(segments.max(1)) {
            for (cell, first) in point.iter().zip(first) {
                let first = first.get();
                cell.set(if first < 0 { PADDING } else { first.wrapping_add(shift) });
            }
            shift = shift.wrapping_add(step);
            rest = more;
        }
    }

    /// Copies patches of a row of grid points from `cursor` on to scratch, if they lie in the image and their rows have no gaps. Returns how many.
    #[inline(always)]
    fn copy_run(&self, sizes: Sizes, cursor: Cursor, patches: &[Cell<i8>]) -> usize {
        let ([h, w, _], [kh, kw], Sizes { cin, k, .. }) = (self.input.shape(), self.taps, sizes);
        let [y, x] = [self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx)];
        let inside = self.columns_inside(x) && y < h && y + kh.saturating_sub(1) * self.dilation[0] < h;
        let close = self.dilation[1] == 1 && self.input.stride() == cin;
        let run = self.run_from(cursor).min(patches.len().checked_div(k).unwrap_or(0));
        if !(inside && close) || kh * kw * cin > k {
            return 0;
        }
        let mut source = self.input.as_ptr().wrapping_add((y * w + x) * cin);
        let mut target = patches.as_ptr().cast::<i8>().cast_mut();
        for _ in 0..run {
            // SAFETY: `run_from` counts points whose columns are in the image, and the rows are, each without gaps; `run` patches have room.
            unsafe { copy_rows(source, self.dilation[0] * w * cin, target, kw * cin, kh) };
            (source, target) = (source.wrapping_add(self.stride[1] * cin), target.wrapping_add(k));
        }
        run
    }

    /// Copies the patch of one grid point into scratch: channels `first..first + cin` of each tap; padding is the
    /// zero point, the tail up to whole groups is left as it is.
    #[inline(always)]
    pub(super) fn copy_patch(&self, cursor: Cursor, first: usize, cin: usize, patch: &[Cell<i8>]) {
        let ([h, w, _], [kh, kw]) = (self.input.shape(), self.taps);
        let zero = self.pad.first().copied().unwrap_or(0);
        let x = self.first_tap(1, cursor.gx);
        let mut y = self.first_tap(0, cursor.gy);
        // Taps next to each other whose channels are all of the pixel lie without gaps.
        let close = self.dilation[1] == 1 && self.input.stride() == cin;
        let run = close && self.columns_inside(x);
        if run && y < h && y + kh.saturating_sub(1) * self.dilation[0] < h && kh * kw * cin <= patch.len() {
            let source = self.input.as_ptr().wrapping_add((y * w + x) * cin);
            let target = patch.as_ptr().cast::<i8>().cast_mut();
            // SAFETY: `columns_inside`, and rows `y` to the last one are in the input, each without gaps; the patch has
            // room for all of them.
            unsafe { copy_rows(source, self.dilation[0] * w * cin, target, kw * cin, kh) };
            return;
        }
        let mut rest = patch;
        for _ in 0..kh {
            let Some((row, tail)) = rest.split_at_checked(kw * cin) else { return };
            rest = tail;
            if y >= h {
                row.iter().for_each(|cell| cell.set(zero));
            } else if run {
                let source = self.input.as_ptr().wrapping_add((y * w + x) * cin);
                // SAFETY: `columns_inside`, so columns `x..x + kw` of row `y < h` are in the input, without gaps.
                unsafe { copy(source, row) };
            } else if close && cfg!(target_pointer_width = "32") {
                // Columns before and behind the image, and those in it: on large cores one by one is faster.
                let before = (0usize.wrapping_sub(x) as isize).max(0) as usize;
                let column = if before > 0 { 0 } else { x };
                let (before, rest) = row.split_at_checked(before.min(kw) * cin).unwrap_or_default();
                let (inside, behind) =
                    rest.split_at_checked(w.saturating_sub(column) * cin).unwrap_or((rest, &[]));
                before.iter().chain(behind).for_each(|cell| cell.set(zero));
                // SAFETY: these columns of row `y < h` are in the input, without gaps.
                unsafe { copy(self.input.as_ptr().wrapping_add((y * w + column) * cin), inside) };
            } else {
                let (mut tap, mut row) = (x, row);
                for _ in 0..kw {
                    let Some((cells, tail)) = row.split_at_checked(cin) else { return };
                    row = tail;
                    if tap < w {
                        let pixel = (y * w + tap) * self.input.stride();
                        // SAFETY: the pixel is in the input, and `first + cin` at most its number of channels.
                        unsafe { copy(self.input.as_ptr().wrapping_add(pixel + first), cells) };
                    } else {
                        cells.iter().for_each(|cell| cell.set(zero));
                    }
                    tap = tap.wrapping_add(self.dilation[1]);
                }
            }
            y = y.wrapping_add(self.dilation[0]);
        }
        // The rest of the patch meets zero weights.
    }
}

/// Fills `cells` from `source`.
///
/// # Safety
/// As many bytes as there are cells are readable at `source`.
#[inline(always)]
unsafe fn copy(source: *const i8, cells: &[Cell<i8>]) {
    // SAFETY: the caller's promise; cells may be written through a shared reference.
    unsafe { copy_rows(source, 0, cells.as_ptr().cast::<i8>().cast_mut(), cells.len(), 1) };
}

/// Moves `rows` rows of `len` bytes, `pitch` bytes apart at `source`, to lie without gaps at `target`. Rows are short:
/// a few overlapping moves instead of a call or a loop over bytes.
///
/// Source and target may overlap only if scratch was planned over the input; then bytes are stale, not out of bounds.
///
/// # Safety
/// All rows are readable at `source`, and `rows * len` bytes writable at `target`.
#[inline(always)]
pub(crate) unsafe fn copy_rows(source: *const i8, pitch: usize, target: *mut i8, len: usize, rows: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match len {
            16.. => blocks::<16>(source, pitch, target, len, rows),
            8.. => blocks::<8>(source, pitch, target, len, rows),
            4.. => blocks::<4>(source, pitch, target, len, rows),
            2.. => blocks::<2>(source, pitch, target, len, rows),
            _ => {
                for row in 0..rows {
                    for i in 0..len {
                        target.add(row * len + i).write(source.add(row * pitch + i).read());
                    }
                }
            }
        }
    }
}

/// [`copy_rows`] in blocks of `N` bytes; the last of a row may overlap the one before.
///
/// # Safety
/// As for [`copy_rows`], with `len >= N`.
#[inline(always)]
unsafe fn blocks<const N: usize>(source: *const i8, pitch: usize, target: *mut i8, len: usize, rows: usize) {
    let (mut source, mut target) = (source, target);
    if len <= 2 * N {
        // Two moves without a loop: rows of a first layer.
        for _ in 0..rows {
            // SAFETY: `N <= len`, so both lie within the row.
            unsafe {
                let first = source.cast::<[i8; N]>().read();
                if cfg!(target_arch = "aarch64") {
                    // Held across the other load, it would take a detour through memory.
                    target.cast::<[i8; N]>().write(first);
                    target.add(len - N).cast::<[i8; N]>().write(source.add(len - N).cast::<[i8; N]>().read());
                } else {
                    let last = source.add(len - N).cast::<[i8; N]>().read();
                    target.cast::<[i8; N]>().write(first);
                    target.add(len - N).cast::<[i8; N]>().write(last);
                }
            }
            (source, target) = (source.wrapping_add(pitch), target.wrapping_add(len));
        }
        return;
    }
    for _ in 0..rows {
        let mut i = 0;
        loop {
            let at = i.min(len - N);
            // SAFETY: `at + N <= len`, within the row.
            unsafe { target.add(at).cast::<[i8; N]>().write(source.add(at).cast::<[i8; N]>().read()) };
            i += N;
            if i >= len {
                break;
            }
        }
        (source, target) = (source.wrapping_add(pitch), target.wrapping_add(len));
    }
}
