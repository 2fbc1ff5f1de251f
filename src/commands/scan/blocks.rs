//! What was found in a scan, in words and tables.

use super::{figures::Found, lungs::Lung};
use crate::{
    blocks::Block::{self, Figure, Line, Table, Title, Warning},
    table::{optional, percent},
};
use niello_codegen::check::warnings::MOST_SATURATED;

/// Everything that a person reads.
pub(super) fn of(found: &Found) -> Vec<Block> {
    let grid = &found.grid;
    let [z, y, x] = grid.spacing_mm;
    let stored = if grid.axes == grid.stored_axes {
        String::new()
    } else {
        format!(" (in the file {})", grid.stored_axes)
    };
    let plural = if grid.slices == 1 { "" } else { "s" };
    let mut blocks = vec![Line(format!(
        "{}: {} slice{plural} of {}x{}, {z:.3} x {y:.3} x {x:.3} mm, axes {}{stored}",
        found.scan.display(),
        grid.slices,
        grid.rows,
        grid.columns,
        grid.axes
    ))];
    let each = 1e3 * found.seconds / grid.slices as f64;
    blocks.push(Line(format!(
        "{} ({}), {:.1} s, {each:.0} ms a slice\n",
        found.network, found.format, found.seconds
    )));
    blocks.push(classes(found));
    if let Some(lungs) = &found.lungs {
        let row = |name: &str, lung: &Lung| {
            let share = lung.abnormal_percent.map(|p| p / 100.0);
            vec![name.into(), optional(Some(lung.ml), 1), optional(lung.abnormal_ml, 1), percent(share)]
        };
        let all =
            [("both", Some(&lungs.both)), ("right", lungs.right.as_ref()), ("left", lungs.left.as_ref())];
        let rows: Vec<Vec<String>> =
            all.into_iter().filter_map(|(name, lung)| Some(row(name, lung?))).collect();
        let headings = ["lung", "ml", "abnormal ml", "abnormal"];
        // A network without an abnormal class has volumes alone.
        let columns = if lungs.both.abnormal_ml.is_some() { 4 } else { 2 };
        let rows = rows.into_iter().map(|row| row.into_iter().take(columns).collect()).collect();
        blocks.push(Table(headings[..columns].iter().map(|h| h.to_string()).collect(), rows));
        blocks.push(Figure("lung".into(), lungs.from.clone()));
        if let Some(outside) = lungs.abnormal_outside_ml {
            blocks.push(Figure("abnormal outside".into(), format!("{outside:.1} ml")));
        }
    }
    if found.cut_off > MOST_SATURATED {
        let share = percent(Some(found.cut_off));
        blocks.push(Warning(format!(
            "the input's range cuts off {share} of the values: the ranges were found on images unlike these, or the pre-processing is another"
        )));
    }
    blocks.extend(found.notes.iter().map(|note| Warning(note.clone())));
    blocks
}

fn classes(found: &Found) -> Block {
    let headings = if found.is_segmentation() {
        ["class", "ml", "of the scan", ""]
    } else {
        ["class", "slices", "of all", "mean probability"]
    };
    let columns = if found.is_segmentation() { 3 } else { 4 };
    let row = |(name, class): &(String, super::figures::Class)| {
        let amount = match class.slices {
            Some(slices) => slices.to_string(),
            None => optional(class.ml, 1),
        };
        let row = [name.clone(), amount, percent(Some(class.share)), optional(class.mean_probability, 4)];
        row.into_iter().take(columns).collect()
    };
    Table(
        headings[..columns].iter().map(|h| h.to_string()).collect(),
        found.classes.0.iter().map(row).collect(),
    )
}

/// The words above a part of a page.
pub(super) fn title(words: &str) -> Block {
    Title(words.into())
}
