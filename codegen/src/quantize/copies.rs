//! Copies in another number format, where a node reads another than its input has.

use super::QGraph;
use crate::{
    format::Format,
    graph::{Node, Value, ValueId},
    ops::Rescale,
};
use std::{collections::BTreeSet, sync::Arc};

impl QGraph {
    /// Lets every concatenation read copies of operands that have another format than its own.
    pub(crate) fn concatenate_in_one_format(&mut self) {
        for at in (0..self.graph.nodes.len()).rev() {
            let node = &self.graph.nodes[at];
            if !node.op.places_inputs() {
                continue;
            }
            let format = self.formats[node.output().0];
            // Labels that are concatenated with numbers are an error when it is lowered.
            let is_other = |id: &&ValueId| ![format, Format::Label].contains(&self.formats[id.0]);
            let apart = node.inputs.iter().filter(is_other).copied().collect();
            self.concatenate_copies(at, apart);
        }
    }

    /// Lets the concatenation that is node `at` read copies of some operands, in its own format.
    pub(crate) fn concatenate_copies(&mut self, at: usize, operands: BTreeSet<ValueId>) {
        let format = self.formats[self.graph.nodes[at].output().0];
        for (at, id) in (at..).zip(operands) {
            // The concatenation is behind the copies that have been inserted.
            let copy = ValueId(self.graph.values.len());
            let node = &mut self.graph.nodes[at];
            let name = format!("{}.{}", node.name, self.graph.values[id.0].name);
            node.inputs.iter_mut().filter(|input| **input == id).for_each(|input| *input = copy);
            self.insert_copy(at, name, id, format);
        }
    }

    /// Inserts, as node `at`, a copy of a value in another format; it becomes the last value.
    pub(crate) fn insert_copy(&mut self, at: usize, name: String, of: ValueId, format: Format) {
        let copy = ValueId(self.graph.values.len());
        self.graph.values.push(Value { name: name.clone(), shape: self.graph.shape(of) });
        self.formats.push(format);
        self.channel_means.push(self.channel_means[of.0].clone());
        let node = Node { name, op: Arc::new(Rescale), inputs: vec![of], outputs: vec![copy] };
        self.graph.nodes.insert(at, node);
    }
}
