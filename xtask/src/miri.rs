//! `cargo xtask miri`: the crates that hold the project's `unsafe`, under Miri.
//!
//! Miri executes portable code: the scalar kernels, the memory views, the checks before them, and threads that share a layer. It is slow, so
//! only some tests are run, most of them with fewer and smaller cases: they ask for `cfg!(miri)`.

use crate::{
    Command, Result, no_arguments,
    stage::{Runner, Stage},
    tools,
};

pub(crate) const COMMAND: Command = Command {
    name: "miri",
    arguments: "",
    summary: "run kernels and runtime under Miri (needs nightly)",
    run,
};

/// What runs there: arguments of `cargo miri test`.
const TESTS: &[(&str, &str)] = &[
    // Not the one that tries every code and a million numbers.
    ("kernels, unit tests", "-p niello-kernels --lib -- --skip precise"),
    ("kernels, refused parameters", "-p niello-kernels --test refusal"),
    ("kernels, convolutions of known shapes", "-p niello-kernels --test oracle known_shapes"),
    ("kernels, depthwise convolution", "-p niello-kernels --test oracle depthwise"),
    ("kernels, pooling and unpooling", "-p niello-kernels --test oracle pooling"),
    ("kernels, row chains", "-p niello-kernels --test row_chain any_chain"),
    ("kernels, several threads", "-p niello-kernels --test threads"),
    ("kernels, 16 bits", "-p niello-kernels --test int16 -- --skip refused"),
    ("kernels, floating point", "-p niello-kernels --test float_ops -- --skip precise"),
    ("kernels, convolutions in floating point", "-p niello-kernels --test float_conv any_shape"),
    ("kernels, attention in floating point", "-p niello-kernels --test float_attention"),
    ("kernels, Winograd's algorithm in halves", "-p niello-kernels --test float_winograd a_tile"),
    ("runtime", "-p niello --lib"),
    ("runtime, examples", "-p niello --doc"),
];

fn run(arguments: &[String]) -> Result {
    no_arguments(arguments)?;
    if !tools::has_miri() {
        return Err(
            "Miri is not installed; install it with\n\n    rustup toolchain install nightly --component miri,rust-src\n"
                .into(),
        );
    }
    let mut runner = Runner::new("miri");
    for (name, what) in TESTS {
        // Property tests look for files of earlier failures, so the current directory must be visible.
        let stage = Stage::cargo(*name, &format!("+nightly miri test {what}"));
        // Tests compute powers of two, which are exact everywhere but in Miri, leak constants, and end with threads that wait.
        runner.run(stage.variable(
            "MIRIFLAGS",
            "-Zmiri-disable-isolation -Zmiri-deterministic-floats -Zmiri-ignore-leaks",
        ))?;
    }
    runner.finish()
}
