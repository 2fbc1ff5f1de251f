//! A board's memories for the linker.

use super::{Board, Kind};
use crate::{Error, Result};
use std::fmt::Write;

impl Board {
    /// The `memory.x` for `cortex-m-rt`: `FLASH`, `RAM` and further memories, the stack where the board wants it.
    ///
    /// Every further memory gets a section of its name in small letters (`.axisram` for `AXISRAM`), for the weights of
    /// `weights-section` and arenas of the application. In RAM it is not initialised.
    ///
    /// # Errors
    /// A board whose code is not in `FLASH`, that has no `RAM`, or that has an operating system.
    pub fn memory_x(&self) -> Result<String> {
        let refuse = |message: &str| Err(Error::Invalid(format!("board `{}`: {message}", self.name)));
        if self.os.is_some() {
            return refuse("has an operating system, `memory.x` is for machines without");
        }
        if self.place.code != "FLASH" || !self.memory.iter().any(|m| m.name == "RAM" && m.kind == Kind::Ram) {
            return refuse("`cortex-m-rt` wants code in a memory `FLASH`, and a memory `RAM`");
        }
        let mut text = format!("/* {}, from its board.toml */\nMEMORY\n{{\n", self.name);
        for m in &self.memory {
            let _ = writeln!(text, "  {} : ORIGIN = {:#010x}, LENGTH = {}", m.name, m.origin.0, m.length.0);
        }
        text.push_str("}\n");
        let stack = &self.place.stack;
        if stack != "RAM" {
            let section = stack.to_lowercase();
            let _ = write!(
                text,
                "\n_stack_start = ORIGIN({stack}) + LENGTH({stack});\n_stack_end = ORIGIN({stack}) + SIZEOF(.{section});\n"
            );
        }
        for m in self.memory.iter().filter(|m| !["FLASH", "RAM"].contains(&m.name.as_str())) {
            let section = m.name.to_lowercase();
            let (kind, after) = match m.kind {
                Kind::Flash => ("", ".rodata"),
                Kind::Ram => (" (NOLOAD)", ".uninit"),
            };
            let _ = write!(
                text,
                "\nSECTIONS\n{{\n  .{section}{kind} : ALIGN(16)\n  {{\n    *(.{section} .{section}.*);\n  }} > {}\n}} \
                 INSERT AFTER {after};\n",
                m.name
            );
        }
        Ok(text)
    }
}
