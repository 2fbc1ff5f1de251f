//! The crates that hold the project's `unsafe`, watched: `cargo xtask miri`, `cargo xtask loom` and `cargo xtask tsan`.
//!
//! Miri executes portable code: the scalar kernels, the memory views, the checks before them, and threads that share a layer. It is slow, so
//! only some tests are run, most of them with fewer and smaller cases: they ask for `cfg!(miri)`. The other two watch those threads: in a
//! model of all their interleavings, and with every access to memory.

use crate::{
    Result,
    stage::{Runner, Stage},
    tools,
};

/// Name and arguments of each call of `cargo test`.
type Tests<'a> = &'a [(&'a str, &'a str)];

/// What runs under Miri.
const UNDER_MIRI: Tests<'_> = &[
    ("kernels, unit tests", "-p niello-kernels --lib"),
    ("kernels, refused parameters", "-p niello-kernels --test refusal"),
    ("kernels, convolutions of known shapes", "-p niello-kernels --test oracle known_shapes"),
    ("kernels, transposed convolution", "-p niello-kernels --test oracle transposed"),
    ("kernels, depthwise convolution", "-p niello-kernels --test oracle depthwise"),
    ("kernels, pooling and unpooling", "-p niello-kernels --test oracle pooling"),
    ("kernels, row chains", "-p niello-kernels --test row_chain any_chain"),
    ("kernels, Winograd's algorithm", "-p niello-kernels --test winograd any_shape"),
    ("kernels, several threads", "-p niello-kernels --test threads"),
    ("kernels, 16 bits", "-p niello-kernels --test int16"),
    ("kernels, floating point", "-p niello-kernels --test float_ops"),
    ("kernels, convolutions in floating point", "-p niello-kernels --test float_conv any_shape"),
    ("kernels, attention in floating point", "-p niello-kernels --test float_attention"),
    ("kernels, Winograd's algorithm in f16", "-p niello-kernels --test float_winograd -- a_tile threads"),
    ("runtime", "-p niello --lib"),
    ("runtime, examples", "-p niello --doc"),
];

pub(crate) fn miri() -> Result {
    if !tools::has_miri() {
        return Err(missing("Miri", "miri,rust-src"));
    }
    // Property tests look for files of earlier failures, so the current directory must be visible. Tests compute powers of two, which are
    // exact everywhere but in Miri, leak constants, and end with threads that wait.
    let flags = "-Zmiri-disable-isolation -Zmiri-deterministic-floats -Zmiri-ignore-leaks";
    // Property tests take the same cases each time, so that each takes as long as the last time. How many, each says itself: a number
    // from the environment would replace all of theirs.
    stages("miri", "+nightly miri test", UNDER_MIRI, &[("MIRIFLAGS", flags), ("PROPTEST_RNG_SEED", "7")])
}

pub(crate) fn loom() -> Result {
    let tests = [("team of threads, model", "-p niello-kernels --lib threads::team::model")];
    // In a folder of its own: the flag concerns all crates.
    stages("loom", "test", &tests, &[("RUSTFLAGS", "--cfg loom"), ("CARGO_TARGET_DIR", "target/loom")])
}

pub(crate) fn tsan() -> Result {
    if !tools::nightly_has("rust-src") {
        return Err(missing("the library source", "rust-src"));
    }
    let tests = [
        ("team of threads", "-p niello-kernels --lib threads::team"),
        ("layers on several threads", "-p niello-kernels --test threads"),
    ];
    let variables = [("RUSTFLAGS", "-Zsanitizer=thread"), ("CARGO_TARGET_DIR", "target/tsan")];
    stages("tsan", &format!("+nightly test -Zbuild-std --target {HOST}"), &tests, &variables)
}

/// Where this runs: what is built for a target named is apart from build scripts, which are not watched.
const HOST: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };

fn missing(what: &str, components: &str) -> String {
    format!(
        "{what} is not installed; install it with\n\n    rustup toolchain install nightly --component {components}\n"
    )
}

/// Calls `cargo` with `call` and the arguments of each of the tests.
fn stages(command: &'static str, call: &str, tests: Tests<'_>, variables: &[(&str, &str)]) -> Result {
    let mut runner = Runner::new(command);
    for (name, arguments) in tests {
        let stage = Stage::cargo(*name, &format!("{call} {arguments}"));
        let stage = variables.iter().fold(stage, |stage, (name, value)| stage.variable(name, value));
        runner.run(stage)?;
    }
    runner.finish()
}
