//! `niello models`.

use crate::{networks, output, table};
use clap::Args;
use niello_codegen::{Result, import::network::NetworkOptions, weights::Zeros};
use serde::Serialize;

/// List the networks
#[derive(Args)]
#[command(after_help = "Example:\n  niello models --json")]
pub(crate) struct Models {
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Serialize)]
struct Entry {
    name: &'static str,
    input: [usize; 3],
    classes: Vec<&'static str>,
    parameters: usize,
    macs: u64,
    /// The pre-processing of images; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    preprocess: Option<&'static str>,
    bundled_weights: bool,
    summary: &'static str,
    source: &'static str,
}

impl Models {
    pub(crate) fn run(self) -> Result<String> {
        let mut entries = vec![];
        for network in networks().all() {
            let graph = network.build(&NetworkOptions::default(), &mut Zeros)?;
            let input = network.default_input();
            entries.push(Entry {
                name: network.name(),
                input: [input.h, input.w, input.c],
                classes: network.default_classes().to_vec(),
                parameters: graph.parameters(),
                macs: graph.macs(),
                preprocess: (!network.generates()).then(|| network.default_preprocess()),
                bundled_weights: network.bundled().is_some(),
                summary: network.summary(),
                source: network.source(),
            });
        }
        if self.json {
            return output::json(&entries);
        }
        let rows: Vec<Vec<String>> = entries
            .iter()
            .map(|e| {
                let [h, w, c] = e.input;
                vec![
                    e.name.into(),
                    format!("{h}x{w}x{c}"),
                    e.classes.len().to_string(),
                    table::grouped(e.parameters as u64),
                    table::grouped(e.macs),
                    if e.bundled_weights { "yes".into() } else { "-".into() },
                ]
            })
            .collect();
        let mut text =
            table::render(&["network", "input", "classes", "parameters", "MACs", "bundled"], &rows);
        for e in &entries {
            text += &format!("\n{}: {}\n  {}\n", e.name, e.summary, e.source);
            let preprocess = e.preprocess.unwrap_or("reads no images");
            text += &format!("  classes: {}\n  preprocess: {preprocess}\n", e.classes.join(", "));
        }
        Ok(text)
    }
}
