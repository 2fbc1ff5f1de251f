//! The plots of a report: for its page, and as files.

use super::{examples::Examples, page::Facts, tables::error};
use crate::{
    commands::verify::{Row, by_harm},
    html::{
        arena::arena,
        bars::{Line, bars},
        graph::{Node, graph},
        histogram::Histogram,
        picture::Picture,
    },
    table,
};
use niello_codegen::{Result, quantize::calibrate::calibrate};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Layers with a histogram: the worst ones.
const WORST: usize = 8;
/// Parts of a histogram.
const PARTS: usize = 72;

/// All plots.
pub(super) struct Plots {
    pub(super) graph: Picture,
    /// Wide, and narrow enough for a phone or a sheet.
    pub(super) arena: Picture,
    /// Of inputs, then of the worst layers.
    pub(super) histograms: Vec<OfLayer>,
    /// Bars, which a page has in its tables, by name of the file.
    bars: Vec<(&'static str, Picture)>,
}

/// The histogram of a layer's values.
pub(super) struct OfLayer {
    pub(super) name: String,
    /// Its range, and what that cuts off in all cases.
    pub(super) words: String,
    pub(super) picture: Picture,
    /// The smallest value of each part, the largest of the last, and the counts.
    pub(super) ends: [f64; 2],
    pub(super) counts: Vec<f64>,
}

/// Draws them.
///
/// # Errors
/// Cases whose values are not finite.
pub(super) fn of(facts: &Facts<'_>, examples: &Examples) -> Result<Plots> {
    let report = facts.report;
    let network = &report.network;
    let by_step = |value: fn(&niello_codegen::report::LayerReport) -> u64| -> Vec<Line> {
        let bar = |n: u64| (n as f64, table::grouped(n));
        report.layers.iter().map(|layer| (layer.name.clone(), vec![bar(value(layer))])).collect()
    };
    let mut of_bars = vec![
        (
            "macs",
            bars(&format!("Multiply-accumulates by step of {network}"), &["MACs"], &by_step(|l| l.macs))?,
        ),
        (
            "weights",
            bars(
                &format!("Bytes of constants by step of {network}"),
                &["bytes"],
                &by_step(|l| l.weights_bytes as u64),
            )?,
        ),
    ];
    if let Some(costs) = facts.costs {
        let bar = |cost: &Option<f64>| cost.map(|cost| (cost, format!("{cost}"))).into_iter().collect();
        let lines = report.layers.iter().zip(&costs.steps);
        let lines: Vec<Line> = lines.map(|(layer, cost)| (layer.name.clone(), bar(cost))).collect();
        of_bars.push(("costs", bars(&format!("Costs by step of {network}"), &[&costs.unit], &lines)?));
    }
    if let Some(verified) = facts.verified {
        let line = |row: &Row| {
            let l = &row.layer;
            let bar = |db| (error(db), table::optional(db, 1) + " dB");
            (l.name.clone(), vec![bar(l.own_sqnr_db), bar(l.sqnr_db)])
        };
        let lines: Vec<Line> = verified.layers.iter().map(line).collect();
        let names = ["own error", "with those before it"];
        of_bars.push(("errors", bars(&format!("Errors of the layers of {network}"), &names, &lines)?));
    }
    Ok(Plots {
        graph: network_graph(facts),
        arena: arena(report, [860, 360])?,
        histograms: histograms(facts, examples)?,
        bars: of_bars,
    })
}

/// The graph of the network's layers.
fn network_graph(facts: &Facts<'_>) -> Picture {
    let graph_of = &facts.build.quantized.graph;
    let step = |layer: &str| facts.steps.iter().position(|step| step.iter().any(|name| name == layer));
    let errors: BTreeMap<&str, Option<f64>> = match facts.verified {
        Some(verified) => verified.layers.iter().map(|r| (&*r.layer.name, r.layer.own_sqnr_db)).collect(),
        None => BTreeMap::new(),
    };
    let count = graph_of.inputs.len();
    // The node that makes each value.
    let mut maker: Vec<Option<usize>> = vec![None; graph_of.values.len()];
    graph_of.inputs.iter().enumerate().for_each(|(i, id)| maker[id.0] = Some(i));
    for (i, node) in graph_of.nodes.iter().enumerate() {
        node.outputs.iter().for_each(|id| maker[id.0] = Some(count + i));
    }
    let shape = |id: niello_codegen::ValueId| {
        let s = graph_of.shape(id);
        format!("{}x{}x{}", s.h, s.w, s.c)
    };
    let inputs = graph_of.inputs.iter().map(|id| Node {
        name: graph_of.values[id.0].name.clone(),
        words: format!("input {}", shape(*id)),
        reads: vec![],
        colour: PLAIN,
        step: None,
    });
    let layers = graph_of.nodes.iter().map(|node| {
        let found = errors.get(&*node.name).copied();
        let words = found.flatten().map(|db| format!(", own error {db:.1} dB")).unwrap_or_default();
        Node {
            name: table::short(&node.name),
            words: format!("{} {}{words}", node.op.kind(), shape(node.output())),
            reads: node.inputs.iter().filter_map(|id| maker[id.0]).collect(),
            colour: found.map_or(PLAIN, |db| colour(db)),
            step: step(&node.name),
        }
    });
    let nodes: Vec<Node> = inputs.chain(layers).collect();
    graph(&format!("{} as a graph: {} layers", graph_of.name, graph_of.nodes.len()), &nodes)
}

/// Without a figure.
const PLAIN: &str = "#888888";
/// From so many decibels on, a dot has this colour.
pub(super) const COLOURS: [(f64, &str, &str); 4] = [
    (40.0, "#009e73", "40 dB and more"),
    (30.0, "#56b4e9", "30 to 40 dB"),
    (20.0, "#e69f00", "20 to 30 dB"),
    (f64::NEG_INFINITY, "#d55e00", "less than 20 dB"),
];

fn colour(db: Option<f64>) -> &'static str {
    let db = db.unwrap_or(f64::INFINITY);
    COLOURS.iter().find(|(least, ..)| db >= *least).map_or(PLAIN, |(_, colour, _)| colour)
}

/// Histograms of the cases that are shown.
fn histograms(facts: &Facts<'_>, examples: &Examples) -> Result<Vec<OfLayer>> {
    let Some(verified) = facts.verified.filter(|_| !examples.cases.is_empty()) else { return Ok(vec![]) };
    let graph = &facts.build.quantized.graph;
    let seen = calibrate(graph, examples.cases.iter().map(|case| Ok(case.inputs.clone())), |_| {})?;
    let mut worst: Vec<&Row> = verified.layers.iter().collect();
    worst.sort_by(|a, b| by_harm(a, b));
    let mut histograms = vec![];
    for row in verified.inputs.iter().chain(worst.into_iter().take(WORST)) {
        let l = &row.layer;
        let Some(statistics) = seen.statistics(l.id) else { continue };
        let range = l.scale.map(|_| [l.range.0, l.range.1].map(f64::from));
        let [low, high] = range.unwrap_or([0.0; 2]);
        let (low, high) = (low.min(statistics.min.into()), high.max(statistics.max.into()));
        // Some room at both ends; a tensor of one value has some too.
        let room = (0.03 * (high - low)).max(1e-6 * low.abs().max(high.abs())).max(1e-30);
        let ends = [low - room, high + room];
        let counts = statistics.histogram(ends[0], ends[1], PARTS);
        let label = format!("Values of {}", l.name);
        let picture = Histogram { label: &label, ends, counts: &counts, range }.picture([330, 180])?;
        let cut = |share: f64| format!("{:.4} %", 100.0 * share);
        let words = match range {
            Some([low, high]) => {
                format!("{}: {low:.4} to {high:.4}, {} below, {} above", l.name, cut(l.below), cut(l.above))
            }
            None => l.name.clone(),
        };
        histograms.push(OfLayer { name: l.name.clone(), words, picture, ends, counts });
    }
    Ok(histograms)
}

impl Plots {
    /// Files for a folder.
    pub(super) fn files(&self, folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let whole = [("graph".to_string(), &self.graph), ("arena".into(), &self.arena)];
        let bars = self.bars.iter().map(|(name, picture)| (name.to_string(), picture));
        let of_layers = self.histograms.iter().enumerate().map(|(i, of)| {
            let name: String = of.name.chars().take(60).map(plain).collect();
            (format!("histogram-{}-{name}", i + 1), &of.picture)
        });
        let all = whole.into_iter().chain(bars).chain(of_layers);
        all.map(|(name, picture)| (folder.join(format!("{name}.svg")), picture.file().into_bytes())).collect()
    }
}
