//! `niello inspect`.

use crate::{args::BuildArgs, networks, output, table};
use clap::Args;
use niello_codegen::{
    Error, Graph, Result,
    passes::optimize,
    pipeline::{build_graph, find_network, import},
    weights::{SafeTensorsFile, Zeros},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show a network layer by layer, or the tensors of a checkpoint
#[derive(Args)]
#[command(after_help = "Examples:\n  niello inspect --model squeezenet1_0 --input 224x224\n  \
                        niello inspect --tensors weights.safetensors")]
pub(crate) struct Inspect {
    /// List the tensors of this checkpoint instead
    #[arg(long, value_name = "SAFETENSORS")]
    tensors: Option<PathBuf>,
    /// Show the graph after folding and fusion
    #[arg(long)]
    optimized: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Layer {
    name: String,
    kind: &'static str,
    inputs: Vec<String>,
    shape: [usize; 3],
    parameters: usize,
    macs: u64,
}

#[derive(Serialize)]
struct Described {
    network: String,
    input: [usize; 3],
    parameters: usize,
    macs: u64,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct TensorEntry {
    name: String,
    shape: Vec<usize>,
}

impl Inspect {
    pub(crate) fn run(self) -> Result<String> {
        if let Some(path) = &self.tensors {
            return self.list_tensors(path);
        }
        let recipe = self.model.recipe()?;
        let graph = if recipe.weights.is_some() {
            import(&recipe, networks())?.graph
        } else {
            build_graph(&recipe, &*find_network(&recipe, networks())?, &mut Zeros)?
        };
        let graph = if self.optimized { optimize(graph) } else { graph };
        let described = describe(&graph);
        if self.json {
            return output::json(&described);
        }
        let rows: Vec<Vec<String>> = described
            .layers
            .iter()
            .map(|l| {
                let [h, w, c] = l.shape;
                vec![
                    l.name.clone(),
                    l.kind.into(),
                    format!("{h}x{w}x{c}"),
                    table::grouped(l.parameters as u64),
                    table::grouped(l.macs),
                ]
            })
            .collect();
        let table = table::render(&["layer", "operator", "output", "parameters", "MACs"], &rows);
        Ok(format!(
            "{table}\n{}: {} parameters, {} MACs\n",
            described.network,
            table::grouped(described.parameters as u64),
            table::grouped(described.macs)
        ))
    }

    fn list_tensors(&self, path: &Path) -> Result<String> {
        let file = SafeTensorsFile::open(path)?;
        let entries: Vec<TensorEntry> = file
            .shapes()
            .map(|(name, shape)| TensorEntry { name: name.into(), shape: shape.to_vec() })
            .collect();
        if entries.is_empty() {
            return Err(Error::file(path, "holds no tensors"));
        }
        if self.json {
            return output::json(&entries);
        }
        let rows: Vec<Vec<String>> =
            entries.iter().map(|e| vec![e.name.clone(), format!("{:?}", e.shape)]).collect();
        Ok(table::render(&["tensor", "shape"], &rows))
    }
}

fn describe(graph: &Graph) -> Described {
    let input = graph.shape(graph.inputs[0]);
    let layers = graph
        .nodes
        .iter()
        .map(|n| {
            let s = graph.shape(n.output());
            Layer {
                name: n.name.clone(),
                kind: n.op.kind(),
                inputs: n.inputs.iter().map(|id| graph.values[id.0].name.clone()).collect(),
                shape: [s.h, s.w, s.c],
                parameters: n.op.parameters(),
                macs: graph.node_macs(n),
            }
        })
        .collect();
    Described {
        network: graph.name.clone(),
        input: [input.h, input.w, input.c],
        parameters: graph.parameters(),
        macs: graph.macs(),
        layers,
    }
}
