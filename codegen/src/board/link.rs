//! A board's memories for the linker.

use super::{Board, Kind, Memory};
use crate::{Error, Result};
use std::fmt::Write;

impl Board {
    /// The `memory.x` for `cortex-m-rt`: `FLASH`, `RAM` and further memories, the stack where the board wants it.
    ///
    /// Every further memory gets a section of its name in small letters (`.axisram` for `AXISRAM`), for parts of the
    /// model (see [`Board::weights_section`]) and statics of the application. In RAM it is not initialised. Where
    /// `place.hot` names a memory, the kernels' code gets a section `.hot` there, which is loaded from `FLASH`.
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
            let section = m.section();
            let (kind, after) = match m.kind {
                Kind::Flash => ("", ".rodata"),
                Kind::Ram => (" (NOLOAD)", ".uninit"),
            };
            let _ = write!(
                text,
                "\nSECTIONS\n{{\n  {section}{kind} : ALIGN(64)\n  {{\n    *({section} {section}.*);\n  }} > {}\n}} \
                 INSERT AFTER {after};\n",
                m.name
            );
        }
        text += &self.hot_code();
        Ok(text)
    }

    /// The section of the weights; `None`: with the code, as the linker has it.
    pub fn weights_section(&self) -> Option<String> {
        self.section_of(&self.place.weights, &self.place.code)
    }

    /// The section of the arena; `None`: with all other data.
    pub fn arena_section(&self) -> Option<String> {
        self.section_of(&self.place.arena, "RAM")
    }

    /// The section of a memory other than `usual`; none under an operating system.
    fn section_of(&self, memory: &str, usual: &str) -> Option<String> {
        let memory = self.find(memory).filter(|m| self.os.is_none() && m.name != usual)?;
        Some(memory.section())
    }

    #[cfg(feature = "imaging")]
    /// The memory whose section has that name.
    pub(crate) fn memory_of(&self, section: &str) -> Option<&Memory> {
        self.memory.iter().find(|m| section == m.section() || section.starts_with(&(m.section() + ".")))
    }

    /// The section of code that start-up copies to RAM, and the symbols that `niello::load_hot_code` copies by; without
    /// such code they are equal.
    fn hot_code(&self) -> String {
        let Some(memory) = &self.place.hot else {
            return "\n_hot_start = 0;\n_hot_end = 0;\n_hot_load = 0;\n".into();
        };
        // Nothing that Rust reads or writes lies at address 0.
        let skip = if self.find(memory).is_some_and(|m| m.origin.0 == 0) { 16 } else { 0 };
        // This stands before the sections of `link.x`, so the kernels go here and not to its `.text`.
        format!(
            "\nSECTIONS\n{{\n  .hot : ALIGN(16)\n  {{\n    . = . + {skip};\n    _hot_start = .;\n    *(.hot .hot.*);\n    \
             *(.text.*niello_kernels*);\n    . = ALIGN(8);\n    _hot_end = .;\n  }} > {memory} AT> FLASH\n}} INSERT AFTER \
             .rodata;\n_hot_load = LOADADDR(.hot) + {skip};\n"
        )
    }
}

impl Memory {
    /// The section of a further memory: its name in small letters.
    fn section(&self) -> String {
        format!(".{}", self.name.to_lowercase())
    }
}
