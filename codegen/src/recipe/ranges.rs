//! `[overrides."layer"]`: the range of one tensor.

use super::{
    RangeChoice,
    setting::{Setting, text},
};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ffi::OsStr, path::Path};

/// A rule for one tensor, or its range itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct RangeOverride {
    /// Another rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<RangeChoice>,
    /// Another percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile: Option<f64>,
    /// The smallest real value; together with `max`, and without a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f32>,
    /// The largest real value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f32>,
}

impl RangeOverride {
    /// A rule.
    pub fn rule(range: RangeChoice) -> Self {
        Self { range: Some(range), ..Self::default() }
    }

    /// The percentile rule with its percentile.
    pub fn percentile(percentile: f64) -> Self {
        Self { range: Some(RangeChoice::Percentile), percentile: Some(percentile), ..Self::default() }
    }

    /// The range itself, in real values.
    pub fn fixed(min: f32, max: f32) -> Self {
        Self { min: Some(min), max: Some(max), ..Self::default() }
    }

    pub(super) fn problem(&self, key: &str) -> Option<String> {
        match (self.range, self.min, self.max) {
            (None, Some(min), Some(max)) => {
                if !(min.is_finite() && max.is_finite() && min < max) {
                    return Some(format!("`{key}`: expected min < max, found {min} and {max}"));
                }
                self.percentile
                    .map(|_| format!("`{key}`: `percentile` has no meaning beside `min` and `max`"))
            }
            (Some(range), None, None) => match self.percentile {
                Some(p) if matches!(range, RangeChoice::Percentile | RangeChoice::Auto) => {
                    percentile_problem(key, p)
                }
                Some(_) => Some(format!("`{key}`: `percentile` has no meaning for range = \"{range}\"")),
                None => None,
            },
            _ => Some(format!("`{key}`: expected either `range` or both `min` and `max`")),
        }
    }
}

pub(super) fn percentile_problem(key: &str, percentile: f64) -> Option<String> {
    let fits = percentile > 50.0 && percentile <= 100.0;
    (!fits).then(|| format!("`{key}.percentile` is {percentile}, expected above 50 and up to 100"))
}

/// `LAYER=minmax`, `LAYER=percentile:99.9`, `LAYER=-1,3.5`.
impl Setting for BTreeMap<String, RangeOverride> {
    const MANY: bool = true;

    fn set(&mut self, value: &OsStr, _: &Path) -> Result<()> {
        let text = text(value)?;
        let expected = || {
            Error::Invalid(format!(
                "`{text}`: expected e.g. `conv1=minmax`, `conv1=percentile:99.9` or `conv1=-1,3.5` (MIN,MAX)"
            ))
        };
        let (layer, rule) =
            text.rsplit_once('=').filter(|(layer, _)| !layer.is_empty()).ok_or_else(expected)?;
        let range = if let Some((min, max)) = rule.split_once(',') {
            let real = |t: &str| t.trim().parse().map_err(|_| expected());
            RangeOverride::fixed(real(min)?, real(max)?)
        } else {
            let (name, percentile) = rule.split_once(':').map_or((rule, None), |(name, p)| (name, Some(p)));
            let percentile = percentile.map(|p| p.parse().map_err(|_| expected())).transpose()?;
            RangeOverride { percentile, ..RangeOverride::rule(name.parse()?) }
        };
        self.insert(layer.into(), range);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_ranges_are_told_apart() {
        let parse = |text: &str| {
            let mut overrides = BTreeMap::new();
            overrides.set(text.as_ref(), Path::new("")).map(|()| overrides)
        };
        for (text, layer, range) in [
            ("conv1=minmax", "conv1", RangeOverride::rule(RangeChoice::MinMax)),
            ("a.0=percentile:99.5", "a.0", RangeOverride::percentile(99.5)),
            ("a=b=-1,3.5", "a=b", RangeOverride::fixed(-1.0, 3.5)),
        ] {
            assert_eq!(parse(text).unwrap(), BTreeMap::from([(layer.into(), range)]), "{text}");
        }
        for text in ["", "conv1", "=minmax", "conv1=", "conv1=1,x", "conv1=widest", "conv1=percentile:x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
