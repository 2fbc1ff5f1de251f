//! Figures against those of scikit-learn, SciPy and MedPy. `make.py` made the vectors.

use niello_evaluation::{
    Cases, Estimate, Evaluation, Figures, InputUse, Line, MaskCase, MaskOutcome, Run, SCHEMA, ScoreCase,
    ScoreKind, Scores,
    classifier::{ClassFigures, report},
    hausdorff_95,
    masks::{self, ByImage},
    paired::McNemar,
};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().unwrap().iter().map(Value::as_f64).collect()
}

fn assert_near(found: Option<f64>, expected: Option<f64>, what: &str) {
    let close = match (found, expected) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * b.abs().max(1.0),
        (a, b) => a == b,
    };
    assert!(close, "{what}: {found:?}, expected {expected:?}");
}

fn score_cases(vector: &Value) -> Vec<ScoreCase> {
    let labels = numbers(&vector["labels"]);
    let scores = vector["scores"].as_array().unwrap();
    let one = |(i, (label, scores)): (usize, (&Option<f64>, &Value))| ScoreCase {
        id: format!("{i:03}"),
        label: label.map(|l| l as usize),
        scores: Scores(numbers(scores).into_iter().map(|s| s.unwrap() as f32).collect()),
        against: None,
        input: InputUse::default(),
    };
    labels.iter().zip(scores).enumerate().map(one).collect()
}

#[test]
fn classifiers_have_the_figures_of_scikit_learn() {
    for vector in vectors()["classifiers"].as_array().unwrap() {
        let cases = score_cases(vector);
        let classes = cases[0].scores.0.len();
        let found = report(&cases, ScoreKind::Logits, classes);
        assert_eq!(serde_json::to_value(&found.confusion).unwrap(), vector["confusion"]);
        let figures = found.figures.unwrap();
        assert_near(figures.accuracy.value, vector["accuracy"].as_f64(), "accuracy");
        assert_near(
            figures.calibration_error.value,
            vector["calibration_error"].as_f64(),
            "calibration error",
        );
        type Figure = fn(&ClassFigures) -> Estimate;
        let all: [(&str, Figure); 6] = [
            ("sensitivity", |f| f.sensitivity),
            ("specificity", |f| f.specificity),
            ("precision", |f| f.precision),
            ("f1", |f| f.f1),
            ("roc_area", |f| f.roc_area),
            ("average_precision", |f| f.average_precision),
        ];
        for (name, figure) in all {
            let expected = numbers(&vector[name]);
            assert_eq!(expected.len(), classes);
            for (class, value) in figures.classes.iter().zip(&expected) {
                assert_near(figure(class).value, *value, name);
            }
            let defined: Vec<f64> = expected.into_iter().flatten().collect();
            let mean = defined.iter().sum::<f64>() / defined.len() as f64;
            assert_near(figure(&figures.macro_mean).value, Some(mean), name);
        }
        for (curve, class) in found.curves.iter().zip(&figures.classes) {
            let by_trapezoids = |points: &[[f64; 2]]| {
                points.windows(2).map(|p| (p[1][0] - p[0][0]) * (p[1][1] + p[0][1]) / 2.0).sum::<f64>()
            };
            assert_near(Some(by_trapezoids(&curve.roc)), class.roc_area.value, "points of the ROC curve");
        }
    }
}

fn bits(value: &Value) -> Vec<u8> {
    numbers(value).into_iter().map(|b| b.unwrap() as u8).collect()
}

fn mask_cases(vector: &Value) -> Vec<MaskCase> {
    let size = [0, 1].map(|i| vector["size"][i].as_u64().unwrap() as usize);
    let one = |(i, image): (usize, &Value)| MaskCase {
        id: i.to_string(),
        found: vec![0, 0],
        outcome: Some(MaskOutcome::new(&bits(&image["truth"]), &bits(&image["found"]), size, 2)),
        against: None,
        agreement: None,
        input: InputUse::default(),
    };
    vector["images"].as_array().unwrap().iter().enumerate().map(one).collect()
}

#[test]
fn masks_have_the_figures_of_medpy() {
    let vectors = vectors();
    let vector = &vectors["masks"];
    let cases = mask_cases(vector);
    for (case, image) in cases.iter().zip(vector["images"].as_array().unwrap()) {
        let one = masks::report(std::slice::from_ref(case), 2).figures.unwrap();
        let figures = &one.classes[1].by_image;
        assert_near(figures.hausdorff_95.mean.value, image["hausdorff_95"].as_f64(), "hd95");
        assert_near(figures.dice.mean.value, image["dice"].as_f64(), "dice");
        assert_near(figures.iou.mean.value, image["iou"].as_f64(), "iou");
        assert_near(figures.sensitivity.mean.value, image["sensitivity"].as_f64(), "sensitivity");
        assert_near(figures.specificity.mean.value, image["specificity"].as_f64(), "specificity");
        assert_near(figures.precision.mean.value, image["precision"].as_f64(), "precision");
    }
    let figures = masks::report(&cases, 2).figures.unwrap();
    let pooled = &figures.classes[1].pooled;
    assert_near(pooled.dice.value, vector["pooled"]["dice"].as_f64(), "pooled dice");
    assert_near(pooled.iou.value, vector["pooled"]["iou"].as_f64(), "pooled iou");
    assert_near(pooled.precision.value, vector["pooled"]["precision"].as_f64(), "pooled precision");
    assert_near(pooled.accuracy.value, vector["pooled"]["accuracy"].as_f64(), "pooled accuracy");
    assert_near(figures.accuracy.value, vector["pooled"]["accuracy"].as_f64(), "accuracy");
    let quartiles = |by: &ByImage| [by.mean, by.q1, by.median, by.q3].map(|e| e.value);
    let by_image = &figures.classes[1].by_image;
    for (found, name) in [(&by_image.dice, "dice"), (&by_image.hausdorff_95, "hausdorff_95")] {
        let expected = numbers(&vector[format!("{name}_mean_and_quartiles")]);
        quartiles(found).into_iter().zip(expected).for_each(|(a, b)| assert_near(a, b, name));
    }
    assert_eq!((by_image.dice.images, by_image.hausdorff_95.images), (6, 5));
    assert_eq!(hausdorff_95(&[true], &[true], [1, 2]), None);
}

#[test]
fn mcnemars_test_is_scipys() {
    for vector in vectors()["mcnemar"].as_array().unwrap() {
        let found = McNemar::of_counts(vector["b"].as_u64().unwrap(), vector["c"].as_u64().unwrap());
        // Logarithms of factorials of two thousand lose four digits.
        let exact = vector["exact_p"].as_f64().unwrap();
        assert!((found.exact_p / exact - 1.0).abs() < 1e-10, "{found:?}, expected {exact}");
        assert_near(found.chi_squared, vector["chi_squared"].as_f64(), "chi squared");
        assert_near(found.chi_squared_p, vector["chi_squared_p"].as_f64(), "p of chi squared");
    }
    let none = McNemar::of_counts(0, 0);
    assert_eq!((none.exact_p, none.chi_squared, none.chi_squared_p), (1.0, None, None));
}

fn run(shard: Option<[usize; 2]>, total: usize, classes: usize) -> Run {
    Run {
        schema: SCHEMA,
        network: "net".into(),
        format: "int8".into(),
        program: "p".into(),
        classes: (0..classes).map(|c| c.to_string()).collect(),
        data: "d".into(),
        total,
        against: Some("float".into()),
        input_range: None,
        shard,
    }
}

/// An evaluation of 60 cases, the last of which have no result, compared with other scores.
fn shard(shard: Option<[usize; 2]>) -> Evaluation {
    let vectors = vectors();
    let mut cases = score_cases(&vectors["classifiers"][1]);
    let others: Vec<Scores> = cases.iter().rev().map(|c| c.scores.clone()).collect();
    cases.iter_mut().zip(others).for_each(|(case, other)| case.against = Some(other));
    let line = |(i, case): (usize, ScoreCase)| {
        let [k, n] = shard.unwrap_or([1, 1]);
        let left_out = niello_evaluation::LeftOut { id: case.id.clone(), why: "unreadable".into() };
        (i % n == k - 1).then_some(if i < 57 { Line::Scores(case) } else { Line::LeftOut(left_out) })
    };
    // In any order.
    let lines = cases.into_iter().enumerate().filter_map(line).collect::<Vec<_>>().into_iter().rev();
    Evaluation::new(
        run(shard, 60, 3),
        Cases::Classification { kind: ScoreKind::Logits, cases: vec![] },
        lines,
    )
    .unwrap()
}

fn through_json(evaluation: &Evaluation) -> Evaluation {
    let read: Evaluation = serde_json::from_str(&serde_json::to_string(evaluation).unwrap()).unwrap();
    assert_eq!(read.figures, None);
    read
}

#[test]
fn merged_shards_are_one_run() {
    let whole = shard(None);
    let parts: Vec<_> =
        (1..=7).rev().map(|k| (format!("{k}.json"), through_json(&shard(Some([k, 7]))))).collect();
    let merged = Evaluation::merge(parts.clone()).unwrap();
    assert_eq!(serde_json::to_string(&merged).unwrap(), serde_json::to_string(&whole).unwrap());
    let Some(Figures::Classification(report)) = merged.figures else { panic!("figures of a classifier") };
    let (figures, against) = (report.figures.unwrap(), report.against.unwrap());
    assert!(figures.accuracy.interval.is_some_and(|[low, high]| low < high));
    let difference = against.difference.unwrap().accuracy;
    assert_near(
        difference.value,
        figures.accuracy.value.zip(against.figures.unwrap().accuracy.value).map(|(a, b)| a - b),
        "difference",
    );
    assert!(!against.flips.is_empty() && merged.left_out.len() == 3);
    for (changed, expected) in [
        (parts[1..].to_vec(), "missing, of 7: 7"),
        ([&parts[..], &parts[2..3]].concat(), "5.json: shard 5/7 is given twice"),
        ([&parts[..6], &[("whole.json".into(), whole)]].concat(), "whole.json: shard 1/1 is none of 7"),
        (vec![], "nothing to merge"),
    ] {
        let error = Evaluation::merge(changed).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let mut other = parts.clone();
    other[3].1.run.program = "q".into();
    assert!(Evaluation::merge(other).unwrap_err().contains("4.json: the program"));
    let mut damaged = parts;
    let Cases::Classification { cases, .. } = &mut damaged[0].1.records else { panic!("scores") };
    cases[0].label = Some(3);
    assert!(Evaluation::merge(damaged).unwrap_err().contains("its label is none of the classes"));
}

#[test]
fn masks_merge_to_the_last_bit() {
    let vectors = vectors();
    let cases = mask_cases(&vectors["masks"]);
    let of = |shard: Option<[usize; 2]>| {
        let [k, n] = shard.unwrap_or([1, 1]);
        let lines = cases
            .iter()
            .enumerate()
            .filter(|(i, _)| i % n == k - 1)
            .map(|(_, case)| Line::Mask(case.clone()));
        Evaluation::new(run(shard, 6, 2), Cases::Segmentation { cases: vec![] }, lines).unwrap()
    };
    let parts = (1..=2).map(|k| (k.to_string(), through_json(&of(Some([k, 2]))))).collect();
    assert_eq!(Evaluation::merge(parts).unwrap(), of(None));
}

#[test]
fn an_output_that_never_changes_is_seen() {
    let whole = shard(None);
    assert!(!whole.is_constant());
    let Cases::Classification { kind, mut cases } = whole.records.clone() else { panic!("scores") };
    cases.iter_mut().for_each(|case| case.scores = Scores(vec![0.5; 3]));
    let lines = cases.into_iter().map(Line::Scores);
    let dead = Evaluation::new(whole.run, Cases::Classification { kind, cases: vec![] }, lines).unwrap();
    assert!(dead.is_constant());
    let Some(Figures::Classification(report)) = dead.figures else { panic!("figures") };
    // Every case is a tie, which agrees with nothing.
    assert_eq!((report.ties, report.against.unwrap().agreement.value), (57, Some(0.0)));
}
