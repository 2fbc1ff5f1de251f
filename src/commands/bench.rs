//! `niello bench`.

use crate::{args::BuildArgs, output, progress::Step, table};
use clap::Args;
use niello_codegen::{Error, Result, bench::bench};
use niello_kernels::Isa;

/// Measure the time of each layer on this machine
#[derive(Args)]
#[command(after_help = "Example:\n  niello bench --model anam_net --repetitions 20")]
pub(crate) struct Bench {
    /// Inferences to time, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    #[arg(long, value_name = "NAME", help = isa_help())]
    isa: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

fn isa_names() -> String {
    Isa::available().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

fn isa_help() -> String {
    format!("Instruction set; absent: the best of this machine, which has {}", isa_names())
}

impl Bench {
    pub(crate) fn run(self) -> Result<String> {
        let isa = match &self.isa {
            None => Isa::detect(),
            Some(name) => Isa::available().find(|isa| isa.name() == name).ok_or_else(|| {
                Error::Invalid(format!("no instruction set `{name}` here; there are: {}", isa_names()))
            })?,
        };
        let build = self.model.build()?;
        let step = Step::new("measuring", 0);
        let timing = bench(&build.program, isa, self.repetitions as usize)?;
        drop(step);
        if self.json {
            return output::json(&timing);
        }
        let rows: Vec<Vec<String>> = timing
            .layers
            .iter()
            .map(|l| {
                vec![
                    l.name.clone(),
                    l.kind.clone(),
                    format!("{:.3}", l.median_ms),
                    format!("{:.1} %", 100.0 * l.share),
                    table::grouped(l.macs),
                    if l.macs == 0 { "-".into() } else { format!("{:.1}", l.macs_per_second / 1e9) },
                    l.peak_share.map_or("-".into(), |share| format!("{:.0} %", 100.0 * share)),
                ]
            })
            .collect();
        let table = table::render(&["layer", "operator", "ms", "share", "MACs", "GMAC/s", "of peak"], &rows);
        let peak = timing.peak_macs_per_second.map_or(String::new(), |peak| {
            format!("peak: {:.0} GMAC/s, its multiply instructions alone, on registers\n", peak / 1e9)
        });
        Ok(format!(
            "{table}\n{}: median {:.2} ms, fastest {:.2} ms of {} inferences, {} thread, {}\n{peak}",
            build.program.metadata.network,
            timing.median_ms,
            timing.min_ms,
            timing.repetitions,
            timing.threads,
            timing.isa
        ))
    }
}
