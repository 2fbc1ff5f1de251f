//! The common part of programs for small Linux boards: images in, label maps out, one model per thread.
//!
//! A program brings a generated model, and calls [`main`]:
//!
//! * [`Args`]: the command line.
//! * [`segment()`]: images to label maps, in the order of the images, the same for any number of threads.
//! * `recipe` (feature `build`): Anam-Net as a static crate, for build scripts.
#![forbid(unsafe_code)]

mod args;
mod pool;
#[cfg(feature = "build")]
pub mod recipe;
mod report;
mod segment;

pub use args::Args;
pub use segment::{Segmented, segment};

use clap::Parser;
use niello::Model;
use std::{error::Error, process::ExitCode, time::Instant};

/// The program: reads the command line, segments, writes images, prints.
pub fn main<N: Model + Default>() -> ExitCode {
    match run::<N>(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run<N: Model + Default>(args: &Args) -> Result<(), Box<dyn Error>> {
    let images = args.images()?;
    std::fs::create_dir_all(&args.out).map_err(|e| format!("cannot create {}: {e}", args.out.display()))?;
    let start = Instant::now();
    let slices = segment::<N>(&images, args.threads(), Some(&args.out))?;
    let seconds = start.elapsed().as_secs_f64();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report::json::<N>(&slices, args.threads(), seconds))?);
    } else {
        report::print::<N>(&slices, args.threads(), seconds);
    }
    Ok(())
}
