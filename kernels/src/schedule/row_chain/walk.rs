//! From band to band: which rows of each map are needed, and which are there already.

use super::{Link, Stages};
use crate::Operand;
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
    pub(super) fn has_room(&self, turn: &Turn) -> bool {
        self.rows == 0 || turn.needed[1].saturating_sub(turn.needed[0]) <= self.rows as usize
    }
}

/// Which rows of each map are in memory, from band to band.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    turns: [Turn; MOST_MAPS],
}

/// What happens to a map for a band. Rows are from the first to before the second.
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
    pub(super) fn kept(&self) -> usize {
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
    /// What each of `maps`, of which the last one is the output, needs for output rows `rows`. `None` if kernels name other maps.
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

    /// What a kernel needs to write what is missing. All kernels that read that come after it, so that the needs of the map are complete.
    #[inline(never)]
    fn kernel(&mut self, link: &Link, maps: &[Map]) -> Option<()> {
        let written = self.turns.get_mut(link.writes as usize)?;
        if link.writes as usize + 1 < maps.len() {
            written.complete();
        }
        let missing = written.missing..written.needed[1];
        for read in link.reads {
            let rows = link.reach.of(missing.clone(), maps.get(read as usize)?.operand.shape[0] as usize);
            if !rows.is_empty() {
                let needed = &mut self.turns.get_mut(read as usize)?.needed;
                let all = if needed[0] < needed[1] { *needed } else { [rows.start, rows.end] };
                *needed = [all[0].min(rows.start), all[1].max(rows.end)];
            }
        }
        Some(())
    }
}
