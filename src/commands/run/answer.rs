//! The output of `niello run`.

use super::{cam::Seen, dump::Dumped};
use crate::{output::ByClass, table};
use niello_imaging::metrics;
use serde::Serialize;
use std::path::PathBuf;

/// The printed result.
#[derive(Serialize)]
pub(super) struct Answer {
    /// The file that was read; absent where an image was made from drawn numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<PathBuf>,
    pub(super) network: String,
    pub(super) format: &'static str,
    pub(super) milliseconds: f64,
    /// Probability of each class; or its share of the lung, or of the image if no classes are of the lung.
    pub(super) classes: ByClass<f64>,
    /// The most probable class of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    /// Share of the image of each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pixels: Option<ByClass<f64>>,
    /// Percent of abnormal lung: abnormal / (abnormal + normal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) abnormal_percent: Option<f64>,
    /// The place where a class was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cam: Option<Seen>,
    /// Maps that were written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dumps: Vec<Dumped>,
}

impl Answer {
    /// Shares of a label map.
    pub(super) fn count(&mut self, names: &[String], labels: &[u8]) {
        let counts = metrics::class_counts(labels, names.len());
        let pixels = ByClass::new(names, counts.iter().map(|n| *n as f64 / labels.len() as f64));
        let find = |word: &str| names.iter().position(|n| n.to_lowercase().starts_with(word));
        self.classes = pixels.clone();
        if let (Some(abnormal), Some(normal)) = (find("abnormal"), find("normal")) {
            let share = metrics::abnormal_share(counts[abnormal], counts[normal]);
            self.abnormal_percent = share.map(|s| 100.0 * s);
            self.classes.0.iter_mut().for_each(|(_, share)| *share = 0.0);
            if let Some(share) = share {
                self.classes.0[abnormal].1 = share;
                self.classes.0[normal].1 = 1.0 - share;
            }
        }
        self.pixels = Some(pixels);
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        let of = self.image.as_ref().map_or_else(|| "made".into(), |path| path.display().to_string());
        let mut text = format!("{of} ({}, {}, {:.1} ms)\n", self.network, self.format, self.milliseconds);
        let of_lung = self.abnormal_percent.is_some();
        let rows: Vec<Vec<String>> = self
            .classes
            .0
            .iter()
            .enumerate()
            .map(|(i, (name, share))| {
                let mut row = vec![name.clone()];
                if let Some(pixels) = &self.pixels {
                    row.push(table::percent(Some(pixels.0[i].1)));
                    if of_lung {
                        row.push(table::percent((*share > 0.0).then_some(*share)));
                    }
                } else {
                    row.push(table::percent(Some(*share)));
                }
                row
            })
            .collect();
        text += &match (&self.class, of_lung) {
            _ if rows.is_empty() => String::new(),
            (Some(_), _) => table::render(&["class", "probability"], &rows),
            (None, true) => table::render(&["class", "of the image", "of the lung"], &rows),
            (None, false) => table::render(&["class", "of the image"], &rows),
        };
        if let Some(class) = &self.class {
            text += &format!("\nclass: {class}\n");
        }
        if let Some(percent) = self.abnormal_percent {
            text += &format!("\nabnormal share of the lung: {percent:.2} %\n");
        }
        if let Some(seen) = &self.cam {
            text += &format!("\n{}", seen.text());
        }
        if !self.dumps.is_empty() {
            text.push('\n');
            text.extend(self.dumps.iter().map(Dumped::text));
        }
        text
    }
}
