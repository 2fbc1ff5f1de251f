//! The report as text.

use crate::{commands::board, table};
use niello_codegen::{board::Usage, report::Report};

/// The table of the steps, and the whole below it.
pub(super) fn of(report: &Report, ranges: Option<String>, usage: Option<Usage>) -> String {
    let ranges = ranges.map(|ranges| format!("{ranges}\n")).unwrap_or_default();
    let memories = usage.map(|usage| format!("\n{}", board::render(&usage))).unwrap_or_default();
    let rows: Vec<Vec<String>> = report
        .layers
        .iter()
        .map(|l| {
            let [h, w, c] = l.shape;
            let stride = if l.stride as usize == c { String::new() } else { format!(" /{}", l.stride) };
            vec![
                l.name.clone(),
                l.kind.clone(),
                format!("{h}x{w}x{c}"),
                table::grouped(l.macs),
                table::grouped(l.weights_bytes as u64),
                format!("{}+{}{stride}", l.space, table::grouped(l.offset as u64)),
                table::grouped(l.bytes as u64),
                table::grouped(l.scratch_bytes as u64),
            ]
        })
        .collect();
    let tuned = report.layers.iter().flat_map(|l| &l.tuned);
    let tuned: Vec<String> = tuned.map(|(layer, choice)| format!("{layer} ({choice})")).collect();
    let tuned = if tuned.is_empty() { String::new() } else { format!("tuned  {}\n", tuned.join(", ")) };
    let headings = ["layer", "operator", "output", "MACs", "weights", "place", "bytes", "scratch"];
    format!(
        "{}\n{} for {}, rounding {}\nMACs   {}\nflash  {} bytes of constants\n\
         arena  {} bytes (lower bound {}, {})\n{ranges}{tuned}{memories}",
        table::render(&headings, &rows),
        report.network,
        report.target,
        report.rounding,
        table::grouped(report.macs),
        table::grouped(report.flash_bytes as u64),
        table::grouped(report.arena_bytes as u64),
        table::grouped(report.arena_lower_bound_bytes as u64),
        report.arena_strategy
    )
}
