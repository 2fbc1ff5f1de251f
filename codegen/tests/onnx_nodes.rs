//! ONNX's own tests of single operators that come with the project: what is equal stays equal.

#[path = "onnx/nodes.rs"]
mod nodes;

use nodes::{Nodes, TABLE, Verdict};
use std::{collections::BTreeMap, fs, path::Path};

/// Tests that are not passed, each with the reason.
const NOT_EQUAL: [(&str, &str); 8] = [
    ("test_convtranspose_group_2_image_3", "a batch of images"),
    ("test_maxpool_with_argmax_2d_precomputed_pads", "positions as a result, of windows that overlap"),
    ("test_maxpool_with_argmax_2d_precomputed_strides", "positions as a result, counted by columns"),
    ("test_maxunpool_export_with_output_shape", "positions that are an input"),
    ("test_maxunpool_export_without_output_shape", "positions that are an input"),
    ("test_qlinearmatmul_2D_int8_float32", "expects a code that wraps around: 20 for -226, which saturates"),
    ("test_reduce_max_empty_set", "minus infinity as a constant"),
    (
        "test_resize_downsample_scales_linear_align_corners",
        "a length of 2.4 elements; onnxruntime has whole ones",
    ),
];

fn own() -> Nodes {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models/node/nodes.safetensors");
    Nodes::baked(&fs::read(&file).unwrap()).unwrap()
}

#[test]
fn operators_give_what_onnx_says() {
    let nodes = own();
    let (mut equal, mut surprises) = (BTreeMap::<&str, usize>::new(), vec![]);
    for row in &nodes.rows {
        let (verdict, known) = (nodes.verdict(row), NOT_EQUAL.iter().any(|(name, _)| *name == row.name));
        *equal.entry(&row.set).or_default() += usize::from(verdict == Verdict::Equal);
        if known == (verdict == Verdict::Equal) {
            surprises.push(format!("{}\t{}\t{verdict}", row.set, row.name));
        }
    }
    assert!(surprises.is_empty(), "not as listed:\n{}", surprises.join("\n"));
    assert_eq!([equal["must"], equal["may"]], [150, 294]);
}

#[test]
fn tests_come_as_a_folder_or_as_one_file() {
    let nodes = own();
    let again = Nodes::baked(&nodes.bake().unwrap()).unwrap();
    assert_eq!(again.rows.len(), 452);
    let folder = tempfile::tempdir().unwrap();
    let row = nodes.rows.iter().find(|row| row.name == "test_clip").unwrap();
    let names = ["model.onnx", "test_data_set_0/input_0.pb", "test_data_set_0/input_1.pb"];
    let more = ["test_data_set_0/input_2.pb", "test_data_set_0/output_0.pb"];
    let names = names.iter().chain(&more).map(|name| format!("{}/{name}", row.name));
    for name in names.chain([TABLE.into()]) {
        let path = folder.path().join(&name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, nodes.file(&name).unwrap()).unwrap();
    }
    let unpacked = Nodes::of_folder(folder.path(), &folder.path().join(TABLE)).unwrap();
    for nodes in [&nodes, &again, &unpacked] {
        assert_eq!(nodes.verdict(row), Verdict::Equal);
    }
    assert_eq!(unpacked.verdict(&unpacked.rows[0]), Verdict::Absent);
}
