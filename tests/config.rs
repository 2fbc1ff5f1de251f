//! The functions for build scripts, in process.

use niello_codegen::{Config, recipe::Recipe};
use niello_models::Registry;

/// A small network without files.
fn small() -> Recipe {
    Recipe::new("anam_net").seeded().width(8).input_size(32, 32)
}

#[test]
fn boards_have_names_in_build_scripts() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(&Registry).out_dir(folder.path());
    let build = config.compile_recipe(&small().on_board("stm32h743"), "model").unwrap();
    assert_eq!(build.program.target, "cortex-m-dsp");
    assert!(folder.path().join("model.rs").is_file() && folder.path().join("model.bin").is_file());
    let error = config.compile_recipe(&small().on_board("arduino"), "other").unwrap_err().to_string();
    assert!(error.contains("no board `arduino`") && error.contains("stm32f446"), "{error}");
}

#[test]
fn two_models_of_one_name_are_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config::new(&Registry).out_dir(folder.path());
    config().compile_recipe(&small(), "model").unwrap();
    // The same once more is no harm.
    config().compile_recipe(&small(), "model").unwrap();
    let wider = small().width(16);
    let error = config().compile_recipe(&wider, "model").unwrap_err().to_string();
    assert!(error.contains("model.rs: two models") && error.contains("`file_name`"), "{error}");
    config().file_name("wider").compile_recipe(&wider, "model").unwrap();
}
