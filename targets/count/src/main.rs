//! `niello-count N`: runs its model N times and prints the checksum of the answer. Two counts of executed instructions,
//! of N and N + 1 inferences, differ by one inference.
//!
//! `niello-count layers`: one inference, with a system call (`getpid`) before the first layer and after each, then the
//! names of the layers and their multiply-accumulates. A plugin that sees system calls counts single layers by it.
#![forbid(unsafe_code)]

#[allow(dead_code, unreachable_pub, reason = "the generated model can do more than is asked of it here")]
mod model {
    include!(concat!(env!("OUT_DIR"), "/model.rs"));
}
include!(concat!(env!("OUT_DIR"), "/network.rs"));

use niello::{LayerInfo, Model, Output, TakeOnce, self_test};
use std::{process::ExitCode, str::FromStr};

static MODEL: TakeOnce<Network> = TakeOnce::new(Network::new());

/// What to do.
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
    let (Ok(work), Some(network)) = (work.parse(), MODEL.take()) else {
        eprintln!("usage: niello-count N|layers");
        return ExitCode::FAILURE;
    };
    let (mut input, mut output) = ([0; model::INPUT_LEN], [0; model::OUTPUT_LEN]);
    self_test::Codes::new(7).fill(&mut input);
    match work {
        Work::Repeat(times) => (0..times).for_each(|_| network.infer(&input, &mut output)),
        Work::Layers => {
            mark();
            network.infer_observed(&input, &mut output, &mut |_: usize, _: &LayerInfo, _: Output<'_>| mark());
            for layer in Network::LAYERS {
                println!("{} {} {}", layer.name, layer.kind, layer.macs);
            }
        }
    }
    println!("output {:016x}", self_test::Checksum::of_codes(&output));
    ExitCode::SUCCESS
}

/// A system call that costs little and that nothing else makes.
fn mark() {
    std::hint::black_box(std::process::id());
}
