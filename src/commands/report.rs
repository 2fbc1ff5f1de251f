//! `niello report`.

use super::{Done, board};
use crate::{
    args::{BuildArgs, build_with_progress},
    output, table,
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    board::{Usage, elf_usage, usage},
    pipeline::Calibrated,
    report::{Report, report},
};
use serde::Serialize;
use std::path::PathBuf;

/// Show memory, flash and work, layer by layer; exit status 1 if a board has too little memory
#[derive(Args)]
#[command(after_help = "Example:\n  niello report --recipe covid.toml --target portable\n  \
                        niello report --model squeezenet1_1 --seeded --board stm32h743")]
pub(crate) struct ReportCommand {
    /// Figures of this linked file instead of estimates, for the memories of the board
    #[arg(long, value_name = "FILE")]
    elf: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

/// A report with the source of its ranges, and its use of a board.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranges: &'a Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    board: &'a Option<Usage>,
}

impl ReportCommand {
    pub(crate) fn run(self) -> Result<Done> {
        let mut recipe = self.model.recipe()?;
        let board = recipe.board()?;
        if self.elf.is_some() && board.is_none() {
            return Err(Error::Invalid("`--elf` needs the memories of a board: give `--board`".into()));
        }
        // A report also shows a model that does not fit.
        recipe.target.name = recipe.target_name(board.as_ref()).into();
        recipe.target.board = None;
        let build = build_with_progress(&recipe)?;
        let report = report(&build.program);
        let usage = match (&board, &self.elf) {
            (Some(board), Some(elf)) => Some(elf_usage(elf, board)?),
            (Some(board), None) => Some(usage(&build.program, board, build.table_bytes())),
            (None, _) => None,
        };
        let ranges = build.calibrated.as_ref().map(Calibrated::summary);
        let failure = usage.as_ref().filter(|usage| !usage.fits()).map(|usage| {
            let over = usage.memories.iter().filter(|m| m.over() > 0);
            let over: Vec<String> =
                over.map(|m| format!("{} {} bytes too many", m.name, table::grouped(m.over()))).collect();
            let (network, board, over) = (&report.network, &usage.board, over.join(", "));
            Error::Invalid(format!("{network}: does not fit board `{board}`: {over}"))
        });
        if self.json {
            let text = output::json(&Whole { report: &report, ranges: &ranges, board: &usage })?;
            return Ok(Done { text, failure });
        }
        let ranges = ranges.map(|ranges| format!("{ranges}\n")).unwrap_or_default();
        let memories = usage.map(|usage| format!("\n{}", board::render(&usage))).unwrap_or_default();
        let rows: Vec<Vec<String>> = report
            .layers
            .iter()
            .map(|l| {
                let [h, w, c] = l.shape;
                let stride = if l.stride as usize == c { String::new() } else { format!(" /{}", l.stride) };
                vec![
                    l.name.clone(),
                    l.kind.clone(),
                    format!("{h}x{w}x{c}"),
                    table::grouped(l.macs),
                    table::grouped(l.weights_bytes as u64),
                    format!("{}+{}{stride}", l.space, table::grouped(l.offset as u64)),
                    table::grouped(l.bytes as u64),
                    table::grouped(l.scratch_bytes as u64),
                ]
            })
            .collect();
        let tuned = report.layers.iter().flat_map(|l| &l.tuned);
        let tuned: Vec<String> = tuned.map(|(layer, choice)| format!("{layer} ({choice})")).collect();
        let tuned = if tuned.is_empty() { String::new() } else { format!("tuned  {}\n", tuned.join(", ")) };
        let headings = ["layer", "operator", "output", "MACs", "weights", "place", "bytes", "scratch"];
        let text = format!(
            "{}\n{} for {}, rounding {}\nMACs   {}\nflash  {} bytes of constants\n\
             arena  {} bytes (lower bound {}, {})\n{ranges}{tuned}{memories}",
            table::render(&headings, &rows),
            report.network,
            report.target,
            report.rounding,
            table::grouped(report.macs),
            table::grouped(report.flash_bytes as u64),
            table::grouped(report.arena_bytes as u64),
            table::grouped(report.arena_lower_bound_bytes as u64),
            report.arena_strategy
        );
        Ok(Done { text, failure })
    }
}
