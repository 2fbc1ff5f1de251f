//! SqueezeNet 1.0 as Caffe has it.

use super::squeezenet1_0::FEATURES;
use crate::{
    blocks::squeezenet,
    options::{Sides, choose},
};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// SqueezeNet 1.0 of the authors' Caffe models, whose last convolution pads its map by 1; 1,248,424 parameters with ImageNet's 1000
/// classes, which are named by their index.
///
/// Input `[h, w, 3]`: BGR in 0..=255, minus (104, 117, 123), sides from 21 up. Output logits `[1, 1, classes]`, never negative. Tensors
/// have torchvision's names, as in `squeezenet1_0`.
#[derive(Clone, Copy, Debug, Default)]
#[allow(non_camel_case_types, reason = "the version's dot")]
pub struct SqueezeNet1_0Caffe;

/// ImageNet's classes.
const CLASSES: usize = 1000;

/// The three digits of each class's index.
static DIGITS: [[u8; 3]; CLASSES] = {
    let mut digits = [[0; 3]; CLASSES];
    let mut index = 0;
    while index < CLASSES {
        digits[index] = [digit(index / 100), digit(index / 10), digit(index)];
        index += 1;
    }
    digits
};

/// The last digit of a number.
const fn digit(number: usize) -> u8 {
    b'0' + (number % 10) as u8
}

static NAMES: [&str; CLASSES] = {
    let mut names = [""; CLASSES];
    let mut index = 0;
    while index < CLASSES {
        if let Ok(name) = core::str::from_utf8(&DIGITS[index]) {
            names[index] = name;
        }
        index += 1;
    }
    names
};

impl Network for SqueezeNet1_0Caffe {
    fn name(&self) -> &'static str {
        "squeezenet1_0_caffe"
    }

    fn summary(&self) -> &'static str {
        "SqueezeNet 1.0 as in Caffe: classifies images (ImageNet); the last convolution pads its map"
    }

    fn source(&self) -> &'static str {
        "Iandola et al., arXiv 1602.07360; songhan/SqueezeNet-Deep-Compression; names as torchvision squeezenet1_0"
    }

    fn default_input(&self) -> Shape {
        Shape::new(227, 227, 3)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &NAMES
    }

    fn default_preprocess(&self) -> &'static str {
        "caffe resize=shorter-side-crop:256/227"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        // Below 21 pixels the last pool has nothing left.
        squeezenet(self.name(), &FEATURES, 1, choose(self, options, Sides::AtLeast(21))?, weights)
    }
}
