//! The tables of a page.

use super::{page::Facts, plots::OfLayer};
use crate::{
    commands::verify::{Row, Verified, by_harm},
    html::bar_table::{Bar, Cell, table},
    table::{grouped, optional},
};
use niello_codegen::{check::advice::Advice, quantize::ranges::Seen, report::Report};

/// Layers that are given advice.
const WORST: usize = 12;

/// What a tensor without an error is sorted as, in decibels.
const WITHOUT_ERROR: f64 = 1e6;

/// The error that so many decibels are, in per cent of the signal (root mean square); 0 for none.
pub(super) fn error(sqnr_db: Option<f64>) -> f64 {
    sqnr_db.map_or(0.0, |db| 100.0 * 10f64.powf(-db / 20.0))
}

fn count(n: u64) -> Cell {
    Cell::Number(grouped(n), n as f64, Bar::Plain)
}

fn words(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// The index of a row as people count steps in the plots.
fn index(i: usize) -> Cell {
    Cell::Number(i.to_string(), i as f64, Bar::None)
}

/// Work and memory by step.
pub(super) fn steps(facts: &Facts<'_>) -> String {
    let report = facts.report;
    let unit = facts.costs.map_or("cost", |costs| &costs.unit);
    let mut headings = vec![
        "layers",
        "step",
        "operator",
        "result",
        "MACs",
        "weights, bytes",
        "result, bytes",
        "scratch, bytes",
    ];
    if facts.costs.is_some() {
        headings.push(unit);
    }
    let is_tuned = report.layers.iter().any(|layer| !layer.tuned.is_empty());
    if is_tuned {
        headings.push("tuned");
    }
    let row = |(i, l): (usize, &niello_codegen::report::LayerReport)| {
        let [h, w, c] = l.shape;
        let mut row = vec![
            words(&l.name),
            index(i),
            words(&l.kind),
            words(format!("{h}x{w}x{c}")),
            count(l.macs),
            count(l.weights_bytes as u64),
            count(l.bytes as u64),
            count(l.scratch_bytes.into()),
        ];
        if let Some(costs) = facts.costs {
            let cost = costs.steps.get(i).copied().flatten();
            row.push(cost.map_or_else(|| words("-"), |cost| Cell::Number(shown(cost), cost, Bar::Plain)));
        }
        if is_tuned {
            let tuned = l.tuned.iter().map(|(layer, choice)| format!("{layer} ({choice})"));
            row.push(words(tuned.collect::<Vec<_>>().join(", ")));
        }
        row
    };
    let rows: Vec<Vec<Cell>> = report.layers.iter().enumerate().map(row).collect();
    table("Work and memory by step; a bar is a share of the largest number of its column", &headings, &rows)
}

/// A cost: whole numbers as they are, others with three digits behind the point.
pub(super) fn shown(cost: f64) -> String {
    if cost.fract() == 0.0 { grouped(cost as u64) } else { format!("{cost:.3}") }
}

/// The share of values that is cut off.
fn cut(share: f64) -> Cell {
    let words = if share == 0.0 { "-".into() } else { format!("{:.4} %", 100.0 * share) };
    Cell::Number(words, share, Bar::Bad)
}

/// Errors by layer.
pub(super) fn errors(verified: &Verified) -> String {
    let headings = [
        "layer",
        "operator",
        "format",
        "own error",
        "own, dB",
        "with those before",
        "in all, dB",
        "range",
        "rule",
        "seen",
        "cut off below",
        "cut off above",
    ];
    let percent = |db: Option<f64>| {
        let error = error(db);
        Cell::Number(format!("{error:.3} %"), error, Bar::Bad)
    };
    let decibels = |db: Option<f64>| Cell::Number(optional(db, 1), db.unwrap_or(WITHOUT_ERROR), Bar::None);
    let span = |(low, high): (f32, f32)| format!("{low:.4} to {high:.4}");
    let row = |Row { layer: l, rule }: &Row| {
        vec![
            words(&l.name),
            words(&l.kind),
            words(l.format),
            percent(l.own_sqnr_db),
            decibels(l.own_sqnr_db),
            percent(l.sqnr_db),
            decibels(l.sqnr_db),
            words(if l.scale.is_some() { span(l.range) } else { String::new() }),
            words(rule),
            words(span(l.seen)),
            cut(l.below),
            cut(l.above),
        ]
    };
    let rows: Vec<Vec<Cell>> = verified.inputs.iter().chain(&verified.layers).map(row).collect();
    let caption = "Errors in per cent of a layer's own values, root mean square; a bar is a share of the largest of its column";
    table(caption, &headings, &rows)
}

/// The worst layers, and what would make their errors smaller.
pub(super) fn advice(facts: &Facts<'_>, verified: &Verified) -> String {
    let fixed = facts.build.has_scales_of_file();
    let mut worst: Vec<&Row> = verified.layers.iter().collect();
    worst.sort_by(|a, b| by_harm(a, b));
    let share = |share: f64| Cell::Number(format!("{:.0} %", 100.0 * share), share, Bar::Bad);
    let row = |Row { layer: l, .. }: &&Row| {
        let seen = facts.build.calibrated.as_ref().and_then(|calibrated| calibrated.ranges.seen(l.id));
        let error = error(l.own_sqnr_db);
        vec![
            words(&l.name),
            Cell::Number(format!("{error:.3} %"), error, Bar::Bad),
            share(l.own_cut_noise),
            share(l.own_rounding_noise),
            words(Advice::of(l, seen, fixed).words(&l.name)),
        ]
    };
    let rows: Vec<Vec<Cell>> = worst.iter().take(WORST).map(row).collect();
    let headings = ["layer", "own error", "of it cut off", "rounding", "what helps"];
    table("The layers with the largest errors of their own", &headings, &rows)
}

/// What lies where and when.
pub(super) fn arena(report: &Report) -> String {
    let row = |block: &niello_codegen::report::ArenaBlock| {
        let kind = if block.scratch { " (scratch)" } else { "" };
        let number = |n: usize| Cell::Number(grouped(n as u64), n as f64, Bar::None);
        vec![
            words(format!("{}{kind}", block.name)),
            number(block.offset),
            count(block.bytes as u64),
            index(block.first),
            index(block.last),
        ]
    };
    let rows: Vec<Vec<Cell>> = report.arena.blocks.iter().map(row).collect();
    table("Blocks of the arena", &["tensor", "offset", "bytes", "first step", "last step"], &rows)
}

/// What each layer reads.
pub(super) fn graph(facts: &Facts<'_>) -> String {
    let graph = &facts.build.quantized.graph;
    let row = |node: &niello_codegen::graph::Node| {
        let s = graph.shape(node.output());
        let reads: Vec<&str> = node.inputs.iter().map(|id| &*graph.values[id.0].name).collect();
        vec![
            words(&node.name),
            words(node.op.kind()),
            words(format!("{}x{}x{}", s.h, s.w, s.c)),
            words(reads.join(", ")),
        ]
    };
    let rows: Vec<Vec<Cell>> = graph.nodes.iter().map(row).collect();
    table("Layers and what they read", &["layer", "operator", "result", "reads"], &rows)
}

/// The numbers behind a histogram.
pub(super) fn histogram(of: &OfLayer) -> String {
    let [low, high] = of.ends;
    let width = (high - low) / of.counts.len().max(1) as f64;
    let parts = of.counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
    let rows: Vec<Vec<Cell>> = parts
        .map(|(i, n)| {
            let from = low + i as f64 * width;
            let number = |x: f64| Cell::Number(format!("{x:.5}"), x, Bar::None);
            vec![number(from), number(from + width), count(*n as u64)]
        })
        .collect();
    table(&format!("Values of {}", of.name), &["from", "to", "values"], &rows)
}
