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
    for i in 0..graph.nodes.len() {
        let [output] = graph.nodes[i].outputs[..] else { continue };
        let readers: Vec<usize> = graph.readers(output).collect();
        let [next] = readers[..] else { continue };
        if graph.outputs.contains(&output) || graph.nodes[next].inputs.len() != 1 {
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
    let mut needed: Vec<ValueId> = graph.outputs.clone();
    let mut keep = vec![false; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if node.outputs.iter().any(|o| needed.contains(o)) {
            keep[i] = true;
            needed.extend(&node.inputs);
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
