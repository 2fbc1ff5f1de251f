//! `niello-bits`: the names of its models. `niello-bits NAME`: the checksum of every layer, as `niello golden --log` reads
//! it; fails if the model's own checks fail. `niello-bits NAME INDEX`: also the bytes of that layer, `dump HEX`.
#![forbid(unsafe_code)]

#[allow(
    dead_code,
    unreachable_pub,
    clippy::type_complexity,
    reason = "generated models can do more than is asked of them here"
)]
mod models {
    include!(concat!(env!("OUT_DIR"), "/models.rs"));
}

use niello::kernels::memory::{Element, cells};
use std::process::ExitCode;

/// The inputs of a case.
#[allow(dead_code, reason = "which kinds there are depends on the models")]
enum Input {
    /// Codes that follow from a seed.
    Seed(u64),
    /// Codes of a picture.
    Codes(&'static [u8]),
}

impl Input {
    /// What inputs are filled with, one after the other.
    fn source(&self) -> Filler<'_> {
        match self {
            Self::Seed(seed) => Filler::Seed(niello::self_test::Codes::new(*seed)),
            Self::Codes(bytes) => Filler::Codes(bytes),
        }
    }
}

/// What is left to fill inputs with.
enum Filler<'a> {
    Seed(niello::self_test::Codes),
    Codes(&'a [u8]),
}

impl Filler<'_> {
    fn fill<E: Element>(&mut self, input: &mut [E]) {
        match self {
            Self::Seed(codes) => codes.fill(input),
            Self::Codes(bytes) => {
                let (own, rest) = bytes.split_at(size_of_val(input).min(bytes.len()));
                cells(input).iter().zip(own).for_each(|(cell, byte)| cell.set(*byte as i8));
                *bytes = rest;
            }
        }
    }
}

/// Runs one model on every case, prints, and says whether its own checks passed.
macro_rules! print {
    ($module:ident, $type:ident, [$($input:ident: $len:ident),*], $cases:expr, $dump:expr) => {{
        let mut model = Box::new($module::$type::new());
        $(let mut $input = [niello::kernels::memory::Element::ZERO; $module::$len];)*
        let mut output = [niello::kernels::memory::Element::ZERO; $module::OUTPUT_LEN];
        for (name, case) in $cases {
            println!("case {name}");
            let mut source = case.source();
            $(source.fill(&mut $input);)*
            let mut print = |index: usize, info: &niello::LayerInfo, result: niello::Output<'_>| {
                let ([h, w, c], sum) = (result.shape(), result.checksum());
                println!("layer {index} {} {h}x{w}x{c} {sum:016x}", info.name);
                if $dump == Some(index) {
                    let mut line = String::from("dump ");
                    result.for_each(|code| line += &format!("{code:02x}"));
                    println!("{line}");
                }
            };
            model.infer_observed($(&$input,)* &mut output, &mut print);
            println!("output 0 {:016x}", niello::self_test::Checksum::of_codes(&output));
        }
        let checks = [
            ("self_test", model.self_test($(&mut $input,)* &mut output)),
            ("check_layers", model.check_layers($(&mut $input,)* &mut output)),
        ];
        for (name, result) in &checks {
            match result {
                Ok(()) => println!("{name} ok"),
                Err(error) => println!("{name} failed: {error}"),
            }
        }
        checks.iter().all(|(_, result)| result.is_ok())
    }};
}
pub(crate) use print;

fn main() -> ExitCode {
    let Some(wanted) = std::env::args().nth(1) else {
        models::MODELS.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let dump = std::env::args().nth(2).and_then(|index| index.parse().ok());
    match models::MODELS.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) if run(dump) => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
        None => {
            eprintln!("error: no model `{wanted}`");
            ExitCode::FAILURE
        }
    }
}
