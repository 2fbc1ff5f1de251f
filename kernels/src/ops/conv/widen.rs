//! Patches of 16-bit activations, for tiles that multiply these: in the order that [`crate::microkernels::dsp`] describes.

use super::{
    driver::{ConvParams, Cursor, Sizes},
    gather::copy_rows,
};
use crate::microkernels::{
    Rows,
    dsp::{self, LANES},
};
use core::cell::Cell;

/// Activations that are widened together.
const GROUP: usize = 4;
/// Patches of up to so many bytes are widened three at a time, by way of the stack.
const SHORT: usize = 64;

/// Row and column of a grid point's first tap, modulo the size of a word: beyond every size in the padding before the image.
type Point = [usize; 2];

impl ConvParams<'_> {
    /// As [`ConvParams::gather`], for patches of 16-bit numbers: points are interleaved by [`LANES`], those that remain stand
    /// alone. Their offset is that of the first word, and three have one.
    pub(super) fn gather_wide(
        &self,
        sizes: Sizes,
        cursor: Cursor,
        count: usize,
        group: usize,
    ) -> (Rows, Cursor) {
        let [h, w, _] = self.input.shape();
        // A transposed convolution may have points below its image.
        let [rows, columns] = self.grid;
        let inside = self.origin == [0, 0] && rows <= h && columns == w;
        let single = self.taps == [1, 1] && self.stride == [1, 1] && inside;
        if single && self.input.stride() == sizes.cin && sizes.cin.is_multiple_of(GROUP) {
            self.gather_pixels(sizes, cursor, count)
        } else {
            self.gather_patches(sizes, cursor, count, group)
        }
    }

    /// Of 1x1 kernels on an image without gaps, whose pixels follow each other.
    #[inline(never)]
    fn gather_pixels(&self, sizes: Sizes, mut cursor: Cursor, count: usize) -> (Rows, Cursor) {
        let Sizes { segments, k, .. } = sizes;
        let (offsets, wide) = self.split_scratch(segments);
        let bytes = 2 * k;
        let from = self.input.as_ptr().wrapping_add((cursor.gy * self.input.shape()[1] + cursor.gx) * k);
        let to = wide.as_ptr().cast::<i8>().cast_mut();
        let triples = count / LANES;
        for p in (0..count).step_by(LANES).chain(LANES * triples + 1..count) {
            if let Some(offset) = offsets.get(p) {
                offset.set((p * bytes) as i32);
            }
        }
        if k > 0 && wide.len() >= count * bytes {
            let rows = [from, from.wrapping_add(k), from.wrapping_add(2 * k)];
            // SAFETY: the caller found all points of the grid in the image, whose pixels are `k` bytes, without gaps; there is room.
            unsafe {
                if triples > 0 {
                    dsp::widen::threes(rows, to.cast(), k / GROUP, triples);
                }
                for p in LANES * triples..count {
                    spread::<1>(from.wrapping_add(p * k), k / GROUP, to.wrapping_add(p * bytes).cast());
                }
            }
        }
        let mut left = count;
        while left > 0 {
            let row = left.min(self.grid[1] - cursor.gx);
            self.advance(&mut cursor, row);
            left -= row;
        }
        let base = to.cast_const();
        (self.rows(sizes, base, offsets), cursor)
    }

    /// Of any kernels.
    #[inline(never)]
    fn gather_patches(&self, sizes: Sizes, mut cursor: Cursor, count: usize, group: usize) -> (Rows, Cursor) {
        let Sizes { cin, segments, k, .. } = sizes;
        let (offsets, patches) = self.split_scratch(segments);
        let (wide, patch) = patches.split_at_checked(2 * self.pixels_per_pass * k).unwrap_or_default();
        let patch = patch.get(..k).unwrap_or(&[]);
        // SAFETY: half of `2 * pixels_per_pass * k`, a multiple of four, words; they begin where offsets of four bytes end.
        let words = unsafe {
            core::slice::from_raw_parts(wide.as_ptr().cast::<Cell<u32>>(), wide.len() / size_of::<u32>())
        };
        let first = group * cin;
        let mut p = 0;
        while p < count {
            if let Some(offset) = offsets.get(p) {
                offset.set((size_of::<u32>() * (p * k / 2)) as i32);
            }
            let rest = words.get(p * k / 2..).unwrap_or(&[]);
            let done = match self.widen_run(cursor, count - p, cin, rest) {
                0 if !cin.is_multiple_of(GROUP) => self.widen_patches(cursor, count - p, cin, patch, rest),
                done => done,
            };
            if done > 0 {
                self.advance(&mut cursor, done);
                for next in (p + LANES..p + done).step_by(LANES) {
                    if let Some(offset) = offsets.get(next) {
                        offset.set((size_of::<u32>() * (next * k / 2)) as i32);
                    }
                }
                p += done;
                continue;
            }
            let lanes = if count - p < LANES { 1 } else { LANES };
            let target = words.get(p * k / 2..(p + lanes) * k / 2).unwrap_or(&[]);
            let mut points = [[0; 2]; LANES];
            for (lane, point) in points.iter_mut().enumerate().take(lanes) {
                *point = [self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx)];
                if !cin.is_multiple_of(GROUP) {
                    // Taps do not begin at groups: by way of bytes.
                    self.copy_patch(cursor, first, cin, patch);
                    let (from, target) = (patch.as_ptr().cast(), target.get(lane..).unwrap_or(&[]));
                    // SAFETY: cells may be read; `patch` holds whole groups.
                    unsafe {
                        match lanes {
                            1 => widen::<1>(from, k / GROUP, target),
                            _ => widen::<LANES>(from, k / GROUP, target),
                        }
                    }
                }
                self.advance(&mut cursor, 1);
            }
            if cin.is_multiple_of(GROUP) {
                if lanes == LANES {
                    self.widen_taps(points, first, cin, target, |from, target| {
                        if target.len() >= 2 * LANES * (cin / GROUP) {
                            let to = target.as_ptr().cast::<u32>().cast_mut();
                            // SAFETY: the promise of `widen_taps`, and there is room.
                            unsafe { dsp::widen::three(from, to, cin / GROUP) };
                        }
                    });
                } else {
                    self.widen_taps([points[0]], first, cin, target, |[from], target| {
                        // SAFETY: the promise of `widen_taps`.
                        unsafe { widen::<1>(from, cin / GROUP, target) };
                    });
                }
            }
            p += lanes;
        }
        let base = wide.as_ptr().cast();
        (self.rows(sizes, base, offsets), cursor)
    }

    /// Widens as many of the `count` points from `cursor` on, three by three, as are in a row with all of their taps within
    /// an image without gaps, so that each row of taps lies together. Returns how many; 0 also where rows of taps do not
    /// begin at groups.
    #[inline(always)]
    fn widen_run(&self, cursor: Cursor, count: usize, cin: usize, target: &[Cell<u32>]) -> usize {
        let ([h, w, _], [kh, kw], [dy, dx]) = (self.input.shape(), self.taps, self.dilation);
        let stride = self.input.stride();
        let (y, x) = (self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx));
        let groups = kw * cin / GROUP;
        if dx != 1
            || stride != cin
            || !(kw * cin).is_multiple_of(GROUP)
            || y >= h
            || y + kh.saturating_sub(1) * dy >= h
            || count < LANES
        {
            return 0;
        }
        let triples = self.run_from(cursor).min(count) / LANES;
        // A point with a column in the padding makes a run of one.
        if triples * kh * groups == 0 || target.len() < 2 * LANES * triples * kh * groups {
            return 0;
        }
        let step = self.stride[1] * stride;
        let mut from = self.input.as_ptr().wrapping_add((y * w + x) * stride);
        let mut to = target.as_ptr().cast::<u32>().cast_mut();
        for _ in 0..triples {
            let mut row = from;
            for _ in 0..kh {
                let rows = [row, row.wrapping_add(step), row.wrapping_add(2 * step)];
                // SAFETY: columns and rows of the taps of all points are in the image, without gaps; there is room.
                unsafe { dsp::widen::three(rows, to, groups) };
                (row, to) = (row.wrapping_add(dy * w * stride), to.wrapping_add(2 * LANES * groups));
            }
            from = from.wrapping_add(LANES * step);
        }
        LANES * triples
    }

    /// As [`ConvParams::widen_run`] where rows of taps do not begin at groups, as in first layers: by way of `patch`.
    #[inline(never)]
    fn widen_patches(
        &self,
        cursor: Cursor,
        count: usize,
        cin: usize,
        patch: &[Cell<i8>],
        target: &[Cell<u32>],
    ) -> usize {
        let ([h, w, _], [kh, kw], [dy, dx]) = (self.input.shape(), self.taps, self.dilation);
        let (stride, k) = (self.input.stride(), patch.len());
        let (y, x) = (self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx));
        if dx != 1
            || stride != cin
            || y >= h
            || y + kh.saturating_sub(1) * dy >= h
            || kh * kw * cin > k
            || count < LANES
        {
            return 0;
        }
        // A point with a column in the padding makes a run of one.
        let triples = self.run_from(cursor).min(count) / LANES;
        if triples * k == 0 || target.len() < LANES * triples * k / 2 {
            return 0;
        }
        let step = self.stride[1] * stride;
        let mut from = self.input.as_ptr().wrapping_add((y * w + x) * stride);
        let mut to = target.as_ptr().cast::<u32>().cast_mut();
        let bytes = patch.as_ptr().cast::<i8>().cast_mut();
        let colours = kh == 3 && kw * cin == 9 && k == 28;
        let mut three = [[0; SHORT]; LANES];
        for _ in 0..triples {
            if colours {
                for lane in 0..LANES {
                    // SAFETY: columns and rows of the taps of all points are in the image, without gaps; there is room for three.
                    unsafe { nine(from, dy * w * stride, to.wrapping_add(lane)) };
                    from = from.wrapping_add(step);
                }
                to = to.wrapping_add(LANES * k / 2);
                continue;
            }
            for (lane, own) in three.iter_mut().enumerate() {
                // SAFETY: columns and rows of the taps of all points are in the image, without gaps; a patch has room for
                // them, and consists of whole groups; there is room for three of them, interleaved.
                unsafe {
                    let bytes = if k <= SHORT { own.as_mut_ptr() } else { bytes };
                    copy_rows(from, dy * w * stride, bytes, kw * cin, kh);
                    if k > SHORT {
                        spread::<LANES>(bytes, k / GROUP, to.wrapping_add(lane));
                    }
                }
                from = from.wrapping_add(step);
            }
            if k <= SHORT {
                // SAFETY: as above.
                unsafe { dsp::widen::three(three.each_ref().map(|own| own.as_ptr()), to, k / GROUP) };
            }
            to = to.wrapping_add(LANES * k / 2);
        }
        LANES * triples
    }

    /// Calls `widen` for channels `first..first + cin`, whole groups, of each tap of `points` in order: with the address of
    /// each point's, where these are readable, and where in `target` they go.
    #[inline(always)]
    fn widen_taps<const N: usize>(
        &self,
        points: [Point; N],
        first: usize,
        cin: usize,
        target: &[Cell<u32>],
        widen: impl Fn([*const i8; N], &[Cell<u32>]),
    ) {
        let ([h, w, _], [kh, kw], [dy, dx]) = (self.input.shape(), self.taps, self.dilation);
        let image = self.input.as_ptr().wrapping_add(first);
        let mut rest = target;
        for ky in 0..kh {
            for kx in 0..kw {
                let from = points.map(|[y, x]| {
                    let (y, x) = (y.wrapping_add(ky * dy), x.wrapping_add(kx * dx));
                    if y < h && x < w {
                        image.wrapping_add((y * w + x) * self.input.stride())
                    } else {
                        // It holds `cin` bytes.
                        self.pad.as_ptr()
                    }
                });
                widen(from, rest);
                rest = rest.get(N * cin / 2..).unwrap_or(&[]);
            }
        }
    }
}

/// Widens `groups` of four bytes to every `STEP`-th word of `target`, if there is room for them.
///
/// # Safety
/// They are readable at `from`, which needs no alignment.
#[inline(always)]
unsafe fn widen<const STEP: usize>(from: *const i8, groups: usize, target: &[Cell<u32>]) {
    if groups > 0 && target.len() > (2 * groups - 1) * STEP {
        // SAFETY: the caller's promise, and there is room; cells may be written through a shared reference.
        unsafe { spread::<STEP>(from, groups, target.as_ptr().cast::<u32>().cast_mut()) };
    }
}

/// Widens `groups` of four bytes to every `STEP`-th word from `to` on.
///
/// # Safety
/// They are readable at `from`, which needs no alignment, and as many words are writable.
#[inline(always)]
unsafe fn spread<const STEP: usize>(from: *const i8, groups: usize, to: *mut u32) {
    let (mut from, mut to) = (from.cast::<u32>(), to);
    for _ in 0..groups {
        // SAFETY: the caller's promise.
        unsafe {
            let word = from.read_unaligned();
            to.write(dsp::widen::even(word));
            to.wrapping_add(STEP).write(dsp::widen::odd(word));
        }
        (from, to) = (from.wrapping_add(1), to.wrapping_add(2 * STEP));
    }
}

/// Widens three rows of nine bytes, as of three colours in first layers, to every [`LANES`]-th word from `to` on.
///
/// # Safety
/// They are readable, `pitch` bytes apart, and 14 such words are writable.
#[inline(always)]
unsafe fn nine(from: *const i8, pitch: usize, to: *mut u32) {
    let (a, b, c) =
        (from.cast::<u8>(), from.wrapping_add(pitch).cast::<u8>(), from.wrapping_add(2 * pitch).cast::<u8>());
    // SAFETY: within nine bytes.
    let word = |row: *const u8, at: usize| unsafe {
        u32::from_le(row.wrapping_add(at).cast::<u32>().read_unaligned())
    };
    let (lower, upper) = (word(b, 5), word(c, 0));
    let groups = [
        word(a, 0),
        word(a, 4),
        word(a, 5) >> 24 | word(b, 0) << 8,
        word(b, 3),
        lower >> 16 | upper << 16,
        word(c, 2),
        // The last byte meets a weight of zero.
        word(c, 5) >> 8,
    ];
    for (i, group) in groups.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let to = to.wrapping_add(2 * LANES * i);
            to.write(dsp::widen::even(group));
            to.wrapping_add(LANES).write(dsp::widen::odd(group));
        }
    }
}
