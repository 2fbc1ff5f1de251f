//! One image on one emulated machine.

use crate::{Result, tools};
use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const EMULATOR: &str = "qemu-system-arm";
const SIZE: &str = "arm-none-eabi-size";

/// No run takes as long, on a slow machine either.
const PATIENCE: Duration = Duration::from_secs(600);

/// Whether everything is there.
///
/// # Errors
/// A tool that is not installed.
pub(crate) fn check_tools() -> Result {
    match [EMULATOR, SIZE].into_iter().find(|tool| !tools::runs(tool, &["--version"])) {
        Some(tool) => Err(super::missing(tool)),
        None => Ok(()),
    }
}

/// Runs `elf` with the words of its command line and gives what it printed, also where the program itself reports a failure.
///
/// # Errors
/// As [`bytes`].
pub(super) fn run(machine: &str, elf: &Path, words: &[String]) -> Result<String> {
    let output = ended(machine, elf, words)?;
    Ok(String::from_utf8_lossy(&output.bytes).into_owned())
}

/// As [`run`], but gives what was printed also where the program does not end within `patience`.
///
/// # Errors
/// An emulator that cannot be started.
pub(super) fn run_within(machine: &str, elf: &Path, words: &[String], patience: Duration) -> Result<String> {
    // The flipped program is unknown: it may start no process here.
    let output = with_words(machine, elf, words, patience, &["-sandbox", "on,spawn=deny"])?;
    Ok(String::from_utf8_lossy(&output.bytes).into_owned())
}

/// The output of a program, and its exit status.
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    /// Whether it reported success.
    pub(crate) ok: bool,
    /// Whether it was still running and was stopped.
    stopped: bool,
}

/// Runs `elf` and gives the bytes that it wrote.
///
/// # Errors
/// An emulator that cannot be started, or a program that does not end.
pub(crate) fn bytes(machine: &str, elf: &Path) -> Result<Output> {
    ended(machine, elf, &[])
}

fn ended(machine: &str, elf: &Path, words: &[String]) -> Result<Output> {
    let output = with_words(machine, elf, words, PATIENCE, &[])?;
    if !output.stopped {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.bytes);
    let last = text.lines().last().unwrap_or("nothing");
    Err(format!("{machine}: no end after {} s; last printed: {last}", PATIENCE.as_secs()))
}

/// A machine without options, as file names have it.
pub(super) fn first(machine: &str) -> &str {
    machine.split(' ').next().unwrap_or(machine)
}

fn with_words(
    machine: &str,
    elf: &Path,
    words: &[String],
    patience: Duration,
    options: &[&str],
) -> Result<Output> {
    let path = elf.with_extension([words, &[first(machine).into(), "log".into()]].concat().join("."));
    let of_file = |e: std::io::Error| format!("{}: {e}", path.display());
    let log = File::create(&path).map_err(of_file)?;
    let errors = log.try_clone().map_err(of_file)?;
    let mut command = Command::new(EMULATOR);
    command.args(options);
    command.arg("-M").args(machine.split(' '));
    command.args(["-display", "none", "-monitor", "none", "-serial", "none"]);
    let words: String = words.iter().map(|word| format!(",arg={word}")).collect();
    let semihosting = format!("enable=on,target=native{words}");
    command.args(["-semihosting-config", &semihosting, "-kernel"]).arg(elf);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    let mut child = command.spawn().map_err(|e| format!("cannot run {EMULATOR}: {e}"))?;
    let start = Instant::now();
    let ended = loop {
        let status = child.try_wait().map_err(|e| format!("{EMULATOR}: {e}"))?;
        if status.is_some() || start.elapsed() > patience {
            break status;
        }
        sleep(Duration::from_millis(20));
    };
    if ended.is_none() {
        // Either may fail if it has just ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
    let bytes = fs::read(&path).map_err(of_file)?;
    Ok(Output { bytes, ok: ended.is_some_and(|status| status.success()), stopped: ended.is_none() })
}

/// Bytes of an image.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Code, constants, initial values.
    pub(super) flash: usize,
    /// Statics.
    pub(super) ram: usize,
}

/// The sections of the linked image, summed.
///
/// # Errors
/// A file that is no ELF.
pub(super) fn size(elf: &Path) -> Result<Size> {
    let output = Command::new(SIZE).arg(elf).output().map_err(|e| format!("cannot run {SIZE}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // text, data, bss
    let numbers = text.lines().nth(1).unwrap_or("").split_whitespace().map_while(|word| word.parse().ok());
    match numbers.take(3).collect::<Vec<usize>>()[..] {
        [text, data, bss] => Ok(Size { flash: text + data, ram: data + bss }),
        _ => Err(format!("{}: {SIZE} finds no sections", elf.display())),
    }
}
