//! Prints a program as Rust.
