//! Whether the figures are good enough.

use crate::table;
use niello_codegen::{Error, Result, check::warnings::MOST_OF_INPUT};
use niello_evaluation::{Evaluation, Figures};

/// What is asked for.
pub(super) struct Limits {
    pub(super) accuracy: Option<f64>,
    pub(super) dice: Option<f64>,
    pub(super) agreement: Option<f64>,
}

impl Limits {
    /// That what is asked for is measured.
    pub(super) fn check(&self, is_segmentation: bool, is_compared: bool) -> Result<()> {
        if self.dice.is_some() && !is_segmentation {
            return Err(Error::Invalid("`--min-dice` is for segmentations".into()));
        }
        if self.agreement.is_some() && !is_compared {
            return Err(Error::Invalid("`--min-agreement` needs `--against`".into()));
        }
        Ok(())
    }
}

/// What is wrong with the result, and warnings of the same kind; `None` for a good one.
pub(super) fn failure(evaluation: &Evaluation, limits: &Limits) -> Option<Error> {
    let mut failures = vec![];
    if evaluation.is_empty() {
        failures.push(format!("none of {} cases has a result", evaluation.left_out.len()));
    }
    let ties = match &evaluation.figures {
        Some(Figures::Classification(report)) => report.ties,
        _ => 0,
    };
    let all = evaluation.len();
    let is_dead = evaluation.is_constant() || (all > 1 && ties == all);
    if evaluation.is_constant() {
        failures.push(format!("the output is the same for all {all} cases: the network decides nothing"));
    } else if is_dead {
        failures.push(format!("the largest scores of all {all} cases are ties: the network decides nothing"));
    }
    let is_cut_off = cut_off(evaluation) > MOST_OF_INPUT;
    if let (Some([min, max]), true) = (evaluation.run.input_range, is_cut_off || is_dead) {
        let input = evaluation.input();
        let percent = |n: u64| table::percent(Some(n as f64 / input.values.max(1) as f64));
        let (below, above) = (percent(input.below), percent(input.above));
        let remedy = if is_cut_off {
            ": the ranges were found on images unlike these; calibrate on typical ones (`--calibrate FOLDER`, which does without the lock), or set the \
             range of the input (`[overrides]`)"
        } else {
            ""
        };
        failures.push(format!(
            "the input's range is {min} to {max}; {below} of the values of these cases lie below it, {above} above{remedy}"
        ));
    }
    let (accuracy, dice, agreement) = match &evaluation.figures {
        Some(Figures::Classification(report)) => (
            report.figures.as_ref().and_then(|f| f.accuracy.value),
            None,
            report.against.as_ref().and_then(|a| a.agreement.value),
        ),
        Some(Figures::Segmentation(report)) => (
            report.figures.as_ref().and_then(|f| f.accuracy.value),
            report.figures.as_ref().and_then(|f| f.lowest_dice()),
            report.against.as_ref().and_then(|a| a.agreement.lowest_dice()),
        ),
        None => (None, None, None),
    };
    let limits = [
        ("accuracy", accuracy, limits.accuracy),
        ("dice", dice, limits.dice),
        ("agreement", agreement, limits.agreement),
    ];
    for (name, found, wanted) in limits {
        match (found, wanted) {
            (Some(found), Some(wanted)) if found < wanted => {
                failures.push(format!("{name} {found:.4} is below `--min-{name} {wanted}`"));
            }
            (None, Some(_)) => failures.push(format!("`--min-{name}`: there is no {name}")),
            _ => {}
        }
    }
    (!failures.is_empty()).then(|| Error::Invalid(failures.join("\n  ")))
}

/// The share of the input's values that its range cuts off.
pub(super) fn cut_off(evaluation: &Evaluation) -> f64 {
    let input = evaluation.input();
    (input.below + input.above) as f64 / input.values.max(1) as f64
}
