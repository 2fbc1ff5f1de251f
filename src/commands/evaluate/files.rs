//! Files of results.

use crate::output::writing;
use niello_codegen::{Error, Result, emit::write_files};
use niello_evaluation::{Cases, Counts, Evaluation, MaskOutcome, ScoreKind, Scores};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Writes a file whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let _writing = writing();
    write_files(&[(path.into(), bytes)])
}

/// That a file is not there yet, or may be a result: `--json` takes the next word as its file, which may have been meant otherwise.
pub(super) fn check_own(path: &Path) -> Result<()> {
    let mut first = [0];
    let is_other = path.is_file()
        && fs::File::open(path).and_then(|mut f| f.read(&mut first)).is_ok_and(|n| n > 0)
        && first != *b"{";
    if is_other {
        return Err(Error::file(path, "is there already and no JSON: `--json FILE` would replace it"));
    }
    Ok(())
}

/// One evaluation from files.
pub(super) fn merge(files: &[PathBuf]) -> Result<Evaluation> {
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
        let part = serde_json::from_slice(&bytes)
            .map_err(|e| Error::file(path, format!("no result of `niello evaluate`: {e}")))?;
        Ok((path.display().to_string(), part))
    };
    let parts = files.iter().map(read).collect::<Result<Vec<(String, Evaluation)>>>()?;
    Evaluation::merge(parts).map_err(Error::Invalid)
}

/// One line per case, or per image and class; those that were left out at the end.
pub(super) fn csv(evaluation: &Evaluation) -> Result<String> {
    let classes = &evaluation.run.classes;
    let class = |i: usize| classes.get(i).cloned().unwrap_or_default();
    let mut rows: Vec<Vec<String>> = vec![];
    match &evaluation.records {
        Cases::Classification { kind, cases } => {
            let columns = |scores: &Scores, kind: ScoreKind| {
                let probabilities = (0..classes.len()).map(|i| scores.probability(kind, i).to_string());
                let mut columns = vec![class(scores.decision(kind)), scores.margin(kind).to_string()];
                columns.extend(probabilities);
                columns
            };
            let names = |whose: &str| {
                let of_class = classes.iter().map(move |class| format!("{whose}probability {class}"));
                [format!("{whose}decision"), format!("{whose}margin")]
                    .into_iter()
                    .chain(of_class)
                    .collect::<Vec<_>>()
            };
            let mut head = vec!["case".to_string(), "label".into()];
            head.extend(names(""));
            if evaluation.run.against.is_some() {
                head.extend(names("against "));
            }
            head.push("left out".into());
            rows.push(head);
            for case in cases {
                let mut row = vec![case.id.clone(), case.label.map(class).unwrap_or_default()];
                row.extend(columns(&case.scores, *kind));
                row.extend(case.against.iter().flat_map(|scores| columns(scores, *kind)));
                rows.push(row);
            }
        }
        Cases::Segmentation { cases } => {
            let of = |whose: &str| {
                ["pixels", "both", "truth", "found", "hausdorff_95"].map(|name| format!("{whose}{name}"))
            };
            let mut head = vec!["case".to_string(), "class".into()];
            head.extend(["", "against ", "agreement "].into_iter().flat_map(of));
            head.push("left out".into());
            rows.push(head);
            for case in cases {
                for (i, name) in classes.iter().enumerate() {
                    let of = |outcome: &Option<MaskOutcome>| match outcome {
                        Some(o) => {
                            let Counts { both, truth, found } = o.counts[i];
                            let distance = o.hausdorff_95[i].map_or(String::new(), |d| d.to_string());
                            [
                                o.pixels.to_string(),
                                both.to_string(),
                                truth.to_string(),
                                found.to_string(),
                                distance,
                            ]
                        }
                        None => Default::default(),
                    };
                    let mut row = vec![case.id.clone(), name.clone()];
                    row.extend([&case.outcome, &case.against, &case.agreement].into_iter().flat_map(of));
                    rows.push(row);
                }
            }
        }
    }
    let width = rows[0].len();
    for case in &evaluation.left_out {
        let mut row = vec![String::new(); width];
        (row[0], row[width - 1]) = (case.id.clone(), case.why.clone());
        rows.push(row);
    }
    let mut writer = csv::Writer::from_writer(vec![]);
    for mut row in rows {
        row.resize(width, String::new());
        writer.write_record(row).map_err(|e| Error::Invalid(e.to_string()))?;
    }
    let bytes = writer.into_inner().map_err(|e| Error::Invalid(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| Error::Invalid(e.to_string()))
}
