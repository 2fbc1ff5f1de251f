//! Graph to graph: fold, fuse, drop what does nothing or serves nobody.
//!
//! Passes name no operator: [`crate::graph::Op::absorb`] says what can be merged, [`crate::graph::Op::is_identity`] what can go.
//! [`cam`] adds a class-activation map in the same way.

pub mod cam;

use crate::graph::{Graph, Node, ValueId};

/// Applies all passes until nothing changes, then renumbers values.
pub fn optimize(mut graph: Graph) -> Graph {
    while drop_identity(&mut graph) || absorb(&mut graph) {}
    drop_dead(&mut graph);
    renumber(graph)
}

/// Removes one node whose output is its input.
fn drop_identity(graph: &mut Graph) -> bool {
    let found = graph.nodes.iter().position(|n| {
        // An output must be made by somebody, and once: keep the node if its input is the caller's too.
        let callers = |id: &ValueId| graph.inputs.contains(id) || graph.outputs.contains(id);
        n.op.is_identity() && !(graph.outputs.contains(&n.output()) && callers(&n.inputs[0]))
    });
    let Some(i) = found else { return false };
    let node = graph.nodes.remove(i);
    let (from, to) = (node.output(), node.inputs[0]);
    for id in graph.nodes.iter_mut().flat_map(|n| &mut n.inputs).chain(&mut graph.outputs) {
        if *id == from {
            *id = to;
        }
    }
    true
}

/// Merges one node with the only reader of its output, where the operators allow it.
fn absorb(graph: &mut Graph) -> bool {
    // Of each value how many nodes read it, and the last of them.
    let mut readers = vec![(0usize, 0usize); graph.values.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        for (i, id) in node.inputs.iter().enumerate() {
            // A node that reads a value twice is one reader.
            if !node.inputs[..i].contains(id) {
                readers[id.0] = (readers[id.0].0 + 1, at);
            }
        }
    }
    for i in 0..graph.nodes.len() {
        let [output] = graph.nodes[i].outputs[..] else { continue };
        let (1, next) = readers[output.0] else { continue };
        if graph.nodes[next].inputs.len() != 1 || graph.outputs.contains(&output) {
            continue;
        }
        if let Some(op) = graph.nodes[i].op.absorb(&*graph.nodes[next].op) {
            let next = graph.nodes.remove(next);
            graph.nodes[i] = Node { op: op.into(), inputs: graph.nodes[i].inputs.clone(), ..next };
            return true;
        }
    }
    false
}

/// Removes nodes whose outputs nobody reads.
fn drop_dead(graph: &mut Graph) {
    let mut needed = vec![false; graph.values.len()];
    graph.outputs.iter().for_each(|id| needed[id.0] = true);
    let mut keep = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|id| needed[id.0]) {
            keep[i] = true;
            node.inputs.iter().for_each(|id| needed[id.0] = true);
        }
    }
    let mut keep = keep.into_iter();
    graph.nodes.retain(|_| keep.next().expect("one flag per node"));
}

/// Drops values that no node makes or reads.
fn renumber(mut graph: Graph) -> Graph {
    let mut used = vec![false; graph.values.len()];
    let ids = graph.nodes.iter().flat_map(|n| n.inputs.iter().chain(&n.outputs));
    ids.chain(&graph.inputs).chain(&graph.outputs).for_each(|id| used[id.0] = true);
    let mut new = vec![ValueId(usize::MAX); used.len()];
    let mut values = vec![];
    for (i, value) in graph.values.into_iter().enumerate() {
        if used[i] {
            new[i] = ValueId(values.len());
            values.push(value);
        }
    }
    let nodes = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs));
    nodes.chain(&mut graph.inputs).chain(&mut graph.outputs).for_each(|id| *id = new[id.0]);
    Graph { values, ..graph }
}
