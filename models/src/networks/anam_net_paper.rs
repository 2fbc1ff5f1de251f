//! Anam-Net with the parameter count that the paper states.

use super::{AnamNet, anam_net};
use crate::options::choose;
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{Network, NetworkOptions},
    weights::WeightSource,
};

/// [`AnamNet`] without the decoder's AD blocks (`bottleneck4`, `5`, `6`): 4.47 M parameters, as the paper states.
///
/// Inferred: no published code has it, but both the count and the paper's ratio to Attention U-Net (7.8) match exactly.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnamNetPaper;

impl Network for AnamNetPaper {
    fn name(&self) -> &'static str {
        "anam_net_paper"
    }

    fn summary(&self) -> &'static str {
        "Anam-Net without AD blocks in the decoder: the paper's 4.47 M parameters"
    }

    fn source(&self) -> &'static str {
        "Paluru et al., IEEE TNNLS 32(3):932-946, 2021, doi 10.1109/TNNLS.2021.3054746"
    }

    fn default_input(&self) -> Shape {
        AnamNet.default_input()
    }

    fn default_classes(&self) -> &'static [&'static str] {
        AnamNet.default_classes()
    }

    fn default_preprocess(&self) -> &'static str {
        "window:-600,1500"
    }

    fn width_unit(&self) -> Option<usize> {
        Some(anam_net::WIDTH_UNIT)
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        anam_net::build(self.name(), choose(self, options, anam_net::SIDES)?, false, weights)
    }
}
