//! From records of cases to figures: how good a network is on labelled data, and whether another one is better.
//!
//! * [`Evaluation`] is the document: what was run, one record per case, the cases that were left out, and the figures. [`Evaluation::merge`] joins
//!   the documents of shards; figures and intervals equal those of one run, because both follow from the sorted records alone.
//! * [`classifier`]: figures of scores and labels. [`masks`]: figures of label maps. [`paired`]: McNemar's test and the decisions that differ.
//! * [`Estimate`] is a figure with its bootstrap interval; [`bootstrap`] makes one of each.
//!
//! Every figure is defined in `docs/evaluation.md`. Nothing here reads files or knows of networks, and no input makes it panic.

mod case;
pub mod classifier;
mod curve;
mod document;
mod estimate;
mod hausdorff;
pub mod masks;
pub mod paired;
mod quantile;

pub use case::{Counts, InputUse, MaskCase, MaskOutcome, ScoreCase, ScoreKind, Scores};
pub use curve::Curve;
pub use document::{Cases, Evaluation, Figures, LeftOut, Line, Run, SCHEMA};
pub use estimate::{Estimate, Estimates, RESAMPLES, bootstrap};
pub use hausdorff::hausdorff_95;
