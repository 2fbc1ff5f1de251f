//! Costs of the steps, where somebody has measured them.

use niello_codegen::{
    Error, Result,
    pipeline::Build,
    program::Step,
    tuning::{Costs, TuningFile},
};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Costs of the steps of a program.
#[derive(Serialize)]
pub(super) struct Cost {
    /// Their unit.
    pub(super) unit: String,
    /// By step; absent where nothing was measured.
    pub(super) steps: Vec<Option<f64>>,
    /// Of a whole inference.
    pub(super) total: Option<f64>,
}

/// The part of what `niello bench --json` prints that matters here.
#[derive(Deserialize)]
struct Timing {
    median_ms: f64,
    layers: Vec<LayerTime>,
}

#[derive(Deserialize)]
struct LayerTime {
    name: String,
    median_ms: f64,
}

impl Cost {
    /// Of a file; without one, those of the recipe's tuning file, which has the layers that are tuned.
    ///
    /// # Errors
    /// A file that cannot be read, holds no costs, or is of another program.
    pub(super) fn find(path: Option<&Path>, build: &Build) -> Result<Option<Self>> {
        let steps = &build.program.steps;
        let Some(path) = path else { return Self::of_tuning(build) };
        let text = std::fs::read_to_string(path).map_err(Error::io("cannot read", path))?;
        let cost = if text.trim_start().starts_with('{') {
            let timing: Timing = serde_json::from_str(&text)
                .map_err(|e| Error::file(path, format!("expected what `niello bench --json` prints: {e}")))?;
            let of = |step: &Step| timing.layers.iter().find(|layer| layer.name == step.name);
            let steps = steps.iter().map(|step| of(step).map(|layer| layer.median_ms)).collect();
            Self { unit: "ms".into(), steps, total: Some(timing.median_ms) }
        } else {
            let costs = Costs::parse(&text).map_err(|e| Error::file(path, e.to_string()))?;
            let of = |step: &Step| costs.steps.get(&step.layers).map(|cost| *cost as f64);
            let steps = steps.iter().map(of).collect();
            Self { unit: "cost".into(), steps, total: costs.total.map(|total| total as f64) }
        };
        if cost.steps.iter().all(Option::is_none) {
            let message = format!("has costs of none of the steps of {}", build.program.name);
            return Err(Error::file(path, message));
        }
        Ok(Some(cost))
    }

    fn of_tuning(build: &Build) -> Result<Option<Self>> {
        let Some(path) = &build.recipe.target.tuning else { return Ok(None) };
        let file = TuningFile::read(&build.recipe.resolve(path))?;
        let of = |step: &Step| step.layers.iter().find_map(|layer| file.layer.get(layer)?.after);
        let steps: Vec<_> = build.program.steps.iter().map(|step| of(step).map(|cost| cost as f64)).collect();
        let unit = file.unit.clone().unwrap_or_else(|| "cost".into());
        let total = file.after.map(|total| total as f64);
        Ok(steps.iter().any(Option::is_some).then_some(Self { unit, steps, total }))
    }
}
