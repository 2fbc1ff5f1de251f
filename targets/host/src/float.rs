//! The float reference, from the same weights and the same recipe.

use niello_codegen::{Graph, Tensor, passes::optimize, pipeline::import, recipe::Recipe};
use niello_imaging::metrics;
use niello_models::Registry;
use std::error::Error;

/// The class of each pixel for an input `[h, w, 1]`.
///
/// # Errors
/// An input of another size than the network's.
pub(crate) fn labels(input: Vec<f32>) -> Result<Vec<u8>, Box<dyn Error>> {
    let recipe = Recipe::parse(include_str!("../anam_net.toml"), "")?;
    let graph: Graph = optimize(import(&recipe, &Registry)?.graph);
    let shape = graph.shape(graph.inputs[0]);
    let input = Tensor::new(shape, input).ok_or("the input has another size than the network's")?;
    let logits = graph.eval_f32(&[input])?.swap_remove(0);
    let class = |pixel: &[f32]| metrics::top_1(pixel).unwrap_or(0) as u8;
    Ok(logits.data.chunks(logits.shape.c).map(class).collect())
}
