//! Tables with bars behind their numbers, which a reader's browser can sort; without its script they stand as written.

use super::{escaped, prose};

/// Rules of such tables, for the style of a page.
pub(crate) const STYLE: &str = "
td.bar { background: linear-gradient(90deg, var(--of, #0072b255) var(--to), transparent 0) no-repeat; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
table.sort { font-size: 88%; }
th.words, td.words { text-align: left; }
.sort th:first-child, .sort td:first-child { position: sticky; left: 0; background: Canvas; }
.sort td.words:first-child { white-space: normal; min-width: 7rem; max-width: 20rem; overflow-wrap: break-word; }
@media (max-width: 45rem) { .sort td.words:first-child { overflow-wrap: anywhere; } }
.sort td.words:last-child { white-space: normal; min-width: 14rem; }
@media print { .sort th:first-child, .sort td:first-child { position: static; } }
td.bad { --of: #d55e0066; }
th button { all: unset; cursor: pointer; border-bottom: 1px dotted; }
th button:focus-visible { outline: 2px solid #0072b2; }
th[aria-sort=ascending] button::after { content: \" \\2191\"; }
th[aria-sort=descending] button::after { content: \" \\2193\"; }
";

/// Makes headings of tables of the class `sort` into buttons. It reads and changes nothing but the order of rows.
pub(crate) const SCRIPT: &str = "
for (const table of document.querySelectorAll('table.sort')) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  const key = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
  heads.forEach((head, i) => {
    const button = document.createElement('button');
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.onclick = () => {
      const down = head.ariaSort !== 'descending';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const order = (a, b) => {
        const [x, y] = [key(a, i), key(b, i)], numbers = x !== '' && y !== '' && !isNaN(x) && !isNaN(y);
        return (numbers ? x - y : x.localeCompare(y)) * (down ? -1 : 1);
      };
      body.append(...[...body.rows].sort(order));
    };
  });
}
";

/// A cell.
pub(crate) enum Cell {
    Text(String),
    /// Words, the number that they are sorted by, and whether a bar shows it.
    Number(String, f64, Bar),
}

/// The bar behind a number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bar {
    None,
    Plain,
    /// Of errors.
    Bad,
}

/// A table; bars are shares of the largest number of their column.
pub(crate) fn table(caption: &str, headings: &[&str], rows: &[Vec<Cell>]) -> String {
    let number = |row: &Vec<Cell>, i: usize| match row.get(i) {
        Some(Cell::Number(_, value, _)) if value.is_finite() => *value,
        _ => 0.0,
    };
    let most = |i: usize| rows.iter().map(|row| number(row, i)).fold(f64::MIN_POSITIVE, f64::max);
    let most: Vec<f64> = (0..headings.len()).map(most).collect();
    let cell = |(cell, most): (&Cell, &f64)| match cell {
        // Names of steps join those of layers.
        Cell::Text(words) => format!("<td class=\"words\">{}</td>", prose(words).replace('+', "+<wbr>")),
        Cell::Number(words, value, bar) => {
            let class = match bar {
                Bar::None => String::new(),
                bar => {
                    let share = if value.is_nan() { 0.0 } else { 100.0 * (value / most).clamp(0.0, 1.0) };
                    let bad = if *bar == Bar::Bad { " bad" } else { "" };
                    format!(" class=\"bar{bad}\" style=\"--to: {share:.1}%\"")
                }
            };
            format!("<td{class} data-value=\"{value}\">{}</td>", escaped(words))
        }
    };
    let row = |row: &Vec<Cell>| format!("<tr>{}</tr>\n", row.iter().zip(&most).map(cell).collect::<String>());
    let is_words = |i: usize| matches!(rows.first().and_then(|row| row.get(i)), Some(Cell::Text(_)));
    let heading = |(i, words): (usize, &&str)| {
        let class = if is_words(i) { " class=\"words\"" } else { "" };
        format!("<th scope=\"col\"{class}>{}</th>", escaped(words))
    };
    let head: String = headings.iter().enumerate().map(heading).collect();
    format!(
        "<div class=\"wide\"><table class=\"sort\">\n<caption>{}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{}</tbody>\n</table></div>\n",
        escaped(caption),
        rows.iter().map(row).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_shares_of_the_largest_number_of_their_column() {
        let row = |name: &str, value: f64| {
            vec![Cell::Text(name.into()), Cell::Number(format!("{value:.1}"), value, Bar::Bad)]
        };
        let rows = [row("a<b", 1.0), row("c", 4.0), row("d", f64::INFINITY), row("e", f64::NAN)];
        let table = table("errors", &["layer", "error"], &rows);
        let shares: Vec<&str> =
            table.split("--to: ").skip(1).filter_map(|rest| Some(rest.split_once('%')?.0)).collect();
        assert_eq!(shares, ["25.0", "100.0", "100.0", "0.0"]);
        assert!(
            table.contains("<td class=\"words\">a&lt;b</td>") && table.contains("<caption>errors</caption>")
        );
    }
}
