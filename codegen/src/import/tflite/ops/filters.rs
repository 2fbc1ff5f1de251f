//! Filters of convolutions: real numbers, or the integers of a file.

pub(super) use crate::import::filters::Codes;
use crate::{
    format::Format,
    graph::ValueId,
    import::{
        filters::{Fitting, biases},
        tflite::{context::Cx, fold::Known, reader::Element},
    },
    ops::{GivenFilters, GivenRounding, Index},
};

impl Codes {
    /// Of `weights`, whose output channels lie along an axis; `order` brings them into the order of `codes`.
    pub(super) fn of(
        weights: &Known,
        [out, taps, channels, groups]: [usize; 4],
        order: impl Fn(usize, usize, usize) -> usize,
    ) -> Result<Self, String> {
        let scales = weights.scales();
        let scale: Vec<f32> = match scales {
            [one] => vec![*one; out],
            _ if scales.len() == out => scales.to_vec(),
            _ => return Err(format!("weights have {} scales for {out} output channels", scales.len())),
        };
        let all = weights.integers();
        let zero_point = |o: usize| weights.zero_point(if scales.len() == 1 { 0 } else { o });
        let mut codes = Vec::with_capacity(all.len());
        for o in 0..out {
            for t in 0..taps {
                codes.extend((0..channels).map(|i| all[order(o, t, i)] - zero_point(o)));
            }
        }
        Ok(Self { out, taps, channels, groups, codes, scale })
    }
}

impl Fitting {
    /// The input with the channels that the weights meet.
    fn input(&self, cx: &mut Cx<'_, '_>, input: ValueId) -> Result<ValueId, String> {
        let Some(picked) = &self.picked else { return Ok(input) };
        let channels = Some(picked.clone().into());
        let format = cx.format(input);
        cx.node("channels", Index { rows: None, columns: None, channels, pad: 0.0 }, &[input], format)
    }
}

/// Whether a layer computes with codes; real numbers take weights of either kind, codes only codes. Weights are operand `i`.
pub(super) fn are_codes(cx: &Cx<'_, '_>, input: ValueId, i: usize) -> Result<bool, String> {
    let weights = cx.tensor(i)?;
    let what = match (cx.format(input), weights.element) {
        (Format::Int16 { .. }, Element::Int8) => return Ok(true),
        (Format::Int16 { .. }, _) => "has 16 bits",
        (format, Element::Int4 | Element::Int8 | Element::UInt8) => {
            return Ok(matches!(format, Format::Int8(_)));
        }
        (Format::Int8(_), _) => "has 8 bits",
        (_, Element::Float32 | Element::Float16) => return Ok(false),
        _ => "is in floating point",
    };
    Err(format!("weights `{}` are {}, the operand {what}", weights.name, weights.element))
}

/// Whether scales of weights, if they are several, lie along their output channels.
pub(super) fn scales_along(weights: &Known, axis: usize) -> Result<(), String> {
    match weights.scales().len() > 1 && weights.dimension() != axis {
        true => Err(format!("scales of weights lie along axis {}, expected {axis}", weights.dimension())),
        false => Ok(()),
    }
}

/// The scale of an operand that holds codes.
fn scale_of(cx: &Cx<'_, '_>, id: ValueId) -> Result<f32, String> {
    match cx.format(id) {
        Format::Int8(q) => Ok(q.scale),
        Format::Int16 { scale, .. } => Ok(scale),
        other => Err(format!("expected an operand of codes beside weights of 8 bits, got {}", other.name())),
    }
}

/// A layer in the integers of the file.
pub(super) struct Integers {
    /// The operand, with the channels that the weights meet.
    pub(super) input: ValueId,
    /// Channels of a group that the weights meet.
    pub(super) channels: usize,
    /// Weights in real numbers, `[out][taps][channels]`.
    pub(super) weights: Vec<f32>,
    /// Biases in real numbers.
    pub(super) bias: Vec<f32>,
    pub(super) given: GivenFilters,
}

/// The integers of a layer whose weights are `codes` and whose biases are operand `biases`.
pub(super) fn integers(
    cx: &mut Cx<'_, '_>,
    input: ValueId,
    codes: Codes,
    biases: usize,
    rounding: GivenRounding,
) -> Result<Integers, String> {
    let (scale, taps) = (codes.scale.clone(), codes.taps);
    let fitting = codes.fitting();
    let per_row = taps * fitting.channels;
    let weights =
        fitting.codes.iter().enumerate().map(|(i, code)| *code as f32 * scale[i / per_row]).collect();
    let (given, bias) = given(cx, biases, scale_of(cx, input)?, scale, rounding)?;
    let input = fitting.input(cx, input)?;
    Ok(Integers { input, channels: fitting.channels, weights, bias, given })
}

/// Biases of operand `i`, zeros if it is not there, as the file has them and in real numbers.
fn given(
    cx: &Cx<'_, '_>,
    i: usize,
    input: f32,
    scale: Vec<f32>,
    rounding: GivenRounding,
) -> Result<(GivenFilters, Vec<f32>), String> {
    if cx.has(i) && cx.known(i)?.element() != Element::Int64 && cx.result(0)?.element == Element::Int16 {
        return Err("biases of 32 bits beside activations of 16 are not supported; those of 64 are".into());
    }
    let codes = if cx.has(i) { cx.known(i)?.integers() } else { vec![0; scale.len()] };
    if codes.len() != scale.len() {
        return Err(format!("{} biases for {} output channels", codes.len(), scale.len()));
    }
    // Converters round them otherwise; what differs by more is not what the layer adds.
    let of_biases = if cx.has(i) { cx.known(i)?.scales() } else { &[] };
    for (found, weight) in of_biases.iter().zip(scale.iter().cycle()) {
        let expected = input * weight;
        if (found - expected).abs() > 0.02 * expected {
            return Err(format!(
                "biases have scale {found}, expected {expected}, the product of operand's and weights'"
            ));
        }
    }
    let bias = biases(&codes)?;
    let real = bias.iter().zip(&scale).map(|(b, s)| (*b as f64 * input as f64 * *s as f64) as f32).collect();
    Ok((GivenFilters { scale: scale.into(), bias: bias.into(), rounding }, real))
}

/// Biases of operand `i` in real numbers, zeros if it is not there.
pub(super) fn real_bias(cx: &Cx<'_, '_>, i: usize, out: usize) -> Result<Vec<f32>, String> {
    let bias = if cx.has(i) { cx.known(i)?.real() } else { vec![0.0; out] };
    if bias.len() != out {
        return Err(format!("{} biases for {out} output channels", bias.len()));
    }
    Ok(bias)
}
