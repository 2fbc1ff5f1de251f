//! Writes generated code: whole or not at all.

use super::{EmitOptions, LayerChecks, c_api, emit};
use crate::{
    error::{Error, Result},
    program::Program,
};
use std::path::{Path, PathBuf};

/// Writes a crate: `Cargo.toml`, `src/lib.rs`, `src/model.rs`, `src/layer_checks.rs`, `src/weights.bin`; for C also
/// `src/ffi.rs` and `include/PREFIX.h`, and the crate is then named after the prefix.
///
/// `dependency` is the value of the `niello` dependency in `Cargo.toml`, e.g. `{ version = "0.1" }`.
///
/// # Errors
/// The folder cannot be written. Files are written beside their place and then moved, so that none is left half-written.
pub fn write_crate(program: &Program, options: &EmitOptions, dir: &Path, dependency: &str) -> Result<()> {
    // The check of layers has a file of its own there.
    let generated = emit(program, &EmitOptions { layer_checks: LayerChecks::Beside, ..options.clone() })?;
    let c_api = options.c_api.as_deref().map(|prefix| c_api::c_api(program, options, prefix)).transpose()?;
    let (c_features, c_profile, c_module) = if c_api.is_some() { C_PARTS } else { ("", "", "") };
    let prefix = options.c_api.as_deref();
    let name = prefix.unwrap_or_else(|| program.name.trim_matches('_')).replace('_', "-");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[features]\n# Detect instruction \
         sets at run time (hosts and Linux boards).\nstd = [\"niello/std\"]\n# Share each layer out among threads: `niello::kernels::threads::set`, and `threads` in the recipe.\nthreads = [\"niello/threads\"]\n# Compare the bytes of every layer on the \
         board: `check_layers`.\nlayer-checks = []\n# Log layers and the results of checks: `niello::trace`.\ndefmt = \
         [\"niello/defmt\"]\n{c_features}\n[dependencies]\nniello = {dependency}\n\n[workspace]\n{c_profile}"
    );
    // Naming a linker section counts as unsafe code, which `forbid` would not let anyone allow.
    let sections = options.weights_section.is_some() || options.arena_section.is_some();
    let unsafe_code = if sections || c_api.is_some() { "deny" } else { "forbid" };
    let lib = format!(
        "//! {} as static Rust: no heap, no floating point in `infer`, the same bytes on every target.\n\
         #![no_std]\n#![{unsafe_code}(unsafe_code)]\n\n{c_module}#[cfg(feature = \"layer-checks\")]\nmod layer_checks;\nmod model;\n\n\
         #[cfg(feature = \"layer-checks\")]\npub use layer_checks::*;\npub use model::*;\n",
        program.metadata.network
    );
    let mut files: Vec<(PathBuf, &[u8])> = vec![(dir.join("src/weights.bin"), &generated.weights)];
    if let (Some(c_api), Some(prefix)) = (&c_api, prefix) {
        files.push((dir.join("src/ffi.rs"), c_api.ffi.as_bytes()));
        files.push((dir.join(format!("include/{prefix}.h")), c_api.header.as_bytes()));
    }
    files.extend([
        (dir.join("src/model.rs"), generated.source.as_bytes()),
        (dir.join("src/layer_checks.rs"), generated.layer_checks.as_deref().unwrap_or_default().as_bytes()),
        (dir.join("src/lib.rs"), lib.as_bytes()),
        (dir.join("Cargo.toml"), manifest.as_bytes()),
    ]);
    for folder in files.iter().filter_map(|(path, _)| path.parent()) {
        std::fs::create_dir_all(folder).map_err(Error::io("cannot create", folder))?;
    }
    write_files(&files)
}

/// What a crate with a C API has more: features, a profile, a module. One unit of code hides everything but the API, so
/// that several libraries can be linked into one program.
const C_PARTS: (&str, &str, &str) = (
    "# Functions for C: `include`, docs/c-api.md.\nc-api = [\"layer-checks\"]\n# The same for targets without an \
     operating system, as a static library.\npanic-handler = [\"c-api\"]\n",
    "\n[profile.release]\ncodegen-units = 1\nlto = \"fat\"\npanic = \"abort\"\n",
    "#[cfg(feature = \"c-api\")]\npub mod ffi;\n",
);

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
