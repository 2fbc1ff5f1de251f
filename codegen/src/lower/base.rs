//! Every node lowered, and the program that follows from that for a placement.

use super::{context::Lowering, draft::Draft, fuse, target::Target};
use crate::{
    error::{Error, Result},
    graph::ValueId,
    plan::{self, Placement},
    program::{
        self, Blob, Choices, Location, MAX_BYTES, MemoryPlan, Metadata, Program, Step, TensorInfo, names,
    },
    quantize::QGraph,
};
use niello_kernels::Space;
use std::collections::{BTreeMap, BTreeSet};

/// Steps with their memory plan.
pub(super) struct Planned {
    drafts: Vec<Draft>,
    pub(super) plan: MemoryPlan,
}

/// Every node lowered, each for itself: constants, and the steps from which those of every placement follow.
pub(super) struct Base<'a> {
    q: &'a QGraph,
    target: &'a Target,
    drafts: Vec<Draft>,
    blob: Blob,
    pub(super) choices: Choices,
    corrections: BTreeMap<ValueId, Vec<i32>>,
}

impl<'a> Base<'a> {
    pub(super) fn new(q: &'a QGraph, target: &'a Target, placement: &Placement) -> Result<Self> {
        let fused = BTreeSet::new();
        let mut cx = Lowering::new(q, target, placement, &fused);
        check_bytes(q)?;
        for i in 0..q.graph.nodes.len() {
            cx.node = i;
            cx.lower_node()?;
        }
        let Lowering { drafts, blob, choices, corrections, .. } = cx;
        Ok(Self { q, target, drafts, blob: blob.finish(), choices, corrections })
    }

    /// The steps for a placement and for values whose rows their reader takes. Only nodes that this concerns are lowered again; they have no
    /// constants.
    pub(super) fn planned(&self, placement: &Placement, fused: &BTreeSet<ValueId>) -> Result<Planned> {
        let Self { q, target, .. } = *self;
        let mut cx = Lowering::new(q, target, placement, fused);
        let mut base = self.drafts.iter().peekable();
        for (i, node) in q.graph.nodes.iter().enumerate() {
            cx.node = i;
            let own = std::iter::from_fn(|| base.next_if(|draft| draft.node == i));
            if node.op.places_inputs() || node.inputs.iter().any(|id| fused.contains(id)) {
                own.for_each(drop);
                cx.lower_node()?;
            } else {
                cx.drafts.extend(own.cloned());
            }
        }
        if !cx.blob.is_empty() {
            let message = "an operator that is lowered again has constants: `places_inputs` and `can_take_rows_of` are for those without";
            return Err(Error::Invalid(format!("{}: {message}", q.graph.name)));
        }
        let uses: Vec<plan::Use<'_>> = cx.drafts.iter().map(Draft::uses).collect();
        let plan = plan::plan(q, &uses, placement, plan::Effort::Whole)?;
        Ok(Planned { drafts: cx.drafts, plan })
    }

    /// The same with chains.
    pub(super) fn chained(&self, planned: Planned, placement: &Placement) -> Result<Planned> {
        let Self { q, target, blob, .. } = self;
        let tensors = fuse::unplaced(q, placement);
        let (threads, pixels) = (target.threads, target.chunk);
        let steps = (planned.drafts, planned.plan);
        let (drafts, plan) = fuse::form(q, placement, &tensors, blob, threads, pixels, steps)?;
        Ok(Planned { drafts, plan })
    }

    /// The program.
    pub(super) fn finish(self, planned: Planned, metadata: Metadata) -> Result<Program> {
        let Self { q, target, blob, choices, corrections, .. } = self;
        let Planned { drafts, plan } = planned;
        let tensors = q
            .graph
            .values
            .iter()
            .enumerate()
            .map(|(i, value)| TensorInfo {
                name: value.name.clone(),
                shape: value.shape,
                format: q.formats[i],
                location: plan.locations[i].unwrap_or(Location { space: Space::Arena, offset: 0, stride: 0 }),
            })
            .collect();
        let steps: Vec<Step> = drafts
            .into_iter()
            .zip(&plan.scratch)
            .map(|(d, scratch)| Step {
                name: names::step_name(&d.layers),
                layers: d.layers,
                kind: d.kind,
                call: d.call,
                reads: d.reads,
                writes: d.writes,
                in_place: d.in_place,
                joins_operands: d.joins_operands,
                scratch: *scratch,
                macs: d.macs,
                constant_bytes: d.constant_bytes,
            })
            .collect();
        let program = Program {
            name: names::identifier(&q.graph.name),
            metadata,
            target: target.name.into(),
            mode: q.mode(),
            rounding: q.rounding,
            tensors,
            inputs: q.graph.inputs.clone(),
            outputs: q.graph.outputs.clone(),
            steps,
            blob,
            plan,
            choices,
            corrections,
            tuned: target.tuning.choices.clone(),
        };
        program::verify(&program)?;
        program.check_fits_its_memory()?;
        Ok(program)
    }
}

/// No tensor has more bytes than offsets within it can count; those of the network itself lie in no arena.
fn check_bytes(q: &QGraph) -> Result<()> {
    let is_larger = |id: &ValueId| q.bytes(*id) > MAX_BYTES;
    match (0..q.formats.len()).map(ValueId).find(is_larger) {
        Some(id) => Err(Error::Invalid(format!(
            "{}: `{}` has {} bytes as {}; a tensor may have at most 2 GiB: choose a smaller input",
            q.graph.name,
            q.graph.values[id.0].name,
            q.bytes(id),
            q.formats[id.0].name()
        ))),
        None => Ok(()),
    }
}
