//! The float IR: framework-neutral, shape-inferred, NHWC, batch 1.
//!
//! * [`Graph`]: nodes in execution order, each an operator with its input and output values.
//! * [`Op`]: what an operator is to everybody else; [`crate::ops`] has them.
//! * [`Backward`]: what it is told to give a gradient.
//! * `reference`: evaluates a graph in `f32` or `f64`.
//!
//! [`crate::import`] builds graphs.

mod backward;
mod op;
mod reference;

pub use backward::Backward;
pub use op::Op;

use crate::{format::RangeRule, tensor::Shape};
use std::sync::Arc;

/// A tensor of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValueId(pub usize);

/// A value of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// The name of the layer that makes it, or of the input.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
}

/// One operator in its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// The checkpoint's module name where there is one.
    pub name: String,
    /// Its operator.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<ValueId>,
    /// Its outputs.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// The only output of the many operators that have one.
    pub fn output(&self) -> ValueId {
        self.outputs[0]
    }
}

/// A network: nodes in execution order.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The network's name.
    pub name: String,
    /// Values that the caller gives.
    pub inputs: Vec<ValueId>,
    /// Values that the caller gets.
    pub outputs: Vec<ValueId>,
    /// All values, by id.
    pub values: Vec<Value>,
    /// All nodes; each reads only values of inputs and earlier nodes.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// Shape of a value.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.values[id.0].shape
    }

    /// Shapes of several values.
    pub fn shapes(&self, ids: &[ValueId]) -> Vec<Shape> {
        ids.iter().map(|id| self.shape(*id)).collect()
    }

    /// The value of that name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(ValueId)
    }

    /// The value of that name, or the only one whose name it begins, of several that a converter has joined by semicolons; else a line that says
    /// which names are near.
    ///
    /// # Errors
    /// There is none.
    pub fn require(&self, name: &str) -> Result<ValueId, String> {
        let begins = |other: &Value| other.name.split_once(';').is_some_and(|(first, _)| first == name);
        let mut joined = (0..self.values.len()).filter(|i| begins(&self.values[*i])).map(ValueId);
        let only = joined.next().filter(|_| joined.next().is_none());
        self.find(name).or(only).ok_or_else(|| {
            let names = self.values.iter().map(|v| v.name.as_str());
            format!("no such tensor; near: {}", crate::text::near_matches(name, names).join(", "))
        })
    }

    /// Indices of the nodes that read `value`.
    pub fn readers(&self, value: ValueId) -> impl Iterator<Item = usize> + '_ {
        self.nodes.iter().enumerate().filter(move |(_, n)| n.inputs.contains(&value)).map(|(i, _)| i)
    }

    /// Index of the node that makes `value`; `None` for an input.
    pub fn producer(&self, value: ValueId) -> Option<usize> {
        self.nodes.iter().position(|n| n.outputs.contains(&value))
    }

    /// Whether `value` is read as class labels, not as numbers, by whoever it is handed on to.
    pub fn holds_labels(&self, value: ValueId) -> bool {
        let mut labels = vec![false; self.values.len()];
        for node in self.nodes.iter().rev() {
            let hands_on = || labels[node.output().0] && node.op.range_rule() == RangeRule::SameAsInputs;
            if node.op.takes_labels() || hands_on() {
                node.inputs.iter().for_each(|id| labels[id.0] = true);
            }
        }
        labels[value.0]
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.nodes.iter().map(|n| self.node_macs(n)).fold(0, u64::saturating_add)
    }

    /// Multiply-accumulates of one node.
    pub fn node_macs(&self, node: &Node) -> u64 {
        node.op.macs(&self.shapes(&node.inputs), &self.shapes(&node.outputs))
    }

    /// Trained parameters (batch-norm statistics are buffers and do not count).
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|n| n.op.parameters()).sum()
    }
}
