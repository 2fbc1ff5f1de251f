//! `niello inspect`.

use super::verify::{Given, Limits, Verified};
use crate::{
    args::BuildArgs,
    ends::{self, Described as End},
    networks, output, table,
};
use clap::Args;
use niello_codegen::{
    Error, Graph, Result, ValueId,
    format::Format,
    passes::optimize,
    pipeline::{Imported, build_graph, find_network, import},
    weights::{SafeTensorsFile, Zeros},
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Show a network layer by layer, or the tensors of a checkpoint
#[derive(Args)]
#[command(after_help = "Examples:\n  niello inspect --model squeezenet1_0 --input 224x224\n  \
                        niello inspect --model kws_int8.tflite\n  \
                        niello inspect --tensors weights.safetensors\n  \
                        niello inspect --model anam_net --data slices/ --json")]
pub(crate) struct Inspect {
    /// List the tensors of this checkpoint instead
    #[arg(long, value_name = "SAFETENSORS")]
    tensors: Option<PathBuf>,
    /// Show the graph after folding and fusion
    #[arg(long)]
    optimized: bool,
    /// Also build it, and compare the program with float on these, as `niello verify` does: errors, ranges, and what they cut off, of each layer
    #[arg(long, value_name = "PATH", conflicts_with = "tensors")]
    data: Option<PathBuf>,
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
    /// Of a quantised file.
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scale: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_point: Option<i8>,
}

#[derive(Serialize)]
struct Described {
    network: String,
    /// What a model's file says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<End>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<End>,
    input: [usize; 3],
    parameters: usize,
    macs: u64,
    layers: Vec<Layer>,
    /// The program beside float, on data.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<Verified>,
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
        let mut described = if recipe.model_path().is_some() {
            of_file(import(&recipe, networks())?, self.optimized)
        } else {
            let graph = if recipe.weights.is_some() {
                import(&recipe, networks())?.graph
            } else {
                build_graph(&recipe, &*find_network(&recipe, networks())?, &mut Zeros)?
            };
            describe(&if self.optimized { optimize(graph) } else { graph })
        };
        if let Some(data) = &self.data {
            let given = Given::new(&recipe, Some(data), None)?;
            described.verified =
                Some(given.compare(&mut self.model.build()?, Limits::default(), |_| Ok(()))?);
        }
        if self.json {
            return output::json(&described);
        }
        let is_quantized = described.layers.iter().any(|l| l.format.is_some());
        let rows: Vec<Vec<String>> = described.layers.iter().map(|l| l.row(is_quantized)).collect();
        let mut headings = vec!["layer", "operator", "output", "parameters", "MACs"];
        if is_quantized {
            headings.extend(["format", "scale", "zero point"]);
        }
        let (layers, of_file) = (table::render(&headings, &rows), described.summary.take());
        let of_file = of_file.map_or_else(String::new, |summary| {
            format!("{}\n{summary}\n", ends::render(&described.inputs, &described.outputs))
        });
        let verified = described.verified.map(|verified| format!("\n{}", verified.text()));
        Ok(format!(
            "{layers}\n{of_file}{}: {} parameters, {} MACs\n{}",
            described.network,
            table::grouped(described.parameters as u64),
            table::grouped(described.macs),
            verified.unwrap_or_default()
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

impl Layer {
    fn row(&self, is_quantized: bool) -> Vec<String> {
        let [h, w, c] = self.shape;
        let (parameters, macs) = (table::grouped(self.parameters as u64), table::grouped(self.macs));
        let mut row = vec![self.name.clone(), self.kind.into(), format!("{h}x{w}x{c}"), parameters, macs];
        if is_quantized {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
            row.push(or_dash(self.format.map(String::from)));
            row.push(or_dash(self.scale.map(|s| s.to_string())));
            row.push(or_dash(self.zero_point.map(|z| z.to_string())));
        }
        row
    }
}

/// A model's file, with the formats of a quantised one.
fn of_file(imported: Imported, optimized: bool) -> Described {
    let Imported { graph, network, quantized, ends: of_file, .. } = imported;
    // A quantised graph is built as the file has it.
    let graph = if optimized && quantized.is_none() { optimize(graph) } else { graph };
    let format = |id: ValueId| -> Option<Format> { quantized.as_ref().map(|q| q.formats[id.0]) };
    let mut described = describe(&graph);
    for (layer, node) in described.layers.iter_mut().zip(&graph.nodes) {
        let format = format(node.output());
        layer.format = format.map(Format::name);
        layer.scale = format.and_then(Format::step);
        layer.zero_point = format.and_then(|format| match format {
            Format::Int8(q) => Some(q.zero_point),
            _ => None,
        });
    }
    let ends = |ids: &[ValueId], ends: &[niello_codegen::import::End]| {
        ids.iter().zip(ends).map(|(id, end)| End::new(end, format(*id))).collect()
    };
    described.summary = Some(network.summary().to_string());
    described.inputs = ends(&graph.inputs, &of_file.inputs);
    described.outputs = ends(&graph.outputs, &of_file.outputs);
    described
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
                format: None,
                scale: None,
                zero_point: None,
            }
        })
        .collect();
    Described {
        network: graph.name.clone(),
        summary: None,
        inputs: vec![],
        outputs: vec![],
        input: [input.h, input.w, input.c],
        parameters: graph.parameters(),
        macs: graph.macs(),
        layers,
        verified: None,
    }
}
