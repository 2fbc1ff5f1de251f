//! Boards: the memories of a machine, the part that lies in each, and the needs of the firmware beside the model, as a text.
//!
//! ```toml
//! name = "stm32f446"
//! summary = "ST NUCLEO-F446RE"
//! core = "cortex-m4"
//! rust-target = "thumbv7em-none-eabihf"
//! target = "portable"
//!
//! [[memory]]
//! name = "FLASH"
//! kind = "flash"
//! origin = 0x0800_0000
//! length = "512K"
//! # … and one of kind "ram"
//!
//! [place]
//! code = "FLASH"
//! weights = "FLASH"
//! arena = "RAM"
//! stack = "RAM"
//!
//! [reserve]
//! code = "64K"
//! stack = "8K"
//! ```
//!
//! * `size`: byte sizes, also as `"512K"`.
//! * `link`: the `memory.x` of a board.
//! * `usage`: the bytes that a program takes of each memory, and whether it fits.
//! * `peak_memory`: the step that needs the most memory.
//! * `elf`: the same figures of a linked file.
//!
//! `docs/adding-a-board.md` describes every key.

mod elf;
mod link;
mod peak_memory;
mod size;
mod usage;

pub use elf::elf_usage;
pub use peak_memory::{LiveTensor, PeakMemory, peak_memory};
pub use size::Size;
pub use usage::{MemoryUse, Part, Usage, check, usage};

use crate::{Error, Result, error::parse_toml, lower::Target};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// A machine to run on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Board {
    /// Name, as in recipes.
    pub name: String,
    /// One line of explanation.
    pub summary: String,
    /// The core, e.g. `cortex-m7`.
    pub core: String,
    /// Rust's name of the machine, e.g. `thumbv7em-none-eabihf`.
    pub rust_target: String,
    /// The target that weights are packed for.
    pub target: String,
    /// The operating system; absent: none. Under one, addresses are not the board's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// The memories.
    pub memory: Vec<Memory>,
    /// The memory of each part.
    pub place: Place,
    /// Bytes for the firmware beside the model.
    pub reserve: Reserve,
}

/// A memory of a board.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Name, as in linker scripts.
    pub name: String,
    /// Flash or RAM.
    pub kind: Kind,
    /// First address.
    #[serde(default)]
    pub origin: Size,
    /// Bytes.
    pub length: Size,
}

/// The kind of a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Read in place, written by programming it.
    Flash,
    /// Read and written.
    Ram,
}

/// Names of the memories that hold each part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Code and read-only data.
    pub code: String,
    /// The model's constants.
    pub weights: String,
    /// The model's arena.
    pub arena: String,
    /// The stack.
    pub stack: String,
    /// Buffers of inputs and outputs; absent: with the arena.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io: Option<String>,
    /// A RAM that the code of the kernels is copied to at start-up (tightly coupled memory); absent: it runs where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<String>,
}

/// Bytes that are set aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// For code: kernels, start-up, the application.
    pub code: Size,
    /// For the stack.
    pub stack: Size,
    /// For the code in `place.hot`; its copy in flash is part of `code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hot: Option<Size>,
}

impl Board {
    /// Reads a board's file.
    ///
    /// # Errors
    /// If the file cannot be read, or is no board: one that names the file, the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        read(path, &fs::read_to_string(path).map_err(Error::io("cannot read", path))?)
    }

    /// Reads a board's text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`Board::from_file`].
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        read(Path::new(name), text)
    }

    /// The memory of that name.
    pub fn find(&self, name: &str) -> Option<&Memory> {
        self.memory.iter().find(|m| m.name == name)
    }

    /// Each part with its memory.
    fn roles(&self) -> Vec<(&'static str, &str)> {
        let place = &self.place;
        let io = place.io.as_deref().unwrap_or(&place.arena);
        let named = [&place.code, &place.weights, &place.arena, &place.stack].map(String::as_str);
        let mut roles = vec![
            ("code", named[0]),
            ("weights", named[1]),
            ("arena", named[2]),
            ("stack", named[3]),
            ("io", io),
        ];
        roles.extend(place.hot.as_deref().map(|hot| ("hot", hot)));
        roles
    }

    fn problem(&self) -> Option<String> {
        if self.name.trim().is_empty() {
            return Some("`name` is empty, expected the board's name".into());
        }
        if let Err(error) = Target::find(&self.target) {
            return Some(format!("`target`: {error}"));
        }
        for (i, memory) in self.memory.iter().enumerate() {
            if let Some(problem) = memory.problem() {
                return Some(problem);
            }
            for other in &self.memory[..i] {
                if other.name == memory.name {
                    return Some(format!("memory `{}` is there twice, expected different names", other.name));
                }
                if other.origin.0 < memory.end() && memory.origin.0 < other.end() {
                    return Some(format!(
                        "memories `{}` ({}) and `{}` ({}) overlap",
                        other.name,
                        other.range(),
                        memory.name,
                        memory.range()
                    ));
                }
            }
        }
        if self.place.hot.is_some() != self.reserve.hot.is_some() {
            return Some("`place.hot` and `reserve.hot` belong together, expected both or none".into());
        }
        self.roles().into_iter().find_map(|(role, name)| match self.find(name) {
            None => {
                let names: Vec<&str> = self.memory.iter().map(|m| m.name.as_str()).collect();
                Some(format!("`place.{role}` is `{name}`, expected one of the memories {}", names.join(", ")))
            }
            Some(m) if m.kind == Kind::Flash && matches!(role, "arena" | "stack" | "io" | "hot") => {
                Some(format!("`place.{role}` is `{name}`, a flash; expected a memory of kind `ram`"))
            }
            Some(_) => None,
        })
    }
}

impl Memory {
    /// The address behind the last byte.
    fn end(&self) -> u64 {
        self.origin.0.saturating_add(self.length.0)
    }

    fn range(&self) -> String {
        format!("{:#010x}..{:#010x}", self.origin.0, self.end())
    }

    fn problem(&self) -> Option<String> {
        let is_symbol = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.name.is_empty()
            || !self.name.chars().all(is_symbol)
            || self.name.starts_with(|c: char| c.is_ascii_digit())
        {
            return Some(format!("memory `{}`: expected a name of letters, digits and `_`", self.name));
        }
        if self.length.0 == 0 || self.origin.0.checked_add(self.length.0).is_none() {
            return Some(format!("memory `{}`: length {} is impossible", self.name, self.length.0));
        }
        None
    }
}

fn read(name: &Path, text: &str) -> Result<Board> {
    let board: Board = parse_toml(name, text)?;
    match board.problem() {
        Some(problem) => Err(Error::file(name, problem)),
        None => Ok(board),
    }
}
