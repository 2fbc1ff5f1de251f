//! Offsets for blocks with known lifetimes: several greedy orders and a seeded search, the best one wins.

use crate::program::ALIGNMENT;

/// A piece of the arena and the steps at which it must keep its contents, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Size.
    pub bytes: usize,
    /// First step.
    pub first: usize,
    /// Last step.
    pub last: usize,
}

impl Block {
    fn overlaps(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Offsets of blocks.
#[derive(Clone, Debug)]
pub struct Packing {
    /// By block.
    pub offsets: Vec<usize>,
    /// End of the last block.
    pub arena_bytes: usize,
    /// Largest sum of live bytes at any step.
    pub lower_bound_bytes: usize,
    /// Which order gave it.
    pub strategy: &'static str,
}

/// Blocks with smaller keys are placed first.
type SortKey = fn(&Block) -> (usize, usize);

/// How long to look for a smaller arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// As long as a plan that is used deserves.
    Whole,
    /// For one plan of hundreds: orders only, where there are so many blocks that more would take long.
    Quick,
}

/// With more blocks, [`Effort::Quick`] leaves out the search.
const MANY: usize = 128;
/// Swaps that the search tries.
const SWAPS: usize = 400;

/// Packs blocks so that no two that are live together overlap. Deterministic.
pub fn pack(blocks: &[Block]) -> Packing {
    pack_with(blocks, Effort::Whole)
}

/// As [`pack`].
pub(super) fn pack_with(blocks: &[Block], effort: Effort) -> Packing {
    let steps = blocks.iter().map(|b| b.last + 1).max().unwrap_or(0);
    let lower_bound_bytes = live_bytes(blocks, steps).into_iter().max().unwrap_or(0);
    let neighbours: Vec<Vec<usize>> = blocks
        .iter()
        .map(|block| (0..blocks.len()).filter(|other| blocks[*other].overlaps(block)).collect())
        .collect();
    let orders: [(&'static str, SortKey); 4] = [
        ("largest first", |b| (usize::MAX - b.bytes, b.first)),
        ("longest-lived first", |b| (usize::MAX - (b.last - b.first), usize::MAX - b.bytes)),
        ("largest area first", |b| (usize::MAX - b.bytes.saturating_mul(b.last - b.first + 1), b.first)),
        ("first used first", |b| (b.first, usize::MAX - b.bytes)),
    ];
    let mut best: Option<(Packing, Vec<usize>)> = None;
    for (strategy, key) in orders {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|i| (key(&blocks[*i]), *i));
        let mut offsets = vec![None; blocks.len()];
        let arena_bytes = place(blocks, &neighbours, &order, &mut offsets, usize::MAX).expect("no limit");
        if best.as_ref().is_none_or(|(p, _)| arena_bytes < p.arena_bytes) {
            let offsets = offsets.into_iter().flatten().collect();
            best = Some((Packing { offsets, arena_bytes, lower_bound_bytes, strategy }, order));
        }
    }
    // Swap pairs of the best order; a fixed seed keeps builds reproducible.
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let (mut best, mut order) = best.expect("an order was tried");
    let mut offsets = vec![None; blocks.len()];
    let swaps = match effort {
        _ if blocks.len() < 2 => 0,
        Effort::Quick if blocks.len() > MANY => 0,
        _ => SWAPS,
    };
    for _ in 0..swaps {
        if best.arena_bytes <= lower_bound_bytes.next_multiple_of(ALIGNMENT) {
            break;
        }
        let swapped = [random(blocks.len()), random(blocks.len())];
        order.swap(swapped[0], swapped[1]);
        // Tensors before both keep their offsets.
        let (before, rest) = order.split_at(swapped[0].min(swapped[1]));
        offsets.fill(None);
        before.iter().for_each(|i| offsets[*i] = Some(best.offsets[*i]));
        match place(blocks, &neighbours, rest, &mut offsets, best.arena_bytes) {
            Some(arena_bytes) => {
                let offsets = offsets.iter().copied().flatten().collect();
                best = Packing { offsets, arena_bytes, lower_bound_bytes, strategy: "search" };
            }
            None => order.swap(swapped[0], swapped[1]),
        }
    }
    best
}

/// Sum of live bytes at each of so many steps.
pub(super) fn live_bytes(blocks: &[Block], steps: usize) -> Vec<usize> {
    let (mut begins, mut ends) = (vec![0; steps], vec![0; steps]);
    for block in blocks {
        begins[block.first] += block.bytes;
        ends[block.last] += block.bytes;
    }
    let mut live = 0;
    let at = |(begins, ends): (usize, usize)| {
        let at_step = live + begins;
        live = at_step - ends;
        at_step
    };
    begins.into_iter().zip(ends).map(at).collect()
}

/// Puts each block, in `order`, into the lowest gap between its `neighbours`, which are live with it. The end of all blocks, those that
/// lay somewhere before included; `None` if it would lie beyond `limit`.
fn place(
    blocks: &[Block],
    neighbours: &[Vec<usize>],
    order: &[usize],
    offsets: &mut [Option<usize>],
    limit: usize,
) -> Option<usize> {
    let mut taken: Vec<(usize, usize)> = vec![];
    let ends = |(offset, block): (&Option<usize>, &Block)| offset.map(|at| at + block.bytes);
    let mut end = offsets.iter().zip(blocks).filter_map(ends).max().unwrap_or(0);
    for &i in order {
        taken.clear();
        let placed = neighbours[i].iter().filter_map(|j| offsets[*j].map(|at| (at, at + blocks[*j].bytes)));
        taken.extend(placed);
        taken.sort_unstable();
        let mut at = 0;
        for &(start, stop) in &taken {
            if at + blocks[i].bytes <= start {
                break;
            }
            at = at.max(stop.next_multiple_of(ALIGNMENT));
        }
        offsets[i] = Some(at);
        end = end.max(at + blocks[i].bytes);
        if end > limit {
            return None;
        }
    }
    Some(end.next_multiple_of(ALIGNMENT)).filter(|end| *end <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn blocks(of: &[(usize, usize, usize)]) -> Vec<Block> {
        of.iter().map(|&(bytes, first, last)| Block { bytes, first, last }).collect()
    }

    /// Blocks by size, first and last step; the strategy, the end of the last block, the offsets.
    type Case = (&'static [(usize, usize, usize)], &'static str, usize, &'static [usize]);

    /// Each order is the best for some blocks; a plan never changes, because programs that are checked in have its offsets.
    #[test]
    fn the_first_of_the_smallest_plans_is_taken() {
        let cases: [Case; 10] = [
            (&[], "largest first", 0, &[]),
            (&[(7, 0, 0)], "largest first", 16, &[0]),
            // Blocks that are not live together share memory.
            (&[(64, 4, 4), (16, 0, 3), (128, 0, 1)], "largest first", 144, &[0, 128, 0]),
            (
                &[(144, 2, 5), (112, 4, 5), (144, 1, 3), (128, 4, 6)],
                "longest-lived first",
                384,
                &[0, 272, 144, 144],
            ),
            (
                &[(112, 2, 4), (144, 0, 1), (112, 4, 7), (112, 1, 4)],
                "largest area first",
                336,
                &[224, 112, 112, 0],
            ),
            (
                &[(144, 2, 2), (48, 3, 6), (128, 3, 4), (96, 1, 3)],
                "largest area first",
                272,
                &[96, 224, 96, 0],
            ),
            (&[(64, 0, 2), (80, 1, 3), (96, 4, 4), (80, 2, 4)], "first used first", 224, &[0, 64, 0, 144]),
            (&[(112, 0, 2), (48, 2, 5), (32, 3, 5), (96, 3, 6)], "search", 176, &[48, 0, 144, 48]),
            // Swaps that change nothing are kept.
            (
                &[(80, 0, 1), (48, 0, 3), (64, 2, 5), (48, 2, 4), (112, 1, 4)],
                "search",
                272,
                &[0, 112, 48, 0, 160],
            ),
            // All swaps are tried where the bound is not met.
            (
                &[
                    (34, 3, 6),
                    (155, 1, 1),
                    (185, 0, 3),
                    (14, 4, 5),
                    (58, 0, 3),
                    (99, 1, 4),
                    (106, 1, 2),
                    (37, 3, 4),
                    (128, 2, 2),
                ],
                "search",
                640,
                &[224, 176, 448, 112, 112, 0, 336, 176, 176],
            ),
        ];
        for (of, strategy, arena_bytes, offsets) in cases {
            let packing = pack(&blocks(of));
            assert_eq!((packing.strategy, packing.arena_bytes), (strategy, arena_bytes), "{of:?}");
            assert_eq!(packing.offsets, offsets, "{of:?}");
        }
    }

    #[test]
    fn many_blocks_are_not_searched_in_haste() {
        for (count, effort, strategy) in [
            (MANY, Effort::Quick, "search"),
            (MANY + 1, Effort::Quick, "largest first"),
            (MANY + 1, Effort::Whole, "search"),
        ] {
            let block = |i| Block { bytes: 16 * (1 + i * 7 % 31), first: i % 17, last: i % 17 + i % 7 };
            let blocks: Vec<Block> = (0..count).map(block).collect();
            assert_eq!(pack_with(&blocks, effort).strategy, strategy, "{count} blocks, {effort:?}");
        }
    }

    #[test]
    fn a_block_is_live_from_its_first_to_its_last_step() {
        let blocks = blocks(&[(5, 0, 2), (7, 2, 3), (1, 1, 1)]);
        assert_eq!(live_bytes(&blocks, 5), [5, 6, 12, 7, 0]);
        let overlaps = |a: usize, b: usize| [blocks[a].overlaps(&blocks[b]), blocks[b].overlaps(&blocks[a])];
        assert_eq!([overlaps(0, 1), overlaps(0, 2), overlaps(1, 2)], [[true; 2], [true; 2], [false; 2]]);
    }

    proptest! {
        #[test]
        fn live_blocks_never_overlap_and_the_bound_holds(
            blocks in proptest::collection::vec((1usize..5000, 0usize..20, 0usize..6), 1..30)
        ) {
            let blocks: Vec<Block> =
                blocks.into_iter().map(|(bytes, first, more)| Block { bytes, first, last: first + more }).collect();
            let packing = pack(&blocks);
            prop_assert!(packing.arena_bytes >= packing.lower_bound_bytes);
            for (i, a) in blocks.iter().enumerate() {
                prop_assert_eq!(packing.offsets[i] % ALIGNMENT, 0);
                prop_assert!(packing.offsets[i] + a.bytes <= packing.arena_bytes);
                for (j, b) in blocks.iter().enumerate().take(i) {
                    let apart = packing.offsets[i] + a.bytes <= packing.offsets[j]
                        || packing.offsets[j] + b.bytes <= packing.offsets[i];
                    prop_assert!(apart || !a.overlaps(b), "{:?} {:?}", a, b);
                }
            }
        }
    }
}
