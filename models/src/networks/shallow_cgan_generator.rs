//! The shallow conditional GAN's generator of the MIDS W251 (2021) project.

use crate::{
    blocks::ConditionalGenerator,
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// Makes images of 28 x 28 pixels: two transposed convolutions; 1,168,986 parameters. Published are the shapes only; the kernels are inferred from
/// them.
///
/// Inputs `[1, 1, 100]`, latent numbers of the standard normal distribution, and `[1, 1, 1]`, the label of a class. Output
/// `[28, 28, 1]` in -1..=1. Tensor names are ours, weights in PyTorch's layout.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShallowCganGenerator;

const SHAPE: ConditionalGenerator =
    ConditionalGenerator { first: [7, 128], widths: &[128, 128], kernel: 4, last_kernel: 7 };

impl Network for ShallowCganGenerator {
    fn name(&self) -> &'static str {
        "shallow_cgan_generator"
    }

    fn summary(&self) -> &'static str {
        "shallow conditional GAN: makes images of a class, 28x28; transposed convolutions, 1.2 M parameters"
    }

    fn source(&self) -> &'static str {
        "Mirza and Osindero, arXiv 1411.1784; MIDS W251 2021, github.com/sli0111/MIDS-251-2021-Final-Project, final report, figure A1"
    }

    fn default_input(&self) -> Shape {
        Shape::new(1, 1, 100)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["Normal", "Pneumonia", "COVID"]
    }

    fn generates(&self) -> bool {
        true
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        SHAPE.build(self.name(), choose(self, options, Sides::Exactly(1))?, weights)
    }
}
