//! The command line of niello.
fn main() {}
