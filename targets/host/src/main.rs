//! A CT slice in, abnormal and normal lung out: by the static crate that `build.rs` made, beside the masks of the float network.

#[cfg(feature = "float")]
mod float;
mod score;

use lexopt::prelude::*;
use model::{AnamNet, INPUT_LEN, OUTPUT_LEN};
use niello::{Model, StaticCell};
use niello_assets::CT_SLICES;
use niello_imaging::{Image, Legend, Palette, Preprocess, Samples, metrics, write_legend_png};
use score::{Answer, Scores};
use std::{error::Error, path::PathBuf, process::ExitCode, time::Instant};

/// Weights, layers and `infer`, generated from `anam_net.toml`.
#[forbid(unsafe_code)]
#[allow(missing_docs, unreachable_pub, dead_code)]
mod model {
    include!(concat!(env!("OUT_DIR"), "/anam_net.rs"));
}

/// The model with its arena lies in `.bss`; nothing is allocated for it.
static MODEL: StaticCell<AnamNet> = StaticCell::new(AnamNet::new());

const HELP: &str = "\
Segments a lung-CT slice with Anam-Net in int8.

Usage: niello-host [OPTIONS] [SLICE]

  SLICE              PNG, JPEG, DICOM or NPY of 512x512; absent: the bundled slices
  --label PNG        true classes of the slice: 0 background, 1 abnormal, 2 normal, 255 not scored
  --overlay PNG      where to write the overlay of the first slice [default: overlay.png]
  --repetitions N    inferences to time [default: 3]
  --json             print JSON
  --help, --version  print this, or the version
";

/// The command line.
struct Args {
    slice: Option<PathBuf>,
    label: Option<PathBuf>,
    overlay: PathBuf,
    repetitions: usize,
    json: bool,
}

impl Args {
    /// The arguments of this process; `None` if they only ask for a text, which has been printed.
    fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut args =
            Self { slice: None, label: None, overlay: "overlay.png".into(), repetitions: 3, json: false };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("label") => args.label = Some(parser.value()?.into()),
                Long("overlay") => args.overlay = parser.value()?.into(),
                Long("repetitions") => args.repetitions = parser.value()?.parse()?,
                Long("json") => args.json = true,
                Long("help") | Short('h') => {
                    print!("{HELP}");
                    return Ok(None);
                }
                Long("version") | Short('V') => {
                    println!("niello-host {}", env!("CARGO_PKG_VERSION"));
                    return Ok(None);
                }
                Value(path) if args.slice.is_none() => args.slice = Some(path.into()),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(args))
    }
}

/// A slice with its classes by a radiologist's label and by the float network, where they are known.
struct Slice {
    name: String,
    image: Image,
    label: Option<Vec<u8>>,
    float: Option<Vec<u8>>,
}

fn main() -> ExitCode {
    let outcome = match Args::parse() {
        Ok(Some(args)) => run(&args),
        Ok(None) => Ok(()),
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
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

    let [h, w, c] = AnamNet::INPUTS[0].shape;
    let mut answer = Answer::new(args.repetitions.max(1));
    for (i, slice) in slices.iter().enumerate() {
        eprintln!("segmenting {} ({} of {})", slice.name, i + 1, slices.len());
        let real = preprocess.apply(&slice.image, [h, w], c)?;
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
        let float = slice.float.clone().map_or_else(|| float_labels(real), |labels| Ok(Some(labels)))?;
        if i == 0 {
            let gray = preprocess.view(&slice.image, [h, w])?;
            let names: Vec<String> = AnamNet::METADATA.classes.iter().map(|name| name.to_string()).collect();
            let counts = metrics::class_counts(&int8, names.len());
            let shares: Vec<f64> = counts.iter().map(|n| *n as f64 / int8.len() as f64).collect();
            let legend = Legend { names: &names, shares: Some(&shares), caption: None };
            write_legend_png(&args.overlay, &gray, &int8, [h, w], &Palette::default(), &legend)?;
            answer.overlay = Some(args.overlay.clone());
        }
        answer.add(Scores::new(&slice.name, &int8, float.as_deref(), slice.label.as_deref()));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&answer.json())?);
    } else {
        answer.print();
    }
    Ok(())
}

/// The given image, or the bundled ones.
fn slices(args: &Args) -> Result<Vec<Slice>, Box<dyn Error>> {
    let Some(path) = &args.slice else {
        return CT_SLICES
            .iter()
            .map(|s| {
                let image = niello_imaging::load_bytes(s.image.name, s.image.bytes)?;
                let label = codes(&niello_imaging::load_bytes(s.label.name, s.label.bytes)?)?;
                let float = codes(&niello_imaging::load_bytes(s.reference.name, s.reference.bytes)?)?;
                Ok(Slice { name: s.name.into(), image, label: Some(label), float: Some(float) })
            })
            .collect();
    };
    let label = args.label.as_ref().map(|p| codes(&niello_imaging::load(p)?)).transpose()?;
    let image = niello_imaging::load(path)?;
    if let Some(label) = &label
        && label.len() != image.height() * image.width()
    {
        return Err("the label has another size than the image".into());
    }
    Ok(vec![Slice { name: path.display().to_string(), image, label, float: None }])
}

/// The samples of a label map.
fn codes(label: &Image) -> Result<Vec<u8>, Box<dyn Error>> {
    match label.samples() {
        Samples::U8(codes) if label.channels() == 1 => Ok(codes.clone()),
        _ => Err(format!("{}: expected a gray 8-bit image of classes", label.name().display()).into()),
    }
}

/// The classes by the float network, with the feature `float`.
#[cfg(feature = "float")]
fn float_labels(input: Vec<f32>) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    eprintln!("computing the same in float");
    float::labels(input).map(Some)
}

/// None: the float network is not linked.
#[cfg(not(feature = "float"))]
fn float_labels(_: Vec<f32>) -> Result<Option<Vec<u8>>, Box<dyn Error>> {
    Ok(None)
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
