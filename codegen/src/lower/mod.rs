//! From quantised graph to program: each operator appends its kernel calls.
//!
//! * `target`: what to lower for.
//! * `context`: what an operator sees while it is lowered ([`Lowering`]); `draft`: the steps that it appends.
//! * `base`: every node lowered, and the program that follows from that; `search`: the program with the smallest arena.
//! * `fuse`: steps that pass their rows on.
//!
//! Operators know `context`; `base` and `search` know operators.

mod base;
mod context;
mod draft;
mod fuse;
mod search;
mod target;

pub use context::{Lowering, Sums};

pub use draft::Pushed;
pub(crate) use search::lower_quickly;
pub use search::{lower, lower_apart};
pub use target::{AUTO, TARGETS, Target};
