//! Random graphs of any operators, taken through the whole of niello and checked on the way.
//!
//! A graph is decoded from bytes (`make`), so that a seed's bytes and a fuzzer's both make one. `check` lowers it for every target, runs it
//! with every instruction set, and compares each layer with the float reference for the operands that it really got (`bounds`).
#![allow(dead_code, unused_imports, reason = "tests, the example and the fuzz target each use some of it")]

mod bounds;
mod bytes;
mod check;
mod make;
mod tally;

pub(crate) use bytes::{from_hex, of_seed};
pub(crate) use check::{Outcome, Tamper, check, noticed, quiet};
pub(crate) use tally::{Tally, shrink, story};
