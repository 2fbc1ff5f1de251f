//! Counts of outcomes, kinds of failures, smaller graphs that fail in the same way.

use super::{
    Outcome,
    bytes::{HEADER, NODE, hex, of_seed},
    check::{Failure, check},
};
use std::{collections::BTreeMap, fmt};

/// What came of many graphs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) graphs: u64,
    pub(crate) ran: u64,
    pub(crate) invalid: u64,
    pub(crate) layers: u64,
    pub(crate) unbounded: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// By kind: how many, and the seed and the message of the first.
    pub(crate) failed: BTreeMap<String, (u64, u64, Failure)>,
}

impl Tally {
    /// Checks the graph of a seed.
    pub(crate) fn seed(&mut self, seed: u64) {
        let mut log = vec![];
        self.graphs += 1;
        match check(&of_seed(seed), &mut log) {
            Ok(Outcome::Ran { checked, unbounded }) => {
                self.ran += 1;
                self.layers += checked as u64;
                self.unbounded += unbounded as u64;
            }
            Ok(Outcome::Refused(kind)) => *self.refused.entry(kind).or_default() += 1,
            Ok(Outcome::Invalid) => self.invalid += 1,
            Err(failure) => {
                let class = class(&failure);
                if !self.failed.contains_key(&class) {
                    eprintln!("seed {seed}: {failure}");
                }
                self.failed.entry(class).or_insert((0, seed, failure)).0 += 1;
            }
        }
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.graphs += other.graphs;
        self.ran += other.ran;
        self.invalid += other.invalid;
        self.layers += other.layers;
        self.unbounded += other.unbounded;
        other.refused.into_iter().for_each(|(kind, n)| *self.refused.entry(kind).or_default() += n);
        for (class, (n, seed, failure)) in other.failed {
            self.failed.entry(class).or_insert((0, seed, failure)).0 += n;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |n: u64| 100.0 * n as f64 / self.graphs.max(1) as f64;
        writeln!(f, "{} graphs", self.graphs)?;
        writeln!(
            f,
            "  {:6.2} % ran: {} layers within bounds, {} without one",
            share(self.ran),
            self.layers,
            self.unbounded
        )?;
        writeln!(f, "  {:6.2} % invalid on purpose, refused", share(self.invalid))?;
        for (kind, n) in &self.refused {
            writeln!(f, "  {:6.2} % refused: {kind}", share(*n))?;
        }
        for (class, (n, seed, failure)) in &self.failed {
            writeln!(f, "  {n} FAILED [{class}], first seed {seed}: {failure}")?;
        }
        Ok(())
    }
}

/// What failures of one kind have in common: the message without numbers and names.
pub(crate) fn class(failure: &str) -> String {
    let mut class = String::new();
    let mut quoted = false;
    for c in failure.chars().take(260) {
        quoted ^= c == '`';
        if c == ':' && class.contains("error") && class.contains("element") {
            break;
        }
        if !quoted && (class.contains("panic") || !c.is_ascii_digit()) && class.len() < 150 {
            class.push(c);
        }
    }
    class
}

/// Fewer nodes and plainer choices with which it fails in the same way.
pub(crate) fn shrink(bytes: &[u8], failure: &str) -> Vec<u8> {
    // What takes long would take long to shrink.
    if failure.contains("time: ") {
        return bytes.to_vec();
    }
    let class_of = |bytes: &[u8]| check(bytes, &mut vec![]).err().map(|f| class(&f));
    let wanted = Some(class(failure));
    let mut best = bytes.to_vec();
    loop {
        let before = best.clone();
        let nodes = best.len().saturating_sub(HEADER) / NODE;
        for node in (0..nodes).rev() {
            let at = HEADER + node * NODE;
            let shorter = [&best[..at], &best[(at + NODE).min(best.len())..]].concat();
            if class_of(&shorter) == wanted {
                best = shorter;
            }
        }
        for i in (0..best.len()).rev() {
            for value in [0, best[i] / 2] {
                let mut plainer = best.clone();
                plainer[i] = value;
                if best[i] != value && class_of(&plainer) == wanted {
                    best = plainer;
                    break;
                }
            }
        }
        if best == before {
            return best;
        }
    }
}

/// A failure as text: the calls that make the graph, and the bytes.
pub(crate) fn story(bytes: &[u8]) -> String {
    let mut log = vec![];
    let outcome = check(bytes, &mut log);
    format!("{outcome:?}\n  {}\n  bytes {}", log.join("\n  "), hex(bytes))
}
