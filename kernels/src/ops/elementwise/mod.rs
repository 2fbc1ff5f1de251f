//! Each element of the output comes from the elements at the same place: of one tensor or of two, whose scales may differ.

pub mod add;
pub mod copy;
pub mod linear_pair;
pub mod mul;
#[cfg(niello_mve)]
mod mve;
pub mod prelu;
pub mod squared_difference;
pub mod sub;
pub mod table;
