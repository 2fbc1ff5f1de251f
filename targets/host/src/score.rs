//! What is printed: shares, Dice, time, memory.

use crate::{abnormal_percent, model::AnamNet};
use niello::{Model, kernels::Isa};
use niello_imaging::metrics::{DiceCounts, dice};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const CLASSES: &[&str] = AnamNet::METADATA.classes;
/// Not scored.
const IGNORE: Option<u8> = Some(255);

/// How one slice came out.
pub(crate) struct Scores {
    name: String,
    abnormal_percent: [Option<f64>; 2],
    /// int8 against float, by class.
    agreement: Vec<Option<f64>>,
    counts: Vec<DiceCounts>,
    /// int8 and float against the label, by class.
    against_label: Option<[Vec<Option<f64>>; 2]>,
}

impl Scores {
    pub(crate) fn new(name: &str, int8: &[u8], float: &[u8], label: Option<&[u8]>) -> Self {
        let classes = 0..CLASSES.len() as u8;
        let by_class = |a: &[u8], b: &[u8]| classes.clone().map(|c| dice(a, b, c, IGNORE)).collect();
        let counts = classes
            .clone()
            .map(|class| {
                let mut counts = DiceCounts::default();
                counts.add(int8, float, class, None);
                counts
            })
            .collect();
        Self {
            name: name.into(),
            abnormal_percent: [abnormal_percent(int8), abnormal_percent(float)],
            agreement: by_class(int8, float),
            counts,
            against_label: label.map(|l| [by_class(int8, l), by_class(float, l)]),
        }
    }
}

/// All slices, and what the model costs.
pub(crate) struct Answer {
    pub(crate) times: Vec<f64>,
    pub(crate) overlay: Option<PathBuf>,
    slices: Vec<Scores>,
}

impl Answer {
    pub(crate) fn new(repetitions: usize) -> Self {
        Self { times: Vec::with_capacity(repetitions), overlay: None, slices: vec![] }
    }

    pub(crate) fn add(&mut self, scores: Scores) {
        self.slices.push(scores);
    }

    fn median_ms(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    }

    /// The least agreement of any slice with float, by class.
    fn worst(&self, class: usize) -> Option<f64> {
        self.slices.iter().filter_map(|s| s.counts[class].dice()).min_by(f64::total_cmp)
    }

    pub(crate) fn json(&self) -> Value {
        let named = |values: &[Option<f64>]| -> Map<String, Value> {
            CLASSES.iter().zip(values).map(|(name, v)| (name.to_string(), json!(v))).collect()
        };
        let worst: Vec<Option<f64>> = (0..CLASSES.len()).map(|c| self.worst(c)).collect();
        let slices: Vec<Value> = self
            .slices
            .iter()
            .map(|s| {
                json!({
                    "name": s.name,
                    "abnormal_percent": s.abnormal_percent[0],
                    "abnormal_percent_float": s.abnormal_percent[1],
                    "dice": named(&s.agreement),
                    "dice_label": s.against_label.as_ref().map(|l| named(&l[0])),
                    "dice_label_float": s.against_label.as_ref().map(|l| named(&l[1])),
                })
            })
            .collect();
        json!({
            "dice": named(&worst),
            "median_ms": self.median_ms(),
            "arena_bytes": AnamNet::ARENA_BYTES,
            "flash_bytes": AnamNet::FLASH_BYTES,
            "isa": Isa::detect().name(),
            "overlay": self.overlay,
            "slices": slices,
        })
    }

    pub(crate) fn print(&self) {
        for s in &self.slices {
            let percent = |p: Option<f64>| p.map_or("-".into(), |p| format!("{p:.2} %"));
            println!(
                "{}: abnormal share of the lung {} in int8, {} in float",
                s.name,
                percent(s.abnormal_percent[0]),
                percent(s.abnormal_percent[1])
            );
            println!("  {:<16}{:>14}{:>14}{:>14}", "Dice", "int8 / float", "int8 / label", "float / label");
            for (c, class) in CLASSES.iter().enumerate() {
                let number = |d: Option<f64>| d.map_or("-".into(), |d| format!("{d:.4}"));
                let label = |i: usize| s.against_label.as_ref().and_then(|l| l[i][c]);
                println!(
                    "  {class:<16}{:>14}{:>14}{:>14}",
                    number(s.agreement[c]),
                    number(label(0)),
                    number(label(1))
                );
            }
        }
        let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
        println!(
            "\n{:.0} ms per slice (median of {}, one thread, {}), arena {:.1} MiB, flash {:.1} MiB, self-test passed",
            self.median_ms(),
            self.times.len(),
            Isa::detect().name(),
            mib(AnamNet::ARENA_BYTES),
            mib(AnamNet::FLASH_BYTES)
        );
        if let Some(path) = &self.overlay {
            println!("overlay: {} (orange abnormal, blue normal lung)", path.display());
        }
        println!("Research software: not a medical device, not for diagnosis.");
    }
}
