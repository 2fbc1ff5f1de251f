//! Convolution and max pooling as one step: the map between them exists a few rows at a time.

use crate::{
    Conv2d, Isa, Kernel, MaxPool2d, Memory, Operand, Region,
    base::memory::move_to_start,
    ops::pool::window,
    schedule::{
        self,
        by_rows::{self, ReceptiveField, RowPartition, RowTileable, covered, positive},
    },
};
use core::{cell::Cell, ops::Range};

/// Max pooling of a convolution's result, of which only `rows` rows are in memory at once. The bytes are those of the two
/// kernels one after the other.
///
/// Rows that the next windows need too are moved, not computed again. A window taller than `rows` is walked in pieces.
#[derive(Clone, Copy, Debug)]
pub struct ConvMaxPool2d<'a> {
    /// The convolution. Its output has the shape of the whole result, and the offset and stride of the rows in memory.
    pub conv: Conv2d<'a>,
    /// The pooling; its input is the convolution's output.
    pub pool: MaxPool2d,
    /// Rows of the convolution's output that are in memory.
    pub rows: u32,
    /// One row of the pooling's output, channels without gaps, where a window is taller than `rows`; else empty.
    pub piece: Region,
    /// Everything that lies in scratch, for each of `threads` after the other: the convolution's own, its rows, the piece.
    pub scratch: Region,
    /// Threads that the output's rows may be shared out among.
    pub threads: u32,
}

impl Kernel for ConvMaxPool2d<'_> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        schedule::run(self, mem, isa);
    }

    /// Also whether both kernels fit whatever they would be given; where only one does not, the other one's results are written.
    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.operands_fit(mem) && self.rows::<false>(mem, Isa::scalar())
    }
}

// SAFETY: a part writes its rows of the output and, as `Conv2d` and `MaxPool2d` do with what they are given, its own scratch:
// `fits` checks that all of it lies in the scratch of the first thread.
unsafe impl RowPartition for ConvMaxPool2d<'_> {
    const HALO: bool = true;

    fn output(&self) -> Operand {
        self.pool.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.conv.input; 2]
    }

    fn scratch(&self) -> Region {
        self.scratch
    }

    fn scratch_of_one(&self) -> usize {
        (self.scratch.len as usize).checked_div(self.threads as usize).unwrap_or(0)
    }

    fn work(&self) -> usize {
        self.conv.work()
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.operands_fit(mem)
    }

    fn with_rows(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::with_rows(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn run_serial(&self, mem: &Memory<'_>, isa: Isa) {
        if !self.operands_fit(mem) {
            debug_assert!(false, "operands outside memory, or numbers of channels differ");
            return;
        }
        self.rows::<true>(mem, isa);
    }
}

impl RowTileable for ConvMaxPool2d<'_> {
    fn receptive_field(&self) -> ReceptiveField {
        let (pool, conv) = (&self.pool, &self.conv);
        let rows = pool.kernel[0].saturating_sub(1).saturating_mul(conv.stride[0]);
        ReceptiveField::Window {
            rows: rows.saturating_add(covered(conv.kernel[0], conv.dilation[0])),
            stride: pool.stride[0].saturating_mul(conv.stride[0]),
            padding: pool.padding[0].saturating_mul(conv.stride[0]).saturating_add(conv.padding[0]),
        }
    }

    fn over(&self, row: usize, reads: [Operand; 2], output: Operand, scratch: Region) -> Self {
        // The map without its rows above, and its own scratch.
        let h = self.conv.output.shape[0] as usize;
        let first = self.pool.receptive_field().of(row..row + 1, h).start;
        let moved = |offset: u32| offset.wrapping_add(scratch.offset.wrapping_sub(self.scratch.offset));
        let map = self.conv.output;
        let map = Operand {
            offset: moved(map.offset),
            shape: [(h - first) as u32, map.shape[1], map.shape[2]],
            ..map
        };
        let own = |region: Region| Region { offset: moved(region.offset), ..region };
        Self {
            conv: self.conv.over(first, reads, map, own(self.conv.scratch)),
            pool: self.pool.over(
                row,
                [Operand { shape: map.shape, ..self.pool.input }; 2],
                output,
                Region::EMPTY,
            ),
            piece: own(self.piece),
            scratch,
            threads: 1,
            ..*self
        }
    }
}

impl ConvMaxPool2d<'_> {
    /// Whether every operand lies in memory, as far as that is not checked by the kernels themselves.
    fn operands_fit(&self, mem: &Memory<'_>) -> bool {
        let ([h, w, c], [_, ow, oc]) = (self.conv.output.shape, self.pool.output.shape);
        let whole = Operand { offset: 0, ..self.conv.output };
        c == oc
            && self.rows > 0
            && self.scratch_fits()
            && self.pool.input.shape == [h, w, c]
            && positive(&[self.pool.kernel, self.pool.stride])
            && whole.extent().is_some()
            && mem.read(&self.conv.input).is_some()
            && mem.write(&self.buffer(0..self.rows.min(h) as usize)).is_some()
            && mem.write(&self.pool.output).is_some()
            && (self.pool.kernel[0] <= self.rows || u64::from(self.piece.len) >= u64::from(ow) * u64::from(c))
            && mem.scratch(self.piece).is_some()
    }

    /// Computes all rows, or else finds out whether both kernels fit all that they would be given.
    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn rows<const COMPUTE: bool>(&self, mem: &Memory<'_>, isa: Isa) -> bool {
        let [oh, _, _] = self.pool.output.shape;
        let (mut oy, mut held) = (0, 0..0);
        while oy < oh {
            let first = self.window(oy);
            if first.len() > self.rows as usize {
                if !self.tall::<COMPUTE>(mem, isa, oy, first) {
                    return false;
                }
                (oy, held) = (oy + 1, 0..0);
                continue;
            }
            // As many windows as the rows in memory hold.
            let mut end = oy + 1;
            let mut needed = first.clone();
            while end < oh && self.window(end).end.saturating_sub(first.start) <= self.rows as usize {
                needed.end = self.window(end).end.max(needed.end);
                end += 1;
            }
            let kept = held.start.max(needed.start)..held.end.min(needed.end).max(needed.start);
            if COMPUTE {
                self.keep(mem, kept.start.saturating_sub(held.start), kept.len());
            }
            let output = self.pool.output.rows(oy as usize..end as usize);
            if !(self.convolve::<COMPUTE>(mem, isa, kept.end..needed.end, kept.len())
                && compute::<COMPUTE>(&self.pooled(oy..end, needed.clone(), output), mem, isa))
            {
                return false;
            }
            (oy, held) = (end, needed);
        }
        true
    }

    /// Whether everything in scratch lies in that of the first thread.
    fn scratch_fits(&self) -> bool {
        let start = u64::from(self.scratch.offset);
        let within = |offset: u32, len: u64| {
            len == 0
                || u64::from(offset) >= start
                    && u64::from(offset) + len <= start + self.scratch_of_one() as u64
        };
        let map = self.conv.output;
        let row = u64::from(map.shape[1]) * u64::from(map.stride);
        within(self.conv.scratch.offset, self.conv.scratch.len.into())
            && within(map.offset, u64::from(self.rows.min(map.shape[0])) * row)
            && within(self.piece.offset, self.piece.len.into())
    }

    /// Rows of the convolution's output that row `oy` of the pooling reads.
    #[inline(always)]
    fn window(&self, oy: u32) -> Range<usize> {
        let [kernel, stride, padding] =
            [self.pool.kernel[0], self.pool.stride[0], self.pool.padding[0]].map(|d| d as usize);
        window(oy as usize, kernel, stride, padding, self.conv.output.shape[0] as usize)
    }

    /// Rows of the memory between the kernels.
    #[inline(always)]
    fn buffer(&self, rows: Range<usize>) -> Operand {
        self.conv.output.rows(rows)
    }

    /// Moves rows `from..from + count` of the memory to its beginning.
    fn keep(&self, mem: &Memory<'_>, from: usize, count: usize) {
        if from == 0 || count == 0 {
            return;
        }
        let Operand { offset, shape: [_, w, _], stride, .. } = self.conv.output;
        let row = w as usize * stride as usize;
        let all = Region { offset, len: ((from + count) * row) as u32 };
        // The last row may end with its last pixel's channels.
        let tail = (stride - self.conv.output.shape[2].min(stride)) as usize;
        let cells: &[Cell<i8>] =
            mem.scratch(Region { len: all.len - tail as u32, ..all }).unwrap_or_default();
        move_to_start(cells, from * row);
    }

    /// Computes rows of the convolution's output, to row `at` of the memory and on.
    fn convolve<const COMPUTE: bool>(
        &self,
        mem: &Memory<'_>,
        isa: Isa,
        rows: Range<usize>,
        at: usize,
    ) -> bool {
        let count = rows.len();
        if count == 0 {
            return true;
        }
        let input = self.conv.input;
        let needs = self.conv.receptive_field().of(rows.clone(), input.shape[0] as usize);
        let to = self.buffer(at..at + count);
        let conv = self.conv.over(rows.start, [input.rows(needs); 2], to, self.conv.scratch);
        compute::<COMPUTE>(&conv, mem, isa)
    }

    /// The pooling of `rows` of its output to `output`, from rows `held` of its input at the beginning of the memory.
    fn pooled(&self, rows: Range<u32>, held: Range<usize>, output: Operand) -> MaxPool2d {
        let start = rows.start as usize * self.pool.stride[0] as usize;
        let above = (self.pool.padding[0] as usize + held.start).saturating_sub(start) as u32;
        let input = self.buffer(0..held.len());
        MaxPool2d { input, output, padding: [above, self.pool.padding[1]], ..self.pool }
    }

    /// Row `oy` of the pooling, whose `window` is taller than the rows in memory: piece by piece.
    fn tall<const COMPUTE: bool>(&self, mem: &Memory<'_>, isa: Isa, oy: u32, window: Range<usize>) -> bool {
        let output = self.pool.output.rows(oy as usize..oy as usize + 1);
        let [_, ow, c] = output.shape;
        let piece = Operand::arena(self.piece.offset, [1, ow, c], c);
        let mut start = window.start;
        while start < window.end {
            let rows = start..window.end.min(start + self.rows as usize);
            if !self.convolve::<COMPUTE>(mem, isa, rows.clone(), 0) {
                return false;
            }
            let input = self.buffer(0..rows.len());
            let (kernel, padding) = ([rows.len() as u32, self.pool.kernel[1]], [0, self.pool.padding[1]]);
            let pool = MaxPool2d { input, kernel, padding, ..self.pool };
            let first = start == window.start;
            if !compute::<COMPUTE>(
                &MaxPool2d { output: if first { output } else { piece }, ..pool },
                mem,
                isa,
            ) {
                return false;
            }
            if COMPUTE && !first {
                merge(mem, &piece, &output);
            }
            start = rows.end;
        }
        true
    }
}

/// Computes a kernel, or else finds out whether it would.
#[inline(always)]
fn compute<const COMPUTE: bool>(kernel: &impl RowTileable, mem: &Memory<'_>, isa: Isa) -> bool {
    if COMPUTE {
        kernel.run_serial(mem, isa);
    }
    COMPUTE || Kernel::fits(kernel, mem)
}

/// The larger of each two elements of one row, to the second.
fn merge(mem: &Memory<'_>, piece: &Operand, row: &Operand) {
    let (Some(piece), Some(row)) = (mem.write(piece), mem.write(row)) else { return };
    for x in 0..row.shape()[1] {
        for (to, from) in row.pixel(0, x).iter().zip(piece.pixel(0, x)) {
            to.set(to.get().max(from.get()));
        }
    }
}
