//! Grad-CAM: where in the image a class was seen, for networks of any kind and any layer of theirs (Selvaraju et al., ICCV 2017, arXiv 1610.02391).
//!
//! ```text
//! weight[k] = mean over places of (d score / d maps[k])        map = max(0, sum_k weight[k] * maps[k])
//! ```
//!
//! `maps` are the channels of the layer, `score` is the class's, before the softmax or sigmoid that the network may end in. Where a network gives
//! each pixel a score, the class's are summed ([`Over`]; Vinogradova et al., AAAI 2020, arXiv 2002.11434).
//!
//! Everything is computed in double precision, on the float graph, by [`Op::gradient`](crate::graph::Op::gradient) of the operators from the scores
//! back to the layer. Those before the layer need none.

use crate::{
    error::{Error, Result},
    format::RangeRule,
    graph::{Backward, Graph, Node, ValueId},
    tensor::{Shape, Tensor},
};

/// The most bytes of activations that are kept for the way back.
const MAX_KEPT_BYTES: usize = 1 << 33;

/// Which scores of a class are summed, where there is one for each pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// All of them.
    #[default]
    Image,
    /// Those of the pixels that the network gives the class.
    Mask,
}

/// What a layer says of a class.
#[derive(Clone, Debug)]
pub struct GradCam {
    /// For each place of the layer how much speaks for the class there, `[h, w, 1]`; at least 0.
    pub map: Tensor<f32>,
    /// For each channel of the layer the mean gradient of the score.
    pub weights: Vec<f64>,
    /// The score, or the sum of scores.
    pub score: f64,
}

/// The map of `class` at `layer`, for the graph's first output and these inputs.
///
/// A network with a single score tells two classes apart: class 1 has the score, class 0 its negative.
///
/// # Errors
/// Inputs that do not fit, a class that the scores do not have, a mask without a pixel; a layer of one place, or one that no scores come from; an operator
/// between both that has no gradient, by its name; more than 8 GiB of activations between both; numbers that are not finite.
pub fn grad_cam(
    graph: &Graph,
    inputs: &[Tensor<f32>],
    layer: ValueId,
    class: usize,
    over: Over,
) -> Result<GradCam> {
    let path = Path::new(graph, layer)?;
    let mut kept: Vec<Option<Tensor<f64>>> = vec![None; graph.values.len()];
    let inputs: Vec<Tensor<f64>> = inputs.iter().map(|input| input.map(f64::from)).collect();
    graph.observe_f64(&inputs, |id, tensor| {
        if path.needs[id.0] {
            kept[id.0] = Some(tensor.clone());
        }
    })?;
    let value = |id: ValueId| kept[id.0].as_ref().expect("every needed value was seen");
    let (score, first) = path.seed(value(path.scores), class, over)?;
    let mut gradients: Vec<Option<Tensor<f64>>> = vec![None; graph.values.len()];
    gradients[path.scores.0] = Some(first);
    for node in path.nodes.iter().rev() {
        let Some(gradient) = gradients[node.output().0].take() else { continue };
        let operands: Vec<&Tensor<f64>> = node.inputs.iter().map(|id| value(*id)).collect();
        for (index, id) in node.inputs.iter().enumerate().filter(|(_, id)| path.behind[id.0]) {
            let at = Backward { inputs: &operands, output: value(node.output()), gradient: &gradient, index };
            let more = node.op.gradient(&at).ok_or_else(|| without_gradient(node))?;
            match &mut gradients[id.0] {
                Some(sum) => sum.data.iter_mut().zip(&more.data).for_each(|(sum, more)| *sum += more),
                none => *none = Some(more),
            }
        }
    }
    let maps = value(layer);
    let gradient = gradients[layer.0].take().unwrap_or_else(|| Tensor::filled(maps.shape, 0.0));
    let found = GradCam::new(maps, &gradient, score);
    if !found.map.data.iter().all(|value| value.is_finite()) {
        return Err(path.error("the gradient is not finite"));
    }
    Ok(found)
}

/// The layer that says most in general: the last one of the smallest maps that scores come from and that are more than one place. In a classifier the
/// last map, in an encoder and decoder the bottleneck. `None` if there is no map.
pub fn usual_layer(graph: &Graph) -> Option<ValueId> {
    let before = all_before(graph, scores(graph));
    let made = graph.nodes.iter().filter(|node| hands_on(node)).flat_map(|node| &node.outputs).copied();
    let maps = made.filter(|id| before[id.0] && graph.shape(*id).area() > 1);
    maps.rev().min_by_key(|id| graph.shape(*id).area())
}

impl GradCam {
    fn new(maps: &Tensor<f64>, gradient: &Tensor<f64>, score: f64) -> Self {
        let shape = maps.shape;
        let mut weights = vec![0.0; shape.c];
        for pixel in gradient.data.chunks(shape.c) {
            weights.iter_mut().zip(pixel).for_each(|(sum, gradient)| *sum += gradient);
        }
        weights.iter_mut().for_each(|sum| *sum /= shape.area() as f64);
        let place =
            |pixel: &[f64]| pixel.iter().zip(&weights).map(|(value, weight)| value * weight).sum::<f64>();
        let places = maps.data.chunks(shape.c).map(place);
        // NaN stays, to be told of.
        let data = places.map(|sum| if sum < 0.0 { 0.0 } else { sum as f32 }).collect();
        Self { map: Tensor { shape: Shape { c: 1, ..shape }, data }, weights, score }
    }
}

/// The value whose channels are the classes' scores: that of the first output, before probabilities and the choice of a class are made of it.
fn scores(graph: &Graph) -> ValueId {
    let mut value = graph.outputs[0];
    while let Some(at) = graph.producer(value) {
        let Node { op, inputs, .. } = &graph.nodes[at];
        match inputs[..] {
            [input] if op.keeps_values() || op.gives_probabilities() || !hands_on(&graph.nodes[at]) => {
                value = input
            }
            _ => break,
        }
    }
    value
}

/// The values whose small changes change `value`, itself included.
fn all_before(graph: &Graph, value: ValueId) -> Vec<bool> {
    let mut before = vec![false; graph.values.len()];
    before[value.0] = true;
    for node in graph.nodes.iter().rev().filter(|node| hands_on(node)) {
        if node.outputs.iter().any(|id| before[id.0]) {
            node.inputs.iter().for_each(|id| before[id.0] = true);
        }
    }
    before
}

/// Whether a small change of an operand changes the results: not if they are indices.
fn hands_on(node: &Node) -> bool {
    node.op.range_rule() != RangeRule::Labels
}

fn without_gradient(node: &Node) -> Error {
    let message = "has no gradient: Grad-CAM needs a layer behind it".into();
    Error::Layer { layer: node.name.clone(), kind: node.op.kind(), message }
}

/// The way from a layer to the scores.
struct Path<'g> {
    graph: &'g Graph,
    layer: ValueId,
    scores: ValueId,
    /// Its nodes, in order.
    nodes: Vec<&'g Node>,
    /// Values that depend on the layer, the layer included.
    behind: Vec<bool>,
    /// Values that the way back reads.
    needs: Vec<bool>,
}

impl<'g> Path<'g> {
    fn new(graph: &'g Graph, layer: ValueId) -> Result<Self> {
        let scores = scores(graph);
        let mut behind = vec![false; graph.values.len()];
        behind[layer.0] = true;
        let mut nodes: Vec<&Node> = vec![];
        for node in graph.nodes.iter().filter(|node| hands_on(node)) {
            if node.inputs.iter().any(|id| behind[id.0]) {
                node.outputs.iter().for_each(|id| behind[id.0] = true);
                nodes.push(node);
            }
        }
        let before = all_before(graph, scores);
        nodes.retain(|node| node.outputs.iter().any(|id| before[id.0]));
        let mut needs = vec![false; graph.values.len()];
        let read = nodes.iter().flat_map(|node| node.inputs.iter().chain(&node.outputs));
        read.chain([&layer, &scores]).for_each(|id| needs[id.0] = true);
        let path = Self { graph, layer, scores, nodes, behind, needs };
        let shape = graph.shape(layer);
        if !path.behind[scores.0] {
            return Err(path.error("no scores come from it"));
        }
        if shape.area() == 1 {
            return Err(path.error(&format!("{shape} is one place, and a map needs more")));
        }
        let is_kept = |i: &usize| path.needs[*i];
        let kept = (0..graph.values.len()).filter(is_kept).map(|i| graph.shape(ValueId(i)).len());
        let bytes = kept.fold(0usize, |sum, len| sum.saturating_add(len.saturating_mul(8)));
        if bytes > MAX_KEPT_BYTES {
            let gigabytes = bytes as f64 / 1e9;
            let why =
                format!("it needs {gigabytes:.1} GB of activations; choose a later layer or a smaller input");
            return Err(path.error(&why));
        }
        match path.nodes.iter().find(|node| node.outputs.len() != 1) {
            Some(node) => Err(without_gradient(node)),
            None => Ok(path),
        }
    }

    fn error(&self, why: &str) -> Error {
        let Graph { name, values, .. } = self.graph;
        Error::Invalid(format!("{name}: no Grad-CAM at `{}`: {why}", values[self.layer.0].name))
    }

    /// The score of a class, and its gradient by all scores.
    fn seed(&self, scores: &Tensor<f64>, class: usize, over: Over) -> Result<(f64, Tensor<f64>)> {
        let c = scores.shape.c;
        if class >= c.max(2) {
            return Err(self.error(&format!("there are {} classes, from 0 on, and no {class}", c.max(2))));
        }
        let (channel, sign) = if c == 1 { (0, if class == 1 { 1.0 } else { -1.0 }) } else { (class, 1.0) };
        let is_chosen = |pixel: &[f64]| match *pixel {
            [one] => (one > 0.0) == (class == 1),
            // The first of equal ones.
            _ => pixel.iter().enumerate().all(|(i, other)| {
                i == class || if i < class { *other < pixel[class] } else { *other <= pixel[class] }
            }),
        };
        let counts_all = over == Over::Image || scores.shape.area() == 1;
        let mut gradient = Tensor::filled(scores.shape, 0.0);
        let (mut score, mut counted) = (0.0, 0);
        for (pixel, gradient) in scores.data.chunks(c).zip(gradient.data.chunks_mut(c)) {
            if counts_all || is_chosen(pixel) {
                gradient[channel] = sign;
                score += sign * pixel[channel];
                counted += 1;
            }
        }
        if counted == 0 {
            return Err(self.error("the network gives no pixel that class, so that its mask has no score"));
        }
        Ok((score, gradient))
    }
}
