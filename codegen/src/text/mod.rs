//! Suggestions for misspelt names.

mod suggest;

pub use suggest::near_matches;
