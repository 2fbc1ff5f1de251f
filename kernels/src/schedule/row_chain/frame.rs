//! Where the maps of a chain lie in memory.

use super::{MOST_MAPS, Map, RowWindow, StageInfo};
use crate::{Memory, Operand, Region, base::memory::move_to_start, schedule::by_rows::Views};
use core::ops::Range;

/// Where the maps of a chain lie, and which rows are computed.
#[derive(Clone, Copy, Debug)]
pub struct FusionLayout<'a> {
    /// Inputs, at most two, maps in between, and last the output.
    pub maps: &'a [Map],
    /// Output rows per band.
    pub band: u32,
    /// The maps in between and the kernels' scratch, for each of `threads` after the other; operands lie in that of the first.
    pub scratch: Region,
    /// Threads that the output's rows may be shared out among.
    pub threads: u32,
    /// Output rows to compute: from the first to before the second.
    pub rows: [u32; 2],
    /// Bytes from the first thread's scratch to the one that is used.
    pub shift: u32,
}

impl FusionLayout<'_> {
    /// Whole maps but the output.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Operand> {
        let others = self.maps.split_last().map_or(&[][..], |(_, others)| others);
        others.iter().filter(|map| map.rows == 0).map(|map| map.operand)
    }

    /// Scratch bytes of one thread.
    pub(super) fn scratch_of_one(&self) -> usize {
        (self.scratch.len as usize).checked_div(self.threads as usize).unwrap_or(0)
    }

    /// Whether all maps lie in memory, those in between in the scratch of the first thread, and rows and scratch of this one are there.
    #[inline(never)]
    pub(super) fn fits(&self, mem: &Memory<'_>) -> bool {
        self.maps.len() <= MOST_MAPS
            && self.band > 0
            && self.inputs().count() <= 2
            && self.inputs().all(|input| mem.read(&input).is_some())
            && self.maps.last().is_some_and(|map| {
                map.rows == 0 && self.rows[1] <= map.operand.shape[0] && mem.write(&map.operand).is_some()
            })
            && self.shift.checked_add(self.scratch_of_one() as u32).is_some_and(|end| end <= self.scratch.len)
            && mem.scratch(self.scratch).is_some()
            && self.maps.iter().all(|map| map.rows == 0 || self.is_in_scratch(map))
    }

    /// Bytes of a row of a map.
    fn pitch(operand: &Operand) -> usize {
        (operand.shape[1] as usize).saturating_mul(operand.stride as usize)
    }

    /// Whether `len` bytes from `offset` on lie in the scratch of the first thread.
    fn is_in_first(&self, offset: u32, len: usize) -> bool {
        let start = (offset as usize).checked_sub(self.scratch.offset as usize);
        len == 0
            || start.and_then(|start| start.checked_add(len)).is_some_and(|end| end <= self.scratch_of_one())
    }

    fn is_in_scratch(&self, map: &Map) -> bool {
        let bytes = Self::pitch(&map.operand).checked_mul(map.rows as usize);
        let from_zero = Operand { offset: 0, ..map.operand };
        from_zero.extent().is_some() && bytes.is_some_and(|bytes| self.is_in_first(map.operand.offset, bytes))
    }

    #[inline(never)]
    pub(super) fn link_fits(&self, link: &StageInfo) -> bool {
        let last = self.maps.len().saturating_sub(1);
        let of_map = |index: u8, operand: &Operand| {
            self.maps.get(index as usize).is_some_and(|map| is_slice(operand, &map.operand))
        };
        let written = self.maps.get(link.writes as usize);
        written.is_some_and(|map| map.rows > 0 || link.writes as usize == last)
            && of_map(link.writes, &link.output)
            && link
                .reads
                .iter()
                .zip(&link.operands)
                .all(|(i, operand)| usize::from(*i) < last && of_map(*i, operand))
            && self.is_in_first(link.scratch.offset, link.scratch.len as usize)
    }

    /// The first row that a kernel is to compute, and where; `None` within if it has nothing to do.
    #[inline(never)]
    pub(super) fn views(&self, link: &StageInfo, turns: &[RowWindow]) -> Option<Option<(usize, Views)>> {
        let written = turns.get(link.writes as usize)?;
        let (start, end) = (written.missing, written.needed[1]);
        if start >= end {
            return Some(None);
        }
        let mut reads = link.operands;
        for (operand, map) in reads.iter_mut().zip(link.reads) {
            let needs = link.receptive_field.of(start..end, operand.shape[0] as usize);
            *operand = self.view(map, turns, operand, needs)?;
        }
        let output = self.view(link.writes, turns, &link.output, start..end)?;
        let scratch = Region { offset: link.scratch.offset.checked_add(self.shift)?, ..link.scratch };
        Some(Some((start, Views { reads, output, scratch })))
    }

    /// Rows of `operand`, which is a map or some of its channels.
    fn view(&self, map: u8, turns: &[RowWindow], operand: &Operand, rows: Range<usize>) -> Option<Operand> {
        if self.maps.get(map as usize)?.rows == 0 {
            return Some(operand.rows(rows));
        }
        let [first, end] = turns.get(map as usize)?.needed;
        if rows.end > end && !rows.is_empty() {
            return None;
        }
        let from = if rows.is_empty() { 0 } else { rows.start.checked_sub(first)? };
        let moved = Operand { offset: operand.offset.checked_add(self.shift)?, ..*operand };
        Some(moved.rows(from..from + rows.len()))
    }

    /// Moves the rows that stay to the beginning of their maps; `None` if more are needed than there is room for.
    #[inline(never)]
    pub(super) fn keep(&self, mem: &Memory<'_>, turns: &[RowWindow]) -> Option<()> {
        for (map, turn) in self.maps.iter().zip(turns).filter(|(map, _)| map.rows > 0) {
            map.has_room(turn).then_some(())?;
            self.move_rows(mem, &map.operand, turn.needed[0].saturating_sub(turn.held[0]), turn.kept())?;
        }
        Some(())
    }

    /// Moves `count` rows of a map that is in memory in part from row `from` to its beginning.
    fn move_rows(&self, mem: &Memory<'_>, map: &Operand, from: usize, count: usize) -> Option<()> {
        if from == 0 || count == 0 {
            return Some(());
        }
        let pitch = Self::pitch(map);
        let offset = map.offset.checked_add(self.shift)?;
        let len = (from + count).checked_mul(pitch)?;
        let cells = mem.scratch(Region { offset, len: u32::try_from(len).ok()? })?;
        move_to_start(cells, from * pitch);
        Some(())
    }
}

/// Whether `slice` is some channels of all pixels of `whole`.
fn is_slice(slice: &Operand, whole: &Operand) -> bool {
    let end = |operand: &Operand| u64::from(operand.offset) + u64::from(operand.shape[2]);
    slice.space == whole.space
        && slice.stride == whole.stride
        && slice.shape[..2] == whole.shape[..2]
        && slice.offset >= whole.offset
        && end(slice) <= end(whole)
}
