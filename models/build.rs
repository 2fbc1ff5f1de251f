//! Embeds every `board.toml` of `targets`: a new board is a new folder, and no list names it.

use std::{
    env,
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../targets");
    let mut files = vec![];
    // A package of this crate alone has no `targets` beside it.
    for folder in if root.is_dir() { entries(&root)? } else { vec![] } {
        let boards = folder.join("boards");
        if folder.join("board.toml").is_file() {
            files.push(folder.join("board.toml"));
        }
        if boards.is_dir() {
            println!("cargo::rerun-if-changed={}", boards.display());
            files
                .extend(entries(&boards)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "toml")));
        }
    }
    let mut names: Vec<String> = files.iter().map(|file| name(file)).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(io::Error::other(format!("two boards in `targets` are called `{}`", twice[0])));
    }
    let mut source = String::from("&[\n");
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let _ = writeln!(source, "    ({:?}, include_str!({file:?})),", name(file));
    }
    source.push_str("]\n");
    // A board with firmware is a member there. All of `targets` holds build folders, which change too often.
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("boards.rs"), source)
}

/// The entries of a folder, in the order of their names.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// `stm32f446` for `stm32f446/board.toml`, `microbit` for `boards/microbit.toml`.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default();
    let name = if stem == "board" { folder } else { stem };
    name.to_string_lossy().into_owned()
}
