//! `cargo xtask package`: the crates as a registry would get them, and a user's project outside of the checkout that is built from them.

use crate::{
    Result,
    folders::{root, target},
    stage::{Runner, Stage},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

/// What is published, in this order: each crate needs only earlier ones.
pub(crate) const CRATES: [&str; 9] = [
    "niello-kernels",
    "niello",
    "niello-gemm",
    "niello-imaging",
    "niello-evaluation",
    "niello-codegen",
    "niello-assets",
    "niello-models",
    "niello-cli",
];

/// Bytes of a packed crate that the registry accepts.
const LIMIT: u64 = 10_000_000;

/// What each crate must hold.
const REQUIRED: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// What none may hold: only the checkout needs it.
const FOREIGN: [&str; 5] = ["tests/", "benches/", "examples/", ".golden", ".snap"];

pub(crate) fn run() -> Result {
    let mut runner = Runner::new("package");
    stages(&mut runner, false)?;
    runner.finish()
}

/// The stages, for this command and for `ci`; for `release` also `each_alone`, with the features that it asks for itself.
///
/// `cargo package` would compile each alone too, but what it unpacked for that it takes again for the same version, whatever has changed since.
pub(crate) fn stages(runner: &mut Runner, each_alone: bool) -> Result {
    runner.part("packages", if each_alone { 480 } else { 240 });
    // A dirty checkout is refused by `release`; what it depends on was fetched before.
    let call = format!(
        "package --quiet --offline --no-verify --allow-dirty --no-metadata -p {}",
        CRATES.join(" -p ")
    );
    runner.run(Stage::cargo("packages", &call))?;
    let start = Instant::now();
    // Outside of the checkout; removed at the end.
    let room = tempfile::Builder::new().prefix("niello-package-").tempdir();
    let room = room.map_err(|e| format!("cannot create a folder: {e}"))?;
    let room = room.path();
    for name in CRATES {
        unpack(name, room)?;
    }
    runner.note(format!("packages: {} crates below {} MB", CRATES.len(), LIMIT / 1_000_000), start.elapsed());
    project(room)?;
    let cargo = |what: &str, call: &str| {
        let manifest = room.join("Cargo.toml");
        let call =
            Stage::cargo(what, call).arguments(&["--manifest-path".into(), manifest.display().to_string()]);
        // With the third-party crates that are compiled already.
        call.variable("CARGO_TARGET_DIR", &target().to_string_lossy())
    };
    runner.run(cargo("packages: firmware of a project outside", "run --quiet --offline -p own-firmware"))?;
    let compile = [room.join("firmware/denoiser.toml"), "--out".into(), room.join("denoiser")];
    let call = cargo("packages: its command line", "run --quiet --offline -p own-command-line");
    let words =
        ["--".into(), "compile".into()].into_iter().chain(compile.iter().map(|p| p.display().to_string()));
    runner.run(call.arguments(&words.collect::<Vec<String>>()))?;
    let manifest =
        fs::read_to_string(room.join("denoiser/Cargo.toml")).map_err(|e| format!("denoiser: {e}"))?;
    if !manifest.contains("own-kernels = {") {
        return Err(format!("the generated crate does not depend on the project's kernels:\n{manifest}"));
    }
    for name in CRATES.into_iter().filter(|_| each_alone) {
        runner
            .run(cargo(&format!("packages: {name} alone"), &format!("check --quiet --offline -p {name}")))?;
    }
    Ok(())
}

/// Unpacks a crate into a folder of its name, after looking at what it holds.
fn unpack(name: &str, room: &Path) -> Result {
    let folder = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
    let file = target().join("package").join(format!("{folder}.crate"));
    let bytes = fs::metadata(&file).map_err(|e| format!("{}: {e}", file.display()))?.len();
    println!("  {name:<20}{bytes:>12} bytes");
    if bytes > LIMIT {
        return Err(format!("{name}: {bytes} bytes packed, more than {LIMIT}"));
    }
    let archive = file.display().to_string();
    let tar = |what: &[&str]| {
        let arguments: Vec<String> = what.iter().map(|a| a.to_string()).collect();
        Stage::new(format!("unpack {name}"), "tar").arguments(&arguments).output()
    };
    let list = tar(&["tzf", &archive])?;
    let files: Vec<&str> = list.lines().filter_map(|l| l.strip_prefix(&folder)?.strip_prefix('/')).collect();
    if let Some(missing) = REQUIRED.iter().find(|file| !files.contains(file)) {
        return Err(format!("{name}: the package has no {missing}"));
    }
    if let Some(foreign) =
        files.iter().find(|file| FOREIGN.iter().any(|f| file.starts_with(f) || file.ends_with(f)))
    {
        return Err(format!("{name}: the package holds {foreign}; see `include` in its Cargo.toml"));
    }
    // Packed files are old: with their times, cargo would not see that one has changed.
    tar(&["xzmf", &archive, "-C", &room.to_string_lossy()])?;
    fs::rename(room.join(&folder), room.join(name)).map_err(|e| format!("cannot rename {folder}: {e}"))
}

/// The example project, as a workspace that takes the packed crates for those of the registry.
fn project(room: &Path) -> Result {
    copy(&root().join("examples/own-operator"), room)?;
    let read =
        |path: PathBuf| fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()));
    let patches: String = CRATES.iter().map(|name| format!("{name} = {{ path = \"{name}\" }}\n")).collect();
    let (project, own) = (read(room.join("Cargo.toml"))?, read(root().join("Cargo.toml"))?);
    // The packages are members, so that each can be compiled alone.
    let members = format!("members = [\"{}\", ", CRATES.join("\", \""));
    let project = project.replace("members = [", &members);
    let manifest = format!("{project}\n[patch.crates-io]\n{patches}\n{}", profile(&own));
    // The versions that everything else is built with.
    let lock = read(root().join("Cargo.lock"))?;
    for (name, text) in [("Cargo.toml", manifest), ("Cargo.lock", lock)] {
        fs::write(room.join(name), text).map_err(|e| format!("cannot write {name}: {e}"))?;
    }
    Ok(())
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result {
    let failed = |e: std::io::Error| format!("cannot copy {}: {e}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, to).map(drop).map_err(failed)?;
        }
    }
    Ok(())
}

/// How third-party crates are compiled in the checkout, so that they need not be compiled again; our own quickly.
fn profile(manifest: &str) -> String {
    let lines = manifest.lines().skip_while(|line| *line != "[profile.dev]");
    lines.filter(|line| !line.starts_with("niello-")).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn profiles_are_taken_without_our_own_crates() {
        let manifest = "[package]\n\n[profile.dev]\ndebug = false\n[profile.dev.package]\nniello-gemm.opt-level = 3\npng.opt-level = 3\n";
        assert_eq!(
            super::profile(manifest),
            "[profile.dev]\ndebug = false\n[profile.dev.package]\npng.opt-level = 3\n"
        );
    }
}
