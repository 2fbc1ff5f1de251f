//! The operator behind a network's last layer.

use crate::{
    error::{Error, Result},
    format::{Format, RangeRule},
    graph::{Graph, Node, Op, Value, ValueId},
    ops::{ArgMax, PointWise, Softmax},
    quantize::QGraph,
    recipe::{Head, Recipe},
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

/// A quantised file with what the recipe wants computed from its last layer.
///
/// # Errors
/// A recipe that wants other scales than those of the file.
pub(super) fn with_scales_of_file(recipe: &Recipe, mut q: QGraph) -> Result<QGraph> {
    if let Some(key) = recipe.only_without_scales() {
        let message = format!(
            "`{key}` is for networks whose scales niello chooses; the file is quantised and has its own"
        );
        return Err(Error::Invalid(format!("{}: {message}", q.graph.name)));
    }
    q.graph = with_head(q.graph, recipe.output.head)?;
    if q.graph.values.len() > q.formats.len() {
        let made = q.graph.nodes.last().map(|node| node.op.range_rule());
        q.formats.push(match made {
            Some(RangeRule::Fixed(params)) => Format::Int8(params),
            _ => Format::Label,
        });
        q.channel_means.push(None);
    }
    Ok(q)
}
