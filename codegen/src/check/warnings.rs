//! Warnings about results that are probably not intended: scales too coarse for a tensor, layers that are always 0, outputs cut off, overflow in
//! half precision.

use crate::{
    check::compare::Verification,
    format::{Format, RangeRule},
    graph::{Node, ValueId},
    program::Program,
    quantize::{QGraph, ranges::Seen, width},
};
use niello_kernels::Float;
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// Something to tell a user of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Warning {
    /// The layer, or an input of the network.
    pub layer: String,
    /// The problem and its remedy.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.layer, self.message)
    }
}

/// A range so many times as wide as a tensor's own leaves it five of its eight bits.
const MUCH_WIDER: f32 = 8.0;
/// The largest half.
const LARGEST_HALF: f32 = 65504.0;
/// Below so many decibels a layer holds as much noise as signal.
const LEAST_SQNR_DB: f64 = 3.0;
/// More than this share of an input or output cut off changes answers.
pub const MOST_SATURATED: f64 = 0.01;
/// More than this share of an input cut off is another input: there is no answer.
pub const MOST_OF_INPUT: f64 = 0.1;

/// Warnings about ranges on a calibration set.
pub fn of_ranges(q: &QGraph, program: &Program, ranges: &impl Seen) -> Vec<Warning> {
    let mut warnings = coarse(q, ranges);
    warnings.extend(dead(q, ranges));
    warnings.extend(clipped(q, ranges));
    warnings.extend(infinite(q, program, ranges));
    warnings
}

fn name(q: &QGraph, id: ValueId) -> String {
    q.graph.values[id.0].name.clone()
}

/// `id`, or what it is a copy of in another format.
fn original(q: &QGraph, id: ValueId) -> ValueId {
    match q.graph.producer(id).map(|at| &q.graph.nodes[at]) {
        Some(node) if node.op.keeps_values() => node.inputs[0],
        _ => id,
    }
}

/// Values that share a scale with much wider ones: one warning for each wide tensor, of the narrowest beside it.
fn coarse(q: &QGraph, ranges: &impl Seen) -> Vec<Warning> {
    let shares = |node: &&Node| node.op.range_rule() == RangeRule::SameAsInputs;
    let mut told = BTreeSet::new();
    let mut warnings = vec![];
    for node in q.graph.nodes.iter().filter(shares) {
        let Format::Int8(format) = q.formats[node.output().0] else { continue };
        let whole = width(format.range());
        let narrow = |id: ValueId| {
            let seen = ranges.seen(original(q, id))?;
            let of_whole = width(seen) / whole;
            let is_told = seen != (0.0, 0.0) && of_whole * MUCH_WIDER < 1.0;
            (is_told && q.formats[id.0] != Format::Label).then_some((of_whole, original(q, id), seen))
        };
        let values = node.inputs.iter().chain(&node.outputs).copied();
        let least = values.filter_map(narrow).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((of_whole, id, (min, max))) = least
            && told.insert(id)
        {
            let (low, high) = format.range();
            let message = format!(
                "has values from {min} to {max}, and about {:.0} of the 256 codes: `{}` gives it a scale for {low} to {high}; \
                 with `format.int16 = [\"{}\"]` it has 16 bits",
                (256.0 * of_whole).ceil(),
                node.name,
                node.name
            );
            warnings.push(Warning { layer: name(q, id), message });
        }
    }
    warnings
}

/// Layers whose results are 0 though what they read is not.
fn dead(q: &QGraph, ranges: &impl Seen) -> Vec<Warning> {
    let is_zero = |id: &ValueId| ranges.seen(original(q, *id)) == Some((0.0, 0.0));
    let is_dead = |node: &&Node| is_zero(&node.output()) && !node.inputs.iter().all(is_zero);
    let message = "is 0 for every calibration input: a layer that died in training, or inputs that are not like those of the field";
    let dead = q.graph.nodes.iter().filter(is_dead).filter(|node| !node.op.keeps_values());
    dead.map(|node| Warning { layer: node.name.clone(), message: message.into() }).collect()
}

/// Outputs whose format does not reach what calibration saw.
fn clipped(q: &QGraph, ranges: &impl Seen) -> Vec<Warning> {
    let mut warnings = vec![];
    for id in &q.graph.outputs {
        let rule = q.graph.producer(*id).map(|at| q.graph.nodes[at].op.range_rule());
        let (Format::Int8(format), Some((min, max))) = (q.formats[id.0], ranges.seen(*id)) else { continue };
        let ((low, high), step) = (format.range(), format.scale);
        if (min < low - step || max > high + step) && !matches!(rule, Some(RangeRule::Fixed(_))) {
            let message =
                format!("is an output that is cut off at {low} and {high}; calibration saw {min} to {max}");
            warnings.push(Warning { layer: name(q, *id), message });
        }
    }
    warnings
}

/// Values beyond half precision.
fn infinite(q: &QGraph, program: &Program, ranges: &impl Seen) -> Vec<Warning> {
    let magnitude =
        |id: ValueId| ranges.seen(original(q, id)).map_or(0.0, |(min, max)| max.abs().max(min.abs()));
    let halves = (0..q.formats.len()).map(ValueId).filter(|id| q.formats[id.0] == Format::Float(Float::F16));
    let beyond = halves.filter(|id| magnitude(*id) > LARGEST_HALF).map(|id| Warning {
        layer: name(q, id),
        message: format!(
            "reaches {} on the calibration set, beyond the largest half, {LARGEST_HALF}: it is infinite on the device; use `f32` \
             or `int8` for it",
            magnitude(id)
        ),
    });
    let limited = program.steps.iter().filter_map(|step| Some((step, step.call.largest_operand()?)));
    let reads = limited.filter(|(step, limit)| magnitude(step.reads[0]) > *limit).map(|(step, limit)| Warning {
        layer: step.name.clone(),
        message: format!(
            "reads values of up to {} on the calibration set; in `f16-winograd` sums of more than {limit} may become \
             infinite, and lose digits before that: use `f16` or `f16-native`",
            magnitude(step.reads[0])
        ),
    });
    beyond.chain(reads).collect()
}

/// Warnings about a comparison with float; `outputs` are the names of the network's outputs, and scales that are
/// `fixed` no recipe can change.
pub fn of_verification(found: &Verification, outputs: &[&str], fixed: bool) -> Vec<Warning> {
    let advice = |text: &'static str| if fixed { "" } else { text };
    let mut warnings = vec![];
    for input in found.of_inputs.iter().filter(|input| input.saturated > MOST_SATURATED) {
        let ((low, high), (min, max)) = (input.range, input.seen);
        let message = format!(
            "is an input of which {:.1} % are cut off at {low} and {high}: these inputs reach from {min} to {max}{}",
            100.0 * input.saturated,
            advice("; calibrate with inputs like these, or set its range (`[overrides]`)")
        );
        warnings.push(Warning { layer: input.name.clone(), message });
    }
    for layer in &found.layers {
        let message = if layer.not_finite > 0 {
            format!(
                "has {} values that are not finite: beyond {}; use `f32` or `int8` for it",
                layer.not_finite, layer.format
            )
        } else if layer.is_dead {
            format!("is 0 throughout in {}, though not in float", layer.format)
        } else if let Some(db) = layer.sqnr_db.filter(|db| *db < LEAST_SQNR_DB) {
            format!(
                "has {db:.1} dB: its signal is lost in the noise of {}{}",
                layer.format,
                advice(
                    "; give it 16 bits (`format.int16`), or look for a tensor of another magnitude that shares its scale"
                )
            )
        } else if outputs.contains(&&*layer.name) && layer.saturated > MOST_SATURATED {
            format!(
                "is an output of which {:.1} % are cut off{}",
                100.0 * layer.saturated,
                advice(": calibrate with inputs like these, or set its range (`[overrides]`)")
            )
        } else {
            continue;
        };
        warnings.push(Warning { layer: layer.name.clone(), message });
    }
    warnings
}
