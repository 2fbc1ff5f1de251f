//! Calibration locks: the results of calibration, written once, read by every build.
//!
//! A lock lies beside its recipe (`covid.toml`, `covid.lock`). It holds the range of every tensor, bias corrections, the layers
//! that an error budget gave 16 bits, and the answers of the self-test; and the origin of all this: hashes of the weights and of the
//! calibration inputs, and the keys of the recipe that matter. A build with a lock reads no calibration input and runs no float network,
//! and makes the same bytes. The text is TOML, one line per tensor; `docs/recipes.md` describes it for users.

mod text;

use crate::{
    error::{Error, Result},
    graph::{Graph, ValueId},
    precision::int16::Wide,
    quantize::{
        Groups, QGraph, given_format,
        ranges::{Ranges, ValueRange},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The origin of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Version of niello.
    pub niello: String,
    /// Name and SHA-256 of the weights; no hash for seeded ones.
    pub weights: (String, String),
    /// Number and SHA-256 of the calibration inputs; no hash for drawn ones.
    pub inputs: (usize, String),
    /// The keys of the recipe on which the rest depends, as `section.key`, with their values.
    pub recipe: BTreeMap<String, String>,
}

/// The results of calibrating a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// Its origin.
    pub origin: Origin,
    /// By the name of a tensor, unless its operator fixes its format.
    pub ranges: BTreeMap<String, ValueRange>,
    /// The results and weights that an error budget gave 16 bits.
    pub wide: Wide,
    /// By the name of a layer: the steps that bias correction adds to each bias.
    pub corrections: BTreeMap<String, Vec<i32>>,
    /// Checksums of the outputs that the self-test expects (seed 1), by rounding.
    pub answers: BTreeMap<String, Vec<u64>>,
}

impl Lock {
    /// Reads a lock's file.
    ///
    /// # Errors
    /// A file that cannot be read, is cut off, has been edited, or was written by a newer niello; impossible numbers. Each error names the command
    /// that mends it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = crate::error::read_text(path, "a calibration lock (text)")?;
        Self::parse(path, &text)
    }

    /// Reads a lock's text; errors begin with `name`.
    ///
    /// # Errors
    /// As [`Lock::from_file`].
    pub fn parse(name: &Path, text: &str) -> Result<Self> {
        text::parse(text).map_err(|message| Error::file(name, message))
    }

    /// The lock's text; [`Lock::parse`] gives the same lock back.
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// SHA-256 of its text without the last line, which holds it: it identifies the lock that a build used.
    pub fn checksum(&self) -> String {
        text::checksum(&self.to_text()).unwrap_or_default()
    }

    /// Whether it was made of the same things as a build is now; `inputs` is `None` where there are no calibration inputs to compare with.
    ///
    /// # Errors
    /// One text that lists all differences, and the remedy.
    pub fn check(&self, now: &Origin, inputs: Option<&str>) -> Result<(), String> {
        let mut changes = vec![];
        let (then_weights, now_weights) = (&self.origin.weights, &now.weights);
        if then_weights.1 != now_weights.1 {
            let short = |(name, hash): &(String, String)| format!("{name} ({})", short(hash));
            changes.push(format!("weights: {}, made of {}", short(now_weights), short(then_weights)));
        }
        let recipe = (&self.origin.recipe, &now.recipe);
        let keys: BTreeSet<&String> = recipe.0.keys().chain(recipe.1.keys()).collect();
        for key in keys {
            let value = |map: &BTreeMap<String, String>| map.get(key).cloned().unwrap_or("absent".into());
            let (then, now) = (value(recipe.0), value(recipe.1));
            if then != now {
                changes.push(format!("`{key}`: {now}, made with {then}"));
            }
        }
        if inputs.is_some_and(|hash| hash != self.origin.inputs.1) {
            changes
                .push(format!("calibration inputs: others than the {} it was made of", self.origin.inputs.0));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let changes: String = changes.iter().map(|change| format!("\n  {change}")).collect();
        Err(format!("the lock does not match what is built:{changes}\n{MEND}"))
    }

    /// The ranges of a graph's values.
    ///
    /// # Errors
    /// A tensor without a range, a range without a tensor.
    pub fn ranges_of(&self, graph: &Graph) -> Result<Ranges> {
        let names = names(graph);
        let ranges = self.known_ranges(graph);
        for members in Groups::new(graph, &ranges).members() {
            let decided = given_format(graph, &members).is_some();
            if let Some(id) = members.iter().find(|id| !decided && ranges.get(**id).is_none()) {
                return Err(other_network(format!("has no range for `{}`", names[id.0])));
            }
        }
        match self.ranges.keys().find(|name| !names.contains(name)) {
            Some(name) => Err(other_network(format!("has a range for `{name}`, which is no tensor"))),
            None => Ok(ranges),
        }
    }

    /// The ranges of those of a graph's values that the lock knows.
    pub fn known_ranges(&self, graph: &Graph) -> Ranges {
        Ranges::new(names(graph).iter().map(|name| self.ranges.get(name).copied()).collect())
    }

    /// Lets biases be corrected as the lock says.
    ///
    /// # Errors
    /// A correction of a layer that is not there.
    pub fn correct(&self, q: &mut QGraph) -> Result<()> {
        let names = names(&q.graph);
        for (name, steps) in &self.corrections {
            let at = names.iter().position(|n| n == name);
            let at = at.ok_or_else(|| other_network(format!("corrects `{name}`, which is no layer")))?;
            q.corrections.insert(ValueId(at), steps.clone());
        }
        Ok(())
    }

    /// From ranges and corrections by value; without answers.
    pub fn of_graph(
        origin: Origin,
        q: &QGraph,
        ranges: &Ranges,
        wide: Wide,
        corrections: &BTreeMap<ValueId, Vec<i32>>,
    ) -> Self {
        let names = names(&q.graph);
        let named = names.iter().enumerate();
        let ranges = named.filter_map(|(i, name)| Some((name.clone(), ranges.get(ValueId(i))?))).collect();
        let corrections =
            corrections.iter().map(|(id, steps)| (names[id.0].clone(), steps.clone())).collect();
        Self { origin, ranges, wide, corrections, answers: BTreeMap::new() }
    }
}

/// The remedy for a lock that cannot be used.
const MEND: &str = "make it again with `niello calibrate`, or build without it (`--recalibrate`)";

fn other_network(what: String) -> Error {
    Error::Invalid(format!("the lock {what} of this network; {MEND}"))
}

/// The first digits of a hash.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(if hash.is_empty() { "no hash" } else { hash })
}

/// The name of every value, with `#2` and so on behind the second of one name and those after it.
fn names(graph: &Graph) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = vec![];
    for value in &graph.values {
        let count = seen.entry(&value.name).and_modify(|n| *n += 1).or_insert(1);
        names.push(if *count == 1 { value.name.clone() } else { format!("{}#{count}", value.name) });
    }
    names
}
