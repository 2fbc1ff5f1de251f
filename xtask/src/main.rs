//! The project's habits as commands: `cargo xtask COMMAND`.
//!
//! One file per command, one variant per command in [`Xtask`]. [`stage`] runs and times what a command consists of,
//! [`tools`] finds what may not be installed.

mod accuracy;
mod c;
mod ci;
mod conformance;
mod cortex_m;
mod count;
mod cross;
mod defmt;
mod elf;
mod emulated;
mod folders;
mod generate;
mod images;
mod lints;
mod networks;
mod no_std;
mod package;
mod pages;
mod release;
mod sanitizers;
mod setup;
mod stage;
mod test;
mod tools;

use clap::Parser;
use std::{path::PathBuf, process::ExitCode};

/// The error, as a text for the user.
type Result<T = ()> = std::result::Result<T, String>;

/// The project's habits as commands
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    /// Format, lints, no_std builds, documentation, all tests, here and on every emulated core
    Ci(ci::Options),
    /// Run all tests, here or on an emulated core
    Test(test::Options),
    /// Write the models that run on emulated cores to target/generated
    Generate,
    /// Count instructions of an inference; hold them against benches/counts.txt
    Count(count::Options),
    /// Install what cross-building and emulation need
    Setup(setup::Options),
    /// Build kernels and runtime without the standard library
    NoStd,
    /// Pack all crates that are published, and build a project outside of the checkout from them
    Package,
    /// The checklist of a release: versions, changelog, packages, documentation, oldest compiler
    Release {
        /// Publish nothing; docs/releasing.md has the steps that do
        #[arg(long, required = true)]
        dry_run: bool,
    },
    /// Generate, build and run a crate of every network (of these), and compare each layer's bytes
    Networks {
        /// As `niello models` lists them
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Write docs/conformance.md from what the tests of the importers find
    Conformance,
    /// Open pages that the command line writes in headless Chromium, where it is installed
    Pages,
    /// Trained networks on real images, the long comparisons only
    Accuracy {
        /// The only one to run
        test: Option<String>,
    },
    /// Build the firmware of each board; refuse panics, heap, recursion, floating point
    Images,
    /// Call a model from C: firmware on an emulated Cortex-M4, Linux here and on Cortex-A53
    C,
    /// Turn bits of an image over on an emulated Cortex-M4, and count what notices
    Flips {
        /// Many more bits
        #[arg(long)]
        sweep: bool,
    },
    /// Run the firmware that logs over defmt, compare its log with the recorded one
    Defmt {
        /// Record the log
        #[arg(long)]
        bless: bool,
    },
    /// Run kernels and runtime under Miri (needs nightly)
    Miri,
    /// Try the interleavings of the kernels' threads in a model
    Loom,
    /// Run the kernels' threads under ThreadSanitizer (needs nightly)
    Tsan,
    /// Refuse an Arm image that can panic, allocates, recurses or uses floating point
    CheckElf {
        /// The image
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Xtask::parse() {
        Xtask::Ci(options) => ci::run(&options),
        Xtask::Test(options) => test::run(&options),
        Xtask::Generate => generate::run(),
        Xtask::Count(options) => count::run(&options),
        Xtask::Setup(options) => setup::run(&options),
        Xtask::NoStd => no_std::run(),
        Xtask::Package => package::run(),
        Xtask::Release { .. } => release::run(),
        Xtask::Networks { names } => networks::run(&names),
        Xtask::Conformance => conformance::run(),
        Xtask::Pages => pages::run(),
        Xtask::Accuracy { test } => accuracy::run(test.as_slice()),
        Xtask::Images => images::run(),
        Xtask::C => c::run(),
        Xtask::Flips { sweep } => cortex_m::flips(sweep),
        Xtask::Defmt { bless } => defmt::run(bless),
        Xtask::Miri => sanitizers::miri(),
        Xtask::Loom => sanitizers::loom(),
        Xtask::Tsan => sanitizers::tsan(),
        Xtask::CheckElf { file } => elf::run(&file),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
