//! The output of `niello tune`.

use crate::table;
use niello_codegen::{program::Choice, tuning::TuningFile};
use serde::Serialize;
use std::path::PathBuf;

/// The result of tuning.
#[derive(Serialize)]
pub(super) struct Found<'a> {
    pub(super) file: &'a PathBuf,
    /// Programs that were measured, the default among them.
    pub(super) programs: usize,
    /// Programs that do not fit the board or `--arena`.
    pub(super) left_out: usize,
    pub(super) arena_bytes_before: usize,
    pub(super) arena_bytes_after: usize,
    #[serde(flatten)]
    pub(super) tuning: &'a TuningFile,
}

impl Found<'_> {
    /// As text.
    pub(super) fn text(&self, margin: f64) -> String {
        let file = self.tuning;
        let grouped = |n: Option<u64>| n.map_or("-".into(), table::grouped);
        let rows: Vec<Vec<String>> = file
            .layer
            .iter()
            .map(|(layer, t)| {
                let choice = Choice { pixels: t.pixels, winograd: t.winograd };
                let with = if t.with.is_empty() { "" } else { " *" };
                vec![
                    layer.clone(),
                    choice.to_string(),
                    grouped(t.before),
                    grouped(t.after) + with,
                    less(t.before, t.after),
                ]
            })
            .collect();
        let mut text = String::new();
        if rows.is_empty() {
            text += &format!(
                "no choice gains {margin} % in its layer and the inference something: the file has none\n"
            );
        } else {
            text += &table::render(&["layer", "choice", "before", "after", "gain"], &rows);
        }
        if file.layer.values().any(|t| !t.with.is_empty()) {
            text += "* together with layers that cannot be measured apart from it\n";
        }
        let unit = file.unit.as_deref().map_or(String::new(), |unit| format!(" {unit}"));
        let left_out = match self.left_out {
            0 => String::new(),
            n => format!(", {n} more do not fit"),
        };
        format!(
            "{text}\n{} for {}, {}: {} programs{left_out}\ninference  {} to {}{unit}, {} less\narena      {} to {} bytes\n\
             written    {}\n",
            file.network,
            file.target,
            file.runner.as_deref().unwrap_or_default(),
            self.programs,
            grouped(file.before),
            grouped(file.after),
            less(file.before, file.after),
            table::grouped(self.arena_bytes_before as u64),
            table::grouped(self.arena_bytes_after as u64),
            self.file.display()
        )
    }
}

/// `4.2 %`: how much less `after` is.
fn less(before: Option<u64>, after: Option<u64>) -> String {
    match (before, after) {
        (Some(before), Some(after)) if before > 0 => {
            format!("{:.1} %", 100.0 * (1.0 - after as f64 / before as f64))
        }
        _ => "-".into(),
    }
}
