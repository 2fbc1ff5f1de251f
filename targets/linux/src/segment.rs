//! Images to label maps.

use crate::pool;
use niello::Model;
use niello_imaging::{Legend, Palette, Preprocess, metrics, write_label_png, write_legend_png};
use std::{
    error::Error,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// One image's result.
#[derive(Clone, Debug)]
pub struct Segmented {
    /// The image.
    pub image: PathBuf,
    /// The class of each pixel of the network's input, `[H, W]`.
    pub labels: Vec<u8>,
    /// Pixels of each class.
    pub counts: Vec<u64>,
    /// The inference alone.
    pub time: Duration,
}

impl Segmented {
    /// A class's share of the pixels, 0 to 1.
    pub fn share(&self, class: usize) -> f64 {
        self.counts.get(class).copied().unwrap_or(0) as f64 / self.labels.len().max(1) as f64
    }
}

/// Segments `images` on `threads` threads. Results come in the order of the images, and labels do not depend on
/// the number of threads. With `out`, writes `NAME_mask.png` (class indices, with the palette's colours) and
/// `NAME_overlay.png` (with a legend below) there.
///
/// # Errors
/// The first image, in order, that cannot be read or written; a thread that cannot be started.
pub fn segment<N: Model + Default>(
    images: &[PathBuf],
    threads: usize,
    out: Option<&Path>,
) -> Result<Vec<Segmented>, Box<dyn Error>> {
    let preprocess = Preprocess::parse(N::METADATA.preprocess)?;
    let one = |model: &mut N, image: &PathBuf| {
        slice(model, image, &preprocess, out).map_err(|error| error.to_string())
    };
    let results = pool::run(images, threads, one)?;
    Ok(results.into_iter().collect::<Result<_, String>>()?)
}

fn slice<N: Model + Default>(
    model: &mut N,
    path: &Path,
    preprocess: &Preprocess,
    out: Option<&Path>,
) -> Result<Segmented, Box<dyn Error>> {
    let (Some(input), Some(output)) = (N::INPUTS.first(), N::OUTPUTS.first()) else {
        return Err("the network has no input or no output".into());
    };
    let [h, w, channels] = input.shape;
    let image = niello_imaging::load(path)?;
    let real = preprocess.apply(&image, [h, w], channels)?;
    let codes: Vec<i8> = real.iter().map(|x| input.quantize(*x)).collect();
    let mut scores = vec![0; output.shape.iter().product()];
    let start = Instant::now();
    model.infer(&[&codes], &mut [&mut scores]).map_err(|error| format!("{}: {error}", path.display()))?;
    let time = start.elapsed();
    let labels = labels(&scores, output.shape[2]);
    let counts = metrics::class_counts(&labels, output.shape[2]);
    let segmented = Segmented { image: path.into(), labels, counts, time };
    if let Some(out) = out {
        let [h, w, _] = output.shape;
        let palette = Palette::default();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let gray = preprocess.view(&image, [h, w])?;
        let labels = &segmented.labels;
        write_label_png(out.join(format!("{stem}_mask.png")), labels, [h, w], Some(&palette))?;
        let names: Vec<String> = N::METADATA.classes.iter().map(|name| name.to_string()).collect();
        let shares: Vec<f64> = (0..names.len()).map(|class| segmented.share(class)).collect();
        let legend = Legend { names: &names, shares: Some(&shares), caption: None };
        write_legend_png(out.join(format!("{stem}_overlay.png")), &gray, labels, [h, w], &palette, &legend)?;
    }
    Ok(segmented)
}

/// The class of each pixel: the largest score, the first of equal ones.
fn labels(scores: &[i8], classes: usize) -> Vec<u8> {
    let class = |pixel: &[i8]| (0..classes).rev().max_by_key(|c| pixel[*c]).unwrap_or(0) as u8;
    scores.chunks_exact(classes).map(class).collect()
}
