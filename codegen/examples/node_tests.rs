//! Tries ONNX's own tests of single operators, and prints a line for each: `SET`, `NAME`, `equal`/`differs`/`refused`/`unread`/`absent`, reason;
//! then for each set `total`, `SET`, number of equal ones, number of all. Columns are separated by tabs.
//!
//! ```sh
//! cargo run --release -p niello-codegen --example node_tests                             # those that come with the project
//! cargo run --release -p niello-codegen --example node_tests -- FOLDER --manifest TABLE  # TEST/model.onnx, TEST/test_data_set_N/*.pb
//! ```
//!
//! `TABLE` is tab-separated, with a header: `test`, `class` (`must` or `may`; others are left out) and `constant_inputs` among its columns.
//! `--bake FILE` writes all of it as one file.

#[path = "../tests/onnx/nodes.rs"]
mod nodes;

use nodes::{Nodes, Verdict};
use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

fn main() -> ExitCode {
    match try_all(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn try_all(arguments: &[String]) -> Result<(), String> {
    let option = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let nodes = match (arguments.first().filter(|a| !a.starts_with("--")), option("--manifest")) {
        (Some(folder), Some(table)) => Nodes::of_folder(Path::new(folder), Path::new(table))?,
        (Some(_), None) => return Err("--manifest TABLE is missing".into()),
        (None, _) => {
            let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/node/nodes.safetensors");
            Nodes::baked(&fs::read(&own).map_err(|e| format!("{}: {e}", own.display()))?)?
        }
    };
    if let Some(file) = option("--bake") {
        return fs::write(file, nodes.bake()?).map_err(|e| format!("{file}: {e}"));
    }
    let mut totals: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for row in &nodes.rows {
        let verdict = nodes.verdict(row);
        println!("{}\t{}\t{verdict}", row.set, row.name);
        let (equal, all) = totals.entry(&row.set).or_default();
        *equal += usize::from(verdict == Verdict::Equal);
        *all += 1;
    }
    totals.iter().for_each(|(set, (equal, all))| println!("total\t{set}\t{equal}\t{all}"));
    Ok(())
}
