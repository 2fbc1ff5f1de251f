//! Words for people: what a misspelt name may have been meant to be.

mod suggest;

pub use suggest::near_matches;
