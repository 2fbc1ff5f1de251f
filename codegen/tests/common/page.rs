//! What tests find, as rows of `docs/conformance.md`.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::{fs, path::Path};

/// Prints a row of one of the page's tables, for `cargo xtask conformance`, which collects these lines.
pub(crate) fn row(table: &str, cells: &[String]) {
    println!("conformance\t{table}\t{}", cells.join("\t"));
}

/// `all 7`, or `5 of 7`; a dash where nothing was compared.
pub(crate) fn share(right: usize, of: usize) -> String {
    match of {
        0 => "–".into(),
        _ if right == of => format!("all {of}"),
        _ => format!("{right} of {of}"),
    }
}

/// The lines of a table of the page as it is, its heads included.
pub(crate) fn written(table: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = fs::read_to_string(path).expect("the page");
    let (_, rest) = page.split_once(&format!("<!-- begin: {table} -->\n")).expect("the mark where it begins");
    let (lines, _) = rest.split_once("<!-- end -->").expect("the mark where it ends");
    lines.lines().map(String::from).collect()
}

/// A row as the page has it.
pub(crate) fn markdown(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// What became of files that are broken or cannot be imported: how many were refused, how many imported, and where that is wrong.
pub(crate) fn refusals(what: &str, refused: usize, imported: usize, failures: &[String]) -> Vec<String> {
    let wrong = failures.first().map_or("none", String::as_str).replace('|', "/");
    [what.into(), (refused + imported).to_string(), refused.to_string(), imported.to_string(), wrong].into()
}
