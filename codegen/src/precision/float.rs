//! Floating point instead of integers: for a whole network, or for some layers among integers.
//!
//! [`everywhere`] needs no calibration: every tensor is a float. [`layers`] takes layers of a network that was quantised; where one reads
//! a tensor of another format, a [`crate::ops::Rescale`] converts it first.

use crate::{
    error::{Error, Result},
    format::{Format, Mode},
    graph::{Graph, ValueId},
    quantize::{QGraph, label_values},
};
use niello_kernels::Rounding;
use std::collections::{BTreeMap, BTreeSet};

/// The graph with every layer in `mode`.
pub fn everywhere(graph: Graph, mode: Mode) -> QGraph {
    let formats = label_values(&graph)
        .into_iter()
        .map(|label| if label { Format::Label } else { Format::Float(mode.float()) })
        .collect();
    QGraph {
        formats,
        rounding: Rounding::TfliteDouble,
        channel_means: vec![None; graph.values.len()],
        corrections: BTreeMap::new(),
        wide_weights: BTreeSet::new(),
        modes: graph.nodes.iter().flat_map(|n| &n.outputs).map(|id| (*id, mode)).collect(),
        graph,
    }
}

/// Lets the named layers compute in floating point, with conversions around them.
///
/// # Errors
/// A name that is no layer's, or that of an input.
pub fn layers(q: &mut QGraph, named: &BTreeMap<String, Mode>) -> Result<()> {
    let before = q.formats.clone();
    for (name, mode) in named {
        let refuse = |why: String| Error::Invalid(format!("{}: {why}", mode.name()));
        let Some(id) = q.graph.find(name) else {
            let near = crate::text::near_matches(name, q.graph.values.iter().map(|v| v.name.as_str()));
            return Err(refuse(format!("no layer `{name}`; near: {}", near.join(", "))));
        };
        let Some(at) = q.graph.producer(id) else {
            return Err(refuse(format!("`{name}` is an input of the network, not a layer")));
        };
        for id in q.graph.nodes[at].outputs.clone() {
            q.modes.insert(id, *mode);
            if q.formats[id.0] != Format::Label {
                q.formats[id.0] = Format::Float(mode.float());
            }
        }
    }
    // An input in floating point that only layers of another type read is given in that type: nothing is rounded in vain.
    for id in q.graph.inputs.clone() {
        let readers = q.graph.nodes.iter().filter(|node| node.inputs.contains(&id));
        let mut wanted = readers.map(|node| q.modes.get(&node.output()).map(|mode| mode.float()));
        if let (Format::Float(_), Some(Some(float))) = (q.formats[id.0], wanted.next())
            && wanted.all(|other| other == Some(float))
        {
            q.formats[id.0] = Format::Float(float);
        }
    }
    convert(q, &before);
    Ok(())
}

/// Puts a conversion before every layer that reads another format than its own.
fn convert(q: &mut QGraph, before: &[Format]) {
    let nodes = std::mem::take(&mut q.graph.nodes);
    let mut copies: BTreeMap<(ValueId, &str), ValueId> = BTreeMap::new();
    for mut node in nodes {
        let mode = q.modes.get(&node.output()).copied();
        for input in &mut node.inputs {
            let wanted = match (q.formats[input.0], mode) {
                (Format::Label, _) => continue,
                (_, Some(mode)) => Format::Float(mode.float()),
                (_, None) => before[input.0],
            };
            if wanted == q.formats[input.0] {
                continue;
            }
            *input = *copies.entry((*input, wanted.name())).or_insert_with(|| {
                let name = format!("{}.{}", q.graph.values[input.0].name, wanted.name());
                let copy = ValueId(q.graph.values.len());
                q.insert_copy(q.graph.nodes.len(), name, *input, wanted);
                // Whichever side is float, the conversion is one of floating point.
                q.modes.insert(copy, mode.unwrap_or(Mode::F32));
                copy
            });
        }
        q.graph.nodes.push(node);
    }
}
