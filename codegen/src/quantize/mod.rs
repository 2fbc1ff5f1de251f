//! Number formats: a scale and zero point for every tensor.
//!
//! Ranges come from [`ranges`]. Tensors that must share a scale (both sides of a max pool, see [`crate::format::RangeRule`]) form one
//! group with one range. So do the operands and the result of a concatenation, where that costs nothing: an operand whose format an operator
//! fixes, or that is much smaller than the result and read by others too, keeps a format of its own, and a rescaled copy is concatenated.
//! Weights are quantised later, by the operators, from what is decided here.
//!
//! * [`calibrate`]: measures activations, into [`Statistics`] of each. [`ranges`]: the range of every tensor, from that.
//! * `groups`: values that must share a scale. `copies`: what a node reads in another format.
//! * `graph`: the result, [`QGraph`].

pub mod calibrate;
mod copies;
mod graph;
mod groups;
pub mod ranges;
mod statistics;

pub use graph::QGraph;
pub(crate) use groups::{Groups, given_format, label_values, width};
pub use statistics::Statistics;

use self::{calibrate::Calibration, ranges::Ranges};
use crate::{
    error::Result,
    format::{Format, QParams},
    graph::Graph,
};
use niello_kernels::Rounding;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// How a tensor's range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RangeMethod {
    /// The one of the others with the least squared error on the calibration set; of percentiles this one, and those that
    /// cut a tenth and ten times as much.
    Auto(f64),
    /// Smallest to largest value seen.
    MinMax,
    /// Cuts off this share of the values at either end: 99.99 keeps all but 0.01 %.
    Percentile(f64),
    /// The range with the least squared error.
    LeastSquares,
    /// Given.
    Fixed {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
    },
}

impl fmt::Display for RangeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto(percent) => write!(f, "auto {percent}"),
            Self::MinMax => f.write_str("minmax"),
            Self::Percentile(percent) => write!(f, "percentile {percent}"),
            Self::LeastSquares => f.write_str("mse"),
            Self::Fixed { min, max } => write!(f, "{min} to {max}"),
        }
    }
}

/// Choices of quantisation.
#[derive(Clone, Debug)]
pub struct QuantizeOptions {
    /// For tensors without an override.
    pub method: RangeMethod,
    /// By tensor name.
    pub overrides: BTreeMap<String, RangeMethod>,
    /// Whether biases make up for what rounding weights adds on average.
    pub bias_correction: bool,
    /// The rounding of the program.
    pub rounding: Rounding,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        Self {
            method: RangeMethod::Auto(99.99),
            overrides: BTreeMap::new(),
            bias_correction: true,
            rounding: Rounding::TfliteDouble,
        }
    }
}

/// Chooses formats from what calibration saw.
///
/// # Errors
/// An override that names no tensor; a tensor that calibration never saw.
pub fn quantize(graph: Graph, calibration: &Calibration, options: &QuantizeOptions) -> Result<QGraph> {
    let ranges = Ranges::choose(&graph, calibration, options)?;
    let mut q = with_ranges(graph, &ranges, options.rounding)?;
    if options.bias_correction {
        q.correct_by_means(calibration);
    }
    Ok(q)
}

/// Formats from ranges that have been chosen before; no bias is corrected. A concatenation whose operand has another format reads a copy.
///
/// # Errors
/// A tensor without a range; tensors that must share a format and have different ranges.
pub fn with_ranges(graph: Graph, ranges: &Ranges, rounding: Rounding) -> Result<QGraph> {
    let count = graph.values.len();
    let mut formats = vec![None; count];
    for members in Groups::new(&graph, ranges).members() {
        let format = match given_format(&graph, &members) {
            Some(format) => format,
            None => {
                let (min, max) = ranges.of_group(&graph, &members)?;
                Format::Int8(QParams::from_range(min, max))
            }
        };
        members.iter().for_each(|id| formats[id.0] = Some(format));
    }
    let formats = formats.into_iter().map(|f| f.expect("every value is in a group")).collect();
    let (channel_means, corrections) = (vec![None; count], BTreeMap::new());
    let (wide_weights, modes) = (BTreeSet::new(), BTreeMap::new());
    let mut q = QGraph { graph, formats, rounding, channel_means, corrections, wide_weights, modes };
    q.concatenate_in_one_format();
    Ok(q)
}
