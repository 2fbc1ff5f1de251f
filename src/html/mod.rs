//! Pages that need nothing else: no network, and no script to read them.

pub(crate) mod arena;
pub(crate) mod bar_table;
pub(crate) mod bars;
pub(crate) mod graph;
pub(crate) mod histogram;
pub(crate) mod picture;
mod plot;

pub(crate) use plot::{Line, Plot};

use crate::blocks::Block;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Colours of curves and classes: those of Okabe and Ito, dark enough on white and light enough on black.
pub(crate) const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; overflow-wrap: normal; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.warning { border-left: .3rem solid #d55e00; padding-left: .7rem; }
figure { display: inline-block; margin: 1rem 2rem 1rem 0; vertical-align: top; max-width: 100%; }
svg { display: block; max-width: 100%; height: auto; }
svg text { fill: currentColor; font: 10px system-ui, sans-serif; }
@media print { body { margin: 0; max-width: none; } figure, tr { break-inside: avoid; } .wide { overflow: visible; } th, td { white-space: normal; } }
";

/// Text as a page may hold it.
pub(crate) fn escaped(text: &str) -> String {
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

/// Text in which what stands between backticks is code.
pub(crate) fn prose(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(escaped).collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part =
        |(i, part): (usize, &String)| if i % 2 == 1 { format!("<code>{part}</code>") } else { part.clone() };
    parts.iter().enumerate().map(part).collect()
}

/// A whole page; `style` are rules beside those of every page, `body` is markup.
pub(crate) fn page(title: &str, style: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}{style}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n"
    )
}

/// Blocks as markup.
pub(crate) fn blocks(blocks: &[Block]) -> String {
    let one = |block: &Block| match block {
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
    blocks.iter().map(one).collect()
}

/// A PNG file's bytes as the address of an image.
pub(crate) fn png(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_no_markup() {
        assert_eq!(super::escaped("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
        assert_eq!(super::prose("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
        assert_eq!(super::prose("one ` alone"), "one ` alone");
    }
}
