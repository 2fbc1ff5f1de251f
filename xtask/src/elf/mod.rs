//! The rules of a release firmware image: no panics, no allocator, no recursion, no floating point.
//!
//! [`listing`] reads the output of binutils, [`rules`] checks it.

mod listing;
mod rules;

use crate::Result;
use std::{ops::Range, path::Path, process};

pub(crate) fn run(file: &Path) -> Result {
    check(file, Numbers::Whole)?;
    println!("{}: {}", file.display(), Numbers::Whole.rules());
    Ok(())
}

/// The arithmetic of a firmware image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Whole numbers only.
    Whole,
    /// Floating point too: its model asks for it.
    Floating,
}

impl Numbers {
    /// The rules that an image satisfies, for a line of output.
    pub(crate) fn rules(self) -> &'static str {
        match self {
            Self::Whole => "no panic, no allocator, no recursion, no indirect call, no floating point",
            Self::Floating => "no panic, no allocator, no recursion, no indirect call",
        }
    }
}

/// Checks a firmware image linked without formatting or logging.
///
/// # Errors
/// Everything in it that breaks a rule, by name; a tool that is not installed.
pub(crate) fn check(image: &Path, numbers: Numbers) -> Result {
    let names = binutils("nm", &["--format=just-symbols"], image)?;
    let symbols: Vec<&str> = names.lines().collect();
    let functions = listing::parse(&binutils("objdump", &["-d", "--no-show-raw-insn"], image)?);
    if functions.is_empty() {
        return Err(format!("{}: expected code with symbols, found none", image.display()));
    }
    let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect::<Vec<_>>();
    let broken = [
        ("can panic", owned(rules::panics(&symbols))),
        ("has an allocator", owned(rules::allocators(&symbols))),
        ("calls through a register", rules::indirect_calls(&functions)),
        ("recurses", rules::recursions(&functions)),
    ];
    let floating = [
        ("calculates in floating point by", owned(rules::float_helpers(&symbols))),
        ("calculates in floating point", rules::float_instructions(&functions)),
    ];
    let floating = floating.into_iter().filter(|_| numbers == Numbers::Whole);
    let mut message = String::new();
    for (what, items) in broken.into_iter().chain(floating) {
        for item in items {
            message += &format!("\n  {what}: {item}");
        }
    }
    if message.is_empty() { Ok(()) } else { Err(format!("{}:{message}", image.display())) }
}

/// Something in an image that has a name.
pub(crate) struct Symbol {
    /// As in the source.
    pub(crate) name: String,
    pub(crate) address: usize,
    pub(crate) size: usize,
}

/// A symbol with a name and a size.
///
/// # Errors
/// A tool that is not installed, a file that is no image.
pub(crate) fn symbols(image: &Path) -> Result<Vec<Symbol>> {
    let text = binutils("nm", &["--print-size", "--demangle", "--defined-only"], image)?;
    let symbol = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut number = || usize::from_str_radix(words.next()?, 16).ok();
        let (address, size) = (number()?, number()?);
        Some(Symbol { name: words.nth(1)?.into(), address, size })
    };
    Ok(text.lines().filter_map(symbol).collect())
}

/// Where the bytes of some addresses lie in a file of 32 bits; `None` if the file does not hold them.
pub(crate) fn place(file: &[u8], address: usize, size: usize) -> Option<Range<usize>> {
    const PROGRAM_HEADERS: usize = 28;
    let word = |at: usize| Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?) as usize);
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(file.get(at..at + 2)?.try_into().ok()?)));
    let (table, entry, count) =
        (word(PROGRAM_HEADERS)?, half(PROGRAM_HEADERS + 14)?, half(PROGRAM_HEADERS + 16)?);
    (0..count).find_map(|i| {
        let header = table + i * entry;
        // Type, offset, virtual address, physical address, bytes in the file.
        let [kind, offset, start, bytes] =
            [word(header)?, word(header + 4)?, word(header + 8)?, word(header + 16)?];
        let at = address.checked_sub(start).filter(|at| kind == 1 && at + size <= bytes)?;
        file.get(offset + at..offset + at + size).map(|_| offset + at..offset + at + size)
    })
}

/// The output of a tool for Arm's files.
fn binutils(tool: &str, arguments: &[&str], image: &Path) -> Result<String> {
    let program = format!("arm-none-eabi-{tool}");
    let output = process::Command::new(&program).args(arguments).arg(image).output();
    let output = output
        .map_err(|e| format!("cannot run {program} ({e}); install it with\n\n    cargo xtask setup\n"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
