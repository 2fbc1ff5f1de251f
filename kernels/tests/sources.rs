//! What the source says about its assembly, where nothing else would notice.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Source files in a folder beside the crate's manifest, each with its path there and its text without comments.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = vec![];
    walk(&root, &mut files);
    let code = |text: String| -> String {
        text.lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    let name = |file: &PathBuf| file.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|file| (name(file), code(fs::read_to_string(file).unwrap()))).collect()
}

/// Assembly blocks of a file: their templates and operands. Every block ends with a parenthesis.
fn blocks(code: &str) -> Vec<&str> {
    let mut blocks = vec![];
    for (at, _) in code.match_indices("asm!(") {
        let block = &code[at..];
        let mut depth = 0;
        let mut quoted = false;
        let end = block.char_indices().find(|(i, c)| {
            match c {
                '"' if !block[..*i].ends_with('\\') => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted => depth -= 1,
                _ => {}
            }
            *c == ')' && !quoted && depth == 0
        });
        blocks.push(&block[..end.expect("a block ends").0]);
    }
    blocks
}

/// The status of floating point and saturation are flags too: FPSR on aarch64, MXCSR on x86. Only blocks without any instruction preserve them.
#[test]
fn no_block_with_instructions_says_that_it_preserves_flags() {
    let (mut all, mut preserving) = (0, 0);
    for (file, code) in sources("src") {
        for block in blocks(&code) {
            all += 1;
            if !block.contains("preserves_flags") {
                continue;
            }
            preserving += 1;
            let mut texts = block.split('"').skip(1).step_by(2);
            let is_comment = |text: &str| text.starts_with("/*") && text.ends_with("*/");
            assert!(texts.all(is_comment) && !block.contains("concat!"), "{file}: {block}");
        }
        let within = blocks(&code).iter().filter(|block| block.contains("preserves_flags")).count();
        assert_eq!(code.matches("preserves_flags").count(), within, "{file}: outside of a block");
    }
    assert!(all > 30 && preserving == 2, "{all} blocks, of which {preserving} preserve flags");
}

/// Two versions of a crate can be linked together: names that linkers see are Rust's.
#[test]
fn nothing_has_a_name_of_its_own_for_linkers() {
    for (file, code) in ["src", "../runtime/src"].into_iter().flat_map(sources) {
        for named in ["global_asm!", "no_mangle", "export_name", ".globl", ".global ", "link_section"] {
            assert!(!code.contains(named), "{file}: {named}");
        }
    }
}

/// Assembly that loads addresses has their size, and the order of bytes, from its file.
#[test]
fn files_with_assembly_for_64_bits_say_so() {
    let mut files = 0;
    for (file, code) in sources("src") {
        let vectors = ["neon", "dotprod", "i8mm", "fp16", "avx2"].iter().any(|name| file.contains(name));
        let has_instructions = blocks(&code).iter().any(|block| !block.contains("/* {0} */"));
        if vectors && has_instructions {
            files += 1;
            assert!(
                code.contains(r#"assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"))"#),
                "{file}"
            );
        }
    }
    assert!(files > 8, "{files}");
}
