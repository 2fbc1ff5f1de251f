//! Results as blocks of text and tables, for a terminal and for a page.

use crate::table;

/// A part of what a person reads.
pub(crate) enum Block {
    /// Words above what follows.
    Title(String),
    /// A name and its value.
    Figure(String, String),
    /// A sentence.
    Line(String),
    /// A sentence on what is probably not intended.
    Warning(String),
    /// Rows under headings.
    Table(Vec<String>, Vec<Vec<String>>),
}

/// Rows of a table that a text shows.
const SHOWN: usize = 20;

/// The blocks as text for a terminal.
pub(crate) fn text(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut apart = false;
    for block in blocks {
        let space = if apart { "\n" } else { "" };
        apart = matches!(block, Block::Table(..));
        text += &match block {
            Block::Title(words) => format!("\n{words}\n"),
            Block::Figure(name, value) => format!("{space}{name:<18} {value}\n"),
            Block::Line(words) => format!("{space}{words}\n"),
            Block::Warning(words) => format!("{space}warning: {words}\n"),
            Block::Table(headings, rows) => {
                let headings: Vec<&str> = headings.iter().map(String::as_str).collect();
                let shown = table::render(&headings, &rows[..rows.len().min(SHOWN)]);
                let more = match rows.len().saturating_sub(SHOWN) {
                    0 => String::new(),
                    more => format!("and {more} more (`--json`, `--csv` and `--html` have all)\n"),
                };
                format!("{space}{shown}{more}")
            }
        };
    }
    text
}
