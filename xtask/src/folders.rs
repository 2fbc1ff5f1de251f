//! Where things lie.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The checkout.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// What cargo builds, and what commands keep there: `target`, or what `CARGO_TARGET_DIR` says.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A file or folder below [`target`], as arguments have it.
pub(crate) fn built(path: &str) -> String {
    target().join(path).to_string_lossy().into_owned()
}

/// Where firmware is built.
pub(crate) fn firmware() -> PathBuf {
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        target().join("firmware")
    } else {
        root().join("targets/target")
    }
}

/// Where the shared data lies, if it does.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = env::var_os("NIELLO_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    // Build scripts run elsewhere.
    folder.join("data/weights").is_dir().then(|| folder.canonicalize().unwrap_or(folder))
}
