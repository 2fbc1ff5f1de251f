//! `cargo xtask conformance`: writes the tables of `docs/conformance.md` from what the tests of the importers find.
//!
//! Tests print a line for each row, `conformance TABLE CELL CELL …`, separated by tabs (`codegen/tests/common/page.rs`). They run here whether they
//! pass or not: a page shows what is. ONNX's own tests of single operators, all of them, come from the wheel that has them ([`nodes`]).

mod nodes;

use crate::{
    Result,
    folders::{root, shared},
    stage::{Runner, Stage},
};
use std::{collections::BTreeMap, fs, time::Instant};

const PAGE: &str = "docs/conformance.md";

/// The tests that print rows: arguments of cargo, and what the names of tests begin with.
const TESTS: [(&str, &str); 2] = [
    ("--lib", "import::tflite::sweep"),
    ("--test tflite --test tflite_operators --test onnx --test onnx_int8 --test importing", ""),
];

/// A table of the page, and its columns. The first are printed by tests; `nodes`, `nodes-left` and `peers` are made of other programs' lines.
const TABLES: [(&str, &str); 12] = [
    ("bundled", "model | as | cases | outputs equal | layers equal | first difference"),
    ("tflite", "model | as | cases | outputs equal | layers equal | first difference"),
    ("tflite-float", "model | cases | largest difference | bound | why it is so wide"),
    ("sweeps", "operator | how | sets of parameters equal | first difference"),
    ("onnx-float", "files | within 1e-4 | largest difference | first failure"),
    (
        "onnx-int8",
        "model | configuration | tensors equal to the oracle | output codes equal to onnxruntime | first tensor that differs from onnxruntime | why",
    ),
    ("broken", "files | in all | refused | imported | wrong"),
    ("left-out", "kind | operators | which | why"),
    ("operators", "imported | of"),
    ("nodes", nodes::COLUMNS),
    ("nodes-left", nodes::LEFT_COLUMNS),
    ("peers", "project | measure | its figure | niello, in the same measure"),
];

/// What others say of themselves: project, measure, figure.
const PEERS: [(&str, &str, &str, Measure); 4] = [
    ("emx-onnx-cgen", "files of ONNX's node tests whose C code is right", "1914 of 1914", Measure::Nodes),
    ("burn-onnx", "ONNX's node tests", "932 of 1615", Measure::Nodes),
    ("tract", "ONNX's node tests, listed as passing", "833", Measure::Nodes),
    ("onnx2c", "operators of ONNX", "91 of 166", Measure::Operators),
];

enum Measure {
    Nodes,
    Operators,
}

/// Rows of tables, by name.
type Rows = BTreeMap<String, Vec<Vec<String>>>;

pub(crate) fn run() -> Result {
    let folder = shared()
        .ok_or("no shared data; lay it beside the checkout as `shared`, or name it in NIELLO_SHARED")?;
    let mut runner = Runner::new("conformance");
    let mut rows = Rows::new();
    for (what, filter) in TESTS {
        runner.part(format!("tests: {what}"), 300);
        let start = Instant::now();
        let call = format!("test -p niello-codegen --no-fail-fast {what} -- --show-output {filter}");
        let stage = Stage::cargo("tests", &call).variable("NIELLO_SHARED", &folder.to_string_lossy());
        collect(&mut rows, &stage.printed()?);
        runner.note(format!("rows of {what}"), start.elapsed());
    }
    if let Some(sweeps) = rows.get_mut("sweeps") {
        sweeps.sort();
    }
    runner.part("node tests", 300);
    match nodes::folder(&mut runner)? {
        Some(tests) => {
            let start = Instant::now();
            let verdicts = nodes::verdicts(&tests, &folder.join("import/onnx/node_tests/manifest.tsv"))?;
            rows.insert("nodes".into(), nodes::table(&verdicts));
            rows.insert("nodes-left".into(), nodes::left(&verdicts));
            rows.insert("peers".into(), peers(&rows, &verdicts)?);
            runner.note(format!("{} node tests", verdicts.len()), start.elapsed());
        }
        None => runner.leave_out("node tests: no wheel; their tables are as they were")?,
    }
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|e| format!("{PAGE}: {e}"))?;
    fs::write(&path, filled(page, &rows)?).map_err(|e| format!("{PAGE}: {e}"))?;
    runner.finish()
}

/// Adds what a test printed.
fn collect(rows: &mut Rows, printed: &str) {
    for line in printed.lines().filter_map(|line| line.strip_prefix("conformance\t")) {
        let mut cells = line.split('\t').map(String::from);
        let table = cells.next().unwrap_or_default();
        rows.entry(table).or_default().push(cells.collect());
    }
}

/// The page with these tables between its marks.
///
/// # Errors
/// A table without rows, which a test should have printed; a mark that is missing.
fn filled(mut page: String, rows: &Rows) -> Result<String> {
    for (table, columns) in TABLES {
        let has_wheel = rows.contains_key("nodes");
        let rows = match rows.get(table) {
            Some(rows) => rows,
            None if ["nodes", "nodes-left", "peers"].contains(&table) && !has_wheel => continue,
            None => return Err(format!("no test printed a row of `{table}`")),
        };
        let begin = format!("<!-- begin: {table} -->\n");
        let missing = || format!("{PAGE}: no mark `{}`", begin.trim_end());
        let (head, rest) = page.split_once(&begin).ok_or_else(missing)?;
        let (_, tail) = rest.split_once("<!-- end -->").ok_or_else(missing)?;
        let dashes = "---|".repeat(columns.split(" | ").count());
        let lines: String = rows.iter().map(|cells| format!("| {} |\n", cells.join(" | "))).collect();
        page = format!("{head}{begin}| {columns} |\n|{dashes}\n{lines}<!-- end -->{tail}");
    }
    Ok(page)
}

/// The table of peers.
fn peers(rows: &Rows, verdicts: &[nodes::Test]) -> Result<Vec<Vec<String>>> {
    let counts = rows.get("operators").and_then(|rows| rows.first()).map(Vec::as_slice);
    let Some([imported, all]) = counts else {
        return Err("no test printed how many operators there are".into());
    };
    let equal = verdicts.iter().filter(|test| test.is_equal()).count();
    let row = |(project, measure, figure, own): (&str, &str, &str, Measure)| {
        let own = match own {
            Measure::Nodes => format!("{equal} of {}", verdicts.len()),
            Measure::Operators => format!("{imported} of {all}"),
        };
        vec![project.into(), measure.into(), figure.into(), own]
    };
    Ok(PEERS.into_iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_between_the_marks() {
        let mut rows = Rows::new();
        for (table, _) in TABLES {
            collect(&mut rows, &format!("test a ... ok\nconformance\t{table}\t`x`\tall 3\n"));
        }
        let page: String = TABLES
            .iter()
            .map(|(table, _)| format!("# {table}\n<!-- begin: {table} -->\nold\n<!-- end -->\n"))
            .collect();
        let page = filled(page, &rows).expect("all marks");
        assert!(!page.contains("old"), "{page}");
        assert!(page.starts_with("# bundled\n<!-- begin: bundled -->\n| model | as |"), "{page}");
        assert_eq!(page.matches("| `x` | all 3 |\n<!-- end -->").count(), TABLES.len(), "{page}");
        assert!(filled("no mark".into(), &rows).is_err());
        rows.remove("broken");
        assert!(filled(page, &rows).is_err(), "a table without rows");
    }

    #[test]
    fn the_page_has_a_mark_for_every_table() {
        let page = fs::read_to_string(root().join(PAGE)).expect("the page");
        for (table, columns) in TABLES {
            let head = format!("<!-- begin: {table} -->\n| {columns} |\n|---");
            let (_, rest) =
                page.split_once(&head).unwrap_or_else(|| panic!("no table `{table}` as it is made"));
            let (rows, _) = rest.split_once("<!-- end -->").expect("a mark where it ends");
            let cells = columns.split(" | ").count();
            for row in rows.lines().skip(1) {
                assert_eq!(row.matches(" | ").count() + 1, cells, "{table}: {row}");
            }
        }
    }
}
