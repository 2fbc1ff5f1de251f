//! `niello calibrate`.

use crate::{
    args::{BuildArgs, build_with_progress, set_threads},
    output, table,
};
use clap::Args;
use niello_codegen::{Error, Result, emit::write_files, lock::Lock};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write the results of calibration to a lock beside the recipe: builds then need no calibration inputs, and take seconds
#[derive(Args)]
#[command(
    after_help = "Examples:\n  niello calibrate --recipe covid.toml            # writes covid.lock\n  \
                  niello calibrate --recipe covid.toml --check    # does calibrating again give the same?"
)]
pub(crate) struct Calibrate {
    /// File to write; absent: the recipe's `calibrate.lock`, or the recipe's name with `.lock`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write nothing: exit with 1 unless calibrating gives the lock that is there
    #[arg(long)]
    check: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Summary {
    lock: PathBuf,
    sha256: String,
    network: String,
    inputs: usize,
    ranges: usize,
    corrected_layers: usize,
    layers_with_16_bits: Vec<String>,
    bytes: usize,
}

impl Calibrate {
    pub(crate) fn run(self) -> Result<String> {
        let mut recipe = self.model.recipe()?;
        let path = self.out.clone().or_else(|| recipe.lock_path()).ok_or_else(|| {
            Error::Invalid(
                "no place for the lock: give `--recipe FILE` (the lock lies beside it) or `--out FILE`"
                    .into(),
            )
        })?;
        let there = if self.check { Some(Lock::from_file(&path)?) } else { None };
        if !self.check {
            output::check_writable(&path)?;
        }
        recipe.recalibrate = true;
        set_threads(&recipe)?;
        let build = build_with_progress(&recipe)?;
        let lock = build.lock()?;
        let text = lock.to_text();
        if let Some(there) = there {
            check(&there, &lock, &path)?;
        } else {
            write_files(&[(path.clone(), text.as_bytes())])?;
        }
        let summary = Summary {
            sha256: lock.checksum(),
            network: build.program.metadata.network.clone(),
            inputs: lock.origin.inputs.0,
            ranges: lock.ranges.len(),
            corrected_layers: lock.corrections.len(),
            layers_with_16_bits: lock.wide.activations.iter().chain(&lock.wide.weights).cloned().collect(),
            bytes: text.len(),
            lock: path,
        };
        if self.json {
            return output::json(&summary);
        }
        let wide = match summary.layers_with_16_bits.len() {
            0 => String::new(),
            n => format!(", 16 bits in {n} places"),
        };
        Ok(format!(
            "{}: {} ranges and {} corrected layers of {}, calibrated on {} inputs{wide}; {} bytes, sha256 {}\n{}\n",
            summary.lock.display(),
            summary.ranges,
            summary.corrected_layers,
            summary.network,
            summary.inputs,
            table::grouped(summary.bytes as u64),
            &summary.sha256[..12],
            if self.check { "calibrating again gives the same" } else { "commit it beside the recipe" }
        ))
    }
}

/// Whether two locks are the same.
///
/// # Errors
/// The differences, the first lines of them.
fn check(there: &Lock, now: &Lock, path: &Path) -> Result<()> {
    const SHOWN: usize = 8;
    let (there, now) = (there.to_text(), now.to_text());
    let pairs = there.lines().zip(now.lines()).filter(|(a, b)| a != b && !a.starts_with("# sha256"));
    let mut differences: Vec<String> =
        pairs.map(|(a, b)| format!("\n  - {}\n  + {}", cut(a), cut(b))).collect();
    let (before, after) = (there.lines().count(), now.lines().count());
    if before != after {
        differences.push(format!("\n  {before} lines, calibrating gives {after}"));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let more = differences.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more lines") } else { String::new() };
    differences.truncate(SHOWN);
    Err(Error::file(path, format!("calibrating again gives something else:{}{more}", differences.concat())))
}

/// A line's first characters.
fn cut(line: &str) -> String {
    const WIDTH: usize = 90;
    if line.chars().count() <= WIDTH {
        line.into()
    } else {
        line.chars().take(WIDTH).chain("…".chars()).collect()
    }
}
