//! An evaluation as a page that needs nothing else: no network, no script.

use super::blocks::Block;
use niello_evaluation::{Curve, Evaluation, Figures};

/// Colours of curves: those of Okabe and Ito, dark enough on white and light enough on black.
const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.warning { border-left: .3rem solid #d55e00; padding-left: .7rem; }
figure { display: inline-block; margin: 1rem 2rem 1rem 0; }
svg { width: 18rem; max-width: 90vw; }
@media print { body { margin: 0; } }
";

/// Text as a page may hold it.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '\"' => escaped += "&quot;",
            c => escaped.push(c),
        }
        escaped
    })
}

/// The page.
pub(super) fn of(evaluation: &Evaluation, blocks: &[Block]) -> String {
    let name = escaped(&evaluation.run.network);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Evaluation of {name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>Evaluation of {name}</h1>\n"
    );
    for block in blocks {
        page += &match block {
            Block::Title(words) => format!("<h2>{}</h2>\n", escaped(words)),
            Block::Figure(name, value) => format!("<p>{}: <b>{}</b></p>\n", escaped(name), escaped(value)),
            Block::Line(words) => format!("<p>{}</p>\n", escaped(words)),
            Block::Warning(words) => format!("<p class=\"warning\">{}</p>\n", escaped(words)),
            Block::Table(headings, rows) => {
                let line = |cells: &[String], tag: &str| {
                    let cells = cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)));
                    format!("<tr>{}</tr>\n", cells.collect::<String>())
                };
                let rows: String = rows.iter().map(|row| line(row, "td")).collect();
                format!(
                    "<div class=\"wide\"><table>\n<thead>{}</thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n",
                    line(headings, "th")
                )
            }
        };
    }
    if let Some(Figures::Classification(report)) = &evaluation.figures {
        let classes = &evaluation.run.classes;
        page += &plot(classes, &report.curves, |c| &c.roc, "ROC curve: sensitivity over 1 - specificity");
        page += &plot(classes, &report.curves, |c| &c.precision_recall, "Precision over recall");
    }
    let run = &evaluation.run;
    page += &format!(
        "<p>Program {}<br>data {}</p>\n</body>\n</html>\n",
        escaped(&run.program),
        escaped(&run.data)
    );
    page
}

/// Curves of all classes in the unit square; empty where there are none.
fn plot(classes: &[String], curves: &[Curve], points: fn(&Curve) -> &Vec<[f64; 2]>, caption: &str) -> String {
    if curves.iter().all(|curve| points(curve).is_empty()) {
        return String::new();
    }
    let (mut lines, mut legend) = (String::new(), String::new());
    for (i, (class, curve)) in
        classes.iter().zip(curves).enumerate().filter(|(_, (_, c))| !points(c).is_empty())
    {
        let colour = COLOURS[i % COLOURS.len()];
        let places: Vec<String> =
            points(curve).iter().map(|[x, y]| format!("{:.2},{:.2}", 100.0 * x, 100.0 - 100.0 * y)).collect();
        lines += &format!("<polyline points=\"{}\" stroke=\"{colour}\"/>", places.join(" "));
        legend += &format!("<br><span style=\"color: {colour}\">&#9632;</span> {}", escaped(class));
    }
    format!(
        "<figure><svg viewBox=\"-2 -2 104 104\" role=\"img\" aria-label=\"{caption}\"><g fill=\"none\" stroke-width=\"1.2\">\
         <rect width=\"100\" height=\"100\" stroke=\"#8888\"/><path d=\"M0 50H100M50 0V100\" stroke=\"#8884\"/>{lines}</g></svg>\
         <figcaption>{caption}{legend}</figcaption></figure>\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_no_markup() {
        assert_eq!(super::escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }
}
