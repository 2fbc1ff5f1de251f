//! `niello report`.

use crate::{args::ModelArgs, output, table};
use clap::Args;
use niello_codegen::{Result, report::report};

/// Show memory, flash and work, layer by layer
#[derive(Args)]
#[command(after_help = "Example:\n  niello report --recipe covid.toml --target portable")]
pub(crate) struct ReportCommand {
    #[command(flatten)]
    model: ModelArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl ReportCommand {
    pub(crate) fn run(self) -> Result<String> {
        let report = report(&self.model.build()?.program);
        if self.json {
            return output::json(&report);
        }
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
        let headings = ["layer", "operator", "output", "MACs", "weights", "place", "bytes", "scratch"];
        Ok(format!(
            "{}\n{} for {}, rounding {}\nMACs   {}\nflash  {} bytes of constants\n\
             arena  {} bytes (lower bound {}, {})\n",
            table::render(&headings, &rows),
            report.network,
            report.target,
            report.rounding,
            table::grouped(report.macs),
            table::grouped(report.flash_bytes as u64),
            table::grouped(report.arena_bytes as u64),
            table::grouped(report.arena_lower_bound_bytes as u64),
            report.arena_strategy
        ))
    }
}
