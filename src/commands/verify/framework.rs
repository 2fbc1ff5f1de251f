//! Float beside another framework: whether both compute the same from the same input.

use niello_codegen::{
    Error, Result, Tensor,
    check::{compare, warnings::Warning},
    pipeline::Pair,
};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// How far the float reference is from what a framework computed.
#[derive(Serialize)]
pub(super) struct Framework {
    #[serde(skip)]
    expected: BTreeMap<String, Pair>,
    /// Cases with tensors of the framework.
    cases: usize,
    /// Cases with the framework's class.
    same_class: usize,
    /// The largest difference of an output, as a share of the largest output.
    output_difference: Option<f64>,
    /// The largest difference of an input after pre-processing, as a share of the largest input.
    input_difference: Option<f64>,
    #[serde(skip)]
    found: [Differences; 2],
}

/// Differences of tensors.
#[derive(Default)]
struct Differences {
    largest: f64,
    difference: f64,
    tensors: usize,
}

impl Differences {
    fn add(&mut self, expected: &Tensor<f32>, found: &Tensor<f32>) {
        for (a, b) in expected.data.iter().zip(&found.data) {
            self.largest = self.largest.max(a.abs() as f64);
            // NaN differs from everything.
            let difference = (*a as f64 - *b as f64).abs();
            self.difference =
                if difference.is_nan() { f64::INFINITY } else { self.difference.max(difference) };
        }
        self.tensors += 1;
    }

    fn share(&self) -> Option<f64> {
        (self.tensors > 0).then(|| self.difference / self.largest.max(f64::MIN_POSITIVE))
    }
}

/// Frameworks sum in other orders: a larger share of the largest value is another computation.
const MOST: f64 = 0.01;

impl Framework {
    pub(super) fn new(expected: BTreeMap<String, Pair>) -> Self {
        Self {
            expected,
            cases: 0,
            same_class: 0,
            output_difference: None,
            input_difference: None,
            found: Default::default(),
        }
    }

    /// Adds a case: by its name, or that of an image without its ending.
    pub(super) fn add(
        &mut self,
        case: &str,
        inputs: &[Tensor<f32>],
        pair: &compare::Pair,
        class: impl Fn(&[f32]) -> usize,
    ) {
        let stem = Path::new(case).file_stem().map(|stem| stem.to_string_lossy());
        let of_stem = || self.expected.get(&*stem?);
        let Some(expected) = self.expected.get(case).or_else(of_stem) else { return };
        self.cases += 1;
        let [of_outputs, of_inputs] = &mut self.found;
        if let Some(output) = &expected.output {
            of_outputs.add(output, &pair.float[0]);
            self.same_class += (class(&output.data) == class(&pair.float[0].data)) as usize;
        }
        expected.inputs.iter().zip(inputs).for_each(|(expected, found)| of_inputs.add(expected, found));
    }

    /// The figures; `None` if nothing was expected.
    ///
    /// # Errors
    /// Tensors of no case.
    pub(super) fn finish(mut self, file: Option<&Path>) -> Result<Option<Self>> {
        if self.cases == 0 {
            return match (self.expected.keys().next(), file) {
                (Some(case), Some(file)) => {
                    let message = format!(
                        "none of its cases (`{case}`, …) has the name of an image or of a sample of `--data`"
                    );
                    Err(Error::file(file, message))
                }
                _ => Ok(None),
            };
        }
        (self.output_difference, self.input_difference) = (self.found[0].share(), self.found[1].share());
        Ok(Some(self))
    }

    /// What is wrong with float, if something is.
    pub(super) fn warning(&self) -> Option<Warning> {
        let is_off = |share: Option<f64>| share.is_some_and(|share| share > MOST);
        let (layer, message) = if is_off(self.input_difference) {
            let message = format!(
                "differs from the framework's by up to {:.1} % of the largest value: the pre-processing is another",
                100.0 * self.input_difference?
            );
            ("input", message)
        } else if is_off(self.output_difference) {
            let cause = match self.input_difference {
                Some(_) => "the weights or the network are others",
                None => "the pre-processing, the weights or the network are others",
            };
            let share = 100.0 * self.output_difference?;
            (
                "output",
                format!(
                    "of float differs from the framework's by up to {share:.1} % of the largest value: {cause}"
                ),
            )
        } else {
            return None;
        };
        Some(Warning { layer: layer.into(), message })
    }

    pub(super) fn text(&self) -> String {
        let percent =
            |share: Option<f64>| share.map_or_else(|| "not given".into(), |s| format!("{:.4} %", 100.0 * s));
        format!(
            "float against the framework, {} cases: inputs differ by at most {}, outputs by {} of the largest value; same class on {}\n",
            self.cases,
            percent(self.input_difference),
            percent(self.output_difference),
            self.same_class
        )
    }
}
