//! `[overrides."layer"]`: the range of one tensor.

use super::RangeChoice;
use serde::{Deserialize, Serialize};

/// A rule for one tensor, or its range itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
