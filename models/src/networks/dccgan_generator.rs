//! The deep-convolutional conditional GAN's generator of the MIDS W251 (2021) project.

use crate::{
    blocks::ConditionalGenerator,
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// Makes CT slices of 256 x 256 pixels: five transposed convolutions; 7,685,703 parameters.
///
/// Inputs `[1, 1, 100]`, latent numbers of the standard normal distribution, and `[1, 1, 1]`, the label of a class. Output
/// `[256, 256, 1]` in -1..=1. Tensor names are ours, weights in PyTorch's layout.
#[derive(Clone, Copy, Debug, Default)]
pub struct DcCganGenerator;

const SHAPE: ConditionalGenerator =
    ConditionalGenerator { first: [8, 512], widths: &[256, 128, 64, 32, 16], kernel: 5, last_kernel: 8 };

impl Network for DcCganGenerator {
    fn name(&self) -> &'static str {
        "dccgan_generator"
    }

    fn summary(&self) -> &'static str {
        "deep-convolutional conditional GAN: makes CT slices of a class, 256x256; transposed convolutions, 7.7 M parameters"
    }

    fn source(&self) -> &'static str {
        "Radford et al., arXiv 1511.06434; Mirza and Osindero, arXiv 1411.1784; MIDS W251 2021, github.com/sli0111/MIDS-251-2021-Final-Project GAN/W251_Final_Project_cGAN1e2.ipynb"
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
