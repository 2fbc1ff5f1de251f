//! A CT slice in, abnormal and normal lung out: by the static crate that `build.rs` made, beside the float reference.

mod float;
mod score;

use clap::Parser;
use model::{AnamNet, INPUT_LEN, OUTPUT_LEN};
use niello::{Model, TakeOnce};
use niello_imaging::{Legend, Palette, Picture, Preprocess, metrics, write_legend_png};
use niello_models::bundled::CT_SLICES;
use score::{Answer, Scores};
use std::{error::Error, path::PathBuf, process::ExitCode, time::Instant};

/// Weights, layers and `infer`, generated from `anam_net.toml`.
#[forbid(unsafe_code)]
#[allow(missing_docs, unreachable_pub, dead_code)]
mod model {
    include!(concat!(env!("OUT_DIR"), "/anam_net.rs"));
}

/// The model with its arena lies in `.bss`; nothing is allocated for it.
static MODEL: TakeOnce<AnamNet> = TakeOnce::new(AnamNet::new());

/// Segments a lung-CT slice with Anam-Net in int8.
#[derive(Parser)]
#[command(name = "niello-host", version)]
struct Args {
    /// PNG, JPEG, DICOM or NPY of 512x512; absent: the bundled slices
    picture: Option<PathBuf>,
    /// True classes of the picture: 0 background, 1 abnormal, 2 normal, 255 not scored
    #[arg(long, value_name = "PNG")]
    label: Option<PathBuf>,
    /// Where to write the overlay (of the first slice, if there are several)
    #[arg(long, value_name = "PNG", default_value = "overlay.png")]
    overlay: PathBuf,
    /// Inferences to time
    #[arg(long, value_name = "N", default_value_t = 5)]
    repetitions: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A picture with its label, if there is one.
struct Slice {
    name: String,
    picture: Picture,
    label: Option<Vec<u8>>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let slices = slices(args)?;
    let preprocess = Preprocess::parse(AnamNet::METADATA.preprocess)?;
    let model = MODEL.take().ok_or("the model is in use")?;
    let mut input = Box::new([0i8; INPUT_LEN]);
    let mut output = Box::new([0i8; OUTPUT_LEN]);
    model.self_test(&mut input, &mut output)?;

    let reference = float::Reference::new()?;
    let [h, w, c] = AnamNet::INPUTS[0].shape;
    let mut answer = Answer::new(args.repetitions.max(1));
    for (i, slice) in slices.iter().enumerate() {
        let real = preprocess.apply(&slice.picture, [h, w], c)?;
        for (code, x) in input.iter_mut().zip(&real) {
            *code = AnamNet::INPUTS[0].quantize(*x);
        }
        let repetitions = if i == 0 { args.repetitions.max(1) } else { 1 };
        for _ in 0..repetitions {
            let start = Instant::now();
            model.infer(&input, &mut output);
            answer.times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let int8 = labels(&output);
        let float = reference.labels(real)?;
        if i == 0 {
            let gray = preprocess.view(&slice.picture, [h, w])?;
            let names: Vec<String> = AnamNet::METADATA.classes.iter().map(|name| name.to_string()).collect();
            let counts = metrics::class_counts(&int8, names.len());
            let shares: Vec<f64> = counts.iter().map(|n| *n as f64 / int8.len() as f64).collect();
            let legend = Legend { names: &names, shares: Some(&shares), caption: None };
            write_legend_png(&args.overlay, &gray, &int8, [h, w], &Palette::default(), &legend)?;
            answer.overlay = Some(args.overlay.clone());
        }
        answer.add(Scores::new(&slice.name, &int8, &float, slice.label.as_deref()));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer.json())?);
    } else {
        answer.print();
    }
    Ok(())
}

/// The given picture, or the bundled ones.
fn slices(args: &Args) -> Result<Vec<Slice>, Box<dyn Error>> {
    let Some(path) = &args.picture else {
        return CT_SLICES
            .iter()
            .map(|s| {
                let picture = niello_imaging::load_bytes(s.image.name, s.image.bytes)?;
                let label = niello_imaging::load_bytes(s.label.name, s.label.bytes)?;
                Ok(Slice { name: s.name.into(), picture, label: Some(float::codes(&label)?) })
            })
            .collect();
    };
    let label = args.label.as_ref().map(|p| float::codes(&niello_imaging::load(p)?)).transpose()?;
    let picture = niello_imaging::load(path)?;
    if let Some(label) = &label
        && label.len() != picture.height() * picture.width()
    {
        return Err("the label has another size than the picture".into());
    }
    Ok(vec![Slice { name: path.display().to_string(), picture, label }])
}

/// The class of each pixel: the largest score, the first of equal ones.
fn labels(scores: &[i8; OUTPUT_LEN]) -> Vec<u8> {
    let classes = AnamNet::OUTPUTS[0].shape[2];
    scores
        .chunks(classes)
        .map(|pixel| (0..classes).rev().max_by_key(|c| pixel[*c]).unwrap_or(0) as u8)
        .collect()
}

/// Percent of abnormal lung.
fn abnormal_percent(labels: &[u8]) -> Option<f64> {
    let counts = metrics::class_counts(labels, 3);
    metrics::abnormal_share(counts[1], counts[2]).map(|share| 100.0 * share)
}
