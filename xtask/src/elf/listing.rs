//! A disassembly by `objdump -d --no-show-raw-insn`, read.

/// One function.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) instructions: Vec<Instruction>,
}

/// One instruction.
#[derive(Debug, PartialEq)]
pub(super) struct Instruction {
    pub(super) mnemonic: String,
    pub(super) operands: String,
}

impl Instruction {
    /// The function that a direct branch or call goes to.
    pub(super) fn target(&self) -> Option<&str> {
        if !self.mnemonic.starts_with('b') && !self.mnemonic.starts_with("cb") {
            return None;
        }
        let (_, label) = self.operands.strip_suffix('>')?.rsplit_once('<')?;
        Some(veneer(label).unwrap_or(label.rsplit_once("+0x").map_or(label, |(name, _)| name)))
    }

    /// Whether it goes to the middle of a function: a jump, also as `bl`, which is Thumb-1's only long one.
    pub(super) fn enters_midway(&self) -> bool {
        self.operands
            .strip_suffix('>')
            .and_then(|o| o.rsplit_once('<'))
            .is_some_and(|(_, l)| l.contains("+0x"))
    }

    /// Whether it comes back: a call, not a jump.
    pub(super) fn is_call(&self) -> bool {
        matches!(self.mnemonic.as_str(), "bl" | "blx")
    }

    /// Whether it goes where only a register says; returns and the jumps of a `match` are not meant.
    pub(super) fn is_indirect(&self) -> bool {
        let register = self.target().is_none() && self.operands != "lr";
        match self.mnemonic.as_str() {
            "bx" | "blx" => register,
            "mov" | "ldr" | "ldr.w" => self.operands.starts_with("pc,"),
            _ => false,
        }
    }
}

/// Where a linker's detour to a function out of reach goes, if it is one by its name: those of lld and of GNU's ld.
pub(super) fn veneer(name: &str) -> Option<&str> {
    let lld = name.strip_prefix("__Thumbv7ABSLongThunk_");
    lld.or_else(|| name.strip_prefix("__")?.strip_suffix("_veneer"))
}

/// All functions of a listing.
pub(super) fn parse(text: &str) -> Vec<Function> {
    let mut functions: Vec<Function> = Vec::new();
    for line in text.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            functions.push(Function { name: name.into(), ..Function::default() });
        } else if let Some((_, rest)) = line.split_once(":\t")
            && let Some(function) = functions.last_mut()
        {
            // Text behind a semicolon or an at sign is objdump's comment.
            let rest = rest.split([';', '@']).next().unwrap_or_default();
            let (mnemonic, operands) = rest.split_once('\t').unwrap_or((rest, ""));
            function
                .instructions
                .push(Instruction { mnemonic: mnemonic.trim().into(), operands: operands.trim().into() });
        }
    }
    functions
}
