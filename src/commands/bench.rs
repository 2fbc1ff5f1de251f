//! `niello bench`.

use crate::{args::ModelArgs, table};
use clap::Args;
use niello_codegen::{Error, Result, bench::bench};
use niello_kernels::Isa;

/// Measure the time of each layer on this machine
#[derive(Args)]
#[command(after_help = "Example:\n  niello bench --model anam_net --repetitions 20")]
pub(crate) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    /// Inferences to time, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    repetitions: usize,
    /// Instruction set: the best of this machine, or e.g. `scalar`
    #[arg(long, value_name = "NAME")]
    isa: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        let isa = match &self.isa {
            None => Isa::detect(),
            Some(name) => Isa::available().find(|isa| isa.name() == name).ok_or_else(|| {
                let names: Vec<&str> = Isa::available().map(|isa| isa.name()).collect();
                Error::Invalid(format!("no instruction set `{name}` here; there are: {}", names.join(", ")))
            })?,
        };
        let build = self.model.build()?;
        let timing = bench(&build.program, isa, self.repetitions)?;
        if self.json {
            return super::print_json(&timing);
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
                ]
            })
            .collect();
        table::print(&["layer", "operator", "ms", "share", "MACs", "GMAC/s"], &rows);
        println!(
            "\n{}: median {:.2} ms, fastest {:.2} ms of {} inferences, {} thread, {}",
            build.program.metadata.network,
            timing.median_ms,
            timing.min_ms,
            timing.repetitions,
            timing.threads,
            timing.isa
        );
        Ok(())
    }
}
