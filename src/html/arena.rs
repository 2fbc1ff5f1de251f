//! The arena over time: which tensor lies where and when.

use super::picture::{BLUE, GREEN, INK, ORANGE, Picture, words};
use niello_codegen::{Result, report::Report};
use plotters::prelude::{ChartBuilder, Color, PathElement, RGBColor, Rectangle, TRANSPARENT, Text};

/// Colours of neighbours, in turn.
const TURNS: [RGBColor; 3] = [BLUE, GREEN, RGBColor(204, 121, 167)];
/// Pixels of a letter, about.
const LETTER: f64 = 5.5;
/// Pixels around the ground: to the left, below, and elsewhere.
const LEFT: u32 = 58;
const BELOW: u32 = 34;
const MARGIN: u32 = 8;

/// Steps to the right, bytes upwards; the lower bound as a line across.
pub(crate) fn arena(report: &Report, size: [u32; 2]) -> Result<Picture> {
    let steps = report.layers.len().max(1) as f64;
    let (unit, name) = if report.arena_bytes < 8192 { (1.0, "bytes") } else { (1024.0, "KiB") };
    let height = |bytes: usize| bytes as f64 / unit;
    let (top, bound) = (height(report.arena_bytes.max(1)), height(report.arena_lower_bound_bytes));
    let label = format!(
        "The arena over time: {} blocks in {} bytes, lower bound {} bytes",
        report.arena.blocks.len(),
        report.arena_bytes,
        report.arena_lower_bound_bytes
    );
    let pixels = [
        f64::from(size[0].saturating_sub(LEFT + 2 * MARGIN)) / steps,
        f64::from(size[1].saturating_sub(BELOW + 2 * MARGIN)) / (1.04 * top),
    ];
    Picture::plot(size, &label, |ground| {
        let mut chart = ChartBuilder::on(ground)
            .margin(MARGIN)
            .x_label_area_size(BELOW)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..steps, 0.0..1.04 * top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .axis_style(INK.mix(0.5))
            .bold_line_style(INK.mix(0.15))
            .light_line_style(TRANSPARENT)
            .label_style(words())
            .axis_desc_style(words())
            .x_desc("step")
            .x_label_formatter(&|step| format!("{step:.0}"))
            .y_desc(name)
            .y_label_formatter(&|height| format!("{height:.0}"))
            .draw()?;
        for (i, block) in report.arena.blocks.iter().enumerate() {
            let colour = if block.scratch { ORANGE } else { TURNS[i % TURNS.len()] };
            let (x, y) = (block.first as f64, height(block.offset));
            let (right, above) = (block.last as f64 + 1.0, height(block.offset + block.bytes));
            let corners = [(x, y), (right, above)];
            chart.draw_series([Rectangle::new(corners, colour.mix(0.4).filled())])?;
            chart.draw_series([Rectangle::new(corners, colour.mix(0.9))])?;
            let [wide, tall] = [(right - x) * pixels[0], (above - y) * pixels[1]];
            let room = ((wide - 4.0) / LETTER) as usize;
            if tall >= 13.0 && block.name.chars().count() <= room && !block.scratch {
                let place = (x + 2.0 / pixels[0], y + (tall / 2.0 + 6.0) / pixels[1]);
                chart.draw_series([Text::new(block.name.clone(), place, words())])?;
            }
        }
        let live = report.arena.live_bytes.iter().enumerate();
        let line = live.flat_map(|(i, bytes)| [i, i + 1].map(|x| (x as f64, height(*bytes))));
        chart.draw_series([PathElement::new(line.collect::<Vec<_>>(), INK.stroke_width(2))])?;
        let across = |height: f64| vec![(0.0, height), (steps, height)];
        chart.draw_series([PathElement::new(across(bound), ORANGE.stroke_width(2))])?;
        chart.draw_series([PathElement::new(across(top), INK.mix(0.6))])?;
        Ok(())
    })
}
