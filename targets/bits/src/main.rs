//! `niello-bits`: the names of its models. `niello-bits NAME`: the checksum of every layer, as `niello golden --log` reads
//! it; fails if the model's own checks fail. `niello-bits NAME INDEX`: also the bytes of that layer, `dump HEX`.
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "without models there are no inputs")]
mod input;

#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "generated models can do more than is asked of them here, and there may be none"
)]
mod models {
    use crate::input::Input::{Codes, Seed};
    include!(concat!(env!("NIELLO_GENERATED"), "/models.rs"));
}

use std::process::ExitCode;

/// Runs a model on every case, with the bytes of a layer if `Some`. Returns whether its own checks passed.
type Run = fn(Option<usize>) -> bool;

/// The list of models, from the generator's entries.
macro_rules! each_model {
    ($({ $name:literal, $module:ident::$network:ident, arena: $arena:ident,
        inputs: [$($input:ident: [$in:ty; $in_len:ident]),*], outputs: [$($output:ident: [$out:ty; $out_len:ident]),*],
        cases: [$($case:expr),* $(,)?] })*) => {
        /// Every model by name, and the function that runs it.
        pub(crate) const MODELS: &[(&str, crate::Run)] = &[$(($name, |dump| {
            let mut model = Box::new($module::$network::new());
            $(let mut $input = [<$in as niello::kernels::memory::Element>::ZERO; $module::$in_len];)*
            $(let mut $output = [<$out as niello::kernels::memory::Element>::ZERO; $module::$out_len];)*
            for (name, case) in [$($case),*] {
                println!("case {name}");
                let mut source = case.source();
                $(source.fill(&mut $input);)*
                let mut print = |index: usize, info: &niello::LayerInfo, result: niello::Output<'_>| {
                    let ([h, w, c], sum) = (result.shape(), result.checksum());
                    println!("layer {index} {} {h}x{w}x{c} {sum:016x}", info.name);
                    if dump == Some(index) {
                        let mut line = String::from("dump ");
                        result.for_each(|code| line += &format!("{code:02x}"));
                        println!("{line}");
                    }
                };
                model.infer_observed($(&$input,)* $(&mut $output,)* &mut print);
                $(println!("output 0 {:016x}", niello::self_test::Checksum::of_codes(&$output));)*
            }
            let checks = [
                ("self_test", model.self_test($(&mut $input,)* $(&mut $output),*)),
                ("check_layers", model.check_layers($(&mut $input,)* $(&mut $output),*)),
            ];
            for (name, result) in &checks {
                match result {
                    Ok(()) => println!("{name} ok"),
                    Err(error) => println!("{name} failed: {error}"),
                }
            }
            checks.iter().all(|(_, result)| result.is_ok())
        })),*];
    };
}
pub(crate) use each_model;

fn main() -> ExitCode {
    if models::MODELS.is_empty() {
        eprintln!(
            "error: built without NIELLO_GENERATED, so without a model; `cargo xtask generate` writes that folder"
        );
        return ExitCode::FAILURE;
    }
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
