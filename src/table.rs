//! Text tables.

/// Names of layers that are longer are shown by their first part.
const LONG: usize = 60;

/// A name as tables show it: converters join the names of all operators that they have merged, by semicolons; the first tells the layer.
pub(crate) fn short(name: &str) -> String {
    match name.split_once(';') {
        Some((first, _)) if name.chars().count() > LONG => format!("{first};…"),
        _ => name.into(),
    }
}

/// Rows under headings, one line each; numbers are aligned to the right, the first column to the left.
pub(crate) fn render(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| short(cell)).collect()).collect();
    let rows = &rows[..];
    let width = |i: usize| {
        let cells = rows.iter().map(|r| r[i].as_str()).chain([headings[i]]);
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let rules: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    let headings = headings.iter().map(|h| h.to_string()).collect();
    let mut text = String::new();
    for cells in [&headings, &rules].into_iter().chain(rows) {
        let cells: Vec<String> = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, w))| if i == 0 { format!("{cell:<w$}") } else { format!("{cell:>w$}") })
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1420512` as `1,420,512`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(d);
    }
    text
}

/// A number, or a dash.
pub(crate) fn optional(x: Option<f64>, decimals: usize) -> String {
    x.map_or_else(|| "-".into(), |x| format!("{x:.decimals$}"))
}

/// A share as percent, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.2} %", 100.0 * share))
}

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped_by_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_420_512, "1,420,512")] {
            assert_eq!(super::grouped(n), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ä".into(), "1,000".into()], vec!["conv1".into(), "9".into()]];
        let text = "layer   MACs\n-----  -----\nä      1,000\nconv1      9\n";
        assert_eq!(super::render(&["layer", "MACs"], &rows), text);
    }

    #[test]
    fn of_joined_names_the_first_is_shown() {
        let joined = format!("net/conv1;net/bias1;{}", "net/bn/".repeat(9));
        assert_eq!(super::short(&joined), "net/conv1;…");
        assert_eq!(super::short("net/conv1;net/bias1"), "net/conv1;net/bias1");
    }
}
