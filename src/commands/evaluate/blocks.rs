//! An evaluation as blocks, for a terminal and for a page.

use super::verdict::cut_off;
use crate::{
    blocks::Block::{self, Figure, Line, Table, Title, Warning},
    table,
};
use niello_codegen::check::warnings::MOST_SATURATED;
use niello_evaluation::{
    Estimate, Evaluation, Figures,
    classifier::{ClassFigures, ClassifierFigures, ClassifierReport},
    masks::{ByImage, Changed, ClassMasks, MaskFigures, MaskReport},
    paired::Flip,
};

/// Everything that a person reads.
pub(super) fn of(evaluation: &Evaluation) -> Vec<Block> {
    let run = &evaluation.run;
    let mut blocks = match &evaluation.figures {
        Some(Figures::Classification(report)) => classifier(report, &run.classes),
        Some(Figures::Segmentation(report)) => masks(report, &run.classes),
        None => vec![],
    };
    let shard = run.shard.map_or(String::new(), |[k, n]| format!(", shard {k} of {n}"));
    let plural = if evaluation.len() == 1 { "" } else { "s" };
    let against = run.against.as_ref().map_or(String::new(), |against| format!(", against {against}"));
    let (network, format, count) = (&run.network, &run.format, evaluation.len());
    blocks.push(Title(format!(
        "{network} ({format}) on {count} case{plural}{shard}{against}; in brackets 95 % intervals"
    )));
    if cut_off(evaluation) > MOST_SATURATED {
        let share = table::percent(Some(cut_off(evaluation)));
        blocks.push(Warning(format!("the input's range cuts off {share} of the values")));
    }
    if !evaluation.left_out.is_empty() {
        let left_out = &evaluation.left_out;
        blocks.push(Warning(format!("{} of {} cases left out:", left_out.len(), count + left_out.len())));
        let rows = left_out.iter().map(|case| vec![case.id.clone(), case.why.clone()]).collect();
        blocks.push(Table(vec!["case".into(), "why".into()], rows));
    }
    blocks
}

/// `0.912 [0.850, 0.970]`.
fn estimate(estimate: &Estimate) -> String {
    let interval = estimate.interval.map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"));
    table::optional(estimate.value, 3) + &interval
}

fn figure(name: &str, value: &Estimate) -> Block {
    Figure(name.into(), estimate(value))
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(String::from).into()
}

/// A row that begins with a name.
fn row(name: &str, cells: impl IntoIterator<Item = String>) -> Vec<String> {
    std::iter::once(name.to_string()).chain(cells).collect()
}

fn classifier(report: &ClassifierReport, classes: &[String]) -> Vec<Block> {
    let mut blocks = vec![];
    if let (Some(figures), Some(confusion)) = (&report.figures, &report.confusion) {
        blocks.push(classes_table(figures, classes));
        let rows = classes
            .iter()
            .zip(confusion)
            .map(|(class, n)| row(class, n.iter().map(u64::to_string)))
            .collect();
        blocks.push(Table(row("taken for", classes.iter().cloned()), rows));
        blocks.push(figure("accuracy", &figures.accuracy));
        blocks.push(figure("calibration error", &figures.calibration_error));
    }
    if report.ties > 0 {
        let ties = report.ties;
        blocks.push(Warning(format!(
            "{ties} cases have two largest scores that are equal: the first class is chosen"
        )));
    }
    let Some(against) = &report.against else { return blocks };
    blocks.push(figure("agreement", &against.agreement));
    if let (Some(difference), Some(test)) = (&against.difference, &against.mcnemar) {
        blocks.push(Title("difference to the other, own less its".into()));
        blocks.push(figure("accuracy", &difference.accuracy));
        blocks.push(figure("calibration error", &difference.calibration_error));
        blocks.push(figure("mean F1", &difference.macro_mean.f1));
        blocks.push(figure("mean ROC area", &difference.macro_mean.roc_area));
        blocks.push(Line(format!(
            "McNemar's test: {} cases only this one has right, {} only the other; exact p = {:.4}",
            test.only_own, test.only_against, test.exact_p
        )));
    }
    if !against.flips.is_empty() {
        blocks.push(Title(format!("{} decisions differ or are ties", against.flips.len())));
        let name = |class: usize| classes.get(class).cloned().unwrap_or_default();
        let flip = |f: &Flip| {
            let [own, other] = [f.margin, f.against_margin].map(|margin| format!("{margin:.4}"));
            row(&f.id, [f.label.map_or("-".into(), name), name(f.decision), own, name(f.against), other])
        };
        let headings = words(["case", "label", "decision", "margin", "other", "its margin"]);
        blocks.push(Table(headings, against.flips.iter().map(flip).collect()));
    }
    blocks
}

fn classes_table(figures: &ClassifierFigures, classes: &[String]) -> Block {
    let named = classes.iter().zip(&figures.classes).map(|(name, figures)| (name.as_str(), figures));
    let of = |(name, f): (&str, &ClassFigures)| {
        let columns =
            [&f.sensitivity, &f.specificity, &f.precision, &f.f1, &f.roc_area, &f.average_precision];
        row(name, columns.map(estimate))
    };
    let headings =
        ["class", "sensitivity", "specificity", "precision", "F1", "ROC area", "average precision"];
    Table(words(headings), named.chain([("mean", &figures.macro_mean)]).map(of).collect())
}

fn masks(report: &MaskReport, classes: &[String]) -> Vec<Block> {
    let mut blocks = report.figures.as_ref().map_or(vec![], |figures| masks_tables(figures, classes));
    let Some(against) = &report.against else { return blocks };
    blocks.push(Title("against the other's maps".into()));
    blocks.extend(masks_tables(&against.agreement, classes));
    if let Some(difference) = &against.difference {
        blocks.push(Title("difference to the other, own less its".into()));
        let of = |(name, c): (&String, &ClassMasks)| {
            row(name, [&c.pooled.dice, &c.by_image.dice.mean].map(estimate))
        };
        let rows = classes.iter().zip(&difference.classes).map(of).collect();
        blocks.push(Table(words(["class", "pooled Dice", "mean Dice"]), rows));
    }
    if !against.changed.is_empty() {
        blocks.push(Title(format!("{} images have other pixels", against.changed.len())));
        let of = |c: &Changed| {
            let dice = c.dice.iter().map(|d| table::optional(*d, 4));
            row(&c.id, std::iter::once(table::percent(Some(c.share))).chain(dice))
        };
        let dice = classes.iter().map(|class| format!("Dice {class}"));
        let headings = row("image", std::iter::once("pixels".into()).chain(dice));
        blocks.push(Table(headings, against.changed.iter().map(of).collect()));
    }
    blocks
}

fn masks_tables(figures: &MaskFigures, classes: &[String]) -> Vec<Block> {
    let pooled = |(name, c): (&String, &ClassMasks)| {
        let p = &c.pooled;
        let columns = [&p.dice, &p.iou, &p.sensitivity, &p.specificity, &p.accuracy, &p.precision];
        row(name, columns.map(estimate))
    };
    let headings = ["pooled", "Dice", "IoU", "sensitivity", "specificity", "accuracy", "precision"];
    let of_classes = || classes.iter().zip(&figures.classes);
    let pooled = Table(words(headings), of_classes().map(pooled).collect());
    let of = |name: &str, what: &str, by: &ByImage| {
        let quartiles = [&by.q1, &by.median, &by.q3].map(|e| table::optional(e.value, 3)).join(" / ");
        let [smallest, largest] = [by.minimum, by.maximum].map(|x| table::optional(x, 3));
        row(
            &format!("{name}, {what}"),
            [by.images.to_string(), estimate(&by.mean), quartiles, smallest, largest],
        )
    };
    let by_image = |(name, c): (&String, &ClassMasks)| {
        let by = &c.by_image;
        [of(name, "Dice", &by.dice), of(name, "Hausdorff 95", &by.hausdorff_95)]
    };
    let headings = ["by image", "images", "mean", "quartiles", "smallest", "largest"];
    let by_image = Table(words(headings), of_classes().flat_map(by_image).collect());
    vec![pooled, by_image, figure("pixel accuracy", &figures.accuracy)]
}
