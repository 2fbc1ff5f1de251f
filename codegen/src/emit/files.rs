//! Writes generated code: whole or not at all.

use super::{EmitOptions, emit};
use crate::{
    error::{Error, Result},
    program::Program,
};
use std::path::{Path, PathBuf};

/// Writes a crate: `Cargo.toml`, `src/lib.rs`, `src/model.rs`, `src/layer_checks.rs`, `src/weights.bin`.
///
/// `dependency` is the value of the `niello` dependency in `Cargo.toml`, e.g. `{ version = "0.1" }`.
///
/// # Errors
/// The folder cannot be written. Files are written beside their place and then moved, so that none is left half-written.
pub fn write_crate(program: &Program, options: &EmitOptions, dir: &Path, dependency: &str) -> Result<()> {
    // The check of layers has a file of its own there.
    let generated = emit(program, &EmitOptions { layer_checks: false, ..options.clone() })?;
    let name = program.name.trim_matches('_').replace('_', "-");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[features]\n# Detect instruction \
         sets at run time (hosts and Linux boards).\nstd = [\"niello/std\"]\n# Compare the bytes of every layer on the \
         board: `check_layers`.\nlayer-checks = []\n# Log layers and the results of checks: `niello::trace`.\ndefmt = \
         [\"niello/defmt\"]\n\n[dependencies]\nniello = {dependency}\n\n[workspace]\n"
    );
    // Naming a linker section counts as unsafe code, which `forbid` would not let anyone allow.
    let unsafe_code =
        if options.weights_section.is_some() || options.arena_section.is_some() { "deny" } else { "forbid" };
    let lib = format!(
        "//! {} as static Rust: no heap, no floating point in `infer`, the same bytes on every target.\n\
         #![no_std]\n#![{unsafe_code}(unsafe_code)]\n\n#[cfg(feature = \"layer-checks\")]\nmod layer_checks;\nmod model;\n\n\
         #[cfg(feature = \"layer-checks\")]\npub use layer_checks::*;\npub use model::*;\n",
        program.metadata.network
    );
    std::fs::create_dir_all(dir.join("src")).map_err(Error::io("cannot create", dir.join("src")))?;
    write_files(&[
        (dir.join("src/weights.bin"), &generated.weights),
        (dir.join("src/model.rs"), generated.source.as_bytes()),
        (dir.join("src/layer_checks.rs"), generated.layer_checks.as_bytes()),
        (dir.join("src/lib.rs"), lib.as_bytes()),
        (dir.join("Cargo.toml"), manifest.as_bytes()),
    ])
}

/// Writes files whole: all of them beside their places, which is where a full disk shows, then moves them. After an error
/// nothing is left half-written.
pub fn write_files(files: &[(PathBuf, &[u8])]) -> Result<()> {
    let part = |path: &Path| {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        PathBuf::from(part)
    };
    let write = || {
        for (path, bytes) in files {
            // A move would fail there, after others have succeeded.
            if path.is_dir() {
                return Err(Error::file(path, "expected a file or nothing there, found a folder"));
            }
            std::fs::write(part(path), bytes).map_err(Error::io("cannot write", path))?;
        }
        files.iter().try_for_each(|(path, _)| {
            std::fs::rename(part(path), path).map_err(Error::io("cannot write", path))
        })
    };
    write().inspect_err(|_| {
        // That a part may not exist is fine.
        files.iter().for_each(|(path, _)| drop(std::fs::remove_file(part(path))));
    })
}
