//! The search for the program with the smallest arena.

use super::{
    base::{Base, Planned},
    target::Target,
};
use crate::{
    error::{Error, Result},
    graph::{Node, ValueId},
    plan::Placement,
    program::{Metadata, Program},
    quantize::QGraph,
};
use std::collections::BTreeSet;

/// Lowers a quantised graph for `target`, with the memory plan that needs the smallest arena.
///
/// # Errors
/// A layer whose accumulator could overflow, whose scales cannot be represented, or whose tensors exceed 2 GiB.
pub fn lower(q: &QGraph, target: &Target, metadata: Metadata) -> Result<Program> {
    lower_with(q, target, metadata, true)
}

/// As [`lower`], with a step for every node: each layer's result can be seen, at the price of a larger arena.
///
/// # Errors
/// As [`lower`].
pub fn lower_apart(q: &QGraph, target: &Target, metadata: Metadata) -> Result<Program> {
    lower_with(q, target, metadata, false)
}

/// As [`lower_apart`], without looking for a smaller arena: for programs that are run once or twice. The results are the same bytes.
///
/// # Errors
/// As [`lower`].
pub(crate) fn lower_quickly(q: &QGraph, target: &Target) -> Result<Program> {
    let placement = Placement::all(q);
    let base = Base::new(q, target, &placement)?;
    let planned = base.planned(&placement, &BTreeSet::new())?;
    base.finish(planned, Metadata::default())
}

/// An arena must shrink by this much for a less simple program.
const WORTH: f64 = 0.98;

impl Planned {
    /// Whether its arena is so much smaller than the other's.
    fn is_worth(&self, other: &Self) -> bool {
        (self.plan.arena_bytes as f64) < WORTH * other.plan.arena_bytes as f64
    }
}

fn lower_with(q: &QGraph, target: &Target, metadata: Metadata, fuse: bool) -> Result<Program> {
    let mut placement = Placement::all(q);
    let mut fused = BTreeSet::new();
    let base = Base::new(q, target, &placement)?;
    let mut best = base.planned(&placement, &fused)?;
    let candidates = if fuse { fusible(q, &placement) } else { BTreeSet::new() };
    if !candidates.is_empty() {
        // One after the other would not do where two maps are of a size. Those that do not matter stay apart.
        let all = base.planned(&placement, &candidates)?;
        if all.is_worth(&best) {
            (best, fused) = (all, candidates);
            for value in fused.clone() {
                let fewer: BTreeSet<ValueId> = fused.iter().copied().filter(|v| *v != value).collect();
                let other = base.planned(&placement, &fewer)?;
                if other.plan.arena_bytes <= best.plan.arena_bytes {
                    (best, fused) = (other, fewer);
                }
            }
        }
    }
    let chained = |planned: Planned, placement: &Placement| {
        if fuse { base.chained(planned, placement) } else { Ok(planned) }
    };
    best = chained(best, &placement)?;
    // A zero-copy concatenation reserves the whole result from its first producer on. Where that costs arena, an
    // operand is better kept apart and copied in: row by row, if that makes a chain.
    loop {
        let mut improved = false;
        for value in placement.placed() {
            let mut candidate = placement.clone();
            candidate.remove(value);
            let other = chained(base.planned(&candidate, &fused)?, &candidate)?;
            if other.is_worth(&best) {
                (best, placement, improved) = (other, candidate, true);
                break;
            }
        }
        if !improved {
            break;
        }
    }
    target
        .tuning
        .check(&q.graph, &base.choices)
        .map_err(|message| Error::file(&target.tuning.source, message))?;
    base.finish(best, metadata)
}

/// Values that one reader can take row by row.
fn fusible(q: &QGraph, placement: &Placement) -> BTreeSet<ValueId> {
    let graph = &q.graph;
    let reader = |value: ValueId| {
        let mut readers = graph.nodes.iter().filter(|n| n.inputs.contains(&value));
        readers.next().filter(|n| n.inputs.len() == 1 && readers.next().is_none())
    };
    let made = graph.nodes.iter().filter(|n| n.outputs.len() == 1 && !graph.outputs.contains(&n.output()));
    let narrow = |n: &&Node| {
        let mut values = n.inputs.iter().chain(&n.outputs);
        values.all(|id| q.formats[id.0].bytes() == 1) && !q.wide_weights.contains(&n.output())
    };
    made.filter(narrow)
        .filter(|n| placement.parent(n.output()).is_none())
        .filter(|n| reader(n.output()).is_some_and(|r| r.op.can_take_rows_of(&*n.op)))
        .map(Node::output)
        .collect()
}
