//! Makes random graphs and checks each: `--seed S --count N --jobs J`, `--bytes HEX` for one that failed.
//! `--keep FOLDER` writes the smallest graph of each kind of failure.
//!
//! ```sh
//! cargo run --release --config profile.release.debug-assertions=true -p niello-codegen --example random_graphs -- --count 100000
//! ```

#[path = "../tests/random_graphs/mod.rs"]
mod random_graphs;

use random_graphs::{Tally, check, from_hex, of_seed, quiet, shrink, story};
use std::{fs, ops::Range, path::Path, thread, time::Instant};

fn main() {
    quiet();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let number =
        |name: &str, default: u64| text(name).map_or(default, |text| text.parse().expect("a number"));
    if let Some(bytes) = text("--bytes") {
        println!("{}", story(&from_hex(bytes)));
        return;
    }
    let (first, count, jobs) = (number("--seed", 1), number("--count", 1000), number("--jobs", 1));
    let start = Instant::now();
    let mut tally = Tally::default();
    thread::scope(|scope| {
        // Layers are too small to be shared out by the float reference.
        let run = |job: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
            pool.install(|| of_job(first + job..first + count, jobs))
        };
        let jobs: Vec<_> = (0..jobs).map(|job| scope.spawn(move || run(job))).collect();
        jobs.into_iter().for_each(|job| tally.merge(job.join().expect("panics are caught")));
    });
    let seconds = start.elapsed().as_secs_f64();
    println!("{tally}  {seconds:.1} s, {:.0} graphs/s", count as f64 / seconds);
    if let Some(folder) = text("--keep") {
        tally.failed.values().for_each(|(_, seed, _)| keep(*seed, folder.as_ref()));
        return;
    }
    for (_, seed, failure) in tally.failed.values() {
        println!("\nseed {seed}: {}", story(&shrink(&of_seed(*seed), failure)));
    }
    if !tally.failed.is_empty() {
        std::process::exit(1);
    }
}

/// Each of so many seeds.
fn of_job(seeds: Range<u64>, jobs: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds.step_by(jobs as usize) {
        tally.seed(seed);
        if tally.graphs % 10_000 == 0 {
            eprintln!("{} graphs, up to seed {seed}", tally.graphs);
        }
    }
    tally
}

/// Writes the smallest graph that fails as that of `seed` does, for `fuzz/seeds/graph`.
fn keep(seed: u64, folder: &Path) {
    match check(&of_seed(seed), &mut vec![]) {
        Ok(outcome) => println!("seed {seed}: {outcome:?}"),
        Err(failure) => {
            let bytes = shrink(&of_seed(seed), &failure);
            fs::write(folder.join(format!("seed_{seed}")), &bytes).expect("the folder can be written");
            println!("{}", story(&bytes));
        }
    }
}
