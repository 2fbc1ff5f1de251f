//! The cost of an inference, as a whole and layer by layer.

use crate::{Error, Result, program::names::step_layers};
use std::collections::BTreeMap;

/// Costs in the unit of the runner: nanoseconds, instructions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Costs {
    /// The cost of the whole inference; absent: the sum of the layers.
    pub total: Option<u64>,
    /// The costs of the steps, by their layers.
    pub steps: BTreeMap<Vec<String>, u64>,
}

impl Costs {
    /// Parses the output of a runner: lines `layer NAME COST`, where `NAME` is a step's ([`crate::program::names`]), and, at most, `total COST`.
    /// Other lines are ignored. Of a layer that is there several times, and of several totals, the smallest cost counts.
    ///
    /// # Errors
    /// A cost that is not a whole number; no layer at all.
    pub fn parse(text: &str) -> Result<Self> {
        let mut costs = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [first, name @ .., cost] = &words[..] else { continue };
            let cost = || {
                let wrong =
                    || Error::Invalid(format!("runner: expected a whole number at the end of `{line}`"));
                cost.parse::<u64>().map_err(|_| wrong())
            };
            match (*first, name) {
                ("layer", [name]) => costs.add_step(step_layers(name), cost()?),
                ("total", []) => costs.add_total(cost()?),
                _ => {}
            }
        }
        if costs.steps.is_empty() {
            return Err(Error::Invalid("runner: printed no line `layer NAME COST`".into()));
        }
        Ok(costs)
    }

    /// Notes a cost of the whole inference.
    pub fn add_total(&mut self, cost: u64) {
        self.total = Some(self.total.map_or(cost, |total| total.min(cost)));
    }

    /// Notes a cost of the step of these layers.
    pub fn add_step(&mut self, layers: Vec<String>, cost: u64) {
        self.steps.entry(layers).and_modify(|c| *c = cost.min(*c)).or_insert(cost);
    }

    /// The smaller of each cost and that of another run of the same program.
    pub fn merge(&mut self, other: &Self) {
        other.total.iter().for_each(|cost| self.add_total(*cost));
        other.steps.iter().for_each(|(layers, cost)| self.add_step(layers.clone(), *cost));
    }

    /// The cost of the whole inference; saturates.
    pub fn total(&self) -> u64 {
        self.total.unwrap_or_else(|| self.steps.values().copied().fold(0, u64::saturating_add))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_runners_are_read_and_others_are_not() {
        let text = "warning: layer\nlayer a 5\nINFO layer b 7\nlayer b+c 70\nlayer a 4\nlayer a 6\nlayer d Conv2d 9 1\ntotal\n";
        let costs = Costs::parse(text).unwrap();
        let steps: Vec<(String, u64)> =
            costs.steps.iter().map(|(layers, cost)| (layers.join(" and "), *cost)).collect();
        assert_eq!((steps, costs.total()), (vec![("a".into(), 4), ("b and c".into(), 70)], 74));
        assert_eq!(Costs::parse("layer a 5\ntotal 90\ntotal 80").unwrap().total(), 80);
        assert_eq!(Costs::parse("layer a 18446744073709551615\nlayer b 1").unwrap().total(), u64::MAX);
    }

    #[test]
    fn what_is_no_cost_is_refused() {
        for (text, words) in [
            ("", "printed no line `layer NAME COST`"),
            ("total 5", "printed no line `layer NAME COST`"),
            ("layer a 1.5", "expected a whole number at the end of `layer a 1.5`"),
            ("layer a -1", "expected a whole number"),
            ("layer a 1\ntotal x", "expected a whole number at the end of `total x`"),
        ] {
            let error = Costs::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
