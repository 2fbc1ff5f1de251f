//! `cargo xtask defmt`: firmware that logs over defmt, run on an emulated Cortex-M4, its log held against the recorded one.

use crate::{
    Result,
    cortex_m::{log, qemu},
    generate, images,
    no_std::QUICKLY,
    stage::{Runner, Stage},
    tools,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process,
    time::Instant,
};

const PACKAGE: &str = "niello-defmt-qemu";
const TARGET: &str = "thumbv7em-none-eabihf";
const MACHINE: &str = "mps2-an386";

/// The decoded log.
const EXPECTED: &str = "targets/defmt-qemu/expected.out";
/// The golden file that its layers must match, with `--bless` too.
const GOLDEN: &str = "tests/bits/anam_net_tiny.tflite-double.golden";

/// A board that is built with its feature `defmt`; all boards share what the feature adds.
const BOARD: (&str, &str) = ("niello-nrf52840", "thumbv7em-none-eabihf");

pub(crate) fn run(bless: bool) -> Result {
    let mut runner = Runner::new("defmt");
    generate::build(&mut runner)?;
    generate::sources(&mut runner, &models())?;
    runner.part("defmt", BUDGET);
    emulated(&mut runner, bless)?;
    runner.finish()
}

/// The firmware's model.
pub(crate) fn models() -> Vec<generate::Model> {
    let recorded = generate::Model::recorded(FOLDER, "anam_net_tiny", "tflite-double");
    vec![generate::Model { name: "model".into(), golden: None, ..recorded }]
}

/// Seconds that all of it may take.
const BUDGET: u64 = 60;

/// Where it lies.
const FOLDER: &str = "defmt";

/// The stages of `ci`: also what the feature adds to the runtime and to boards.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    runner.part("defmt", BUDGET);
    let runtime = format!("{QUICKLY} --features defmt");
    let lints = format!("clippy {runtime} --all-targets -- -D warnings");
    runner.run(Stage::cargo("lints, defmt", &lints).variable("DEFMT_LOG", "trace"))?;
    let tests = Stage::cargo("tests, defmt", &format!("test {runtime}"));
    runner.run(tests.variable("DEFMT_LOG", "trace"))?;
    let (package, target) = BOARD;
    runner.run(images::build(package, target, " --features defmt")?)?;
    emulated(runner, false)
}

/// Builds the firmware, runs it, decodes and compares what it logged.
fn emulated(runner: &mut Runner, bless: bool) -> Result {
    qemu::check_tools()?;
    let decoder = tools::defmt_print()
        .ok_or("defmt-print is not installed; install it with\n\n    cargo xtask setup\n")?;
    // All levels, whatever the environment asks for.
    let stage = images::build(PACKAGE, TARGET, "")?.variable("DEFMT_LOG", "trace");
    runner.run(generate::from(stage, FOLDER))?;
    let start = Instant::now();
    let elf = images::image(PACKAGE, TARGET);
    let output = qemu::bytes(MACHINE, &elf)?;
    let found = decode(&decoder, &elf, &output.bytes)?;
    if !bless {
        let expected = read(EXPECTED)?;
        if let Some(difference) = difference(&expected, &found) {
            return Err(format!(
                "{EXPECTED}, {difference}\n\nif that is as it should be: cargo xtask defmt --bless\n"
            ));
        }
    }
    if !output.ok {
        return Err(format!("{PACKAGE} ended with an error; last logged: {}", last(&found)));
    }
    let layers = log::compare(&read(GOLDEN)?, &messages(&found)).map_err(|e| format!("{GOLDEN}: {e}"))?;
    if bless {
        fs::write(EXPECTED, &found).map_err(|e| format!("cannot write {EXPECTED}: {e}"))?;
        println!("{EXPECTED}: written");
    }
    let lines = found.lines().count();
    runner.note(format!("defmt: {lines} lines, {layers} layers equal"), start.elapsed());
    Ok(())
}

/// The text of defmt's frames: level and message, one line each.
fn decode(decoder: &str, elf: &Path, frames: &[u8]) -> Result<String> {
    let path: PathBuf = elf.with_extension("frames");
    let of_file = |e: std::io::Error| format!("{}: {e}", path.display());
    fs::write(&path, frames).map_err(of_file)?;
    let mut command = process::Command::new(decoder);
    command.args(["--log-format", "{L:5} {s}", "--show-skipped-frames", "-e"]).arg(elf);
    command.stdin(File::open(&path).map_err(of_file)?);
    let output = command.output().map_err(|e| format!("cannot run {decoder}: {e}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{decoder} cannot decode {} ({})\n{why}", path.display(), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The log without levels.
fn messages(log: &str) -> String {
    log.lines().filter_map(|line| Some(format!("{}\n", line.split_once(' ')?.1.trim_start()))).collect()
}

/// The first line that is not as expected, in words; `None` if all are.
fn difference(expected: &str, found: &str) -> Option<String> {
    let (mut expected, mut found) = (expected.lines(), found.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (expected, found) = (expected.next(), found.next());
        if expected != found {
            let side = |line: Option<&str>| line.unwrap_or("the end of the log").to_owned();
            return Some(format!(
                "line {number}:\n  expected {}\n  found    {}",
                side(expected),
                side(found)
            ));
        }
        expected?;
    }
}

fn last(log: &str) -> &str {
    log.lines().last().unwrap_or("nothing")
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {path}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_named() {
        let expected = "INFO  a\nDEBUG b\n";
        assert_eq!(difference(expected, expected), None);
        for (found, line, words) in [
            ("INFO  a\nDEBUG c\n", 2, "expected DEBUG b\n  found    DEBUG c"),
            ("INFO  b\nDEBUG c\n", 1, "expected INFO  a\n  found    INFO  b"),
            ("INFO  a\n", 2, "found    the end of the log"),
            ("INFO  a\nDEBUG b\nINFO  c\n", 3, "expected the end of the log"),
            ("", 1, "found    the end of the log"),
        ] {
            let difference = difference(expected, found).expect(found);
            assert!(difference.starts_with(&format!("line {line}:")), "{difference}");
            assert!(difference.contains(words), "{difference}");
        }
    }

    #[test]
    fn levels_are_taken_off() {
        assert_eq!(
            messages("INFO  case seed:1\nDEBUG layer 0 a 1x1x1 00\n"),
            "case seed:1\nlayer 0 a 1x1x1 00\n"
        );
    }
}
