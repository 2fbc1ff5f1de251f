//! ONNX's own tests of single operators: all that the wheel has, as `codegen/examples/node_tests.rs` tries them.

use crate::{
    Result,
    folders::target,
    stage::{Runner, Stage},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The last release whose wheel is known to have them.
const WHEEL: &str = "onnx==1.19.1";

/// Bytes of a reason that the page has.
const LONGEST: usize = 160;

pub(super) const COLUMNS: &str =
    "class | tests | equal | refused | different | of types that are not compared";
pub(super) const LEFT_COLUMNS: &str = "test | class | verdict | why";

/// A test and what becomes of it.
pub(super) struct Test {
    name: String,
    /// `must`, `may`, or `out`: and why.
    class: String,
    verdict: String,
    why: String,
}

impl Test {
    pub(super) fn is_equal(&self) -> bool {
        self.verdict == "equal"
    }
}

/// The folder of tests, fetched by pip the first time; `None` where there is no way to fetch it.
pub(super) fn folder(runner: &mut Runner) -> Result<Option<PathBuf>> {
    let room = target().join("conformance");
    let tests = room.join("onnx/backend/test/data/node");
    if tests.is_dir() {
        return Ok(Some(tests));
    }
    let room_text = room.to_string_lossy().into_owned();
    let python = |name: &str, words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
        Stage::new(name, "python3").arguments(&words)
    };
    let download =
        ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", &room_text, WHEEL];
    if let Err(why) = runner.run(python("the wheel of node tests", &download)) {
        println!("{why}");
        return Ok(None);
    }
    let of_room = |e| format!("{}: {e}", room.display());
    let files = fs::read_dir(&room).map_err(of_room)?.filter_map(|entry| Some(entry.ok()?.path()));
    let wheel = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "whl"));
    let wheel = wheel.ok_or_else(|| format!("{}: no wheel", room.display()))?;
    runner
        .run(python("the wheel, unpacked", &["-m", "zipfile", "-e", &wheel.to_string_lossy(), &room_text]))?;
    Ok(tests.is_dir().then_some(tests))
}

/// Tries all tests of a manifest.
pub(super) fn verdicts(tests: &Path, manifest: &Path) -> Result<Vec<Test>> {
    let text = fs::read_to_string(manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let header = rows.first().ok_or("an empty manifest")?;
    let column = |name: &str| {
        header.iter().position(|h| *h == name).ok_or(format!("the manifest has no column `{name}`"))
    };
    let [name, class, reason] = [column("test")?, column("class")?, column("reason")?];
    // Those that are out are tried too.
    let all: String = rows
        .iter()
        .map(|row| {
            let cells = row
                .iter()
                .enumerate()
                .map(|(i, cell)| if i == class && *cell == "out" { "may" } else { cell });
            cells.collect::<Vec<_>>().join("\t") + "\n"
        })
        .collect();
    let table = target().join("conformance/manifest.tsv");
    fs::write(&table, all).map_err(|e| format!("{}: {e}", table.display()))?;
    let call = "run --quiet -p niello-codegen --example node_tests --";
    let arguments = [tests.to_string_lossy().into(), "--manifest".into(), table.to_string_lossy().into()];
    let printed = Stage::cargo("node tests", call).arguments(&arguments).output()?;
    let found: BTreeMap<&str, (&str, &str)> = printed
        .lines()
        .filter_map(|line| {
            let mut cells = line.splitn(4, '\t').skip(1);
            Some((cells.next()?, (cells.next()?, cells.next()?)))
        })
        .collect();
    rows.iter()
        .skip(1)
        .map(|row| {
            let cell = |i: usize| row.get(i).copied().unwrap_or_default();
            let (verdict, why) =
                found.get(cell(name)).ok_or_else(|| format!("{}: was not tried", cell(name)))?;
            let class = match cell(class) {
                "out" => format!("out: {}", kind(cell(reason))),
                class => class.into(),
            };
            Ok(Test { name: cell(name).into(), class, verdict: verdict.to_string(), why: why.to_string() })
        })
        .collect()
}

/// Why a test is out, without its particulars.
fn kind(reason: &str) -> &str {
    match reason {
        _ if reason.starts_with("type ") => "elements of another type than float32",
        _ if reason.starts_with("domain ") => "another domain than ONNX's own",
        _ if reason.ends_with("spatial dimensions") || reason.starts_with("rank ") => {
            "one or three spatial axes, batches of matrices"
        }
        _ if reason.starts_with("training_mode") => "training",
        _ if reason.starts_with("the function body") => {
            "another test again, its operator as a function of others"
        }
        _ => reason,
    }
}

/// Numbers by class: `must`, `may`, then the others, the largest first.
pub(super) fn table(tests: &[Test]) -> Vec<Vec<String>> {
    let mut classes: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for test in tests {
        let counts = classes.entry(&test.class).or_default();
        counts[0] += 1;
        let kind = match &*test.verdict {
            "equal" => 1,
            "refused" => 2,
            "unread" => 4,
            _ => 3,
        };
        counts[kind] += 1;
    }
    let mut rows: Vec<(&str, [usize; 5])> = classes.into_iter().collect();
    rows.sort_by_key(|(class, counts)| {
        (class.starts_with("out"), *class == "may", std::cmp::Reverse(counts[0]))
    });
    let sums = rows.iter().fold([0; 5], |sums, (_, counts)| std::array::from_fn(|i| sums[i] + counts[i]));
    rows.push(("all", sums));
    rows.into_iter()
        .map(|(class, counts)| {
            std::iter::once(class.to_string()).chain(counts.map(|n| n.to_string())).collect()
        })
        .collect()
}

/// Those of `must` and `may` that are not equal.
pub(super) fn left(tests: &[Test]) -> Vec<Vec<String>> {
    let left = tests.iter().filter(|test| !test.is_equal() && !test.class.starts_with("out"));
    left.map(|Test { name, class, verdict, why }| {
        // The test has one node.
        let why =
            why.trim_start_matches("cannot be imported: ").replace("node without a name that makes ", "");
        let (kept, rest) = why.split_at_checked(LONGEST).unwrap_or((&why, ""));
        let why = format!("{kept}{}", if rest.is_empty() { "" } else { "…" });
        vec![format!("`{name}`"), class.clone(), verdict.clone(), why.replace('|', "/")]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_by_class() {
        let test = |name: &str, class: &str, verdict: &str| Test {
            name: name.into(),
            class: class.into(),
            verdict: verdict.into(),
            why: "a | b".into(),
        };
        let tests = [
            test("a", "out: x", "refused"),
            test("b", "may", "differs"),
            test("c", "must", "equal"),
            test("d", "may", "equal"),
        ];
        let rows: Vec<String> = table(&tests).iter().map(|cells| cells.join(" ")).collect();
        assert_eq!(rows, ["must 1 1 0 0 0", "may 2 1 0 1 0", "out: x 1 0 1 0 0", "all 4 2 1 1 0"]);
        assert_eq!(left(&tests), [["`b`", "may", "differs", "a / b"]]);
    }
}
