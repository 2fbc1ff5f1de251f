//! Tables for people.

/// Prints rows under headings; numbers are aligned to the right, the first column to the left.
pub(crate) fn print(headings: &[&str], rows: &[Vec<String>]) {
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(i, h)| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0).max(h.chars().count()))
        .collect();
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> =
            cells
                .iter()
                .enumerate()
                .map(|(i, c)| {
                    if i == 0 { format!("{c:<w$}", w = widths[0]) } else { format!("{c:>w$}", w = widths[i]) }
                })
                .collect();
        println!("{}", cells.join("  ").trim_end());
    };
    line(headings.to_vec());
    line(
        widths
            .iter()
            .map(|w| {
                &"--------------------------------------------------------------------------------"
                    [..(*w).min(80)]
            })
            .collect(),
    );
    rows.iter().for_each(|r| line(r.iter().map(String::as_str).collect()));
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

#[cfg(test)]
mod tests {
    #[test]
    fn digits_are_grouped_by_threes() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_420_512, "1,420,512")] {
            assert_eq!(super::grouped(n), text);
        }
    }
}
