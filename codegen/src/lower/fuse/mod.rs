//! Steps that pass their rows on: maps between them are never whole in memory.
//!
//! * `group`: which steps form a chain when certain maps are to exist in rows only, and whether they can.
//! * `call`: the chain as one kernel call.
//!
//! The search starts from a lowered program and its memory plan. It gives up the map whose absence makes the arena smallest, then the
//! next, until nothing is gained. So chains begin and end where the arena needs it: a squeezed map that is small stays whole,
//! the expanded one before a pooling does not.

mod call;
mod group;

use crate::{
    error::Result,
    graph::ValueId,
    lower::draft::Draft,
    plan::{self, Effort, Load, Placement, Use},
    program::{Blob, Call, MemoryPlan, TensorInfo},
    quantize::QGraph,
};
pub(crate) use group::unplaced;
use group::{Drafts, Group};
use niello_kernels::conv::scratch_per_thread;
use std::{collections::BTreeSet, sync::Arc};

/// An arena must shrink by this much for another map to be given up.
const WORTH: f64 = 0.98;
/// The most plans that are made to find the next map.
const PLANS: usize = 64;
/// Up to so many maps, all pairs are looked at.
const FEW: usize = 64;

/// Turns steps into chains where that makes the arena smaller. `tensors` know their shapes, `pixels` are output pixels that a band should have at
/// least.
pub(crate) fn form(
    q: &QGraph,
    placement: &Placement,
    tensors: &[TensorInfo],
    blob: &Blob,
    threads: usize,
    pixels: usize,
    (mut drafts, mut plan): (Vec<Draft>, MemoryPlan),
) -> Result<(Vec<Draft>, MemoryPlan)> {
    let groups = {
        let all = Drafts::new(q, placement, tensors, blob, &drafts, threads, pixels);
        let mut best = Found { arena: plan.arena_bytes, given_up: BTreeSet::new(), groups: vec![] };
        loop {
            // Every step that needs too much must be relieved by one of the maps that are given up: members of chains come later than before,
            // but not beyond where one of these is live.
            let load = Load::new(q, &uses(&drafts, &best.groups), placement);
            let full = load.steps_of(WORTH * best.arena as f64);
            let relieves = |values: &[ValueId]| {
                full.iter().all(|step| values.iter().any(|value| load.is_live(*value, *step)))
            };
            let wanted = WORTH * best.arena as f64;
            let found = |candidates: &mut dyn Iterator<Item = Vec<ValueId>>| -> Result<Option<Found>> {
                let promising = |values: Vec<ValueId>| {
                    let given_up: BTreeSet<ValueId> = best.given_up.iter().copied().chain(values).collect();
                    let groups = all.groups(&given_up)?;
                    let least = Load::new(q, &uses(&drafts, &groups), placement).lower_bound();
                    ((least as f64) < wanted).then_some((least, given_up, groups))
                };
                // The most promising candidate comes first: most others are then known to be no better.
                let mut promising: Vec<_> =
                    candidates.filter(|v| relieves(v)).filter_map(promising).collect();
                promising.sort_by_key(|(least, ..)| *least);
                let mut next: Option<Found> = None;
                for (least, given_up, groups) in promising.into_iter().take(PLANS) {
                    let limit = next.as_ref().map_or(wanted, |next| next.arena as f64);
                    if least as f64 >= limit {
                        break;
                    }
                    let arena = plan::plan(q, &uses(&drafts, &groups), placement, Effort::Quick)?.arena_bytes;
                    if (arena as f64) < limit {
                        next = Some(Found { arena, given_up, groups });
                    }
                }
                Ok(next)
            };
            let rest: Vec<ValueId> = all.candidates().filter(|id| !best.given_up.contains(id)).collect();
            // Where two steps need as much, one map does not do. Of many maps, those that are live there.
            let is_near =
                |id: &ValueId| rest.len() <= FEW || full.iter().any(|step| load.is_live(*id, *step));
            let near: Vec<ValueId> = rest.iter().copied().filter(is_near).collect();
            let pairs =
                near.iter().enumerate().flat_map(|(i, a)| near[..i].iter().map(move |b| vec![*a, *b]));
            let next = match found(&mut rest.iter().map(|id| vec![*id]))? {
                None => found(&mut pairs.into_iter())?,
                found => found,
            };
            match next {
                Some(next) => best = next,
                None => break best.groups,
            }
        }
    };
    if groups.is_empty() {
        return Ok((drafts, plan));
    }
    plan = plan::plan(q, &uses(&drafts, &groups), placement, Effort::Whole)?;
    let mut steps: Vec<Option<Draft>> = drafts.drain(..).map(Some).collect();
    for group in groups {
        let last = *group.members.last().expect("a group has members");
        let members = group.members.iter().filter_map(|i| steps[*i].take()).collect();
        steps[last] = Some(chained(group, members, tensors, placement, threads));
    }
    Ok((steps.into_iter().flatten().collect(), plan))
}

/// Chains that make the arena smaller.
struct Found {
    arena: usize,
    /// Maps that are not whole.
    given_up: BTreeSet<ValueId>,
    groups: Vec<Group>,
}

/// The tensors of each step once the groups are fused.
fn uses<'d>(drafts: &'d [Draft], groups: &'d [Group]) -> Vec<Use<'d>> {
    let group_of = |i: &usize| groups.iter().find(|group| group.members.contains(i));
    let step = |i: usize| match group_of(&i) {
        None => Some(drafts[i].uses()),
        Some(group) if group.members.last() == Some(&i) => {
            let Group { inputs, output, scratch, .. } = group;
            Some(Use { reads: inputs, writes: *output, scratch: *scratch, in_place: &[] })
        }
        Some(_) => None,
    };
    (0..drafts.len()).filter_map(step).collect()
}

/// The step that stands for all members.
fn chained(
    group: Group,
    members: Vec<Draft>,
    tensors: &[TensorInfo],
    placement: &Placement,
    threads: usize,
) -> Draft {
    let output = &tensors[group.output.0];
    let mut layers: Vec<String> = members.iter().flat_map(|draft| draft.layers.iter().cloned()).collect();
    let writes: Vec<ValueId> = members.iter().map(|draft| draft.writes).collect();
    if writes.iter().filter(|id| placement.root(**id).0 == group.output).ne([&group.output]) {
        // The result is none of the members', but made of several.
        layers.push(output.name.clone());
    }
    layers.dedup();
    let (macs, constant_bytes) =
        members.iter().fold((0, 0), |(macs, bytes), draft| (macs + draft.macs, bytes + draft.constant_bytes));
    let Group { output: writes, scratch, .. } = group;
    let node = members.last().expect("a group has members").node;
    let calls = members.into_iter().map(|draft| draft.call).collect();
    let call: Arc<dyn Call> = Arc::new(call::ChainCall::new(group, calls, placement, tensors.len(), threads));
    Draft {
        node,
        layers,
        kind: "RowChain",
        reads: call.reads(),
        writes,
        call,
        joins_operands: false,
        scratch,
        macs,
        constant_bytes,
        in_place: vec![],
    }
}

/// Scratch of all threads, from that of one.
fn scratch_of(threads: usize, one: usize) -> usize {
    if threads > 1 { scratch_per_thread(one) * threads } else { one }
}
