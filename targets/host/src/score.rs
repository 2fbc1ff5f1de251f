//! The printed figures: shares, Dice, time, memory.

use crate::{abnormal_percent, model::AnamNet};
use niello::{Model, kernels::Isa};
use niello_imaging::metrics::{DiceCounts, dice};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

const CLASSES: &[&str] = AnamNet::METADATA.classes;
/// Not scored.
const IGNORE: Option<u8> = Some(255);

/// The result of one slice.
pub(crate) struct Scores {
    name: String,
    /// Results of int8 and of float.
    abnormal_percent: [Option<f64>; 2],
    /// int8 against float, by class.
    agreement: Option<Vec<Option<f64>>>,
    /// The same with every pixel.
    counts: Vec<DiceCounts>,
    /// int8 against the label, by class.
    int8_label: Option<Vec<Option<f64>>>,
    /// float against the label, by class.
    float_label: Option<Vec<Option<f64>>>,
}

impl Scores {
    pub(crate) fn new(name: &str, int8: &[u8], float: Option<&[u8]>, label: Option<&[u8]>) -> Self {
        let classes = 0..CLASSES.len() as u8;
        let by_class = |a: &[u8], b: &[u8]| classes.clone().map(|c| dice(a, b, c, IGNORE)).collect();
        let counted = |class: u8| {
            let mut counts = DiceCounts::default();
            float.inspect(|float| counts.add(int8, float, class, None));
            counts
        };
        Self {
            name: name.into(),
            abnormal_percent: [abnormal_percent(int8), float.and_then(abnormal_percent)],
            agreement: float.map(|float| by_class(int8, float)),
            counts: classes.clone().map(counted).collect(),
            int8_label: label.map(|label| by_class(int8, label)),
            float_label: label.zip(float).map(|(label, float)| by_class(float, label)),
        }
    }
}

/// All slices, and the costs of the model.
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

    /// The smallest agreement of any slice with float, by class.
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
                    "dice": s.agreement.as_deref().map(named),
                    "dice_label": s.int8_label.as_deref().map(named),
                    "dice_label_float": s.float_label.as_deref().map(named),
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
            let percent = |p: Option<f64>| p.map(|p| format!("{p:.2} %"));
            let [int8, float] = s.abnormal_percent.map(percent);
            let float = float.map(|float| format!(" in int8, {float} in float")).unwrap_or_default();
            println!("{}: abnormal share of the lung {}{float}", s.name, int8.unwrap_or("-".into()));
            let columns = [
                ("int8 / float", &s.agreement),
                ("int8 / label", &s.int8_label),
                ("float / label", &s.float_label),
            ];
            let columns = columns.iter().filter_map(|(name, dice)| Some((name, dice.as_ref()?)));
            if columns.clone().count() == 0 {
                continue;
            }
            let names: String = columns.clone().map(|(name, _)| format!("{name:>14}")).collect();
            println!("  {:<16}{names}", "Dice");
            for (c, class) in CLASSES.iter().enumerate() {
                let number = |d: Option<f64>| d.map_or("-".into(), |d| format!("{d:.4}"));
                let row: String =
                    columns.clone().map(|(_, dice)| format!("{:>14}", number(dice[c]))).collect();
                println!("  {class:<16}{row}");
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
