//! Inputs, outputs and layers as the file has them.

use super::{
    super::end::Element,
    array::Type,
    codes::Quantization,
    layout::Layout,
    proto::TypeTensorProto,
    value::{Elements, Live, Value},
};
use crate::graph::{Graph, ValueId};
use std::collections::HashMap;

/// An input or output, as the file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Sizes of its axes, the batch being 1.
    pub dims: Vec<usize>,
    /// Which of its axes are height, width and channels of the graph's value; in the order of memory, if one is several axes.
    pub axes: [Vec<usize>; 3],
    /// Its elements.
    pub element: Element,
}

/// A value as the file declares it.
pub(super) fn port(name: &str, live: &Live, declared: Option<&TypeTensorProto>) -> Port {
    let axes = match live.at.plain() {
        Some(axes) => axes.map(Vec::from_iter),
        None => Layout::usual_groups(live.dims()),
    };
    let element = match declared.and_then(|t| Type::of(t.elem_type?).ok()) {
        _ if live.of == Elements::Labels => Element::Int64,
        Some(Type::F16) => Element::Float16,
        Some(Type::Int { bits: 8, signed: true }) => Element::Int8,
        Some(Type::Int { bits: 8, signed: false }) => Element::UInt8,
        Some(Type::Int { bits: 32, .. }) => Element::Int32,
        Some(Type::Int { bits: 64, .. }) => Element::Int64,
        _ => Element::Float32,
    };
    Port { name: name.into(), dims: live.dims().to_vec(), axes, element }
}

/// Outputs get the names that they have in the file, where no input has that value. A layer that has the name already made what another one then
/// moved.
pub(super) fn name_outputs(graph: &mut Graph, ports: &[Port]) {
    let rename = |graph: &mut Graph, id: ValueId, name: &str| {
        graph.values[id.0].name = name.into();
        if let Some(i) = graph.producer(id) {
            graph.nodes[i].name = name.into();
        }
    };
    for (id, port) in graph.outputs.clone().into_iter().zip(ports) {
        if graph.inputs.contains(&id) || graph.values[id.0].name == port.name {
            continue;
        }
        match graph.find(&port.name) {
            Some(other) if graph.inputs.contains(&other) || graph.outputs.contains(&other) => continue,
            Some(other) => rename(graph, other, &format!("{}.made", port.name)),
            None => {}
        }
        rename(graph, id, &port.name);
    }
}

/// What nodes make, where each of height, width and channels is one axis or none.
/// An input that is codes in memory is what its `QuantizeLinear` makes.
pub(super) fn layers(
    values: &HashMap<String, Value>,
    graph: &Graph,
    codes: &Quantization,
) -> Vec<(String, Port)> {
    let made = |name: &String, id: &ValueId| !graph.inputs.contains(id) || codes.names.contains(name);
    let live = values.iter().filter_map(|(name, value)| match value {
        Value::Live(live) if made(name, &live.id) && live.at.plain().is_some() => Some((name, live)),
        _ => None,
    });
    let whole =
        |(_, live): &(&String, &Live)| live.dims().iter().product::<usize>() == graph.shape(live.id).len();
    let mut live: Vec<(&String, &Live)> = live.filter(whole).collect();
    live.sort_by_key(|(name, live)| (live.id.0, *name));
    let port_of = |name: &String, live: &Live| {
        let port = port(name, live, None);
        match codes.of.get(&live.id).filter(|_| codes.names.contains(name)) {
            Some(codes) if codes.unsigned => Port { element: Element::UInt8, ..port },
            Some(_) => Port { element: Element::Int8, ..port },
            None => port,
        }
    };
    live.into_iter().map(|(name, live)| (graph.values[live.id.0].name.clone(), port_of(name, live))).collect()
}
