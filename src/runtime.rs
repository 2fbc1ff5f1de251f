//! The `niello` dependency of crates that are written.

use crate::progress;
use niello_codegen::{Error, Result, emit::check_dependency};
use std::path::{Component, Path, PathBuf};

/// The runtime of the checkout that this program was built from.
const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runtime");

/// The value of the dependency in the `Cargo.toml` of `folder`: the given one; else the runtime of this program's checkout, by a path
/// relative to the folder; else, where that is gone, the version of a registry.
pub(crate) fn dependency(given: Option<&str>, folder: &Path) -> Result<String> {
    if let Some(text) = given {
        check_dependency("niello", text)?;
        return Ok(text.into());
    }
    let runtime = Path::new(CHECKOUT);
    if runtime.join("Cargo.toml").is_file() {
        let path = relative(&absolute(folder)?, &absolute(runtime)?);
        return Ok(format!("{{ path = {:?} }}", path.to_string_lossy().replace('\\', "/")));
    }
    let version = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    progress::note(&format!(
        "the crate depends on `niello = {version}` from a registry, as this program's checkout is not there; `--runtime` names another"
    ));
    Ok(version.into())
}

/// A path from the root, links resolved as far as there is something.
fn absolute(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path).map_err(Error::io("cannot find", path))?;
    let there = path.ancestors().find(|p| p.exists()).unwrap_or(&path);
    let resolved = there.canonicalize().map_err(Error::io("cannot find", there))?;
    Ok(path.strip_prefix(there).map_or(path.clone(), |rest| resolved.join(rest)))
}

/// The way from one folder to another; the whole path where none is sure.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared);
    if shared == 0 || up.clone().any(|part| part == Component::ParentDir) {
        return to.to_path_buf();
    }
    up.map(|_| Component::ParentDir).chain(to.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::relative;
    use std::path::Path;

    #[test]
    fn ways_between_folders() {
        for (from, to, expected) in [
            ("/a/b/net", "/a/niello/runtime", "../../niello/runtime"),
            ("/a/niello/net", "/a/niello/runtime", "../runtime"),
            ("/a/b/../net", "/a/niello/runtime", "/a/niello/runtime"),
            ("/net", "/a/runtime", "../a/runtime"),
        ] {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(expected), "{from}");
        }
    }
}
