//! The runtime of generated models, which firmware calls.
//!
//! A generated crate holds its weights in one aligned static, its layers in statics of kernel parameters, and a model
//! type that owns an arena. It depends on this crate and on `niello-kernels`, and on nothing else; nothing allocates,
//! nothing panics.
//!
//! * [`Arena`], [`Aligned`]: memory; with the feature `canaries` an arena detects that it was written over. `StaticCell` hands out a model that lives
//!   in a `static` (where a flag can be swapped atomically: not on Armv6-M).
//! * [`Observer`]: sees each layer's result (profiling, bit-exact regression tests); costs nothing when unused.
//! * [`self_test`]: known-answer test from a seed, checksums for answers.
//! * [`weights`]: a check of all constants in small portions, for a task in the background.
//! * `trace` (feature `defmt`): logs layers and the results of checks over defmt.
//! * [`quantize`]: conversion between real numbers and elements of inputs and outputs.
//!
//! # Features
//!
//! * `std`: detection of instruction sets at run time (hosts and Linux boards).
//! * `threads`: one inference on several threads, where `kernels::threads::set` asks for them (Linux). Includes `std`.
//! * `canaries`: words around every arena that show when other code wrote over them (`Arena::check`).
//! * `defmt`: logs of layers and checks over defmt (`trace`).
#![no_std]
#[cfg(feature = "std")]
extern crate std;

#[cfg(target_has_atomic = "8")]
mod arena_cell;
pub mod c_api;
pub mod constants;
#[cfg(any(target_os = "none", test))]
#[cfg_attr(
    not(target_os = "none"),
    allow(dead_code, unreachable_pub, reason = "tests of the part that touches no hardware")
)]
mod hot_code;
pub mod model;
pub mod observe;
pub mod quantize;
pub mod self_test;
#[cfg(target_has_atomic = "8")]
mod static_cell;
#[cfg(feature = "defmt")]
pub mod trace;
pub mod weights;

#[cfg(target_has_atomic = "8")]
pub use arena_cell::{ArenaCell, UninitArena};
#[cfg(target_os = "none")]
pub use hot_code::load_hot_code;
pub use model::{Aligned, Arena, ArenaError, BufferError, Metadata, Model};
pub use niello_kernels as kernels;
pub use niello_kernels::F16;
pub use observe::{LayerInfo, Observer, Output};
pub use quantize::{Elements, TensorInfo};
pub use self_test::SelfTestError;
#[cfg(target_has_atomic = "8")]
pub use static_cell::StaticCell;
pub use weights::{WeightCheck, WeightsError};

#[cfg(not(target_endian = "little"))]
compile_error!("constants are stored little-endian");
