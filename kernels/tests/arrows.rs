//! Folders of `src` import one way: each from those before it. A circle would make them one thing that can only be read at once.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// Folders and files, each of which may import from itself and from those before it. A folder whose parts are listed too stands for the rest of it.
const ROOMS: &[&str] = &[
    "base/arith",
    "base/half",
    "base/isa",
    "base/memory",
    "base/scratch",
    "base/kernel",
    "schedule/by_rows",
    "schedule/threads",
    "schedule",
    "schedule/row_chain",
    "microkernels",
    "ops/elementwise",
    "ops/pool",
    "ops/conv",
    "ops/shape",
    "ops/softmax",
    "ops/normalize",
    "ops/attention",
    "ops/embedding",
    "ops/argmax",
    "formats/elements",
    "formats/int16",
    "formats/float",
    "formats/extremum",
    "formats/interpolate",
    "formats/reduce",
    "bench",
];

/// Imports that run back all the same: file, import, reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// The names of the crate's root, and where they come from.
type Exports = HashMap<String, Vec<String>>;

/// Appends the paths of a tree of imports, which begins after `prefix`.
fn leaves(tree: &str, prefix: &[&str], found: &mut Vec<Vec<String>>) {
    let mut path = prefix.to_vec();
    let mut rest = tree.trim_start();
    loop {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if let Some(group) = behind.strip_prefix('{').filter(|_| name.is_empty()) {
            let (mut depth, mut start) = (0, 0);
            for (i, c) in group.char_indices() {
                if depth == 0 && (c == ',' || c == '}') {
                    if !group[start..i].trim().is_empty() {
                        leaves(&group[start..i], &path, found);
                    }
                    start = i + 1;
                }
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => return,
                    '}' => depth -= 1,
                    _ => {}
                }
            }
            panic!("a group without an end: {tree}");
        }
        if name != "self" && !name.is_empty() {
            path.push(name);
        }
        match behind.strip_prefix("::") {
            Some(next) if !name.is_empty() => rest = next,
            _ => return found.push(path.iter().map(ToString::to_string).collect()),
        }
    }
}

/// Code without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.find("\n#[cfg(test)]").or(text.find("\n#[cfg(all(test")).map_or(text, |end| &text[..end]);
    text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect()
}

/// What a module names outside of itself: `crate::` anywhere, `super::` in its imports; as paths from the root.
fn imports(module: &[&str], code: &str) -> Vec<Vec<String>> {
    let mut found = vec![];
    for (at, start) in code.match_indices("crate::") {
        leaves(&code[at + start.len()..], &[], &mut found);
    }
    // Those of modules within the file are indented.
    for (at, start) in code.match_indices("use super::") {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        if line == at || code[line..].starts_with("pub") {
            leaves(&code[at + start.len() - "super::".len()..], module, &mut found);
        }
    }
    for path in &mut found {
        while let Some(up) = path.iter().position(|name| name == "super") {
            path.drain(up - 1..=up);
        }
    }
    found
}

/// The room of a module or of what lies in it: an index of [`ROOMS`].
fn room(path: &[impl AsRef<str>]) -> Option<usize> {
    let path = path.iter().map(|name| format!("{}/", name.as_ref())).collect::<String>();
    let rooms = ROOMS.iter().enumerate().filter(|(_, room)| path.starts_with(&format!("{room}/")));
    rooms.max_by_key(|(_, room)| room.len()).map(|(index, _)| index)
}

/// The imports of a file, each with whether it runs back.
fn arrows(file: &str, text: &str, exports: &Exports) -> Vec<(String, bool)> {
    let module: Vec<&str> = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    let own = room(&module);
    let mut arrows = vec![];
    for path in imports(&module, &code(text)) {
        let mut target = path.clone();
        if let Some(origin) = path.first().and_then(|name| exports.get(name)) {
            target.splice(..1, origin.iter().cloned());
        }
        let target =
            room(&target).unwrap_or_else(|| panic!("{file} imports {}: of no room", path.join("::")));
        let own = own.unwrap_or_else(|| panic!("{file} imports {} and is in no room", path.join("::")));
        arrows.push((path.join("::"), target > own));
    }
    arrows
}

fn exports(lib: &str) -> Exports {
    let mut found = vec![];
    for (at, start) in lib.match_indices("\npub use ") {
        leaves(&lib[at + start.len()..], &[], &mut found);
    }
    found.into_iter().map(|path| (path[path.len() - 1].clone(), path)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn lib() -> Exports {
    exports(&fs::read_to_string(root().join("lib.rs")).unwrap())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, files) } else { files.push(path) }
    }
}

#[test]
fn no_import_runs_back() {
    let mut files = vec![];
    walk(&root(), &mut files);
    let exports = lib();
    let (mut back, mut excused, mut all) = (vec![], 0, 0);
    for path in files {
        let file = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        if file == "lib.rs" {
            continue;
        }
        for (import, runs_back) in arrows(&file, &fs::read_to_string(&path).unwrap(), &exports) {
            all += 1;
            if runs_back && EXCEPTIONS.iter().any(|(of, what, _)| (*of, *what) == (&file, &import)) {
                excused += 1;
            } else if runs_back {
                back.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(back.is_empty(), "imports that run back:\n{}", back.join("\n"));
    assert_eq!(excused, EXCEPTIONS.len(), "exceptions that nobody needs");
    assert!(all > 500, "{all} imports");
    for room in ROOMS {
        let (folder, file) = (root().join(room), root().join(format!("{room}.rs")));
        assert!(folder.is_dir() || file.is_file(), "{room} is a room no more");
    }
}

/// What the code looked like once, and what this test has to find.
#[test]
fn imports_that_run_back_are_found() {
    let back = |file: &str, text: &str| {
        let arrows = arrows(file, text, &lib());
        arrows.into_iter().filter(|(_, back)| *back).map(|(import, _)| import).collect::<Vec<_>>()
    };
    assert_eq!(back("base/memory/element.rs", "use crate::float::half;\n"), ["float::half"]);
    assert_eq!(back("base/memory/element.rs", "use crate::base::half;\n"), [""; 0]);
    let groups =
        "use crate::{\n    Conv2d, Isa,\n    schedule::{self as rows}, ops::conv::{self, Gather},\n};\n";
    assert_eq!(back("microkernels/x86/avx2.rs", groups), ["Conv2d", "ops::conv", "ops::conv::Gather"]);
    let within = "fn run() {\n    // crate::ops::pool\n    crate::schedule::threads::share();\n}\n";
    assert_eq!(back("schedule/by_rows/mod.rs", within), ["schedule::threads::share"]);
    assert_eq!(
        back("schedule/by_rows/mod.rs", "use super::run;\nuse super::super::base::isa;\n"),
        ["schedule::run"]
    );
    let nested = "pub(crate) use super::{\n    super::{attention::Chunks, pool::window},\n    softmax,\n};\n";
    assert_eq!(back("ops/conv/driver.rs", nested), ["ops::attention::Chunks"]);
    assert_eq!(
        back(
            "ops/pool/max/mod.rs",
            "use crate::Isa;\n#[cfg(test)]\nmod tests {\n    use crate::Attention;\n}\n"
        ),
        [""; 0]
    );
}
