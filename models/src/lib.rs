//! Published networks, as their authors' checkpoints name them.
//!
//! * [`networks`]: one file per network; [`Registry`] finds them by name.
//! * `blocks`: blocks of several networks (convolution with batch norm, Anam-Net's AD block, SqueezeNet's Fire module).
//! * [`EveryOperator`], [`MoreOperators`]: a network for tests of all operators; not a published one.
//! * [`bundled`]: small trained weights and test slices that come with the project.
//!
//! A network is a unit struct that implements [`Network`]. Every layer with weights bears its checkpoint module's name,
//! and so does the last layer of a module: `conv1_block.0` is a convolution, `conv1_block.1` its batch norm,
//! `conv1_block` the ReLU behind them. [`Graph::find`](niello_codegen::Graph::find) therefore takes the names that one
//! would use in PyTorch.
//!
//! ```
//! use niello_codegen::{import::network::{NetworkOptions, Networks}, weights::Seeded};
//!
//! let network = niello_models::Registry.find("squeezenet1_0")?;
//! let options = NetworkOptions { input_size: Some([64, 64]), ..Default::default() };
//! let graph = network.build(&options, &mut Seeded::new())?;
//! assert_eq!(graph.parameters(), 736_963);
//! # Ok::<(), niello_codegen::Error>(())
//! ```
//!
//! `docs/adding-a-network.md` describes how to add one.

mod blocks;
pub mod bundled;
mod every_operator;
pub mod networks;
mod options;

pub use every_operator::{EveryOperator, MoreOperators};

use niello_codegen::import::network::{Network, Networks};

/// All networks of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry;

impl Networks for Registry {
    fn all(&self) -> Vec<&'static dyn Network> {
        networks::ALL.to_vec()
    }

    fn unlisted(&self) -> Vec<&'static dyn Network> {
        vec![&EveryOperator, &MoreOperators]
    }

    fn boards(&self) -> &'static [(&'static str, &'static str)] {
        include!(concat!(env!("OUT_DIR"), "/boards.rs"))
    }
}

/// Compiles and runs the worked example.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-network.md")]
pub struct AddingANetwork;

/// Builds the recipe in a file from a build script: `STEM.rs` and `STEM.bin` in `OUT_DIR`. An error ends the build with its text.
///
/// The recipe may name one of [`Registry`]'s boards. Without a target, weights are packed for the machine that is built for:
/// [`Target::find`](niello_codegen::lower::Target::find).
///
/// ```no_run
/// // build.rs
/// fn main() {
///     niello_models::build("model.toml");
/// }
/// // src/main.rs: mod model { include!(concat!(env!("OUT_DIR"), "/model.rs")); }
/// ```
#[allow(clippy::needless_doctest_main, reason = "a build script begins with it")]
pub fn build(recipe: impl AsRef<std::path::Path>) -> niello_codegen::pipeline::Build {
    niello_codegen::Config::new(&Registry).build(recipe)
}

/// As [`build`], with the error as a value. What a `main` returns is printed as Rust writes values, on one line:
/// [`niello_codegen::Error::fail`] ends a build readably.
///
/// ```no_run
/// // build.rs
/// fn main() {
///     match niello_models::compile("model.toml") {
///         Ok(build) => println!("cargo::warning=arena of {} bytes", build.program.plan.arena_bytes),
///         Err(error) => error.fail(),
///     }
/// }
/// ```
///
/// # Errors
/// Whatever is wrong with the recipe or the files that it names. [`niello_codegen::Config`] has the options.
#[allow(clippy::needless_doctest_main, reason = "a build script begins with it")]
pub fn compile(
    recipe: impl AsRef<std::path::Path>,
) -> niello_codegen::Result<niello_codegen::pipeline::Build> {
    niello_codegen::Config::new(&Registry).compile(recipe)
}
