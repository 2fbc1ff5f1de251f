//! Boards: their texts, their linker scripts, what fits, and what a linked file takes.

mod common;

use niello_codegen::{
    board::{Board, check, elf_usage, peak_memory, usage},
    format::{Format, Mode},
    lower::{Target, lower},
    passes::optimize,
    precision::{
        float::everywhere,
        int16::{Wide, widen},
    },
    program::{Metadata, Program},
};
use std::{fs, path::Path};

/// A board with flash and RAM of these sizes.
fn board(flash: u64, ram: u64) -> Board {
    Board::parse("test", &text(flash, ram)).unwrap()
}

fn text(flash: u64, ram: u64) -> String {
    format!(
        "name = 'test'\nsummary = 'for tests'\ncore = 'cortex-m4'\nrust-target = 'thumbv7em-none-eabihf'\n\
         target = 'portable'\n\
         memory = [{{ name = 'FLASH', kind = 'flash', origin = 0x0800_0000, length = {flash} }},\n\
         {{ name = 'RAM', kind = 'ram', origin = 0x2000_0000, length = {ram} }}]\n\
         place = {{ code = 'FLASH', weights = 'FLASH', arena = 'RAM', stack = 'RAM' }}\n\
         reserve = {{ code = '1K', stack = 512 }}\n"
    )
}

fn program() -> Program {
    common::program(common::anam_like(), "portable")
}

/// The error's text for the board's text after a replacement.
fn problem(from: &str, to: &str) -> String {
    let text = text(1 << 20, 1 << 17);
    assert!(text.contains(from), "{from}");
    Board::parse("board.toml", &text.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn sizes_have_units() {
    let parsed = |length: &str| {
        let text = text(1 << 20, 77).replace("length = 77", &format!("length = {length}"));
        Board::parse("test", &text).map(|b| b.memory[1].length.0)
    };
    for (length, bytes) in [("'2M'", 2 << 20), ("'512K'", 512 << 10), ("0x400", 1024), ("'300'", 300)] {
        assert_eq!(parsed(length).unwrap(), bytes);
    }
    for length in ["'K'", "'2X'", "-1", "0", "'99999999999G'", "1.5"] {
        assert!(parsed(length).is_err(), "{length}");
    }
}

#[test]
fn what_is_wrong_with_a_board_is_said() {
    for (from, to, expected) in [
        ("summary", "sumary", "board.toml: line 2: unknown field `sumary`, expected one of `name`"),
        ("0x2000_0000", "0x0800_1000", "memories `FLASH` (0x08000000..0x08100000) and `RAM` (0x08001000.."),
        ("'RAM', kind", "'FLASH', kind", "memory `FLASH` is there twice"),
        ("stack = 512", "stack = 512, hot = '4K'", "`place.hot` and `reserve.hot` belong together"),
        (
            "stack = 'RAM'",
            "stack = 'DTCM'",
            "`place.stack` is `DTCM`, expected one of the memories FLASH, RAM",
        ),
        ("arena = 'RAM'", "arena = 'FLASH'", "`place.arena` is `FLASH`, a flash"),
        ("weights = 'FLASH', ", "", "missing field `weights`"),
        ("'portable'", "'z80'", "no target `z80`"),
    ] {
        let message = problem(from, to);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_program_fits_to_the_byte() {
    let program = program();
    let wide = usage(&program, &board(1 << 28, 1 << 28), 256);
    let [flash, ram] = [0, 1].map(|i| wide.memories[i].used);
    assert_eq!(flash, program.constant_bytes() as u64 + 1024 + 256);
    assert_eq!(ram, program.plan.arena_bytes as u64 + 512 + 12 * 8 * (1 + 3));
    check(&program, &board(flash, ram), 256).unwrap();

    let message = check(&program, &board(flash - 7, ram), 256).unwrap_err().to_string();
    assert!(message.contains("FLASH: 7 bytes too many") && !message.contains("RAM:"), "{message}");
    let heaviest = program.steps.iter().max_by_key(|s| s.constant_bytes).unwrap();
    let named = format!("heaviest layers: {} {}", heaviest.name, heaviest.constant_bytes);
    assert!(message.contains(&named), "{named} in {message}");

    let message = check(&program, &board(flash, ram - 5), 256).unwrap_err().to_string();
    assert!(message.contains("RAM: 5 bytes too many") && !message.contains("FLASH:"), "{message}");
    let layer = peak_memory(&program).unwrap().layer;
    assert!(message.contains(&format!("peak at layer `{layer}`")), "{message}");
}

#[test]
fn inputs_and_outputs_are_counted_in_bytes() {
    let io = |program: &Program| {
        let usage = usage(program, &board(1 << 28, 1 << 28), 0);
        let parts = usage.memories[1].parts.iter();
        parts.filter(|part| part.name == "input and output").map(|part| part.bytes).sum::<u64>()
    };
    let elements = 12 * 8 * (1 + 3);
    for (mode, bytes) in [(Mode::F32, 4), (Mode::F16, 2), (Mode::F16Native, 2)] {
        let graph = optimize(common::anam_like());
        let q = everywhere(graph, mode);
        let program = lower(&q, Target::find("portable").unwrap(), Metadata::default()).unwrap();
        assert_eq!(io(&program), bytes * elements, "{mode:?}");
        let [flash, ram] = [0, 1].map(|i| usage(&program, &board(1 << 28, 1 << 28), 0).memories[i].used);
        check(&program, &board(flash, ram), 0).unwrap();
        check(&program, &board(flash, ram - 1), 0).unwrap_err();
    }
    // Layers of 16 bits lie between an input and an output of 8.
    let calibration = common::calibrated(&optimize(common::anam_like()));
    let mut q = common::quantized(common::anam_like());
    widen(&mut q, &calibration, &Wide { activations: ["down".into()].into(), ..Wide::default() }).unwrap();
    let program = lower(&q, Target::find("portable").unwrap(), Metadata::default()).unwrap();
    assert!(program.tensors.iter().any(|tensor| matches!(tensor.format, Format::Int16 { .. })));
    assert_eq!(io(&program), elements);
}

#[test]
fn the_peak_is_the_lower_bound_of_the_plan() {
    for graph in [common::anam_like(), common::branching()] {
        let program = common::program(graph, "portable");
        assert_eq!(peak_memory(&program).unwrap().bytes(), program.plan.lower_bound_bytes as u64);
    }
}

#[test]
fn linker_scripts_name_every_memory() {
    assert_eq!(
        board(1 << 20, 1 << 17).memory_x().unwrap(),
        "/* test, from its board.toml */\nMEMORY\n{\n  FLASH : ORIGIN = 0x08000000, LENGTH = 1048576\n  \
         RAM : ORIGIN = 0x20000000, LENGTH = 131072\n}\n\n_hot_start = 0;\n_hot_end = 0;\n_hot_load = 0;\n"
    );
    let more = text(1 << 20, 1 << 17)
        .replace("}]", "},\n{ name = 'DTCM', kind = 'ram', origin = 0x3000_0000, length = '64K' }]")
        .replace("stack = 'RAM'", "stack = 'DTCM'");
    let script = Board::parse("test", &more).unwrap().memory_x().unwrap();
    let end = "\n_stack_start = ORIGIN(DTCM) + LENGTH(DTCM);\n_stack_end = ORIGIN(DTCM) + SIZEOF(.dtcm);\n\nSECTIONS\n{\n  .dtcm (NOLOAD) : ALIGN(64)\n  {\n    \
               *(.dtcm .dtcm.*);\n  } > DTCM\n} INSERT AFTER .uninit;\n\n_hot_start = 0;\n";
    assert!(script.contains(end), "{script}");

    let hot = more
        .replace("stack = 'DTCM'", "stack = 'DTCM', hot = 'DTCM'")
        .replace("stack = 512", "stack = 512, hot = '8K'");
    let board = Board::parse("test", &hot).unwrap();
    let script = board.memory_x().unwrap();
    let section = "\nSECTIONS\n{\n  .hot : ALIGN(16)\n  {\n    . = . + 0;\n    _hot_start = .;\n    *(.hot .hot.*);\n    \
                   *(.text.*niello_kernels*);\n    . = ALIGN(8);\n    _hot_end = .;\n  } > DTCM AT> FLASH\n} INSERT AFTER \
                   .rodata;\n_hot_load = LOADADDR(.hot) + 0;\n";
    assert!(script.ends_with(section), "{script}");
    let at_zero = Board::parse("test", &hot.replace("0x3000_0000", "0")).unwrap().memory_x().unwrap();
    assert!(
        at_zero.contains("{\n    . = . + 16;\n    _hot_start") && at_zero.contains("LOADADDR(.hot) + 16;")
    );
    let program = common::program(common::branching(), "portable");
    let usage = usage(&program, &board, 0);
    assert_eq!(
        usage.memories[2].parts.iter().map(|p| (p.name, p.bytes)).collect::<Vec<_>>(),
        [("stack", 512), ("code", 8192)]
    );
}

#[test]
fn places_of_a_board_become_sections_of_the_model() {
    let text = text(1 << 20, 1 << 17)
        .replace(
            "}]",
            "},\n{ name = 'QSPI', kind = 'flash', origin = 0x9000_0000, length = '8M' },\n\
                  { name = 'PSRAM', kind = 'ram', origin = 0x6000_0000, length = '8M' }]",
        )
        .replace("weights = 'FLASH'", "weights = 'QSPI'")
        .replace("arena = 'RAM'", "arena = 'PSRAM'");
    let board = Board::parse("test", &text).unwrap();
    assert_eq!(
        (board.weights_section(), board.arena_section()),
        (Some(".qspi".into()), Some(".psram".into()))
    );
    let linux = Board::parse("test", &text.replace("core =", "os = 'linux'\ncore =")).unwrap();
    assert_eq!((linux.weights_section(), linux.arena_section()), (None, None));
}

#[test]
fn every_board_of_the_tree_is_one() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../targets");
    let embedded = targets.join("../models/boards");
    let mut found = 0;
    for folder in fs::read_dir(targets).unwrap().map(|e| e.unwrap().path()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let own = [(name, folder.join("board.toml"))].into_iter().filter(|(_, file)| file.exists());
        let more = fs::read_dir(folder.join("boards")).into_iter().flatten().map(|e| e.unwrap().path());
        let more = more.map(|file| (file.file_stem().unwrap().to_string_lossy().into_owned(), file));
        for (name, file) in own.chain(more) {
            let board = Board::from_file(&file).unwrap();
            assert_eq!(board.name, name, "{}", file.display());
            let linked = fs::read(embedded.join(&name).with_extension("toml")).unwrap_or_default();
            assert_eq!(
                linked,
                fs::read(&file).unwrap(),
                "models/boards/{name}.toml is no link to {}",
                file.display()
            );
            assert_eq!(board.memory_x().is_ok(), board.os.is_none(), "{}", file.display());
            found += 1;
        }
    }
    assert!(found > 0);
}

/// A 32-bit ELF: sections `(type, flags, address, bytes)` and symbols `(name, section, bytes)`, one segment per section
/// with bytes, loaded at `load`.
struct Elf {
    sections: Vec<(&'static str, u32, u32, u32, u32)>,
    symbols: Vec<(&'static str, u16, u32)>,
    load: Vec<(usize, u32)>,
}

impl Elf {
    fn bytes(&self) -> Vec<u8> {
        let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let mut names = vec![0];
        let mut name = |text: &str| {
            let at = names.len() as u32;
            names.extend(text.bytes().chain([0]));
            at
        };
        let mut data = vec![];
        let base = 52 + 32 * self.load.len() as u32;
        let mut headers = words(&[0; 10]);
        let mut offsets = vec![];
        for (text, kind, flags, address, size) in &self.sections {
            let offset = base + data.len() as u32;
            offsets.push(offset);
            if *kind != 8 {
                data.extend(vec![0xa5; *size as usize]);
            }
            headers.extend(words(&[name(text), *kind, *flags, *address, offset, *size, 0, 0, 1, 0]));
        }
        let mut symbols = words(&[0; 4]);
        for (text, section, size) in &self.symbols {
            let address = self.sections[*section as usize - 1].3;
            symbols.extend(words(&[name(text), address, *size, 1 | (u32::from(*section) << 16)]));
        }
        let strings = self.sections.len() as u32 + 2;
        let at = base + data.len() as u32;
        let header = [name(".symtab"), 2, 0, 0, at, symbols.len() as u32, strings, 1, 4, 16];
        headers.extend(words(&header));
        let at = at + symbols.len() as u32;
        let own = name(".strtab");
        headers.extend(words(&[own, 3, 0, 0, at, names.len() as u32, 0, 0, 1, 0]));
        let table = at + names.len() as u32;
        let count = strings as u16 + 1;
        let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend([2u16, 40].iter().flat_map(|h| h.to_le_bytes()));
        file.extend(words(&[1, 0, 52, table, 0]));
        let sizes = [52u16, 32, self.load.len() as u16, 40, count, count - 1];
        file.extend(sizes.iter().flat_map(|h| h.to_le_bytes()));
        for (section, address) in &self.load {
            let (_, _, _, to, size) = self.sections[*section];
            file.extend(words(&[1, offsets[*section], to, *address, size, size, 4, 1]));
        }
        file.extend(data);
        file.extend(symbols);
        file.extend(names);
        file.extend(headers);
        file
    }
}

#[test]
fn a_linked_file_is_told_apart_by_sections_and_symbols() {
    let (progbits, nobits) = (1, 8);
    let (alloc, write, exec) = (2, 1, 4);
    let mut elf = Elf {
        sections: vec![
            (".text", progbits, alloc | exec, 0x0800_0000, 300),
            (".rodata", progbits, alloc, 0x0800_1000, 1000),
            (".data", progbits, alloc | write, 0x2000_0000, 40),
            (".bss", nobits, alloc | write, 0x2000_0100, 5000),
            (".comment", progbits, 0, 0, 99),
        ],
        symbols: vec![("_ZN5model7WEIGHTS17h0E", 2, 900), ("_ZN5model5ARENA17h1E", 4, 4096)],
        load: vec![(0, 0x0800_0000), (1, 0x0800_1000), (2, 0x0800_2000)],
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("firmware");
    fs::write(&file, elf.bytes()).unwrap();
    let usage = elf_usage(&file, &board(1 << 20, 1 << 17)).unwrap();
    let parts = |i: usize| usage.memories[i].parts.iter().map(|p| (p.name, p.bytes)).collect::<Vec<_>>();
    assert_eq!(parts(0), [("code", 300), ("weights", 900), ("tables", 100), ("data", 40)]);
    assert_eq!(parts(1), [("data", 40), ("arena", 4096), ("zeroed data", 904), ("stack", 512)]);

    elf.sections[3].3 = 0x4000_0000;
    fs::write(&file, elf.bytes()).unwrap();
    let message = elf_usage(&file, &board(1 << 20, 1 << 17)).unwrap_err().to_string();
    assert!(message.contains("section `.bss` at 0x40000000 is in no memory of board `test`"), "{message}");

    fs::write(&file, "no ELF").unwrap();
    assert!(elf_usage(&file, &board(1 << 20, 1 << 17)).unwrap_err().to_string().contains("expected an ELF"));
}
