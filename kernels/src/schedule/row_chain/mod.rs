//! Several kernels as one step: what lies between them exists a few rows at a time.
//!
//! Output rows are computed in bands. For each band it is found out, from the last kernel to the first, which rows of every map
//! between them it needs; rows that the band before left are kept, the others are computed. So every row is computed once.

mod frame;
mod stages;
mod walk;

pub use frame::Frame;
pub use stages::{Link, Stage, Stages};
pub use walk::{MOST_MAPS, Map, Turn, Walk};

use super::by_rows::ByRows;
use crate::{Isa, Kernel, Memory, Operand, Region, base::scratch::part_of_scratch};
use core::ops::Range;

/// Kernels one after the other, of whose maps in between only some rows are in memory. The bytes are those of the kernels run one
/// by one.
#[derive(Clone, Copy, Debug)]
pub struct RowChain<'a, S> {
    /// The kernels.
    pub stages: S,
    /// Everything that does not depend on what they are.
    pub frame: Frame<'a>,
}

impl<S: Stages> Kernel for RowChain<'_, S> {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        super::run(self, mem, isa);
    }

    /// Also whether no map needs more rows than are in memory, and each kernel fits whatever it would be given; where only one does not,
    /// results of others are written.
    fn fits(&self, mem: &Memory<'_>) -> bool {
        ByRows::fits(self, mem) && self.bands(|walk, rows| self.band_fits(walk, rows, mem))
    }
}

// SAFETY: kernels write what `fits` checked: rows of the output, by `view`, and what lies in the scratch of the first thread, moved to
// the one that is used; `view` keeps maps in between to the rows that they have there.
unsafe impl<S: Stages> ByRows for RowChain<'_, S> {
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

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        let shift = index.saturating_mul(part_of_scratch(self.scratch_of_one())) as u32;
        let rows = [rows.start as u32, rows.end as u32];
        Self { frame: Frame { rows, shift, ..self.frame }, ..*self }
    }

    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        if !ByRows::fits(self, mem) {
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
