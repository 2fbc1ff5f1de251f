//! Random graphs: a fixed number of them on every push, and those that failed once.
//!
//! `examples/random_graphs.rs` checks as many as one likes, `fuzz/fuzz_targets/graph.rs` lets libFuzzer choose.

#[path = "random_graphs/mod.rs"]
mod random_graphs;

use random_graphs::{Tally, Tamper, noticed, of_seed, quiet, shrink, story};
use std::{collections::BTreeMap, fs, path::Path};

/// Graphs of a push.
const GRAPHS: u64 = 1000;

/// On this thread alone: layers are too small to be shared out by the float reference.
fn alone<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    quiet();
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(run)
}

#[test]
fn random_graphs_keep_all_rules() {
    let tally = alone(|| {
        let mut tally = Tally::default();
        (0..GRAPHS).for_each(|seed| tally.seed(seed));
        tally
    });
    println!("{tally}");
    if let Some((_, seed, failure)) = tally.failed.values().next() {
        panic!("{tally}\nseed {seed}: {}", story(&shrink(&of_seed(*seed), failure)));
    }
    assert!(tally.ran * 10 > tally.graphs * 7, "too few graphs run: {tally}");
    assert!(tally.unbounded * 10 < tally.layers, "too few layers have a bound: {tally}");
}

#[test]
fn graphs_that_failed_once_fail_no_more() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/graph");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(!names.is_empty());
    for name in names {
        let bytes = fs::read(&name).unwrap();
        let told = alone(|| story(&bytes));
        assert!(told.starts_with("Ok"), "{}: {told}", name.display());
    }
}

/// Bounds are tight enough: what a wrong kernel would give is noticed, for every operator.
#[test]
fn what_is_made_wrong_is_noticed() {
    for (tamper, least) in
        [(Tamper::ZeroPoint, 0.8), (Tamper::Element, 0.9), (Tamper::Channels, 0.9), (Tamper::Row, 0.9)]
    {
        let mut kinds: BTreeMap<&str, [u32; 2]> = BTreeMap::new();
        let all = alone(|| (0..400).filter_map(|seed| noticed(&of_seed(seed), tamper)).collect::<Vec<_>>());
        for (kind, noticed) in all.into_iter().flatten() {
            kinds.entry(kind).or_default()[noticed as usize] += 1;
        }
        println!("{tamper:?}: {kinds:?}");
        let [missed, noticed] = kinds.values().fold([0, 0], |[a, b], [c, d]| [a + c, b + d]);
        let share = noticed as f64 / (missed + noticed) as f64;
        assert!(share > least, "{tamper:?}: {share} noticed: {kinds:?}");
    }
}
