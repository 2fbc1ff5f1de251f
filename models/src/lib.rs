//! Published networks, as their authors' checkpoints name them.
//!
//! * [`networks`]: one file per network; [`Registry`] finds them by name.
//! * `blocks`: what several networks share (convolution with batch norm, Anam-Net's AD block, SqueezeNet's Fire module).
//! * [`bundled`]: small trained weights and test slices that come with the project.
//!
//! A network is a unit struct that implements [`Network`]. Every layer with weights bears its checkpoint module's name,
//! and so does the last layer of a module: `conv1_block.0` is a convolution, `conv1_block.1` its batch norm,
//! `conv1_block` the ReLU behind them. [`Graph::find`](niello_codegen::Graph::find) therefore takes the names that one
//! would use in PyTorch.
//!
//! ```
//! use niello_codegen::{network::{NetworkOptions, Networks}, weights::Seeded};
//!
//! let network = niello_models::Registry.find("squeezenet1_0")?;
//! let options = NetworkOptions { input_size: Some([64, 64]), ..Default::default() };
//! let graph = network.build(&options, &mut Seeded::new())?;
//! assert_eq!(graph.parameters(), 736_963);
//! # Ok::<(), niello_codegen::Error>(())
//! ```
//!
//! How to add one: `docs/adding-a-network.md`.

mod blocks;
pub mod bundled;
pub mod networks;
mod options;

use niello_codegen::network::{Network, Networks};

/// All networks of this crate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Registry;

impl Networks for Registry {
    fn all(&self) -> Vec<&'static dyn Network> {
        networks::ALL.to_vec()
    }
}

/// Compiles and runs the worked example.
#[cfg(doctest)]
#[doc = include_str!("../../docs/adding-a-network.md")]
pub struct AddingANetwork;
