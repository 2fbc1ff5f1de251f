//! What would make a layer's own error smaller: 16 bits, another range, or more inputs to calibrate on.

use crate::check::compare::LayerComparison;
use serde::Serialize;

/// From so many decibels on, a layer by itself is no reason for the error of an output.
const ENOUGH_DB: f64 = 40.0;
/// A range so many times as wide as the values leaves them six of their eight bits.
const MUCH_WIDER: f32 = 4.0;
/// Inputs that reach this share of the range further than those of calibration are unlike them.
const UNLIKE: f32 = 0.05;

/// The remedy for the error of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Its own error is small.
    Nothing,
    /// The scale is that of a quantised file.
    Fixed,
    /// Most of its error comes from the formats of what it reads, and of its weights.
    Operands,
    /// Values beyond a format in floating point.
    OtherFormat,
    /// Calibration never saw values like these.
    MoreInputs,
    /// Calibration saw what the rule for its range cut off.
    WiderRange,
    /// Its range is much wider than all that it holds.
    NarrowerRange,
    /// It shares the scale of a tensor that is much wider, or 8 bits are too few.
    SixteenBits,
}

impl Advice {
    /// For a layer, by what most of its noise is of: values that are cut off, rounding, or neither; `seen` are its smallest and largest values on the calibration set, if they
    /// are known, and `fixed` says that a file has fixed its scale.
    pub fn of(layer: &LayerComparison, seen: Option<(f32, f32)>, fixed: bool) -> Self {
        let width = |(low, high): (f32, f32)| high.max(0.0) - low.min(0.0);
        let is_int8 = layer.bits == 8 && layer.scale.is_some();
        let is_small = layer.own_sqnr_db.is_none_or(|db| db >= ENOUGH_DB) && !layer.is_dead;
        let is_unlike = |seen: (f32, f32)| {
            let margin = UNLIKE * width(seen);
            layer.seen.0 < seen.0 - margin || layer.seen.1 > seen.1 + margin
        };
        let is_wide = |values: (f32, f32)| width(layer.range) > MUCH_WIDER * width(values);
        let (cut, rounding) = (layer.own_cut_noise, layer.own_rounding_noise);
        let rest = 1.0 - cut - rounding;
        match layer {
            _ if layer.not_finite > 0 => Self::OtherFormat,
            _ if is_small => Self::Nothing,
            _ if fixed => Self::Fixed,
            _ if !is_int8 => Self::Operands,
            _ if cut > rounding && cut > rest && seen.is_some_and(is_unlike) => Self::MoreInputs,
            _ if cut > rounding && cut > rest => Self::WiderRange,
            _ if rest > rounding => Self::Operands,
            // What calibration saw was as narrow: the width is another tensor's.
            _ if is_wide(layer.seen) && seen.is_some_and(is_wide) => Self::SixteenBits,
            _ if is_wide(layer.seen) => Self::NarrowerRange,
            _ => Self::SixteenBits,
        }
    }

    /// In words, with the key of a recipe that follows it.
    pub fn words(self, layer: &str) -> String {
        match self {
            Self::Nothing => "nothing: its own error is small".into(),
            Self::Fixed => "its scale is the file's: quantise the model with more inputs, or take its float file".into(),
            Self::Operands => {
                format!("more bits for what it reads, or for its weights (`--int16-weights {layer}`): its own rounding is the smaller part")
            }
            Self::OtherFormat => "`f32` or `int8` for it: its values are beyond the format".into(),
            Self::MoreInputs => {
                "more pictures to calibrate on, like these: calibration never saw such values, which are cut off".into()
            }
            Self::WiderRange => format!("another range: most of its noise is in what is cut off (`--override {layer}=minmax`)"),
            Self::NarrowerRange => format!("another range: it is much wider than these values (`--override {layer}=mse`), or pictures like these to calibrate on"),
            Self::SixteenBits => format!("16 bits: its noise is that of rounding (`--int16 {layer}`)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ValueId;

    #[test]
    fn the_remedy_follows_from_what_the_noise_is_of() {
        let layer = LayerComparison {
            id: ValueId(0),
            name: "conv".into(),
            kind: "Conv2d".into(),
            bits: 8,
            format: "int8",
            scale: Some(1.0 / 255.0),
            zero_point: Some(-128),
            range: (0.0, 1.0),
            seen: (0.0, 0.9),
            sqnr_db: Some(20.0),
            own_sqnr_db: Some(25.0),
            cosine: None,
            max_lsb: None,
            own_max_lsb: None,
            saturated: 0.0,
            below: 0.0,
            above: 0.0,
            own_cut_noise: 0.0,
            own_rounding_noise: 1.0,
            not_finite: 0,
            is_dead: false,
        };
        let of = |change: fn(&mut LayerComparison), seen| {
            let mut layer = layer.clone();
            change(&mut layer);
            Advice::of(&layer, seen, false)
        };
        let calibrated = Some((0.0, 1.0));
        assert_eq!(of(|_| {}, calibrated), Advice::SixteenBits);
        assert_eq!(of(|l| l.own_sqnr_db = Some(45.0), calibrated), Advice::Nothing);
        assert_eq!(of(|l| (l.bits, l.scale) = (16, Some(1e-4)), calibrated), Advice::Operands);
        assert_eq!(of(|l| (l.scale, l.not_finite) = (None, 3), calibrated), Advice::OtherFormat);
        assert_eq!(of(|l| l.own_rounding_noise = 0.4, calibrated), Advice::Operands);
        let cut = |l: &mut LayerComparison| {
            (l.own_cut_noise, l.own_rounding_noise, l.seen) = (0.6, 0.1, (0.0, 2.0))
        };
        assert_eq!(of(cut, calibrated), Advice::MoreInputs);
        assert_eq!(of(cut, Some((0.0, 2.0))), Advice::WiderRange);
        assert_eq!(of(cut, None), Advice::WiderRange);
        let narrow =
            |l: &mut LayerComparison| (l.own_sqnr_db, l.is_dead, l.seen) = (None, true, (0.0, 0.001));
        assert_eq!(of(narrow, calibrated), Advice::NarrowerRange);
        assert_eq!(of(narrow, Some((0.0, 0.002))), Advice::SixteenBits);
        assert_eq!(Advice::of(&layer, calibrated, true), Advice::Fixed);
        assert_eq!(
            Advice::WiderRange.words("up.1"),
            "another range: most of its noise is in what is cut off (`--override up.1=minmax`)"
        );
    }
}
