//! `niello report`.

use crate::{args::ModelArgs, table};
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
    pub(crate) fn run(self) -> Result<()> {
        let report = report(&self.model.build()?.program);
        if self.json {
            return super::print_json(&report);
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
        table::print(&["layer", "operator", "output", "MACs", "weights", "place", "bytes", "scratch"], &rows);
        println!("\n{} for {}, rounding {}", report.network, report.target, report.rounding);
        println!("MACs   {}", table::grouped(report.macs));
        println!("flash  {} bytes of constants", table::grouped(report.flash_bytes as u64));
        println!(
            "arena  {} bytes (lower bound {}, {})",
            table::grouped(report.arena_bytes as u64),
            table::grouped(report.arena_lower_bound_bytes as u64),
            report.arena_strategy
        );
        Ok(())
    }
}
