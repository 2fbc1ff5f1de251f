//! The operator behind a network's last layer.

use crate::{
    error::{Error, Result},
    graph::{Graph, Node, Op, Value, ValueId},
    ops::{ArgMax, PointWise, Softmax},
    recipe::Head,
};

/// The graph with what the recipe wants computed from its last layer.
pub(super) fn with_head(mut graph: Graph, head: Head) -> Result<Graph> {
    let op: Box<dyn Op> = match head {
        Head::Logits => return Ok(graph),
        Head::Argmax => Box::new(ArgMax),
        Head::Softmax => Box::new(Softmax),
        Head::Sigmoid => Box::new(PointWise::sigmoid()),
    };
    let input = graph.outputs[0];
    let shape = graph.shape(input);
    let refuse = |message: String| Error::Invalid(format!("{}: output head `{head}`: {message}", graph.name));
    if shape.c == 1 && matches!(head, Head::Argmax | Head::Softmax) {
        return Err(refuse(
            "needs several classes, the network has one score; use `logits` or `sigmoid`".into(),
        ));
    }
    let shapes = op.output_shapes(&[shape]).map_err(refuse)?;
    let name = head.name();
    graph.values.push(Value { name: name.into(), shape: shapes[0] });
    let output = ValueId(graph.values.len() - 1);
    graph.nodes.push(Node { name: name.into(), op: op.into(), inputs: vec![input], outputs: vec![output] });
    graph.outputs[0] = output;
    Ok(graph)
}
