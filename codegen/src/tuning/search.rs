//! The search: programs to measure, and choices to keep.
//!
//! A candidate makes the same choice in every layer that has it, so that there are as many programs as choices and not as many
//! as combinations. Layers are then decided one by one, each by its own cost. Costs of some layers come in one: those of a fused step, those
//! that write parts of one concatenation where only its end is seen. Such a group is decided as one.

use super::Costs;
use crate::program::{Choice, Choices};
use std::collections::{BTreeMap, BTreeSet};

/// Pixels per pass that are tried beside a layer's default, as multiples of it: numerators and denominators.
const MULTIPLES: [(usize, usize); 4] = [(1, 4), (1, 2), (2, 1), (4, 1)];

/// Every layer that has two algorithms with the other one than in `made`.
pub fn other_algorithms(made: &Choices) -> Choices {
    let other = |choice: &Choice| choice.winograd.map(|w| Choice { winograd: Some(!w), pixels: None });
    made.iter().filter_map(|(layer, choice)| Some((layer.clone(), other(choice)?))).collect()
}

/// `asked`, which lowering made `made` of, with other counts of pixels per pass: those given, else multiples of each
/// layer's own.
pub fn other_pixels(asked: &Choices, made: &Choices, pixels: &[usize]) -> Vec<Choices> {
    let tunable = || made.iter().filter_map(|(layer, choice)| Some((layer, choice.pixels?)));
    let with = |pixels: &dyn Fn(usize) -> usize| -> Choices {
        let mut choices = asked.clone();
        for (layer, own) in tunable() {
            let pixels = pixels(own);
            if pixels != own {
                choices.entry(layer.clone()).or_default().pixels = Some(pixels);
            }
        }
        choices
    };
    let mut all: Vec<Choices> = match pixels {
        [] => MULTIPLES.iter().map(|(n, d)| with(&|own: usize| (own * n / d).max(1))).collect(),
        given => given.iter().map(|pixels| with(&|_| *pixels)).collect(),
    };
    all.retain(|choices| choices != asked);
    all.dedup();
    all
}

/// Layers that get other choices than by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// All layers whose cost is in `before` and `after`, in the order of their names.
    pub layers: Vec<String>,
    /// Choices of some of them.
    pub choices: Choices,
    /// Cost by default.
    pub before: u64,
    /// Cost with the choices.
    pub after: u64,
}

/// For each group of layers the candidate of least cost, where that is below the default's by more than `margin`, a fraction.
pub fn pick(default: &Costs, candidates: &[(Choices, Costs)], margin: f64) -> Vec<Pick> {
    let mut picks = vec![];
    for layers in groups([default].into_iter().chain(candidates.iter().map(|(_, costs)| costs))) {
        let Some(before) = cost(default, &layers) else { continue };
        let options = candidates.iter().filter_map(|(choices, costs)| {
            let of_group = |(layer, _): &(&String, &Choice)| layers.contains(layer.as_str());
            let choices: Choices =
                choices.iter().filter(of_group).map(|(layer, choice)| (layer.clone(), *choice)).collect();
            (!choices.is_empty()).then_some(())?;
            Some((cost(costs, &layers)?, choices))
        });
        // Among equals the first.
        let best = options.min_by_key(|(cost, _)| *cost);
        if let Some((after, choices)) = best.filter(|(after, _)| pays(before, *after, margin)) {
            let layers = layers.into_iter().map(Into::into).collect();
            picks.push(Pick { layers, choices, before, after });
        }
    }
    picks
}

/// The picks that still pay when their combination is measured beside the default, with their costs there.
pub fn confirm(picks: &[Pick], default: &Costs, combined: &Costs, margin: f64) -> Vec<Pick> {
    let confirmed = picks.iter().filter_map(|pick| {
        let layers: BTreeSet<&str> = pick.layers.iter().map(String::as_str).collect();
        let (before, after) = (cost(default, &layers)?, cost(combined, &layers)?);
        pays(before, after, margin).then(|| Pick { before, after, ..pick.clone() })
    });
    confirmed.collect()
}

/// The choices of all picks.
pub fn combined(picks: &[Pick]) -> Choices {
    picks.iter().flat_map(|pick| pick.choices.clone()).collect()
}

fn pays(before: u64, after: u64, margin: f64) -> bool {
    (after as f64) < before as f64 * (1.0 - margin)
}

/// The cost of a group; `None` if nothing of it was measured.
fn cost(costs: &Costs, group: &BTreeSet<&str>) -> Option<u64> {
    let of_group = |(layers, _): &(&Vec<String>, &u64)| layers.iter().any(|layer| group.contains(&**layer));
    costs.steps.iter().filter(of_group).map(|(_, cost)| *cost).reduce(|a, b| a + b)
}

/// The smallest sets of layers that no cost of any program divides.
fn groups<'a>(all: impl Iterator<Item = &'a Costs>) -> Vec<BTreeSet<&'a str>> {
    let mut groups: Vec<BTreeSet<&str>> = vec![];
    let mut group_of: BTreeMap<&str, usize> = BTreeMap::new();
    for layers in all.flat_map(|costs| costs.steps.keys()) {
        let layers: BTreeSet<&str> = layers.iter().map(String::as_str).collect();
        let met: BTreeSet<usize> = layers.iter().filter_map(|layer| group_of.get(layer).copied()).collect();
        let mut joint = layers;
        met.iter().for_each(|i| joint.append(&mut groups[*i]));
        group_of.extend(joint.iter().map(|layer| (*layer, groups.len())));
        groups.push(joint);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(steps: &[(&str, u64)]) -> Costs {
        let step = |(name, cost): &(&str, u64)| (crate::program::names::step_layers(name), *cost);
        Costs { total: None, steps: steps.iter().map(step).collect() }
    }

    fn choices(of: &[(&str, Option<usize>, Option<bool>)]) -> Choices {
        of.iter()
            .map(|(layer, pixels, winograd)| {
                (layer.to_string(), Choice { pixels: *pixels, winograd: *winograd })
            })
            .collect()
    }

    #[test]
    fn candidates_differ_from_what_lowering_does_anyway() {
        let made =
            choices(&[("a", Some(60), None), ("b", Some(128), Some(true)), ("c", Some(1), Some(false))]);
        let other = other_algorithms(&made);
        assert_eq!(other, choices(&[("b", None, Some(false)), ("c", None, Some(true))]));
        let pixels = other_pixels(&Choices::new(), &made, &[]);
        assert_eq!(
            pixels,
            [
                choices(&[("a", Some(15), None), ("b", Some(32), None)]),
                choices(&[("a", Some(30), None), ("b", Some(64), None)]),
                choices(&[("a", Some(120), None), ("b", Some(256), None), ("c", Some(2), None)]),
                choices(&[("a", Some(240), None), ("b", Some(512), None), ("c", Some(4), None)]),
            ]
        );
        let given = other_pixels(&choices(&[("b", None, Some(false))]), &made, &[60, 128]);
        assert_eq!(given[0], choices(&[("b", Some(60), Some(false)), ("c", Some(60), None)]));
        assert_eq!(
            given[1],
            choices(&[("a", Some(128), None), ("b", None, Some(false)), ("c", Some(128), None)])
        );
        assert!(other_pixels(&Choices::new(), &choices(&[("a", Some(60), None)]), &[60]).is_empty());
    }

    #[test]
    fn each_layer_gets_its_own_best_beyond_the_margin() {
        let default = costs(&[("a", 1000), ("b", 1000), ("c", 1000), ("pool", 500)]);
        let wide = choices(&[("a", Some(9), None), ("b", Some(9), None), ("c", Some(9), None)]);
        let narrow = choices(&[("a", Some(3), None), ("b", Some(3), None)]);
        let candidates = [
            (wide, costs(&[("a", 900), ("b", 980), ("c", 1200), ("pool", 1)])),
            (narrow, costs(&[("a", 800), ("b", 1500), ("c", 10), ("pool", 1)])),
        ];
        let picks = pick(&default, &candidates, 0.03);
        let of_a = Pick {
            layers: vec!["a".into()],
            choices: choices(&[("a", Some(3), None)]),
            before: 1000,
            after: 800,
        };
        assert_eq!(picks, [of_a], "b gains 2 %, c's own choices cost more, pool has none");
        assert_eq!(pick(&default, &candidates, 0.01).len(), 2);
    }

    #[test]
    fn what_is_measured_together_is_decided_together() {
        // By default `a` and `pool` are one step, otherwise not; `x` and `y` are seen as one.
        let default = costs(&[("a+pool", 1000), ("x+y", 1000)]);
        let other = choices(&[("a", None, Some(true)), ("x", Some(7), None), ("y", Some(7), None)]);
        let picks =
            pick(&default, &[(other.clone(), costs(&[("a", 600), ("pool", 300), ("x+y", 500)]))], 0.03);
        let layers: Vec<&[String]> = picks.iter().map(|p| &p.layers[..]).collect();
        assert_eq!(layers, [&["a", "pool"], &["x", "y"]]);
        assert_eq!((picks[0].after, &picks[0].choices), (900, &choices(&[("a", None, Some(true))])));
        assert_eq!(combined(&picks), other);
    }

    #[test]
    fn a_gain_that_is_not_seen_again_is_no_gain() {
        let default = costs(&[("a", 1000), ("b", 1000)]);
        let candidate = choices(&[("a", Some(3), None), ("b", Some(3), None)]);
        let picks = pick(&default, &[(candidate, costs(&[("a", 900), ("b", 900)]))], 0.03);
        let again = confirm(&picks, &default, &costs(&[("a", 1000), ("b", 850)]), 0.03);
        assert_eq!(combined(&again), choices(&[("b", Some(3), None)]));
        assert_eq!((again[0].before, again[0].after), (1000, 850));
    }
}
