//! From a trained network to static Rust: everything that happens before flashing.
//!
//! A tensor's way is one-directional: [`weights`] and a builder make a [`graph::Graph`]; [`passes`] simplify it;
//! [`quantize`] measures its activations and gives every tensor a number format, and a [`lock`] keeps what was decided; [`lower`] turns it into a
//! [`program::Program`], the flat list of kernel calls with packed weights and arena offsets; [`emit`] prints the program
//! as Rust and [`execute`] runs the same calls in process.
//!
//! Modules stand in one order, and each imports only from those before it: `docs/architecture.md` has the list, `tests/arrows.rs` holds the
//! sources to it.
//!
//! Modules that this documentation does not show serve the command line and the tests of this repository: they may change in any release.
//!
//! # Features
//!
//! * `imaging` (default): recipes from files (`Config`, `pipeline`), and calibration on folders of images.
//! * `c-api`: functions for C with a header, [`emit::EmitOptions::c_api`].

#[doc(hidden)]
pub mod bench;
pub mod board;
pub mod check;
#[cfg(feature = "imaging")]
pub mod config;
pub mod emit;
pub mod error;
pub mod execute;
pub mod format;
pub mod grad_cam;
pub mod graph;
pub mod import;
#[doc(hidden)]
pub mod intermediates;
pub mod lock;
pub mod lower;
pub mod ops;
#[doc(hidden)]
pub mod passes;
#[cfg(feature = "imaging")]
pub mod pipeline;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod precision;
pub mod program;
pub mod quantize;
pub mod recipe;
pub mod report;
pub mod tensor;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod tuning;
pub mod weights;

#[cfg(feature = "imaging")]
pub use config::Config;
pub use error::{Error, Result};
pub use graph::{Graph, Op, ValueId};
pub use import::GraphBuilder;
pub use tensor::{Shape, Tensor};
