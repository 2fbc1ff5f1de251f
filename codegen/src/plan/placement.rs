//! Zero-copy concatenation: producers write straight into their slice of the result.

use crate::{
    graph::{Graph, ValueId},
    quantize::QGraph,
};

/// Which values are slices of which concatenation.
#[derive(Clone, Debug)]
pub struct Placement {
    /// By value: the result that it is part of, and its first channel there.
    parents: Vec<Option<(ValueId, usize)>>,
}

impl Placement {
    /// Every operand that can be placed is: it is made by a node, wanted by the caller only as part of the result, and
    /// is part of one concatenation, once.
    pub fn all(q: &QGraph) -> Self {
        let graph: &Graph = &q.graph;
        let mut parents: Vec<Option<(ValueId, usize)>> = vec![None; graph.values.len()];
        for node in graph.nodes.iter().filter(|n| n.op.places_inputs()) {
            let mut channel = 0;
            for id in &node.inputs {
                let made_here = !graph.inputs.contains(id) && !graph.outputs.contains(id);
                let once = node.inputs.iter().filter(|i| *i == id).count() == 1;
                let same_format = q.formats[id.0] == q.formats[node.output().0];
                if made_here && once && same_format && parents[id.0].is_none() {
                    parents[id.0] = Some((node.output(), channel));
                }
                channel += graph.shape(*id).c;
            }
        }
        Self { parents }
    }

    /// The result that `value` is part of, and its first channel there.
    pub fn parent(&self, value: ValueId) -> Option<(ValueId, usize)> {
        self.parents[value.0]
    }

    /// The outermost result that `value` is part of, and its first channel there.
    pub fn root(&self, mut value: ValueId) -> (ValueId, usize) {
        let mut channel = 0;
        while let Some((parent, at)) = self.parents[value.0] {
            (value, channel) = (parent, channel + at);
        }
        (value, channel)
    }

    /// All placed values.
    pub fn placed(&self) -> Vec<ValueId> {
        (0..self.parents.len()).filter(|i| self.parents[*i].is_some()).map(ValueId).collect()
    }

    /// Keeps `value` apart: it will be copied into the result.
    pub fn remove(&mut self, value: ValueId) {
        self.parents[value.0] = None;
    }
}
