//! The float reference, from the same weights and the same recipe.

use niello_codegen::{Graph, Tensor, passes::optimize, pipeline::import, recipe::Recipe};
use niello_imaging::{Picture, Samples, metrics};
use niello_models::Registry;
use std::error::Error;

pub(crate) struct Reference {
    graph: Graph,
}

impl Reference {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let recipe = Recipe::parse(include_str!("../anam_net.toml"), "")?;
        Ok(Self { graph: optimize(import(&recipe, &Registry)?.graph) })
    }

    /// The class of each pixel for an input `[h, w, 1]`.
    pub(crate) fn labels(&self, input: Vec<f32>) -> Result<Vec<u8>, Box<dyn Error>> {
        let shape = self.graph.shape(self.graph.inputs[0]);
        let input = Tensor::new(shape, input).ok_or("the input has another size than the network's")?;
        let logits = self.graph.eval_f32(&[input])?.swap_remove(0);
        let class = |pixel: &[f32]| metrics::top_1(pixel).unwrap_or(0) as u8;
        Ok(logits.data.chunks(logits.shape.c).map(class).collect())
    }
}

/// The samples of a label map.
pub(crate) fn codes(label: &Picture) -> Result<Vec<u8>, Box<dyn Error>> {
    match label.samples() {
        Samples::U8(codes) if label.channels() == 1 => Ok(codes.clone()),
        _ => Err(format!("{}: expected a gray 8-bit picture of classes", label.name().display()).into()),
    }
}
