//! The operators that model files may have, in `docs/importing.md`: printed from the importers' own tables.
//! `NIELLO_UPDATE=1 cargo test -p niello-codegen --test importing` writes them again.

use niello_codegen::import::{onnx, tflite};
use std::{fs, path::Path};

/// Operators, those with the same limits in one row.
fn table(operators: impl Iterator<Item = (String, &'static str)>) -> String {
    let mut rows: Vec<(&str, Vec<String>)> = vec![("", vec![])];
    for (name, limits) in operators {
        match rows.iter_mut().find(|(of, _)| *of == limits) {
            Some((_, names)) => names.push(name),
            None => rows.push((limits, vec![name])),
        }
    }
    let row = |(limits, names): (&str, Vec<String>)| format!("| {} | {limits} |\n", names.join(", "));
    format!("| operators | limits |\n|---|---|\n{}", rows.into_iter().map(row).collect::<String>())
}

/// What stands between the marks of the page.
fn tables() -> String {
    let of_tflite = tflite::OPERATORS.iter().map(|op| (format!("`{}`", op.name), op.limits));
    // Files begin with the first opset that is read.
    let later =
        |since: i64| if since > *onnx::OPSETS.start() { format!(" ({since})") } else { String::new() };
    let of_onnx = onnx::OPERATORS.iter().map(|op| (format!("`{}`{}", op.name, later(op.since)), op.limits));
    let (first, last) = onnx::OPSETS.into_inner();
    format!(
        "### TensorFlow Lite\n\n{}\n### ONNX\n\nOpsets {first} to {last}; a number in brackets is the opset that an operator came with.\n\n{}",
        table(of_tflite),
        table(of_onnx)
    )
}

#[test]
fn the_page_lists_the_operators_that_are_imported() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/importing.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (begin, end) = ("<!-- begin: codegen/tests/importing.rs -->\n", "<!-- end -->");
    let (head, rest) = page.split_once(begin).expect("the mark where the tables begin");
    let (_, tail) = rest.split_once(end).expect("the mark where they end");
    let new = format!("{head}{begin}{}{end}{tail}", tables());
    if std::env::var_os("NIELLO_UPDATE").is_some() {
        fs::write(&path, new).expect("the page can be written");
    } else {
        assert!(page == new, "docs/importing.md is out of date: NIELLO_UPDATE=1 writes it again");
    }
}
