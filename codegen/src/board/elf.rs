//! The memory of a board that a linked file takes.

use super::{Board, Usage};
use crate::{Error, Result};
use object::{
    Endianness, Object, ObjectSection, ObjectSymbol, elf,
    read::elf::{ElfFile, FileHeader, ProgramHeader, SectionHeader},
};
use std::path::Path;

/// The figures of the ELF file at `path`: sections by address, constants and arenas of models by their symbols
/// (`WEIGHTS`, `ARENA`). The stack is in no file: it is the board's reserve.
///
/// # Errors
/// A file that cannot be read, is no ELF, or has a section outside the board's memories.
pub fn elf_usage(path: impl AsRef<Path>, board: &Board) -> Result<Usage> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(Error::io("cannot read", path))?;
    let no_elf = |e: object::Error| Error::file(path, format!("expected an ELF file: {e}"));
    match object::FileKind::parse(&bytes[..]).map_err(no_elf)? {
        object::FileKind::Elf32 => measure::<elf::FileHeader32<Endianness>>(
            path,
            &ElfFile::parse(&bytes[..]).map_err(no_elf)?,
            board,
        ),
        object::FileKind::Elf64 => measure::<elf::FileHeader64<Endianness>>(
            path,
            &ElfFile::parse(&bytes[..]).map_err(no_elf)?,
            board,
        ),
        kind => Err(Error::file(path, format!("expected an ELF file, found {kind:?}"))),
    }
}

fn measure<H: FileHeader<Endian = Endianness>>(
    path: &Path,
    file: &ElfFile<'_, H>,
    board: &Board,
) -> Result<Usage> {
    let endian = file.endian();
    let mut usage = Usage::empty(board);
    // Under an operating system, addresses are virtual: everything is in the memory of the code.
    let memory_at = |section: &str, address: u64| match &board.os {
        Some(_) => Ok(board.place.code.as_str()),
        None => {
            let found = board.memory.iter().find(|m| (m.origin.0..m.end()).contains(&address));
            found.map(|m| m.name.as_str()).ok_or_else(|| {
                let message = format!("section `{section}` at {address:#010x} is in no memory");
                Error::file(path, format!("{message} of board `{}`", board.name))
            })
        }
    };
    for section in file.sections() {
        let header = section.elf_section_header();
        let has = |flag| header.sh_flags(endian).contains(flag);
        if !has(elf::SHF_ALLOC) || section.size() == 0 {
            continue;
        }
        let name = section.name().unwrap_or("?");
        let is_zero = header.sh_type(endian) == elf::SHT_NOBITS;
        let memory = memory_at(name, section.address())?;
        let of = |part: &str| -> u64 {
            let symbols = file.symbols().filter(|s| s.section_index() == Some(section.index()));
            symbols
                .filter(|s| s.name().is_ok_and(|n| n.contains(part)))
                .map(|s| s.size())
                .fold(0, u64::saturating_add)
        };
        let weights = of("WEIGHTS").min(section.size());
        let arena = of("ARENA").min(section.size() - weights);
        let rest = match (is_zero, has(elf::SHF_EXECINSTR), has(elf::SHF_WRITE)) {
            (true, ..) => "zeroed data",
            (_, true, _) => "code",
            (_, _, true) => "data",
            _ => "tables",
        };
        usage.add(memory, "weights", weights);
        usage.add(memory, "arena", arena);
        usage.add(memory, rest, section.size() - weights - arena);
        // Initial values of data in RAM, and code that is copied there, are in flash too.
        let offset = header.sh_offset(endian).into();
        let holds = |p: &&H::ProgramHeader| {
            let start: u64 = p.p_offset(endian).into();
            let bytes: u64 = p.p_filesz(endian).into();
            p.p_type(endian) == elf::PT_LOAD && (start..start + bytes).contains(&offset)
        };
        if let Some(segment) = file.elf_program_headers().iter().find(holds).filter(|_| !is_zero) {
            let (start, load): (u64, u64) = (segment.p_offset(endian).into(), segment.p_paddr(endian).into());
            let image = memory_at(name, load + offset - start)?;
            if image != memory {
                usage.add(image, rest, section.size());
            }
        }
    }
    usage.add(&board.place.stack, "stack", board.reserve.stack.0);
    Ok(usage)
}
