//! The rules of a release firmware image; each names the symbols that break it.

use super::listing::{Function, Instruction, veneer};
use std::collections::{BTreeMap, BTreeSet};

/// Symbols of Rust's panics.
pub(super) fn panics<'a>(symbols: &[&'a str]) -> Vec<&'a str> {
    // Mangled names hold a path's parts with their lengths before them, in both manglings.
    having(symbols, |name| name.contains("9panicking") || name.contains("rust_begin_unwind"))
}

/// Symbols of an allocator, Rust's or C's.
pub(super) fn allocators<'a>(symbols: &[&'a str]) -> Vec<&'a str> {
    const C: &[&str] = &["malloc", "calloc", "realloc", "free", "_sbrk", "_malloc_r", "_free_r", "_sbrk_r"];
    having(symbols, |name| {
        C.contains(&name) || ["rust_alloc", "rust_realloc"].iter().any(|a| name.contains(a))
    })
}

/// Helpers that calculate in floating point by software.
pub(super) fn float_helpers<'a>(symbols: &[&'a str]) -> Vec<&'a str> {
    having(symbols, |name| {
        let eabi = name.strip_prefix("__aeabi_").is_some_and(|rest| {
            rest.starts_with(['f', 'd'])
                || rest.starts_with("cf")
                || rest.starts_with("cd")
                || rest.ends_with("2f")
                || rest.ends_with("2d")
        });
        let gnu = name.starts_with("__")
            && ["sf2", "sf3", "df2", "df3", "sfsi", "dfsi", "sisf", "sidf"].iter().any(|s| name.ends_with(s));
        eabi || gnu
    })
}

/// Instructions that calculate in floating point: `function: instruction`. Moves, loads and stores may be for anything.
pub(super) fn float_instructions(functions: &[Function]) -> Vec<String> {
    let float = |mnemonic: &str| {
        mnemonic.starts_with('v')
            && [".f16", ".f32", ".f64"].iter().any(|ty| mnemonic.contains(ty))
            && !mnemonic.starts_with("vmov")
    };
    listed(functions, |instruction| float(&instruction.mnemonic))
}

/// Calls and jumps to where a register says: the call graph does not show where they go.
/// A linker's detour names where it goes.
pub(super) fn indirect_calls(functions: &[Function]) -> Vec<String> {
    let own = |function: &&Function| veneer(&function.name).is_none();
    functions.iter().filter(own).flat_map(|f| of(f, Instruction::is_indirect)).collect()
}

/// Functions that can be reached from themselves: `a -> b -> a`.
pub(super) fn recursions(functions: &[Function]) -> Vec<String> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for function in functions {
        let calls = graph.entry(&function.name).or_default();
        for instruction in &function.instructions {
            // A jump within a function is a loop.
            let target = instruction.target().filter(|target| {
                *target != function.name || (instruction.is_call() && !instruction.enters_midway())
            });
            calls.extend(target);
        }
    }
    let (mut found, mut done) = (Vec::new(), BTreeSet::new());
    for name in graph.keys() {
        visit(name, &graph, &mut Vec::new(), &mut done, &mut found);
    }
    found
}

fn visit<'a>(
    name: &'a str,
    graph: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
    found: &mut Vec<String>,
) {
    if let Some(start) = path.iter().position(|on_path| *on_path == name) {
        found.push(format!("{} -> {name}", path[start..].join(" -> ")));
        return;
    }
    if !done.insert(name) {
        return;
    }
    path.push(name);
    for callee in graph.get(name).into_iter().flatten() {
        visit(callee, graph, path, done, found);
    }
    path.pop();
}

fn having<'a>(symbols: &[&'a str], wanted: impl Fn(&str) -> bool) -> Vec<&'a str> {
    symbols.iter().copied().filter(|name| wanted(name)).collect()
}

fn listed(functions: &[Function], wanted: impl Fn(&Instruction) -> bool) -> Vec<String> {
    functions.iter().flat_map(|function| of(function, &wanted)).collect()
}

/// The instructions of one function: `function: instruction`.
fn of(function: &Function, wanted: impl Fn(&Instruction) -> bool) -> Vec<String> {
    let bad = function.instructions.iter().filter(|i| wanted(i));
    bad.map(|i| format!("{}: {} {}", function.name, i.mnemonic, i.operands)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::listing::parse, *};

    const CLEAN: &str = "00000400 <main>:\n 400:\tpush\t{r7, lr}\n 402:\tbl\t500 <leaf>\n 406:\tb.n\t402 <main+0x2>\n\n\
                         00000500 <leaf>:\n 500:\tvmov.f32\ts0, s1\n 502:\tbx\tlr\n";

    #[test]
    fn clean_code_breaks_no_rule() {
        let functions = parse(CLEAN);
        assert_eq!(functions.len(), 2);
        assert_eq!(recursions(&functions), [""; 0]);
        assert_eq!(indirect_calls(&functions), [""; 0]);
        assert_eq!(float_instructions(&functions), [""; 0]);
        let symbols = ["main", "WEIGHTS", "__aeabi_memcpy", "__aeabi_uidiv", "__aeabi_lmul", "__aeabi_idiv0"];
        assert!(
            panics(&symbols).is_empty()
                && allocators(&symbols).is_empty()
                && float_helpers(&symbols).is_empty()
        );
    }

    #[test]
    fn recursion_is_named_direct_and_through_tail_calls() {
        let direct = parse("00000400 <f>:\n 400:\tbl\t400 <f>\n");
        assert_eq!(recursions(&direct), ["f -> f"]);
        let tail = parse("00000400 <f>:\n 400:\tbl\t500 <g>\n\n00000500 <g>:\n 500:\tb.w\t400 <f>\n");
        assert_eq!(recursions(&tail), ["f -> g -> f"]);
    }

    #[test]
    fn a_long_jump_within_a_function_is_no_recursion() {
        let text = "00000400 <f>:\n 400:\tpush\t{r7, lr}\n 402:\tbl\t500 <f+0x100>\n 406:\tpop\t{r7, pc}\n";
        assert_eq!(recursions(&parse(text)), [""; 0]);
        assert_eq!(recursions(&parse(&text.replace("+0x100", ""))).len(), 1);
    }

    #[test]
    fn indirect_calls_are_listed() {
        let functions =
            parse("00000400 <f>:\n 400:\tblx\tr3\n 402:\tbx\tr0\n 404:\tbx\tlr\n 406:\tldr\tpc, [r0]\n");
        assert_eq!(indirect_calls(&functions), ["f: blx r3", "f: bx r0", "f: ldr pc, [r0]"]);
    }

    #[test]
    fn detours_are_followed() {
        let text = "00000400 <f>:\n 400:\tbl\t500 <__Thumbv7ABSLongThunk_g>\n\n\
                    00000500 <__Thumbv7ABSLongThunk_g>:\n 500:\tmovw\tip, #1\n 504:\tbx\tip\n\n\
                    20000000 <g>:\n 20000000:\tb.w\t508 <__f_veneer>\n";
        let functions = parse(text);
        assert_eq!(indirect_calls(&functions), [""; 0]);
        assert_eq!(recursions(&functions), ["f -> g -> f"]);
    }

    #[test]
    fn floating_point_instructions_are_listed() {
        let functions = parse("00000400 <f>:\n 400:\tvadd.f32\ts0, s0, s1\n 404:\tvcvt.s32.f32\ts0, s0\n");
        assert_eq!(float_instructions(&functions).len(), 2);
    }

    #[test]
    fn forbidden_symbols_are_found() {
        assert_eq!(panics(&["_ZN4core9panicking5panic17h0123E", "__rustc17rust_begin_unwind"]).len(), 2);
        assert_eq!(allocators(&["__rust_alloc", "malloc", "_sbrk", "free"]).len(), 4);
        let floats =
            ["__aeabi_fadd", "__aeabi_dmul", "__aeabi_i2f", "__aeabi_ui2d", "__aeabi_f2iz", "__addsf3"];
        assert_eq!(float_helpers(&floats).len(), floats.len());
    }
}
