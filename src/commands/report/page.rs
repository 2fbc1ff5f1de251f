//! The page: its sections in order.

use super::{
    cost::Cost,
    examples::Section,
    origin,
    plots::{COLOURS, Plots},
    tables,
};
use crate::{
    commands::verify::Verified,
    html::{self, bar_table, escaped, prose},
    table,
};
use niello_codegen::{board::Usage, pipeline::Build, report::Report};
use std::fmt::Write;

/// Everything that is known.
pub(super) struct Facts<'a> {
    /// Its program may be one that keeps the result of every layer.
    pub(super) build: &'a Build,
    /// Of the program for the device.
    pub(super) report: &'a Report,
    /// The layers of each of its steps.
    pub(super) steps: &'a [Vec<String>],
    pub(super) usage: Option<&'a Usage>,
    pub(super) costs: Option<&'a Cost>,
    pub(super) verified: Option<&'a Verified>,
}

/// Rules of this page, beside those of every page.
const STYLE: &str = "
nav a { margin-right: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.2rem, 1fr)); gap: .6rem; margin: 1rem 0; }
.tiles div { border: 1px solid #8886; border-radius: .4rem; padding: .4rem .7rem; }
.tiles dt { font-size: 85%; opacity: .8; }
.tiles dd { margin: 0; font-size: 115%; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.scroll { max-height: 44rem; overflow: auto; border: 1px solid #8884; border-radius: .4rem; padding: .4rem; }
.scroll svg, .wide > svg { max-width: none; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
.row figure { margin: 0; flex: 0 1 15.5rem; }
.row img { width: 100%; min-width: 8rem; height: auto; display: block; image-rendering: pixelated; background: #fff; }
.row.large figure { flex-basis: 32rem; }
figure.plot { width: 330px; margin: .6rem 1rem .6rem 0; }
figcaption { font-size: 90%; }
caption { text-align: left; font-size: 90%; opacity: .85; padding-bottom: .3rem; }
details { margin: .5rem 0; }
summary { cursor: pointer; }
pre { overflow-x: auto; white-space: pre-wrap; font-size: 85%; border: 1px solid #8884; border-radius: .4rem; padding: .6rem; }
pre.plain { white-space: pre; }
code { font-size: 92%; }
.facts th { text-align: left; vertical-align: top; }
.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border: 1px solid #8888; }

@media print { .scroll { max-height: none; overflow: visible; border: 0; } .scroll svg, .wide > svg { max-width: 100%; } nav { display: none; } .row figure { flex-basis: 10rem; } }
";

/// The page of a report.
pub(super) fn of(facts: &Facts<'_>, plots: &Plots, examples: &[Section]) -> String {
    let report = facts.report;
    let mut sections: Vec<Section> = vec![("Graph", graph(facts, plots))];
    sections.push(("Work and memory", tables::steps(facts)));
    sections.push(("Arena over time", arena(report, plots)));
    if let Some(usage) = facts.usage {
        let text = escaped(&crate::commands::board::render(usage));
        sections.push(("Board", format!("<pre class=\"plain\">{text}</pre>\n")));
    }
    if let Some(verified) = facts.verified {
        sections.push(("Errors", tables::errors(verified)));
        sections.push(("Worst layers", tables::advice(facts, verified)));
    }
    if !plots.histograms.is_empty() {
        sections.push(("Histograms", histograms(plots)));
    }
    sections.extend(examples.iter().map(|(title, html)| (*title, html.clone())));
    sections.push(("Recipe, lock, hashes", origin::section(facts.build)));
    let mut body = head(facts);
    let link = |i: usize, title: &str| format!("<a href=\"#s{i}\">{title}</a>\n");
    let links: String = sections.iter().enumerate().map(|(i, (title, _))| link(i, title)).collect();
    let _ = write!(body, "<nav>{links}</nav>\n<main>\n");
    for (i, (title, html)) in sections.iter().enumerate() {
        let _ = write!(body, "<section id=\"s{i}\">\n<h2>{title}</h2>\n{html}</section>\n");
    }
    let _ = write!(body, "</main>\n<script>{}</script>\n", bar_table::SCRIPT);
    html::page(&format!("Report of {}", report.network), &format!("{}{STYLE}", bar_table::STYLE), &body)
}

/// What was built, whether it is good, and its figures.
fn head(facts: &Facts<'_>) -> String {
    let Facts { build, report, verified, .. } = facts;
    let format = build.program.format();
    let mut html = format!(
        "<p>{format} for {}, rounding {}{}</p>\n",
        escaped(&report.target),
        build.recipe.format.rounding.name(),
        facts.usage.map_or_else(String::new, |usage| format!(", board {}", escaped(&usage.board)))
    );
    let mut warn = |words: &str| {
        let _ = writeln!(html, "<p class=\"warning\">{}</p>", prose(words));
    };
    if build.recipe.seeded {
        warn("Weights are random numbers: sizes and speed mean something, errors and pictures do not.");
    }
    verified.iter().flat_map(|verified| &verified.failures).for_each(|failure| warn(failure));
    build.warnings.iter().for_each(|warning| warn(&warning.to_string()));
    verified.iter().flat_map(|verified| &verified.warnings).for_each(|warning| warn(&warning.to_string()));
    let mut tiles = vec![
        ("MACs".to_string(), table::grouped(report.macs)),
        ("flash, bytes".into(), table::grouped(report.flash_bytes as u64)),
        ("arena, bytes".into(), table::grouped(report.arena_bytes as u64)),
        ("arena's lower bound".into(), table::grouped(report.arena_lower_bound_bytes as u64)),
    ];
    if let Some(Cost { unit, total: Some(total), .. }) = facts.costs {
        tiles.push((format!("an inference, {unit}"), tables::shown(*total)));
    }
    if let Some(verified) = verified {
        let output = &verified.output;
        tiles.push(("cases compared".into(), verified.images.to_string()));
        tiles.extend(output.sqnr_db.map(|db| ("output SQNR".to_string(), format!("{db:.1} dB"))));
        tiles.extend(output.top1_agreement.map(|share| ("same class".into(), table::percent(Some(share)))));
        tiles.extend(output.pixel_agreement.map(|share| ("same pixels".into(), table::percent(Some(share)))));
        let dice = output.dice.iter().flat_map(|dice| &dice.0);
        tiles.extend(dice.map(|(class, dice)| (format!("Dice {class}"), table::optional(*dice, 4))));
    }
    html += "<dl class=\"tiles\">\n";
    for (name, value) in tiles {
        let _ = writeln!(html, "<div><dt>{}</dt><dd>{value}</dd></div>", escaped(&name));
    }
    html + "</dl>\n"
}

fn graph(facts: &Facts<'_>, plots: &Plots) -> String {
    let colours = COLOURS
        .iter()
        .map(|(_, colour, words)| format!("<span style=\"color: {colour}\">&#9679;</span> {words}"));
    let legend = match facts.verified {
        Some(_) => {
            format!("The colour of a layer is its own error: {}. ", colours.collect::<Vec<_>>().join(", "))
        }
        None => String::new(),
    };
    format!(
        "<p>{legend}Layers run from top to bottom; arcs to the left are results that are read later. Layers beside one blue line are one step of the \
         program.</p>\n<div class=\"scroll\" tabindex=\"0\">{}</div>\n<details><summary>As a table</summary>\n{}</details>\n",
        plots.graph.inline(),
        tables::graph(facts)
    )
}

fn arena(report: &Report, plots: &Plots) -> String {
    format!(
        "<p>{} bytes, packed by the strategy “{}”; no plan of these tensors is smaller than {} (orange line). The thick line is what must be kept at each \
         step; orange blocks are scratch.</p>\n<div class=\"wide\">{}</div>\n<details><summary>As a table</summary>\n{}</details>\n",
        table::grouped(report.arena_bytes as u64),
        escaped(&report.arena_strategy),
        table::grouped(report.arena_lower_bound_bytes as u64),
        plots.arena.inline(),
        tables::arena(report)
    )
}

fn histograms(plots: &Plots) -> String {
    let mut html = String::from(
        "<p>Values of the cases below, of inputs and of the worst layers, on a logarithmic scale. The green ground is what the codes reach; orange \
         is cut off.</p>\n",
    );
    for of in &plots.histograms {
        let words = escaped(&of.words);
        let _ = write!(
            html,
            "<figure class=\"plot\">{}<figcaption>{words}<details><summary>As a table</summary>\n{}</details></figcaption></figure>\n",
            of.picture.inline(),
            tables::histogram(of)
        );
    }
    html
}
