//! The range of every tensor: chosen from what calibration saw, or read from a [`crate::lock`].

use crate::{
    error::{Error, Result},
    graph::{Graph, ValueId},
    quantize::{Groups, QuantizeOptions, RangeMethod, Statistics, calibrate::Calibration, given_format},
};

/// The range of one tensor, in real values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRange {
    /// Smallest and largest value that 8 bits cover, the same for all tensors that share a format.
    pub chosen: (f32, f32),
    /// Smallest and largest value of this tensor on the calibration set.
    pub seen: (f32, f32),
}

/// Ranges by value; none where an operator fixes the format.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranges(Vec<Option<ValueRange>>);

/// Something that knows the smallest and largest number of a tensor on the calibration set.
pub trait Seen {
    /// Of a value; `None` if it was not seen.
    fn seen(&self, id: ValueId) -> Option<(f32, f32)>;
}

impl Seen for Calibration {
    fn seen(&self, id: ValueId) -> Option<(f32, f32)> {
        self.statistics(id).map(|s| (s.min, s.max))
    }
}

impl Seen for Ranges {
    fn seen(&self, id: ValueId) -> Option<(f32, f32)> {
        self.get(id).map(|range| range.seen)
    }
}

impl Ranges {
    /// From one entry per value.
    pub fn new(by_value: Vec<Option<ValueRange>>) -> Self {
        Self(by_value)
    }

    /// The ranges that calibration saw; nothing is chosen.
    pub fn seen_by(graph: &Graph, calibration: &Calibration) -> Self {
        let range = |id| calibration.seen(id).map(|seen| ValueRange { chosen: seen, seen });
        Self((0..graph.values.len()).map(ValueId).map(range).collect())
    }

    /// The range of a value.
    pub fn get(&self, id: ValueId) -> Option<ValueRange> {
        *self.0.get(id.0)?
    }

    /// Chooses the range of each tensor, one for those that must share a format.
    ///
    /// # Errors
    /// An override that names no tensor; a tensor that calibration never saw.
    pub fn choose(graph: &Graph, calibration: &Calibration, options: &QuantizeOptions) -> Result<Self> {
        for (name, method) in &options.overrides {
            let checked = graph.require(name).and(check_method(*method));
            checked.map_err(|message| Error::RangeOverride { tensor: name.clone(), message })?;
        }
        check_method(options.method).map_err(Error::Invalid)?;
        let mut ranges = vec![None; graph.values.len()];
        for members in Groups::new(graph, calibration).members() {
            if given_format(graph, &members).is_some() {
                continue;
            }
            let chosen = of_group(graph, &members, calibration, options)?;
            for id in members {
                let seen = calibration.seen(id).unwrap_or(chosen);
                ranges[id.0] = Some(ValueRange { chosen, seen });
            }
        }
        Ok(Self(ranges))
    }

    /// The range that all `members` have.
    ///
    /// # Errors
    /// One that has none, or another than the first.
    pub(crate) fn of_group(&self, graph: &Graph, members: &[ValueId]) -> Result<(f32, f32)> {
        let of = |id: ValueId| {
            let name = &graph.values[id.0].name;
            self.get(id).map(|r| r.chosen).ok_or_else(|| Error::Invalid(format!("`{name}` has no range")))
        };
        let first = of(members[0])?;
        for id in &members[1..] {
            if of(*id)? != first {
                let [one, other] = [members[0], *id].map(|id| &graph.values[id.0].name);
                let message = format!("`{one}` and `{other}` share a format, and have different ranges");
                return Err(Error::Invalid(message));
            }
        }
        Ok(first)
    }
}

/// Whether a method's parameters mean something.
fn check_method(method: RangeMethod) -> Result<(), String> {
    match method {
        RangeMethod::Fixed { min, max } if !(min.is_finite() && max.is_finite() && min <= max) => {
            Err(format!("expected two finite numbers in order, got {min} and {max}"))
        }
        RangeMethod::Auto(percent) | RangeMethod::Percentile(percent)
            if !(percent > 50.0 && percent <= 100.0) =>
        {
            Err(format!("expected a percentile above 50 and up to 100, got {percent}"))
        }
        _ => Ok(()),
    }
}

/// One range for values that share a format.
fn of_group(
    graph: &Graph,
    members: &[ValueId],
    calibration: &Calibration,
    options: &QuantizeOptions,
) -> Result<(f32, f32)> {
    let mut all = Statistics::default();
    for id in members {
        let seen = calibration.statistics(*id).ok_or_else(|| {
            Error::Invalid(format!("`{}` was not seen in calibration", graph.values[id.0].name))
        })?;
        all.merge(seen);
    }
    Ok(choose_range(&all, method_of(graph, members, options).0))
}

/// The method for values that share a format, and whether it is an override.
fn method_of(graph: &Graph, members: &[ValueId], options: &QuantizeOptions) -> (RangeMethod, bool) {
    let overridden = members.iter().find_map(|id| options.overrides.get(&graph.values[id.0].name));
    // Cutting off a network's own outputs would tie the scores of classes. What other layers read is on its way, and has the
    // same range whether it is an output too or not.
    let is_output =
        members.iter().any(|id| graph.outputs.contains(id) && graph.readers(*id).next().is_none());
    match overridden {
        Some(method) => (*method, true),
        None if is_output => (RangeMethod::MinMax, false),
        None => (options.method, false),
    }
}

/// The rule that gives each value its format, in a word or two: a method, or what fixes it.
pub fn rules(graph: &Graph, seen: &impl Seen, options: &QuantizeOptions) -> Vec<String> {
    let mut rules = vec![String::new(); graph.values.len()];
    for members in Groups::new(graph, seen).members() {
        let rule = match given_format(graph, &members) {
            Some(_) => "operator".into(),
            None => match method_of(graph, &members, options) {
                (method, true) => format!("override: {method}"),
                (method, false) => method.to_string(),
            },
        };
        members.iter().for_each(|id| rules[id.0].clone_from(&rule));
    }
    rules
}

/// The range that `method` picks.
pub fn choose_range(seen: &Statistics, method: RangeMethod) -> (f32, f32) {
    match method {
        RangeMethod::Fixed { min, max } => (min, max),
        RangeMethod::MinMax => (seen.min, seen.max),
        RangeMethod::Percentile(p) => seen.percentile(p),
        RangeMethod::LeastSquares => seen.least_squares(),
        RangeMethod::Auto(percentile) => {
            let around = |times: f64| seen.percentile((100.0 - times * (100.0 - percentile)).max(50.0));
            let candidates =
                [(seen.min, seen.max), around(0.1), around(1.0), around(10.0), seen.least_squares()];
            let error = |r: &(f32, f32)| seen.squared_error(r.0, r.1);
            candidates.into_iter().min_by(|a, b| error(a).total_cmp(&error(b))).expect("candidates")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros, and few values so large that no range which the search tries is small enough: percentiles are. The best one cuts off 101 values,
    /// and not 1101.
    #[test]
    fn of_all_methods_the_one_with_the_least_error_is_taken() {
        let counts = [(0.0, 1e8), (3.0, 1e3), (8.0, 1e2), (100.0, 1.0)];
        let seen = Statistics::of_counts(128.0, &counts);
        let total: f64 = counts.iter().map(|(_, n)| n).sum();
        let cutting = |values: f64| 100.0 - 200.0 * values / total;
        let best = (0.0, 3.0 + 1.0 / 32.0);
        for values in [30.0, 300.0, 3000.0] {
            assert_eq!(
                choose_range(&seen, RangeMethod::Auto(cutting(values))),
                best,
                "{values} at either end"
            );
        }
        assert_eq!(choose_range(&seen, RangeMethod::Percentile(cutting(300.0))), best);
        assert_eq!(choose_range(&seen, RangeMethod::Percentile(cutting(30.0))).1, 8.0 + 1.0 / 32.0);
        let searched = choose_range(&seen, RangeMethod::LeastSquares);
        assert!(searched.1 > 11.0, "{searched:?}");
        for percent in [100.0, cutting(0.01)] {
            assert_eq!(choose_range(&seen, RangeMethod::Auto(percent)), searched, "nothing is cut off");
        }
        assert_eq!(choose_range(&seen, RangeMethod::MinMax), (0.0, 100.0));
        assert_eq!(choose_range(&seen, RangeMethod::Fixed { min: -1.0, max: 2.0 }), (-1.0, 2.0));
    }

    #[test]
    fn parameters_that_mean_nothing_are_refused() {
        for right in [50.001, 99.99, 100.0] {
            for method in [RangeMethod::Auto(right), RangeMethod::Percentile(right)] {
                assert_eq!(check_method(method), Ok(()));
            }
        }
        for wrong in [50.0, 0.0, 100.001, f64::NAN, f64::INFINITY] {
            for method in [RangeMethod::Auto(wrong), RangeMethod::Percentile(wrong)] {
                let expected = format!("expected a percentile above 50 and up to 100, got {wrong}");
                assert_eq!(check_method(method), Err(expected));
            }
        }
        for (min, max) in [(-1.0, 1.0), (0.0, 0.0), (1.0, 2.0)] {
            assert_eq!(check_method(RangeMethod::Fixed { min, max }), Ok(()));
        }
        for (min, max) in [(1.0, -1.0), (f32::NAN, 1.0), (0.0, f32::INFINITY), (f32::NEG_INFINITY, 0.0)] {
            let expected = format!("expected two finite numbers in order, got {min} and {max}");
            assert_eq!(check_method(RangeMethod::Fixed { min, max }), Err(expected));
        }
    }
}
