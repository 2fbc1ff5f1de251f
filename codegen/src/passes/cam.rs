//! Class-activation maps: where in the image a class was seen.
//!
//! A network that ends in the mean over a map and a linear layer gives class `c` the score
//! `b[c] + sum_k w[c, k] * mean(maps[k])`. The linear layer and the mean change places:
//!
//! ```text
//! cam[c] = sum_k w[c, k] * maps[k]        score[c] = b[c] + mean(cam[c])
//! ```
//!
//! so that `cam[c]`, a map, says what each place adds to the score (Zhou et al., CVPR 2016, arXiv 1512.04150). A network
//! whose last layer is the mean, over a map with a channel for each class, has its class-activation map already: the map that
//! goes into the mean, behind its activation if it has one.
//!
//! [`with_map`] finds either ending and makes the map another output of the graph. It names no operator:
//! [`crate::graph::Op::is_mean_of`] and [`crate::graph::Op::linear_part`] say what each does.

use crate::{
    error::{Error, Result},
    graph::{Graph, Node, Op, Value, ValueId},
    tensor::Tensor,
};
use std::sync::Arc;

/// Name of the map's value where the network has no such value itself.
pub const NAME: &str = "cam";

/// The graph with the class-activation map of its first output, `[h, w, classes]`, as its last output.
///
/// # Errors
/// A network that does not end in the mean over a map with nothing but linear layers behind it: the error says what is in
/// the way.
pub fn with_map(mut graph: Graph) -> Result<Graph> {
    let (mut map, linear) = ending(&graph)
        .map_err(|why| Error::Invalid(format!("{}: no class-activation map: {why}", graph.name)))?;
    let count = linear.len();
    for (i, op) in linear.into_iter().enumerate() {
        let name = if i + 1 == count { NAME.to_string() } else { format!("{NAME}.{i}") };
        let shapes = op.output_shapes(&[graph.shape(map)]);
        let shapes = shapes.map_err(|why| Error::Invalid(format!("{}: `{name}`: {why}", graph.name)))?;
        graph.values.push(Value { name: name.clone(), shape: shapes[0] });
        let output = ValueId(graph.values.len() - 1);
        graph.nodes.push(Node { name, op: op.into(), inputs: vec![map], outputs: vec![output] });
        map = output;
    }
    graph.push_output(map);
    Ok(graph)
}

/// How the class-activation map of a network comes about, for those who have the map that it is computed from: a program's, say.
#[derive(Clone, Debug)]
pub struct Linear {
    /// The map that the network's scores are the mean of, but for linear layers.
    pub map: ValueId,
    layers: Vec<Arc<dyn Op>>,
}

impl Linear {
    /// The end of a graph.
    ///
    /// # Errors
    /// As [`with_map`].
    pub fn of(graph: &Graph) -> Result<Self> {
        let (map, linear) = ending(graph)
            .map_err(|why| Error::Invalid(format!("{}: no class-activation map: {why}", graph.name)))?;
        Ok(Self { map, layers: linear.into_iter().map(Arc::from).collect() })
    }

    /// The class-activation map `[h, w, classes]`, in floating point.
    ///
    /// # Errors
    /// A map of another shape than the graph's.
    pub fn apply(&self, map: &Tensor<f32>) -> Result<Tensor<f32>> {
        let mut graph = Graph {
            name: NAME.into(),
            inputs: vec![ValueId(0)],
            outputs: vec![ValueId(self.layers.len())],
            values: vec![Value { name: NAME.into(), shape: map.shape }],
            nodes: vec![],
        };
        for (i, op) in self.layers.iter().enumerate() {
            let shapes = op.output_shapes(&[graph.shape(ValueId(i))]);
            let shapes = shapes.map_err(|why| Error::Invalid(format!("class-activation map: {why}")))?;
            graph.values.push(Value { name: NAME.into(), shape: shapes[0] });
            let (inputs, outputs) = (vec![ValueId(i)], vec![ValueId(i + 1)]);
            graph.nodes.push(Node { name: NAME.into(), op: op.clone(), inputs, outputs });
        }
        Ok(graph.eval_f32(std::slice::from_ref(map))?.remove(0))
    }
}

/// The map that the first output is the mean of, and what is done to the mean, as it is done to each pixel of the map; or what is
/// in the way.
fn ending(graph: &Graph) -> Result<(ValueId, Vec<Box<dyn Op>>), String> {
    let mut value = graph.outputs[0];
    if graph.shape(value).area() != 1 {
        return Err("it needs one score per class, the network's output is a map itself".into());
    }
    let mut linear = vec![];
    loop {
        let none = "no mean over a map goes into the scores";
        let node = &graph.nodes[graph.producer(value).ok_or(none)?];
        let &[input] = &node.inputs[..] else {
            return Err(format!(
                "`{}` ({}) reads several values before any mean over a map",
                node.name,
                node.op.kind()
            ));
        };
        if node.op.is_mean_of(graph.shape(input)) {
            linear.reverse();
            return Ok((input, linear));
        }
        if let Some(part) = node.op.linear_part() {
            linear.push(part);
        } else if !node.op.is_identity() && !node.op.keeps_values() {
            return Err(format!(
                "`{}` ({}) stands between the mean over a map and the scores; only linear layers may",
                node.name,
                node.op.kind()
            ));
        }
        value = input;
    }
}

/// Where a map is largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Row of the map.
    pub row: usize,
    /// Column of the map.
    pub column: usize,
    /// The value there.
    pub value: f32,
}

/// The map of one class, `[h, w]`.
///
/// # Panics
/// If the map has no such class.
pub fn of_class(map: &Tensor<f32>, class: usize) -> Vec<f32> {
    assert!(class < map.shape.c, "class {class} of {}", map.shape);
    map.data.iter().skip(class).step_by(map.shape.c).copied().collect()
}

/// The largest value of a map of rows of `width`, the first of equal ones.
pub fn peak(map: &[f32], width: usize) -> Peak {
    let larger = |best: usize, i: usize| if map[i] > map[best] { i } else { best };
    let at = (0..map.len()).fold(0, larger);
    let value = map.get(at).copied().unwrap_or(f32::NAN);
    Peak { row: at / width.max(1), column: at % width.max(1), value }
}
