//! A disassembled program: its functions, and the innermost loops in them.

use std::collections::HashMap;

/// One instruction of a program.
struct Instruction {
    address: u64,
    text: String,
    times: u64,
}

/// A function's instructions.
pub(super) struct Function {
    name: String,
    code: Vec<Instruction>,
}

/// A loop without another branch in it.
pub(super) struct Loop<'p> {
    function: &'p str,
    code: &'p [Instruction],
}

/// The functions of a listing, lines `ADDRESS <NAME>:` and `ADDRESS: TEXT`.
pub(super) fn functions(listing: &str, times: &HashMap<u64, u64>) -> Vec<Function> {
    let mut functions: Vec<Function> = vec![];
    for line in listing.lines() {
        if let Some((_, name)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
            functions.push(Function { name: readable(name), code: vec![] });
            continue;
        }
        let Some((address, text)) = line.split_once(':') else { continue };
        let (Ok(address), Some(function)) = (u64::from_str_radix(address.trim(), 16), functions.last_mut())
        else {
            continue;
        };
        // Notes of the disassembler: `<name+0x10>`, `@ imm = ...`, `// =0x...`.
        let end = ["<", "@", "//"].iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
        let text = text[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        function.code.push(Instruction { address, text, times: times.get(&address).copied().unwrap_or(0) });
    }
    functions
}

/// A symbol as the disassembler spells it, without what rustc adds: escapes, a hash, the unit that it was compiled in.
fn readable(symbol: &str) -> String {
    let name = symbol.split_once(" (.llvm.").map_or(symbol, |(name, _)| name);
    let name = name.rsplit_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(name, _)| name);
    let escapes = [("_$LT$", "<"), ("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$RF$", "&"), ("..", "::")];
    escapes.iter().fold(name.to_string(), |name, (escape, text)| name.replace(escape, text))
}

impl Function {
    /// Runs of instructions that end with a branch back to their start and have no other branch.
    pub(super) fn loops(&self) -> impl Iterator<Item = Loop<'_>> {
        let ends = self.code.iter().enumerate().filter(|(_, i)| i.times > 0);
        ends.filter_map(|(end, branch)| {
            let start = self.code.iter().position(|i| Some(i.address) == branch.target())?;
            let code = self.code.get(start..=end)?;
            let straight = code.iter().rev().skip(1).all(|i| !i.is_branch());
            straight.then_some(Loop { function: &self.name, code })
        })
    }
}

impl Instruction {
    fn is_branch(&self) -> bool {
        let name = self.text.split(' ').next().unwrap_or("").trim_end_matches(".w").trim_end_matches(".n");
        let plain = ["b", "bl", "blx", "br", "blr", "bx", "ret", "cbz", "cbnz", "tbz", "tbnz", "le"];
        let condition = name.strip_prefix("b.").or_else(|| name.strip_prefix('b')).unwrap_or("");
        plain.contains(&name)
            || ["eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"]
                .contains(&condition)
    }

    /// Where a branch goes.
    fn target(&self) -> Option<u64> {
        let word = self.text.rsplit(' ').next().filter(|_| self.is_branch())?;
        u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
    }

    /// Products that one execution adds up.
    fn products(&self) -> usize {
        let (name, operands) = self.text.split_once(' ').unwrap_or((&self.text, ""));
        let lanes = operands.split(',').next().and_then(|first| first.rsplit('.').next());
        match name.trim_end_matches('2') {
            "sdot" => 16,
            "smmla" => 32,
            // Of Helium; the disassembler leaves out the `ad` of `vmladava`.
            "vmlav.s8" | "vmlava.s8" => 16,
            "smull" | "smlal" | "mla" | "mul" if operands.starts_with('v') => match lanes {
                Some("8h") => 8,
                Some("4s") => 4,
                _ => 0,
            },
            "smlad" | "smuad" | "smlald" => 2,
            "smlabb" | "smlabt" | "smlatb" | "smlatt" | "mla" => 1,
            _ => 0,
        }
    }
}

impl Loop<'_> {
    /// Instructions, all times together.
    pub(super) fn executed(&self) -> u64 {
        self.code.iter().map(|i| i.times).sum()
    }

    /// Where it is, and how many instructions it has.
    pub(super) fn place(&self) -> (usize, String) {
        let start = self.code.first().map_or(0, |first| first.address);
        (self.code.len(), format!("{}, {start:x}", self.function))
    }

    /// Products that one pass adds up.
    pub(super) fn products(&self) -> usize {
        self.code.iter().map(Instruction::products).sum()
    }

    /// For the assembler, with a label at the start.
    pub(super) fn assembly(&self) -> String {
        let mut text = String::from(".Lstart:\n");
        for instruction in self.code {
            match (instruction.target(), instruction.text.rsplit_once(' ')) {
                (Some(_), Some((branch, _))) => text += &format!("{branch} .Lstart\n"),
                _ => text += &format!("{}\n", instruction.text),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "
0000000000000100 <conv::tile>:
     100:      \tmov\tx1, #0x4
     104:      \tldr\tq0, [x0], #0x10
     108:      \tsdot\tv1.4s, v0.16b, v2.4b[0]
     10c:      \tsmlal2\tv3.8h, v0.16b, v2.16b
     110:      \tsubs\tx1, x1, #0x1              // =1
     114:      \tb.ne\t0x104 <conv::tile+0x4>
     118:      \tcbnz\tx2, 0x100 <conv::tile>
     11c:      \tret
";

    #[test]
    fn a_loop_without_other_branches_is_found() {
        let times = (0x100..0x120).step_by(4).map(|address| (address, 10)).collect();
        let functions = functions(LISTING, &times);
        let loops: Vec<Loop<'_>> = functions[0].loops().collect();
        // The outer one has the inner one's branch in it.
        assert_eq!(loops.len(), 1);
        assert_eq!((loops[0].function, loops[0].executed(), loops[0].products()), ("conv::tile", 50, 24));
        let assembly = loops[0].assembly();
        assert!(assembly.starts_with(".Lstart:\nldr q0, [x0], #0x10\n"), "{assembly}");
        assert!(assembly.ends_with("subs x1, x1, #0x1\nb.ne .Lstart\n"), "{assembly}");
    }

    #[test]
    fn symbols_are_readable() {
        for (symbol, name) in [
            (
                "niello_kernels::microkernels::block::h3e3d06240847075c (.llvm.14909)",
                "niello_kernels::microkernels::block",
            ),
            ("_$LT$a..B$u20$as$u20$c..D$GT$::run::h9992cdf659a18213", "<a::B as c::D>::run"),
            ("memcpy", "memcpy"),
        ] {
            assert_eq!(readable(symbol), name);
        }
    }

    #[test]
    fn branches_of_both_architectures_are_known() {
        for (text, branch) in [
            ("b.ne 0x104", true),
            ("bne.w 0x104", true),
            ("bne 0x104", true),
            ("cbnz x2, 0x100", true),
            ("bl 0x10", true),
            ("bics r0, r1", false),
            ("bfi r0, r1, #1, #2", false),
            ("smlad r0, r1, r2, r0", false),
        ] {
            let instruction = Instruction { address: 0, text: text.into(), times: 0 };
            assert_eq!(instruction.is_branch(), branch, "{text}");
        }
    }
}
