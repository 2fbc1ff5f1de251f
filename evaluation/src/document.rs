//! The document of an evaluation, and its merging.

use crate::{
    InputUse, MaskCase, ScoreCase, ScoreKind,
    classifier::{self, ClassifierReport},
    masks::{self, MaskReport},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Version of the document's form.
pub const SCHEMA: u32 = 1;

/// What was run on what. Shards of one evaluation differ in `shard` only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the network.
    pub network: String,
    /// Number format of the program.
    pub format: String,
    /// SHA-256 that tells programs apart.
    pub program: String,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// SHA-256 of the names and labels of all cases, those of other shards included.
    pub data: String,
    /// Cases of all shards, those that were left out included.
    pub total: usize,
    /// What the program was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Smallest and largest value that the input's number format holds; `None` of floating point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_range: Option<[f32; 2]>,
    /// Which part of the cases, of how many: `[3, 16]`, counted from 1. `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<[usize; 2]>,
}

impl Run {
    /// What another run differs in, beside the shard; `None` if it is of the same evaluation.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            (self.network != other.network, "the network"),
            (self.format != other.format, "the number format"),
            (self.classes != other.classes, "the list of classes"),
            (
                self.program != other.program || self.input_range != other.input_range,
                "the program (weights, ranges)",
            ),
            (self.data != other.data || self.total != other.total, "the list of cases and labels"),
            (self.against != other.against, "what it was compared with"),
        ];
        differs.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
    }
}

/// A case without a result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// The case.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

/// The records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Cases {
    /// Of a classifier.
    Classification {
        /// What the scores are.
        kind: ScoreKind,
        /// One per image.
        cases: Vec<ScoreCase>,
    },
    /// Of a segmentation.
    Segmentation {
        /// One per image.
        cases: Vec<MaskCase>,
    },
}

/// A line of a journal: the result of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// Of a classifier.
    Scores(ScoreCase),
    /// Of a segmentation.
    Mask(MaskCase),
    /// None.
    LeftOut(LeftOut),
}

impl Line {
    /// The case.
    pub fn id(&self) -> &str {
        match self {
            Line::Scores(case) => &case.id,
            Line::Mask(case) => &case.id,
            Line::LeftOut(case) => &case.id,
        }
    }
}

/// The figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Figures {
    /// Of a classifier.
    Classification(Box<ClassifierReport>),
    /// Of a segmentation.
    Segmentation(Box<MaskReport>),
}

/// An evaluation as a whole. Figures are not read from a file: [`Evaluation::figures`] follow from the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was run on what.
    pub run: Run,
    /// The figures.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// Cases without a result, by name.
    pub left_out: Vec<LeftOut>,
    /// Records, by name.
    pub records: Cases,
}

impl Evaluation {
    /// From the results of cases in any order. Those of another task than `records` are left out.
    ///
    /// # Errors
    /// Records that do not fit the classes: files may have been changed.
    pub fn new(run: Run, mut records: Cases, lines: impl IntoIterator<Item = Line>) -> Result<Self, String> {
        let mut left_out = vec![];
        for line in lines {
            match (line, &mut records) {
                (Line::LeftOut(case), _) => left_out.push(case),
                (Line::Scores(case), Cases::Classification { cases, .. }) => cases.push(case),
                (Line::Mask(case), Cases::Segmentation { cases }) => cases.push(case),
                (other, _) => {
                    left_out.push(LeftOut { id: other.id().into(), why: "a record of another task".into() })
                }
            }
        }
        let evaluation = Self { run, figures: None, left_out, records };
        evaluation.check()?;
        Ok(evaluation.complete())
    }

    /// Sorts the records and computes the figures.
    fn complete(mut self) -> Self {
        self.left_out.sort();
        let classes = self.run.classes.len();
        self.figures = Some(match &mut self.records {
            Cases::Classification { kind, cases } => {
                cases.sort_by(|a, b| a.id.cmp(&b.id));
                Figures::Classification(Box::new(classifier::report(cases, *kind, classes)))
            }
            Cases::Segmentation { cases } => {
                cases.sort_by(|a, b| a.id.cmp(&b.id));
                Figures::Segmentation(Box::new(masks::report(cases, classes)))
            }
        });
        self
    }

    /// Cases with a result.
    pub fn len(&self) -> usize {
        match &self.records {
            Cases::Classification { cases, .. } => cases.len(),
            Cases::Segmentation { cases } => cases.len(),
        }
    }

    /// Whether no case has a result.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of all cases, those without a result last.
    fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = match &self.records {
            Cases::Classification { cases, .. } => cases.iter().map(|case| &*case.id).collect(),
            Cases::Segmentation { cases } => cases.iter().map(|case| &*case.id).collect(),
        };
        ids.extend(self.left_out.iter().map(|case| &*case.id));
        ids
    }

    /// How the input's number format took the values of all cases.
    pub fn input(&self) -> InputUse {
        let add = |sum: InputUse, one: InputUse| InputUse {
            values: sum.values + one.values,
            below: sum.below + one.below,
            above: sum.above + one.above,
        };
        match &self.records {
            Cases::Classification { cases, .. } => {
                cases.iter().map(|c| c.input).fold(InputUse::default(), add)
            }
            Cases::Segmentation { cases } => cases.iter().map(|c| c.input).fold(InputUse::default(), add),
        }
    }

    /// Whether the output is the same for every case, of two or more: the same scores, or maps of the same single class.
    pub fn is_constant(&self) -> bool {
        fn same<T: PartialEq>(mut all: impl Iterator<Item = T>) -> bool {
            all.next().is_some_and(|first| all.all(|other| other == first))
        }
        self.len() > 1
            && match &self.records {
                Cases::Classification { cases, .. } => same(cases.iter().map(|case| &case.scores)),
                Cases::Segmentation { cases } => {
                    let only = |case: &MaskCase| case.found.iter().filter(|n| **n > 0).count() == 1;
                    let class = |case: &MaskCase| case.found.iter().position(|n| *n > 0);
                    cases.iter().all(only) && same(cases.iter().map(class))
                }
            }
    }

    /// One evaluation from those of all its shards, each with the name that errors give it.
    ///
    /// # Errors
    /// Nothing to merge, evaluations of other programs or data, shards that are missing or given twice, damaged records.
    pub fn merge(parts: Vec<(String, Self)>) -> Result<Self, String> {
        let Some((_, first)) = parts.first() else { return Err("there is nothing to merge".into()) };
        let run = Run { shard: None, ..first.run.clone() };
        let of = first.run.shard.map_or(1, |[_, of]| of);
        let mut seen = BTreeSet::new();
        for (name, part) in &parts {
            if part.run.schema != SCHEMA {
                return Err(format!(
                    "{name}: expected version {SCHEMA} of the form, found {}",
                    part.run.schema
                ));
            }
            if let Some(what) = run.difference(&part.run) {
                return Err(format!("{name}: {what} is another than in {}", parts[0].0));
            }
            let [shard, shards] = part.run.shard.unwrap_or([1, 1]);
            if shards != of || !(1..=of).contains(&shard) {
                return Err(format!("{name}: shard {shard}/{shards} is none of {of} shards"));
            }
            if !seen.insert(shard) {
                return Err(format!("{name}: shard {shard}/{of} is given twice"));
            }
        }
        let missing: Vec<String> = (1..=of).filter(|s| !seen.contains(s)).map(|s| s.to_string()).collect();
        if !missing.is_empty() {
            return Err(format!("shards that are missing, of {of}: {}", missing.join(", ")));
        }
        let mut whole: Option<Self> = None;
        for (name, part) in parts {
            part.check().map_err(|what| format!("{name}: {what}"))?;
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => whole.add(part).map_err(|what| format!("{name}: {what}"))?,
            }
        }
        let whole = whole.ok_or("there is nothing to merge")?;
        let ids = whole.ids();
        let unique: BTreeSet<&str> = ids.iter().copied().collect();
        if unique.len() != ids.len() || ids.len() != run.total {
            let (total, found) = (run.total, unique.len());
            return Err(format!("expected {total} cases, each once, found {} of {found} names", ids.len()));
        }
        Ok(Self { run, ..whole }.complete())
    }

    /// Adds the records of another part.
    fn add(&mut self, part: Self) -> Result<(), String> {
        match (&mut self.records, part.records) {
            (Cases::Classification { kind, cases }, Cases::Classification { kind: other, cases: more })
                if *kind == other =>
            {
                cases.extend(more);
            }
            (Cases::Segmentation { cases }, Cases::Segmentation { cases: more }) => cases.extend(more),
            _ => return Err("its records are of another task".into()),
        }
        self.left_out.extend(part.left_out);
        Ok(())
    }

    /// Whether the records fit the classes.
    fn check(&self) -> Result<(), String> {
        let classes = self.run.classes.len();
        let bad = |id: &str, what: &str| Err(format!("case `{id}`: {what}"));
        match &self.records {
            Cases::Classification { kind, cases } => {
                for case in cases {
                    let of = |scores: &crate::Scores| {
                        let fits = scores.0.len() == classes
                            || (scores.0.len() == 1 && (classes == 2 || *kind == ScoreKind::Labels));
                        fits && scores.0.iter().all(|s| s.is_finite()) && scores.decision(*kind) < classes
                    };
                    if case.label.is_some_and(|label| label >= classes) {
                        return bad(&case.id, "its label is none of the classes");
                    }
                    if !of(&case.scores) || case.against.as_ref().is_some_and(|other| !of(other)) {
                        return bad(&case.id, "its scores do not fit the classes");
                    }
                }
            }
            Cases::Segmentation { cases } => {
                for case in cases {
                    let of = |outcome: &crate::MaskOutcome| {
                        let possible = |c: &crate::Counts| {
                            c.both <= c.truth.min(c.found)
                                && c.truth
                                    .checked_add(c.found)
                                    .is_some_and(|sum| sum - c.both <= outcome.pixels)
                        };
                        outcome.pixels <= 1 << 40
                            && outcome.counts.len() == classes
                            && outcome.hausdorff_95.len() == classes
                            && outcome.counts.iter().all(possible)
                    };
                    let outcomes = [&case.outcome, &case.against, &case.agreement];
                    if case.found.len() != classes || !outcomes.into_iter().flatten().all(of) {
                        return bad(&case.id, "its counts do not fit the classes");
                    }
                }
            }
        }
        Ok(())
    }
}
