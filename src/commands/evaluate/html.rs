//! An evaluation as a page.

use crate::{
    blocks::Block,
    html::{self, Line, Plot, escaped},
};
use niello_evaluation::{Curve, Evaluation, Figures};

/// The page.
pub(super) fn of(evaluation: &Evaluation, blocks: &[Block]) -> String {
    let run = &evaluation.run;
    let mut body = html::blocks(blocks);
    if let Some(Figures::Classification(report)) = &evaluation.figures {
        let curves = &report.curves;
        body += &plot(&run.classes, curves, |c| &c.roc, "ROC curve", ["1 - specificity", "sensitivity"]);
        body += &plot(
            &run.classes,
            curves,
            |c| &c.precision_recall,
            "Precision over recall",
            ["recall", "precision"],
        );
    }
    body += &format!("<p>Program {}<br>data {}</p>\n", escaped(&run.program), escaped(&run.data));
    html::page(&format!("Evaluation of {}", run.network), "", &body)
}

/// Curves of all classes in the unit square; empty where there are none.
fn plot(
    classes: &[String],
    curves: &[Curve],
    points: fn(&Curve) -> &Vec<[f64; 2]>,
    caption: &str,
    axes: [&str; 2],
) -> String {
    let of_class = classes.iter().zip(curves).zip(html::COLOURS.iter().cycle());
    let line = |((name, curve), colour): ((&String, &Curve), &&str)| Line {
        name: name.clone(),
        colour: colour.to_string(),
        points: points(curve).clone(),
    };
    let lines: Vec<Line> = of_class.map(line).filter(|line| !line.points.is_empty()).collect();
    if lines.is_empty() {
        return String::new();
    }
    Plot { caption, axes, range: [[0.0, 1.0]; 2], size: [260.0; 2], lines }.figure()
}
