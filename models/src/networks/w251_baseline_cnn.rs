//! The W251 project's baseline CNN.

use crate::options::{Sides, choose};
use niello_codegen::{
    Graph, GraphBuilder, Result, Shape, ValueId,
    import::network::{Network, NetworkOptions},
    ops::{ConvParams, MaxPool2d},
    weights::WeightSource,
};

/// Three parallel convolutions, global maxima, three linear layers: 26,203 parameters.
///
/// Input `[h, w, 1]`, grey levels 0..=255 as they are, sides from 4 up; output logits `[1, 1, 3]`: Normal, Pneumonia,
/// COVID. The original ends in log-softmax, which moves no class before another.
#[derive(Clone, Copy, Debug, Default)]
pub struct W251BaselineCnn;

/// Sides of the three kernels.
const KERNELS: [usize; 3] = [2, 3, 4];
/// Output channels of each.
const FILTERS: usize = 25;

impl Network for W251BaselineCnn {
    fn name(&self) -> &'static str {
        "w251_baseline_cnn"
    }

    fn summary(&self) -> &'static str {
        "W251 baseline CNN: classifies CT slices; 2x2, 3x3 and 4x4 convolutions side by side, 26 k parameters"
    }

    fn source(&self) -> &'static str {
        "Prediction of Covid Infection Using Chest CT Scans, MIDS W251 2021; \
         github.com/sli0111/MIDS-251-2021-Final-Project CNN/w251_CNN.ipynb"
    }

    fn default_input(&self) -> Shape {
        Shape::new(256, 256, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["Normal", "Pneumonia", "COVID"]
    }

    fn default_preprocess(&self) -> &'static str {
        "raw resize=area"
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let chosen = choose(self, options, Sides::AtLeast(4))?;
        let mut b = GraphBuilder::new(self.name(), weights);
        let x = b.input("input", chosen.input);
        let features: Vec<ValueId> = (0..)
            .zip(KERNELS)
            .map(|(n, kernel)| {
                let name = format!("conv2d_list.{n}");
                let x = b.conv2d(&name, x, ConvParams::new(FILTERS, kernel));
                let x = b.relu(&format!("{name}.relu"), x);
                let Shape { h, w, .. } = b.shape(x);
                b.add_op(&format!("{name}.max"), MaxPool2d::global(h, w), &[x])
            })
            .collect();
        let x = b.concat("features", &features);
        let x = b.linear("fc1", x, 200);
        let x = b.relu("fc1.relu", x);
        let x = b.linear("fc2", x, 50);
        let x = b.relu("fc2.relu", x);
        let logits = b.linear("fc3", x, chosen.classes);
        b.finish(&[logits])
    }
}
