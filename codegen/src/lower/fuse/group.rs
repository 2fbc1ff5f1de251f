//! Which steps a chain would consist of, and how many rows of each map it would keep.

use super::scratch_of;
use crate::{
    graph::ValueId,
    lower::draft::Draft,
    plan::Placement,
    program::{ALIGNMENT, Bindings, Blob, Field, In, Location, TensorInfo},
    quantize::QGraph,
};
use niello_kernels::{
    FusedStage, Region, Space,
    by_rows::RowKernel,
    row_chain::{MOST_MAPS, Map, RowScheduler},
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that the maps of a chain may take together, unless one row at a time needs more: part of a second-level cache.
const BANDS: usize = 256 << 10;

/// Steps that become one.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Indices of the steps, ascending.
    pub(super) members: Vec<usize>,
    /// Maps that it reads as wholes.
    pub(super) inputs: Vec<ValueId>,
    /// Maps of which it keeps so many rows.
    pub(super) between: Vec<(ValueId, usize)>,
    /// The map that it writes.
    pub(super) output: ValueId,
    /// Of each member, which of `inputs`, `between`, `output`, counted through, it reads and writes.
    pub(super) places: Vec<([u8; 2], u8)>,
    /// Output rows per band.
    pub(super) band: usize,
    /// Scratch bytes of the members, of one thread; the maps lie behind.
    pub(super) own: usize,
    /// All scratch bytes, of all threads.
    pub(super) scratch: usize,
}

/// A step that can be part of a chain.
struct Link<'d> {
    kernel: Box<dyn RowKernel + Sync + 'd>,
    reads: [ValueId; 2],
    writes: ValueId,
    tile_rows: usize,
}

/// Steps of a program, as seen from the maps between them.
pub(super) struct Drafts<'d> {
    drafts: &'d [Draft],
    tensors: &'d [TensorInfo],
    blob: &'d Blob,
    placement: &'d Placement,
    links: Vec<Option<Link<'d>>>,
    /// Of each map that could be given up, who writes and who reads it.
    users: BTreeMap<ValueId, (Vec<usize>, Vec<usize>)>,
    threads: usize,
    pixels: usize,
}

impl<'d> Drafts<'d> {
    pub(super) fn new(
        q: &QGraph,
        placement: &'d Placement,
        tensors: &'d [TensorInfo],
        blob: &'d Blob,
        drafts: &'d [Draft],
        threads: usize,
        pixels: usize,
    ) -> Self {
        let root = |id: ValueId| placement.root(id).0;
        let bindings = Bindings { tensors, blob, scratch: Region::EMPTY };
        let link = |draft: &'d Draft| {
            let kernel = draft.call.by_rows(&bindings).filter(|kernel| kernel.is_by_rows())?;
            let first = *draft.reads.first()?;
            let reads = [first, draft.reads.get(1).copied().unwrap_or(first)].map(root);
            let tile_rows = draft.call.tile_rows();
            Some(Link { kernel, reads, writes: root(draft.writes), tile_rows })
        };
        let links: Vec<Option<Link<'d>>> = drafts.iter().map(link).collect();
        let given = |id: &ValueId| q.graph.inputs.contains(id) || q.graph.outputs.contains(id);
        let mut users: BTreeMap<ValueId, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (i, draft) in drafts.iter().enumerate() {
            users.entry(root(draft.writes)).or_default().0.push(i);
            let reads: BTreeSet<ValueId> = draft.reads.iter().map(|id| root(*id)).collect();
            reads.into_iter().for_each(|id| users.entry(id).or_default().1.push(i));
        }
        let chained = |i: &usize| links[*i].is_some();
        users.retain(|id, (writers, readers)| {
            // All that is written of it is written before anything is read.
            let ordered = writers.last().is_some_and(|w| readers.first().is_some_and(|r| w < r));
            ordered && !given(id) && writers.iter().chain(&*readers).all(chained)
        });
        Self { drafts, tensors, blob, placement, links, users, threads, pixels }
    }

    /// Maps that could be given up.
    pub(super) fn candidates(&self) -> impl Iterator<Item = ValueId> {
        self.users.keys().copied()
    }

    /// The groups that there must be if the maps `given_up` are not to be whole; `None` if there is one that cannot be.
    pub(super) fn groups(&self, given_up: &BTreeSet<ValueId>) -> Option<Vec<Group>> {
        let mut groups: Vec<BTreeSet<usize>> = vec![];
        for value in given_up {
            let (writers, readers) = &self.users[value];
            let mut together: BTreeSet<usize> = writers.iter().chain(readers).copied().collect();
            groups.retain(|group| {
                let apart = group.is_disjoint(&together);
                if !apart {
                    together.extend(group);
                }
                apart
            });
            groups.push(together);
        }
        groups.into_iter().map(|members| self.group(members.into_iter().collect(), given_up)).collect()
    }

    /// One group, if it can be a chain.
    fn group(&self, members: Vec<usize>, given_up: &BTreeSet<ValueId>) -> Option<Group> {
        let links: Vec<&Link<'_>> = members.iter().map(|i| self.links[*i].as_ref()).collect::<Option<_>>()?;
        let (mut inputs, mut between, mut outputs) = (vec![], vec![], BTreeSet::new());
        for link in &links {
            for read in link.reads {
                if !given_up.contains(&read) && !inputs.contains(&read) {
                    inputs.push(read);
                }
            }
            if !given_up.contains(&link.writes) {
                outputs.insert(link.writes);
            } else if !between.contains(&link.writes) {
                between.push(link.writes);
            }
        }
        let output = outputs.pop_first().filter(|_| outputs.is_empty())?;
        let last = *members.last()?;
        // The result is made by the chain alone, at its end, and is none of its inputs.
        let root = |id: ValueId| self.placement.root(id).0;
        let made_here = self.drafts.iter().enumerate().all(|(i, draft)| {
            let writes = root(draft.writes) == output;
            let reads = draft.reads.iter().any(|id| root(*id) == output);
            (!writes || members.contains(&i)) && (!reads || i > last)
        });
        let maps = inputs.len() + between.len() + 1;
        if !made_here || inputs.contains(&output) || inputs.is_empty() || inputs.len() > 2 || maps > MOST_MAPS
        {
            return None;
        }
        let index = |id: ValueId| {
            let all = inputs.iter().chain(&between).chain([&output]);
            all.clone().position(|other| *other == id).map(|i| i as u8)
        };
        let places: Vec<([u8; 2], u8)> = links
            .iter()
            .map(|link| Some(([index(link.reads[0])?, index(link.reads[1])?], index(link.writes)?)))
            .collect::<Option<_>>()?;
        let own = members.iter().map(|i| self.drafts[*i].scratch / self.threads.max(1)).max()?;
        let own = own.next_multiple_of(ALIGNMENT);
        // As many rows per band as make a pass, fewer where they would take too much memory.
        let shape = self.tensors[output.0].shape;
        let step = links.iter().map(|link| link.tile_rows).max().unwrap_or(1);
        let wanted = self.pixels.div_ceil(shape.w.max(1)).next_multiple_of(step).min(shape.h.max(1));
        let mut band = wanted;
        loop {
            let rows = self.rows(&links, &places, &inputs, &between, output, band)?;
            let of_map = |(id, rows): (&ValueId, &usize)| {
                let tensor = &self.tensors[id.0];
                (rows * tensor.shape.w * tensor.pixel_bytes()).next_multiple_of(ALIGNMENT)
            };
            let bands: usize = between.iter().zip(&rows).map(of_map).sum();
            if bands > BANDS && band > step {
                band = band / 2 / step * step;
                band = band.max(step);
                continue;
            }
            // A map that is in memory almost as a whole is better left there.
            let whole = between.iter().zip(&rows).any(|(id, rows)| *rows >= self.tensors[id.0].shape.h);
            if whole {
                return None;
            }
            let scratch = scratch_of(self.threads, own + bands);
            let between = between.into_iter().zip(rows).collect();
            return Some(Group { members, inputs, between, output, places, band, own, scratch });
        }
    }

    /// The most rows that bands of the output need of each map in between.
    fn rows(
        &self,
        links: &[&Link<'_>],
        places: &[([u8; 2], u8)],
        inputs: &[ValueId],
        between: &[ValueId],
        output: ValueId,
        band: usize,
    ) -> Option<Vec<usize>> {
        let stages: Vec<FusedStage<&(dyn RowKernel + Sync)>> = links
            .iter()
            .zip(places)
            .map(|(link, (reads, writes))| FusedStage {
                kernel: &*link.kernel,
                reads: *reads,
                writes: *writes,
            })
            .collect();
        let all: Vec<ValueId> = inputs.iter().chain(between).chain([&output]).copied().collect();
        let bindings = Bindings { tensors: self.tensors, blob: self.blob, scratch: Region::EMPTY };
        let maps: Vec<Map> =
            all.iter().map(|id| Map { operand: In::new(*id).bind(&bindings), rows: 0 }).collect();
        // A map of which nothing is read still has a row: none would mean that it is whole.
        let mut rows = vec![1; between.len()];
        // A thread may begin at any row, a single one begins at the first.
        let (h, step) = (self.tensors[output.0].shape.h, if self.threads > 1 { 1 } else { band });
        let mut walk = RowScheduler::default();
        for start in (0..h).step_by(step) {
            if self.threads > 1 {
                walk = RowScheduler::default();
            }
            let turns = walk.band(&&stages[..], &maps, start..(start + band).min(h))?;
            for (rows, turn) in rows.iter_mut().zip(&turns[inputs.len()..]) {
                *rows = (*rows).max(turn.needed[1] - turn.needed[0]);
            }
        }
        Some(rows)
    }
}

/// Tensors whose places are not known yet: slices of concatenations lie in them, everything else at zero.
pub(crate) fn unplaced(q: &QGraph, placement: &Placement) -> Vec<TensorInfo> {
    let graph = &q.graph;
    (0..graph.values.len())
        .map(|i| {
            let (root, channel) = placement.root(ValueId(i));
            let code = q.formats[root.0].bytes();
            let (offset, stride) = ((code * channel) as u32, (code * graph.shape(root).c) as u32);
            TensorInfo {
                name: graph.values[i].name.clone(),
                shape: graph.values[i].shape,
                format: q.formats[i],
                location: Location { space: Space::Arena, offset, stride },
            }
        })
        .collect()
}
