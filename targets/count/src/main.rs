//! `niello-count N`: runs its model N times and prints the checksum of the answer, for profilers.
//!
//! `niello-count layers`: the same work as the firmware in `../count-cortex-m`, with marks that `cargo xtask count` counts
//! instructions between. A mark is a call of [`mark`], which callgrind sees, with a system call in it, which `count.c` sees.
#![forbid(unsafe_code)]

#[allow(
    clippy::identity_op,
    dead_code,
    unreachable_pub,
    reason = "the generated model can do more than is asked of it here"
)]
mod models {
    include!(concat!(env!("NIELLO_GENERATED"), "/models.rs"));
}
mod work;

use models::{ARENA_BYTES, Buffers};
use niello::StaticCell;
use std::{process::ExitCode, str::FromStr};
pub(crate) use work::each_model;

/// Statics: neither fits a stack.
static ARENA: StaticCell<niello::Arena<ARENA_BYTES>> = StaticCell::new(niello::Arena::new());
static BUFFERS: StaticCell<Buffers> = StaticCell::new(Buffers::new());

/// The task.
enum Work {
    Repeat(usize),
    Layers,
}

impl FromStr for Work {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "layers" { Ok(Self::Layers) } else { text.parse().map(Self::Repeat) }
    }
}

fn main() -> ExitCode {
    let work = std::env::args().nth(1).unwrap_or_else(|| "1".into());
    let (Ok(work), Some(arena), Some(buffers)) = (work.parse(), ARENA.take(), BUFFERS.take()) else {
        eprintln!("usage: niello-count N|layers");
        return ExitCode::FAILURE;
    };
    match work {
        Work::Repeat(times) => {
            buffers.fill();
            (0..times).for_each(|_| buffers.infer(arena, &mut ()));
            println!("output {:016x}", buffers.checksum());
        }
        Work::Layers => work::layers(arena, buffers, mark, |text| print!("{text}")),
    }
    ExitCode::SUCCESS
}

/// A function of its own around a system call that costs little and that nothing else makes.
#[inline(never)]
fn mark() {
    std::hint::black_box(std::process::id());
}
