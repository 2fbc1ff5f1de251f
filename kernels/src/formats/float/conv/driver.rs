//! The loops over the output: passes, groups, panels, tiles.

use super::{
    CheckedConv,
    plan::{Dense, MOST, Plan},
    stage::{Source, Staged},
    tile::{Number, Panels, Pixel, Segments, Tile},
};
use crate::{Float, base::scratch::scratch_per_thread};
use core::ptr;

/// Where a tile's weights lie.
enum Weights<W> {
    /// As they are stored.
    Stored(*const W),
    /// F16 values, which are expanded here, panel by panel.
    Expanded(*const u16, *mut W),
}

/// Computes everything with `tile`.
pub(super) fn run<T: Tile>(checked: CheckedConv<'_, '_>, tile: T) {
    let conv = &checked.conv;
    let plan = conv.plan();
    for phase in 0..conv.phases() {
        DensePhase { checked, tile, plan, dense: conv.dense(phase) }.run();
    }
}

/// A dense convolution.
struct DensePhase<'k, 'm, T> {
    checked: CheckedConv<'k, 'm>,
    tile: T,
    plan: Plan,
    dense: Dense,
}

impl<T: Tile> DensePhase<'_, '_, T> {
    fn weights(&self) -> Weights<T::Weight> {
        let conv = &self.checked.conv;
        let staged = scratch_per_thread(conv.scratch_numbers()[0].saturating_mul(size_of::<T::Number>()));
        let expanded = self.checked.scratch.as_ptr().wrapping_add(staged).cast_mut();
        match (conv.weights.is_empty(), T::Weight::TYPE) {
            (true, Float::F32) => Weights::Expanded(conv.halves.as_ptr(), expanded.cast()),
            (true, Float::F16) => Weights::Stored(conv.halves.as_ptr().cast()),
            (false, _) => Weights::Stored(conv.weights.as_ptr().cast()),
        }
    }

    fn run(&self) {
        let Dense { grid, stride, origin, .. } = self.dense;
        let mut y = 0;
        while y < grid[0] {
            let rows = self.plan.pass[0].min(grid[0] - y);
            let mut x = 0;
            while x < grid[1] {
                let columns = self.plan.pass[1].min(grid[1] - x);
                let origin = [origin[0] + (y * stride[0]) as isize, origin[1] + (x * stride[1]) as isize];
                self.pass([y, x], origin, [rows, columns]);
                x += columns;
            }
            y += rows;
        }
    }

    /// Computes `points` rows and columns from grid point `at` on, whose tap (0, 0) meets `origin`.
    fn pass(&self, at: [usize; 2], origin: [isize; 2], points: [usize; 2]) {
        let Self { checked, dense, .. } = self;
        let [cin, cout] = checked.channels;
        let (out, size) = (checked.out, checked.conv.types[1].bytes());
        let [_, ow, _] = out.shape();
        let (stage, numbers) = self.plan.stage(dense, points);
        debug_assert!(numbers * size_of::<T::Number>() <= checked.scratch.len());
        let scratch = checked.scratch.as_ptr().cast::<T::Number>().cast_mut();
        let mut pixels = [Pixel { numbers: ptr::null(), out: ptr::null_mut() }; MOST];
        for group in 0..checked.groups {
            let channels = [group * cin, cin];
            let source =
                Source { tile: self.tile, input: checked.input, from: checked.conv.types[0], channels };
            // SAFETY: `checked` measured scratch, for a pass and a phase that stage no less.
            let staged = unsafe { source.stage(stage, dense, origin, points, scratch) };
            let mut left = pixels.iter_mut();
            for row in 0..points[0] {
                let line = (dense.first[0] + (at[0] + row) * dense.step[0]) * ow + dense.first[1];
                let mut to = out
                    .as_ptr()
                    .wrapping_add((line + at[1] * dense.step[1]) * out.stride() + group * cout * size);
                let mut from = staged.first.wrapping_add(row * staged.pixels[0]);
                for pixel in left.by_ref().take(points[1]) {
                    *pixel = Pixel { numbers: from, out: to };
                    from = from.wrapping_add(staged.pixels[1]);
                    to = to.wrapping_add(dense.step[1] * out.stride());
                }
            }
            let pixels = pixels.get(..points[0] * points[1]).unwrap_or_default();
            self.panels(pixels, group, &staged);
        }
    }

    /// All panels of a group by all pixels of a pass.
    fn panels(&self, pixels: &[Pixel<T::Number>], group: usize, staged: &Staged<T::Number>) {
        let Self { checked, dense, tile, .. } = self;
        let (conv, [cin, cout]) = (&checked.conv, checked.channels);
        let size = conv.types[1].bytes();
        // Weights of a panel, whatever the phase.
        let stride = conv.taps() * cin * T::PANEL;
        let all = cout.div_ceil(T::PANEL);
        let weights = dense.tap_steps.map(|step| step * cin * T::PANEL);
        let stored = Segments { count: dense.taps, len: cin, numbers: staged.taps, weights };
        let stored = stored.merged(T::PANEL);
        let mut n = 0;
        while n < all {
            let first = (group * all + n) * stride + dense.tap * cin * T::PANEL;
            let (count, weights, segments) = match self.weights() {
                Weights::Stored(weights) => (T::PANELS.min(all - n), weights.wrapping_add(first), stored),
                Weights::Expanded(halves, target) => {
                    let mut end = target;
                    stored.each(|_, from| {
                        let (source, len) = (halves.wrapping_add(first + from), stored.len * T::PANEL);
                        // SAFETY: weights of a run; there is room for those of all of them, which are as many as the first phase
                        // has or fewer.
                        unsafe { tile.widen(source.cast(), end.cast(), len) };
                        end = end.wrapping_add(len);
                    });
                    let run = stored.len * T::PANEL;
                    let weights = [run * stored.count[1], run];
                    (1, target.cast_const(), Segments { weights, ..stored })
                }
            };
            let panels = Panels {
                segments: &segments,
                weights,
                stride,
                bias: conv.bias.as_ptr().wrapping_add((group * all + n) * T::PANEL),
                count,
                first: n * T::PANEL * size,
                live: (cout - n * T::PANEL).min(count * T::PANEL),
                range: conv.range,
                to: conv.types[1],
                chains: false,
            };
            // SAFETY: `checked` measured constants and operands against the parameters; `stage` says where numbers lie. They are cells,
            // constants, or an input that nobody writes.
            unsafe { tile.run(pixels, &panels) };
            n += count;
        }
    }
}
