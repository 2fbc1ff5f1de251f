//! Tests on emulated cores.
//!
//! QEMU faults on an instruction that the chosen core lacks: what passes on one uses nothing that it does not have. All
//! cores of a family run the same binaries, which are built once.

use crate::{Result, cross, stage::Runner};

/// A core to test on.
pub(crate) struct Core {
    /// What `--target` takes.
    pub(crate) name: &'static str,
    /// QEMU's word for it.
    cpu: &'static str,
    /// Where it is found and what it adds.
    pub(crate) summary: &'static str,
}

/// All cores.
pub(crate) const CORES: &[Core] = &[
    Core { name: "aarch64-cortex-a53", cpu: "cortex-a53", summary: "Raspberry Pi 3 and Zero 2: NEON" },
    Core { name: "aarch64-cortex-a72", cpu: "cortex-a72", summary: "Raspberry Pi 4: NEON" },
    Core { name: "aarch64-cortex-a76", cpu: "cortex-a76", summary: "Raspberry Pi 5: and dot products, fp16" },
    Core { name: "aarch64-max", cpu: "max", summary: "all that QEMU knows" },
];

/// The suites that run there: those of the code that boards run.
const SUITES: &str = "test -p niello-kernels -p niello --lib --tests --no-fail-fast";

/// The tests of one core. `arguments` go to the test binaries.
pub(crate) fn tests(runner: &mut Runner, core: &Core, arguments: &[String]) -> Result {
    // Emulation is slow: optimise the tests too, and keep their assertions.
    let mut stage = cross::aarch64(core.name, SUITES, core.cpu)?.variable("CARGO_PROFILE_DEV_OPT_LEVEL", "2");
    if !arguments.is_empty() {
        stage = stage.arguments(&["--".into()]).arguments(arguments);
    }
    runner.run(stage)
}
