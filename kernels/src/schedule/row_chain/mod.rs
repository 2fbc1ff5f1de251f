//! Several kernels as one step: what lies between them exists a few rows at a time.
//!
//! Output rows are computed in bands. For each band it is found out, from the last kernel to the first, which rows of every map
//! between them it needs; rows that the band before left are kept, the others are computed. So every row is computed once.

mod frame;

pub use frame::Frame;

use super::by_rows::{ReceptiveField, RowPartition, RowStage, Views};
use crate::{Isa, Kernel, Memory, Operand, Region, base::scratch::part_of_scratch};
use core::ops::Range;

/// The most maps of a chain: its inputs, what lies between, its output.
pub const MOST_MAPS: usize = 12;

/// A map that kernels of a chain read or write, or slices of whose channels they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Map {
    /// The whole of it; of a map of which only some rows are in memory, the first of them lies there.
    pub operand: Operand,
    /// Rows that are in memory at once; 0 if all are.
    pub rows: u32,
}

impl Map {
    /// Whether all rows that a band needs can be in memory.
    fn has_room(&self, turn: &Turn) -> bool {
        self.rows == 0 || turn.needed[1].saturating_sub(turn.needed[0]) <= self.rows as usize
    }
}

/// A kernel of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Stage<K> {
    /// The kernel. Its operands are whole maps, or some channels of them.
    pub kernel: K,
    /// Indices of the maps that it reads.
    pub reads: [u8; 2],
    /// Index of the map that it writes.
    pub writes: u8,
}

/// A [`Stage`] without what it computes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Indices of the maps that it reads.
    pub reads: [u8; 2],
    /// Index of the map that it writes.
    pub writes: u8,
    /// Which rows it reads.
    pub receptive_field: ReceptiveField,
    /// Its operands within these maps.
    pub operands: [Operand; 2],
    /// Its output.
    pub output: Operand,
    /// Its scratch.
    pub scratch: Region,
    /// Multiply-accumulates, or what takes as long.
    pub work: usize,
}

impl Link {
    fn new(kernel: &(impl RowStage + ?Sized), reads: [u8; 2], writes: u8) -> Self {
        Self {
            reads,
            writes,
            receptive_field: kernel.receptive_field(),
            operands: kernel.reads(),
            output: kernel.output(),
            scratch: kernel.scratch(),
            work: kernel.work(),
        }
    }
}

/// Kernels in order of execution: `(Stage, (Stage, ()))` where their types are known, a slice where they are not. Nothing else is one.
pub trait Stages: Copy + Sync + sealed::Stages {
    /// How many there are.
    fn count(&self) -> usize;

    /// The one of that index.
    fn link(&self, index: usize) -> Option<Link>;

    /// ContiguousSpans the one of that index, see [`RowStage::compute`].
    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa);

    /// Whether it computes anything, see [`RowStage::fits`].
    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool;
}

/// Traits that only this crate can implement.
mod sealed {
    /// See [`super::Stages`].
    pub trait Stages {}
}

impl sealed::Stages for () {}

impl Stages for () {
    fn count(&self) -> usize {
        0
    }

    fn link(&self, _: usize) -> Option<Link> {
        None
    }

    fn compute(&self, _: usize, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}

    fn fits(&self, _: usize, _: usize, _: Views, _: &Memory<'_>) -> bool {
        false
    }
}

impl<K: RowStage + Copy + Sync, S: Stages> sealed::Stages for (Stage<K>, S) {}

impl<K: RowStage + Copy + Sync, S: Stages> Stages for (Stage<K>, S) {
    fn count(&self) -> usize {
        1 + self.1.count()
    }

    fn link(&self, index: usize) -> Option<Link> {
        match index.checked_sub(1) {
            None => Some(Link::new(&self.0.kernel, self.0.reads, self.0.writes)),
            Some(index) => self.1.link(index),
        }
    }

    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        match index.checked_sub(1) {
            None => self.0.kernel.compute(row, views, mem, isa),
            Some(index) => self.1.compute(index, row, views, mem, isa),
        }
    }

    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        match index.checked_sub(1) {
            None => self.0.kernel.fits(row, views, mem),
            Some(index) => self.1.fits(index, row, views, mem),
        }
    }
}

impl sealed::Stages for &[Stage<&(dyn RowStage + Sync)>] {}

impl Stages for &[Stage<&(dyn RowStage + Sync)>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn link(&self, index: usize) -> Option<Link> {
        self.get(index).map(|stage| Link::new(stage.kernel, stage.reads, stage.writes))
    }

    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        if let Some(stage) = self.get(index) {
            stage.kernel.compute(row, views, mem, isa);
        }
    }

    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        self.get(index).is_some_and(|stage| stage.kernel.fits(row, views, mem))
    }
}

/// Kernels one after the other, of whose maps in between only some rows are in memory. The bytes are those of the kernels run one
/// by one.
#[derive(Clone, Copy, Debug)]
pub struct RowChain<'a, S> {
    /// The kernels.
    pub stages: S,
    /// Everything that does not depend on what they are.
    pub frame: Frame<'a>,
}

/// Which rows of each map are in memory, from band to band.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    turns: [Turn; MOST_MAPS],
}

/// The rows of a map for a band. Rows are from the first to before the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Rows that are in memory from the band before.
    pub held: [usize; 2],
    /// Rows that must be in memory; the first of them then lies where the map begins.
    pub needed: [usize; 2],
    /// The first of those that are not there yet: they are the last ones.
    pub missing: usize,
}

impl Turn {
    /// Rows that stay.
    fn kept(&self) -> usize {
        self.missing.saturating_sub(self.needed[0])
    }

    /// Completes it, once its needs are known.
    fn complete(&mut self) {
        let Self { held, needed, .. } = *self;
        if needed[0] >= needed[1] {
            // Nothing is wanted, and everything stays.
            (self.needed, self.missing) = (held, held[1]);
        } else {
            let kept = held[0] <= needed[0] && needed[0] < held[1];
            self.missing = if kept { held[1].min(needed[1]) } else { needed[0] };
        }
    }
}

impl Walk {
    /// The rows of each of `maps` that output rows `rows` need; the last map is the output. `None` if kernels name other maps.
    pub fn band(
        &mut self,
        stages: &impl Stages,
        maps: &[Map],
        rows: Range<usize>,
    ) -> Option<&[Turn; MOST_MAPS]> {
        for turn in self.turns.iter_mut() {
            *turn = Turn { held: turn.needed, needed: [0; 2], missing: 0 };
        }
        let last = self.turns.get_mut(maps.len().checked_sub(1)?)?;
        (last.needed, last.missing) = ([rows.start, rows.end], rows.start);
        for index in (0..stages.count()).rev() {
            self.kernel(&stages.link(index)?, maps)?;
        }
        Some(&self.turns)
    }

    /// Adds the rows that a kernel needs to write the missing ones. All its readers come after it, so that the needs of the map are complete.
    #[inline(never)]
    fn kernel(&mut self, link: &Link, maps: &[Map]) -> Option<()> {
        let written = self.turns.get_mut(link.writes as usize)?;
        if link.writes as usize + 1 < maps.len() {
            written.complete();
        }
        let missing = written.missing..written.needed[1];
        for read in link.reads {
            let rows =
                link.receptive_field.of(missing.clone(), maps.get(read as usize)?.operand.shape[0] as usize);
            if !rows.is_empty() {
                let needed = &mut self.turns.get_mut(read as usize)?.needed;
                let all = if needed[0] < needed[1] { *needed } else { [rows.start, rows.end] };
                *needed = [all[0].min(rows.start), all[1].max(rows.end)];
            }
        }
        Some(())
    }
}

impl<S: Stages> Kernel for RowChain<'_, S> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        super::run(self, mem, isa);
    }

    /// Also whether no map needs more rows than are in memory, and each kernel fits whatever it would be given; where only one does not,
    /// results of others are written.
    fn fits(&self, mem: &Memory<'_>) -> bool {
        RowPartition::fits(self, mem) && self.bands(|walk, rows| self.band_fits(walk, rows, mem))
    }
}

// SAFETY: kernels write what `fits` checked: rows of the output, by `view`, and what lies in the scratch of the first thread, moved to
// the one that is used; `view` keeps maps in between to the rows that they have there.
unsafe impl<S: Stages> RowPartition for RowChain<'_, S> {
    const HALO: bool = true;

    fn output(&self) -> Operand {
        self.frame.maps.last().map_or(NOWHERE, |map| map.operand)
    }

    fn reads(&self) -> [Operand; 2] {
        let mut inputs = self.frame.inputs();
        let first = inputs.next().unwrap_or(NOWHERE);
        [first, inputs.next().unwrap_or(first)]
    }

    fn scratch(&self) -> Region {
        self.frame.scratch
    }

    fn scratch_of_one(&self) -> usize {
        self.frame.scratch_of_one()
    }

    fn work(&self) -> usize {
        let work = |index| self.stages.link(index).map_or(0, |link: Link| link.work);
        (0..self.stages.count()).map(work).fold(0, usize::saturating_add)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        let link_fits = |index| self.stages.link(index).is_some_and(|link| self.frame.link_fits(&link));
        self.frame.fits(mem) && (0..self.stages.count()).all(link_fits)
    }

    fn with_rows(&self, rows: Range<usize>, index: usize) -> Self {
        let shift = index.saturating_mul(part_of_scratch(self.scratch_of_one())) as u32;
        let rows = [rows.start as u32, rows.end as u32];
        Self { frame: Frame { rows, shift, ..self.frame }, ..*self }
    }

    fn run_serial(&self, mem: &Memory<'_>, isa: Isa) {
        if !RowPartition::fits(self, mem) {
            debug_assert!(false, "operands of a chain outside memory, or not those of its maps");
            return;
        }
        if !self.bands(|walk, rows| self.compute_band(walk, rows, mem, isa)) {
            debug_assert!(false, "a map of a chain needs more rows than are in memory");
        }
    }
}

impl<S: Stages> RowChain<'_, S> {
    /// Hands all bands over, one after the other; `false` once `band` returns `None`.
    #[inline(always)]
    fn bands(&self, mut band: impl FnMut(&mut Walk, Range<usize>) -> Option<()>) -> bool {
        let [mut row, end] = self.frame.rows.map(|row| row as usize);
        let mut walk = Walk::default();
        while row < end {
            let until = row.saturating_add(self.frame.band as usize).min(end);
            if band(&mut walk, row..until).is_none() {
                return false;
            }
            row = until;
        }
        true
    }

    /// `None` where [`RowChain::compute_band`] would be, or a kernel would compute nothing.
    fn band_fits(&self, walk: &mut Walk, rows: Range<usize>, mem: &Memory<'_>) -> Option<()> {
        let turns = walk.band(&self.stages, self.frame.maps, rows)?;
        self.frame.maps.iter().zip(turns).all(|(map, turn)| map.has_room(turn)).then_some(())?;
        for index in 0..self.stages.count() {
            if let Some((start, views)) = self.frame.views(&self.stages.link(index)?, turns)? {
                self.stages.fits(index, start, views, mem).then_some(())?;
            }
        }
        Some(())
    }

    /// Computes output rows `rows`; `None` if they need more rows of a map than are in memory.
    fn compute_band(&self, walk: &mut Walk, rows: Range<usize>, mem: &Memory<'_>, isa: Isa) -> Option<()> {
        let turns = walk.band(&self.stages, self.frame.maps, rows)?;
        self.frame.keep(mem, turns)?;
        for index in 0..self.stages.count() {
            if let Some((start, views)) = self.frame.views(&self.stages.link(index)?, turns)? {
                self.stages.compute(index, start, views, mem, isa);
            }
        }
        Some(())
    }
}

/// An operand without elements.
const NOWHERE: Operand = Operand::arena(0, [0; 3], 0);
