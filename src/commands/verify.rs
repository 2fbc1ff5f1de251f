//! `niello verify`.

use crate::{args::ModelArgs, inputs::pictures, table};
use clap::Args;
use niello_codegen::{
    Result,
    pipeline::Task,
    verify::{LayerComparison, verify},
};
use niello_imaging::metrics::DiceCounts;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

/// Compare int8 with float, layer by layer and at the output
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello verify --model squeezenet1_0 --classes 3 --weights W.safetensors \
                        --input 224x224 \\\n    --preprocess imagenet --calibrate slices/ --data slices/ --format int8 --json"
)]
pub(crate) struct Verify {
    #[command(flatten)]
    model: ModelArgs,
    /// Pictures to compare on: a folder, or one picture
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Verified {
    network: String,
    pictures: usize,
    layers: Vec<LayerComparison>,
    output: Output,
}

#[derive(Serialize)]
struct Output {
    /// Signal to quantisation noise of the network's output.
    sqnr_db: Option<f64>,
    /// Cosine of the angle between both outputs.
    cosine: Option<f64>,
    /// Share of pictures with the same class (classification).
    #[serde(skip_serializing_if = "Option::is_none")]
    top1_agreement: Option<f64>,
    /// Dice of int8 against float by class, pixels of all pictures pooled (segmentation).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dice: BTreeMap<String, Option<f64>>,
    /// The least Dice of any picture, by class.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    worst_dice: BTreeMap<String, Option<f64>>,
}

impl Verify {
    pub(crate) fn run(self) -> Result<()> {
        let files = pictures(&self.data)?;
        let build = self.model.build()?;
        let names = build.label_names();
        let inputs = files.iter().map(|f| Ok(vec![build.input(&niello_imaging::load(f)?)?]));
        let mut same = 0;
        let mut pooled = vec![DiceCounts::default(); names.len()];
        let mut worst: Vec<Option<f64>> = vec![None; names.len()];
        let result = verify(&build.quantized.graph, &build.program, inputs, |_, pair| {
            let (float, coded) = (build.labels(&pair.float[0]), build.labels(&pair.coded[0]));
            same += (float == coded) as usize;
            for (class, counts) in pooled.iter_mut().enumerate() {
                let class = class as u8;
                counts.add(&coded, &float, class, None);
                let mut one = DiceCounts::default();
                one.add(&coded, &float, class, None);
                if let Some(d) = one.dice() {
                    let worst = &mut worst[class as usize];
                    *worst = Some(worst.map_or(d, |w| w.min(d)));
                }
            }
            Ok(())
        })?;
        let by_class = |values: Vec<Option<f64>>| -> BTreeMap<String, Option<f64>> {
            names.iter().cloned().zip(values).collect()
        };
        let segmentation = build.task == Task::Segmentation;
        let output = Output {
            sqnr_db: result.output.sqnr_db(),
            cosine: result.output.cosine(),
            top1_agreement: (!segmentation).then(|| same as f64 / result.inputs as f64),
            dice: if segmentation {
                by_class(pooled.iter().map(DiceCounts::dice).collect())
            } else {
                BTreeMap::new()
            },
            worst_dice: if segmentation { by_class(worst) } else { BTreeMap::new() },
        };
        let verified = Verified {
            network: build.program.metadata.network.clone(),
            pictures: result.inputs,
            layers: result.layers,
            output,
        };
        if self.json { super::print_json(&verified) } else { Ok(verified.print()) }
    }
}

impl Verified {
    fn print(&self) {
        let rows: Vec<Vec<String>> = self
            .layers
            .iter()
            .map(|l| {
                vec![
                    l.name.clone(),
                    l.kind.clone(),
                    table::optional(l.sqnr_db, 1),
                    table::optional(l.cosine, 5),
                    format!("{:.1}", l.max_lsb),
                    format!("{:.4} %", 100.0 * l.saturated),
                ]
            })
            .collect();
        table::print(&["layer", "operator", "SQNR dB", "cosine", "max LSB", "saturated"], &rows);
        println!("\n{} on {} pictures, int8 against float", self.network, self.pictures);
        println!("output SQNR {} dB", table::optional(self.output.sqnr_db, 1));
        if let Some(share) = self.output.top1_agreement {
            println!("same class on {:.1} % of the pictures", 100.0 * share);
        }
        for (class, dice) in &self.output.dice {
            let worst = self.output.worst_dice.get(class).copied().flatten();
            println!("Dice {class}: {} (worst {})", table::optional(*dice, 4), table::optional(worst, 4));
        }
    }
}
