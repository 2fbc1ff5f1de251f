//! Tables of paths and labels, and lists of names.

use niello_codegen::{Error, Result};
use std::{fs, path::Path};

/// Words for the column of paths and the column of labels.
const PATHS: [&str; 9] =
    ["path", "image", "image_path", "file", "filename", "file_name", "name", "slice", "id"];
const LABELS: [&str; 8] =
    ["label", "labels", "class", "target", "category", "mask", "mask_path", "diagnosis"];

/// Whether a file is a table, by its name.
pub(super) fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["csv", "tsv", "txt"].iter().any(|table| e.eq_ignore_ascii_case(table)))
}

fn text(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::file(path, "expected a table, found bytes that are not text"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_string).unwrap_or(text))
}

/// The rows, each with its line, and their cells without blanks around. Cells are separated by commas or, where the first line has none, semicolons; in
/// TSV by tabs; in TXT by blanks.
fn rows(path: &Path) -> Result<Vec<(u64, Vec<String>)>> {
    let text = text(path)?;
    let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let first = text.lines().next().unwrap_or_default();
    if ends("txt") && !first.contains([',', '\t', ';']) {
        let cells = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let rows = (1..).zip(text.lines()).map(|(at, line)| (at, cells(line)));
        return Ok(rows.filter(|(_, cells)| !cells.is_empty()).collect());
    }
    let delimiter = match first {
        _ if ends("tsv") || (!first.contains(',') && first.contains('\t')) => b'\t',
        _ if !first.contains(',') && first.contains(';') => b';',
        _ => b',',
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.map_err(|e| Error::file(path, e.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        Ok((line, record.iter().map(str::to_string).collect::<Vec<_>>()))
    };
    let rows: Result<Vec<_>> = reader.records().map(row).collect();
    Ok(rows?.into_iter().filter(|(_, cells)| cells.iter().any(|cell| !cell.is_empty())).collect())
}

/// A row of a table.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) path: String,
    pub(super) label: String,
}

/// The rows of a table: columns as its first line names them, else the first two.
///
/// # Errors
/// A file that is no table, rows without a label, a path that is given twice.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let mut rows = rows(path)?;
    let column = |cells: &[String], words: &[&str]| {
        words.iter().find_map(|word| cells.iter().position(|cell| cell.eq_ignore_ascii_case(word)))
    };
    let named = rows.first().and_then(|(_, cells)| Some((column(cells, &PATHS)?, column(cells, &LABELS)?)));
    if named.is_some() {
        rows.remove(0);
    }
    let (of_path, of_label) = named.unwrap_or((0, 1));
    let mut found: Vec<Row> = vec![];
    for (line, cells) in rows {
        match (cells.get(of_path), cells.get(of_label)) {
            (Some(path), Some(label)) if !path.is_empty() && !label.is_empty() => {
                found.push(Row { line, path: path.replace('\\', "/"), label: label.clone() });
            }
            _ => return Err(Error::file(path, format!("line {line}: expected a path and a label"))),
        }
    }
    if found.is_empty() {
        return Err(Error::file(path, "expected rows of a path and a label, found none"));
    }
    let mut order: Vec<&Row> = found.iter().collect();
    order.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(twice) = order.windows(2).find(|pair| pair[0].path == pair[1].path) {
        let message =
            format!("lines {} and {}: `{}` is given twice", twice[0].line, twice[1].line, twice[0].path);
        return Err(Error::file(path, message));
    }
    Ok(found)
}

/// The names of a list: the whole line, and its first cell.
pub(super) fn names(path: &Path) -> Result<Vec<(String, String)>> {
    let text = text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let one = |line: &str| {
        let first = line.split([',', ';', '\t']).next().unwrap_or_default().trim();
        let first = if first == line { line.split_whitespace().next().unwrap_or_default() } else { first };
        (line.replace('\\', "/"), first.replace('\\', "/"))
    };
    Ok(lines.map(one).collect())
}
