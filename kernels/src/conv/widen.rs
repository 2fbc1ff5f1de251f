//! Patches of 16-bit activations, for tiles that multiply these: in the order that [`crate::tiles::dsp`] describes.

use super::driver::{Cursor, Job, Sizes};
use crate::tiles::{Rows, dsp::LANES, dsp_widen};
use core::cell::Cell;

/// Activations that are widened together.
const GROUP: usize = 4;

/// Row and column of a grid point's first tap, modulo the size of a word: beyond every size in the padding before the image.
type Point = [usize; 2];

impl Job<'_> {
    /// As [`Job::gather`], for patches of 16-bit numbers: points are interleaved by [`LANES`], those that remain stand
    /// alone. The offset of a point is that of its first word.
    pub(super) fn gather_wide(
        &self,
        sizes: Sizes,
        mut cursor: Cursor,
        count: usize,
        group: usize,
    ) -> (Rows, Cursor) {
        let Sizes { cin, segments, k, .. } = sizes;
        let (offsets, patches) = self.split_scratch(segments);
        let (wide, patch) = patches.split_at_checked(2 * self.chunk * k).unwrap_or_default();
        let patch = patch.get(..k).unwrap_or(&[]);
        // SAFETY: half of `2 * chunk * k`, a multiple of four, words; they begin where offsets of four bytes end.
        let words = unsafe {
            core::slice::from_raw_parts(wide.as_ptr().cast::<Cell<u32>>(), wide.len() / size_of::<u32>())
        };
        let first = group * cin;
        let mut p = 0;
        while p < count {
            let lanes = if count - p < LANES { 1 } else { LANES };
            let target = words.get(p * k / 2..(p + lanes) * k / 2).unwrap_or(&[]);
            let mut points = [[0; 2]; LANES];
            for (lane, point) in points.iter_mut().enumerate().take(lanes) {
                if let Some(offset) = offsets.get(p + lane) {
                    offset.set((size_of::<u32>() * (p * k / 2 + lane)) as i32);
                }
                *point = [self.first_tap(0, cursor.gy), self.first_tap(1, cursor.gx)];
                if !cin.is_multiple_of(GROUP) {
                    // Taps do not begin at groups: by way of bytes.
                    self.copy_patch(cursor, first, cin, patch);
                    // SAFETY: cells may be read; `patch` holds whole groups.
                    unsafe {
                        widen(patch.as_ptr().cast(), k / GROUP, target.get(lane..).unwrap_or(&[]), lanes)
                    };
                }
                self.advance(&mut cursor, 1);
            }
            if cin.is_multiple_of(GROUP) {
                if lanes == LANES {
                    self.widen_patches(points, first, cin, target, |from, groups, target| {
                        if target.len() >= 2 * LANES * groups {
                            // SAFETY: the promise of `widen_patches`, and there is room.
                            unsafe {
                                dsp_widen::three(from, target.as_ptr().cast::<u32>().cast_mut(), groups)
                            };
                        }
                    });
                } else {
                    self.widen_patches([points[0]], first, cin, target, |[from], groups, target| {
                        // SAFETY: the promise of `widen_patches`.
                        unsafe { widen(from, groups, target, 1) };
                    });
                }
            }
            p += lanes;
        }
        let base = wide.as_ptr().cast();
        (Rows { base, offsets: offsets.as_ptr().cast(), pad: self.pad.as_ptr(), segments, k }, cursor)
    }

    /// Calls `widen` for channels `first..first + cin` of the taps of `points` in order, as many at once as lie without gaps:
    /// with the address of each point's, how many groups are readable there, and where in `target` they go.
    #[inline(always)]
    fn widen_patches<const N: usize>(
        &self,
        points: [Point; N],
        first: usize,
        cin: usize,
        target: &[Cell<u32>],
        widen: impl Fn([*const i8; N], usize, &[Cell<u32>]),
    ) {
        let ([h, w, _], [kh, kw], [dy, dx]) = (self.input.shape(), self.taps, self.dilation);
        let stride = self.input.stride();
        let image = self.input.as_ptr().wrapping_add(first);
        let mut rest = target;
        let mut emit = |from: [*const i8; N], groups: usize| {
            widen(from, groups, rest);
            rest = rest.get(2 * N * groups..).unwrap_or(&[]);
        };
        let reach = kh.saturating_sub(1) * dy;
        let inside = |[y, x]: Point| y < h && y + reach < h && self.columns_inside(x);
        if dx == 1 && stride == cin && points.into_iter().all(inside) {
            // Taps next to each other, whose channels are all of the pixel.
            let mut from = points.map(|[y, x]| image.wrapping_add((y * w + x) * stride));
            for _ in 0..kh {
                emit(from, kw * cin / GROUP);
                from = from.map(|from| from.wrapping_add(dy * w * stride));
            }
            return;
        }
        for ky in 0..kh {
            for kx in 0..kw {
                let from = points.map(|[y, x]| {
                    let (y, x) = (y.wrapping_add(ky * dy), x.wrapping_add(kx * dx));
                    // The pad holds `cin` bytes.
                    if y < h && x < w { image.wrapping_add((y * w + x) * stride) } else { self.pad.as_ptr() }
                });
                emit(from, cin / GROUP);
            }
        }
    }
}

/// Widens `groups` of four bytes to every `step`-th word of `target`, if there is room for them.
///
/// # Safety
/// They are readable at `from`, which needs no alignment.
unsafe fn widen(from: *const i8, groups: usize, target: &[Cell<u32>], step: usize) {
    let mut words = target.iter().step_by(step);
    for i in 0..groups {
        // SAFETY: the caller's promise.
        let word = unsafe { from.cast::<u32>().wrapping_add(i).read_unaligned() };
        let (Some(even), Some(odd)) = (words.next(), words.next()) else { return };
        even.set(dsp_widen::even(word));
        odd.set(dsp_widen::odd(word));
    }
}
