//! The step at which the most bytes of the arena are in use.

use crate::{graph::ValueId, program::Program};
use niello_kernels::Space;
use serde::Serialize;
use std::collections::{BTreeMap, btree_map::Entry};

/// A step and the tensors that it cannot do without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeakMemory {
    /// The layer.
    pub layer: String,
    /// Its operator.
    pub kind: String,
    /// Tensors that are live in the arena, largest first; scratch last.
    pub live: Vec<LiveTensor>,
}

/// A tensor, or scratch, in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LiveTensor {
    /// The tensor's name, or `scratch`.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
}

impl PeakMemory {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.live.iter().map(|a| a.bytes).sum()
    }
}

/// The step with the largest sum of live bytes; `None` for a program without steps.
pub fn peak_memory(program: &Program) -> Option<PeakMemory> {
    let root = |mut id: ValueId| {
        while let Some(parent) = program.plan.slice_of[id.0] {
            id = parent;
        }
        id
    };
    // First and last use of every whole tensor in the arena.
    let mut used: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (i, step) in program.steps.iter().enumerate() {
        for id in step.reads.iter().chain([&step.writes]).map(|id| root(*id)) {
            if program.tensor(id).location.space == Space::Arena {
                match used.entry(id.0) {
                    Entry::Vacant(e) => drop(e.insert((i, i))),
                    Entry::Occupied(mut e) => e.get_mut().1 = i,
                }
            }
        }
    }
    let at = |index: usize| {
        // A result that takes over its operand's memory is one block with it.
        let mut blocks: BTreeMap<u32, LiveTensor> = BTreeMap::new();
        for id in used.iter().filter(|(_, u)| (u.0..=u.1).contains(&index)).map(|(id, _)| ValueId(*id)) {
            let tensor = program.tensor(id);
            let live = LiveTensor { name: tensor.name.clone(), bytes: tensor.bytes() as u64 };
            blocks.entry(tensor.location.offset).or_insert(live);
        }
        let step = &program.steps[index];
        let mut live: Vec<LiveTensor> = blocks.into_values().collect();
        live.sort_by_key(|a| std::cmp::Reverse(a.bytes));
        if step.scratch.len > 0 {
            live.push(LiveTensor { name: "scratch".into(), bytes: step.scratch.len.into() });
        }
        PeakMemory { layer: step.name.clone(), kind: step.kind.into(), live }
    };
    (0..program.steps.len()).map(at).reduce(|a, b| if b.bytes() > a.bytes() { b } else { a })
}
