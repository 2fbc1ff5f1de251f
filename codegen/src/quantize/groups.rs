//! Values that must share a scale.

use super::ranges::Seen;
use crate::{
    format::{Format, RangeRule},
    graph::{Graph, Node, ValueId},
};
use std::collections::{BTreeMap, BTreeSet};

/// By value, whether it holds labels or positions, not numbers: given as such, made so, or handed on.
pub(crate) fn label_values(graph: &Graph) -> Vec<bool> {
    let mut is_label: Vec<bool> = (0..graph.values.len()).map(|i| graph.holds_labels(ValueId(i))).collect();
    for node in &graph.nodes {
        let made = match node.op.range_rule() {
            RangeRule::Labels => true,
            RangeRule::SameAsInputs => node.inputs.iter().all(|id| is_label[id.0]),
            _ => false,
        };
        node.outputs.iter().for_each(|id| is_label[id.0] |= made);
    }
    is_label
}

/// The format of values that share one, where no range decides it: labels, and results of operators that fix theirs.
pub(crate) fn given_format(graph: &Graph, members: &[ValueId]) -> Option<Format> {
    members.iter().find_map(|id| {
        if graph.holds_labels(*id) {
            return Some(Format::Label);
        }
        match graph.producer(*id).map(|n| graph.nodes[n].op.range_rule()) {
            Some(RangeRule::Labels) => Some(Format::Label),
            Some(RangeRule::Fixed(q)) => Some(Format::Int8(q)),
            _ => None,
        }
    })
}

/// Values that must share one scale, as a union-find forest.
pub(crate) struct Groups {
    parent: Vec<usize>,
}

/// How many times wider than an operand a concatenation may be at most to share its scale with one that others read too: four of its eight bits
/// are left then. A copy takes time and memory, so less than that is only told ([`crate::check::warnings`]).
const TOO_WIDE: f32 = 16.0;

impl Groups {
    /// Of a graph as it is quantised. An operand of a concatenation keeps to itself, and is rescaled for it, if an operator fixes its format
    /// and not that of all operands, or if it is [`TOO_WIDE`] and something else reads the operand.
    pub(crate) fn new(graph: &Graph, seen: &impl Seen) -> Self {
        let mut groups = Self::joined(graph, |node, _| !node.op.places_inputs());
        for node in graph.nodes.iter().filter(|node| node.op.places_inputs()) {
            let fixed = |groups: &Self, id: ValueId| {
                let members = groups.members_of(id);
                (given_format(graph, &members), members)
            };
            let of: Vec<_> = node.inputs.iter().map(|id| fixed(&groups, *id)).collect();
            let all_fixed_alike = of.iter().all(|(format, _)| format.is_some() && *format == of[0].0);
            let whole = seen.seen(node.output()).map(width);
            for (id, (format, members)) in node.inputs.iter().zip(of) {
                let narrow = seen.seen(*id).zip(whole).is_some_and(|(s, whole)| width(s) * TOO_WIDE < whole);
                let joins = match format {
                    Some(_) => all_fixed_alike,
                    None => !(narrow && is_read_elsewhere(graph, &members)),
                };
                if joins {
                    groups.join(*id, node.output());
                }
            }
        }
        groups
    }

    /// All operands and results that share a scale as they are, but what does so with an input of the network only because both are
    /// concatenated does not: the operand can be given the scale of the result in between.
    pub(crate) fn apart_from_inputs(graph: &Graph) -> Self {
        let without = Self::joined(graph, |node, _| !node.op.places_inputs());
        let given: BTreeSet<usize> = graph.inputs.iter().map(|id| without.root(id.0)).collect();
        let is_given = |id: ValueId| given.contains(&without.root(id.0));
        Self::joined(graph, |node, id| !node.op.places_inputs() || is_given(id) == is_given(node.output()))
    }

    /// Operators that say so join their result with those operands that `joins` says.
    fn joined(graph: &Graph, joins: impl Fn(&Node, ValueId) -> bool) -> Self {
        let mut groups = Self { parent: (0..graph.values.len()).collect() };
        let is_label = label_values(graph);
        for node in graph.nodes.iter().filter(|n| n.op.range_rule() == RangeRule::SameAsInputs) {
            // Positions beside values have no scale; what hands labels on has labels.
            let alike = |id: &&ValueId| is_label[id.0] == is_label[node.output().0];
            let inputs = node.inputs.iter().filter(alike).filter(|id| joins(node, **id));
            for id in inputs.chain(&node.outputs) {
                groups.join(*id, node.output());
            }
        }
        groups
    }

    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a.0), self.root(b.0));
        self.parent[a.max(b)] = a.min(b);
    }

    fn members_of(&self, id: ValueId) -> Vec<ValueId> {
        let root = self.root(id.0);
        (0..self.parent.len()).filter(|i| self.root(*i) == root).map(ValueId).collect()
    }

    fn root(&self, mut i: usize) -> usize {
        while self.parent[i] != i {
            i = self.parent[i];
        }
        i
    }

    /// Every group.
    pub(crate) fn members(&self) -> impl Iterator<Item = Vec<ValueId>> {
        let mut by_root: BTreeMap<usize, Vec<ValueId>> = BTreeMap::new();
        for i in 0..self.parent.len() {
            by_root.entry(self.root(i)).or_default().push(ValueId(i));
        }
        by_root.into_values()
    }
}

/// From the smallest to the largest value of a range, 0 included.
pub(crate) fn width((min, max): (f32, f32)) -> f32 {
    // Half of each, so that it is finite.
    max.max(0.0) / 2.0 - min.min(0.0) / 2.0
}

/// Whether the caller or a layer reads one of `members` as it is, not only concatenations and what hands it on in the same format.
fn is_read_elsewhere(graph: &Graph, members: &[ValueId]) -> bool {
    let reads = |node: &&Node| node.inputs.iter().any(|id| members.contains(id));
    members.iter().any(|id| graph.outputs.contains(id))
        || graph
            .nodes
            .iter()
            .filter(reads)
            .any(|node| !node.op.places_inputs() && !members.contains(&node.output()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_hold_zero_and_are_finite() {
        for (range, expected) in [
            ((-2.0, 6.0), 4.0),
            ((1.0, 3.0), 1.5),
            ((-5.0, -1.0), 2.5),
            ((0.0, 0.0), 0.0),
            ((f32::MIN, f32::MAX), f32::MAX),
        ] {
            assert_eq!(width(range), expected, "{range:?}");
        }
    }
}
