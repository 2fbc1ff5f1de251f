//! ONNX's own tests of single operators that come with the project: what is equal stays equal.

#[path = "onnx/nodes.rs"]
mod nodes;

use nodes::{Nodes, Verdict};
use std::{collections::BTreeMap, fs, path::Path};

fn own() -> Nodes {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/node/nodes.safetensors");
    Nodes::baked(&fs::read(&file).unwrap()).unwrap()
}

#[test]
fn operators_give_what_onnx_says() {
    let nodes = own();
    let (mut equal, mut others) = (BTreeMap::<&str, usize>::new(), vec![]);
    for row in &nodes.rows {
        match nodes.verdict(row) {
            Verdict::Equal => *equal.entry(&row.set).or_default() += 1,
            other => others.push(format!("{}\t{}\t{other}", row.set, row.name)),
        }
    }
    let found = [equal["must"], equal["may"]];
    assert_eq!(found, [139, 166], "other than equal:\n{}", others.join("\n"));
}

#[test]
fn what_is_written_as_one_file_is_read_again() {
    let nodes = own();
    let again = Nodes::baked(&nodes.bake().unwrap()).unwrap();
    let names = |nodes: &Nodes| nodes.rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&nodes), nodes.rows.len()), (names(&again), 452));
    let row = &nodes.rows[0];
    assert_eq!((nodes.verdict(row), again.verdict(row)), (Verdict::Equal, Verdict::Equal));
}
