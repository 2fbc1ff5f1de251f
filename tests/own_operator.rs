//! The page about projects outside of this repository shows the files of the example, which `cargo xtask package` builds and runs.

use std::{fs, path::Path};

#[test]
fn the_page_shows_the_example_as_it_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let page = read("docs/own-networks-and-operators.md");
    for file in [
        "kernels/src/lib.rs",
        "networks/src/lib.rs",
        "command-line/src/main.rs",
        "firmware/build.rs",
        "firmware/src/lib.rs",
    ] {
        let text = read(&format!("examples/own-operator/{file}"));
        assert!(
            page.contains(text.trim_end()),
            "docs/own-networks-and-operators.md does not show {file} as it is"
        );
    }
}
