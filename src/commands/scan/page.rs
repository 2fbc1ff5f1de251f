//! A scan as a page.

use super::{
    blocks,
    figures::{Found, Judged, Slice},
};
use crate::{
    blocks::Block,
    html::{self, Line, Plot, escaped},
};
use niello_codegen::{Result, pipeline::Build};
use niello_imaging::{Palette, Preprocess, ResizeMode, overlay_png, scan::Volume};
use std::collections::BTreeSet;

/// Slices that a page shows.
const SHOWN: usize = 24;
/// Columns of a slice on a page, in pixels.
const WIDE: usize = 224;

const STYLE: &str = "
.slices { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1rem 0; }
.slices figure { margin: 0; font-size: .8rem; line-height: 1.3; }
.slices img { width: 100%; height: auto; display: block; background: #000; }
.key span { margin-right: 1.2rem; white-space: nowrap; }
.key i { display: inline-block; width: .8em; height: .8em; border: 1px solid #8888; }
.small { font-size: .8rem; }
@media print { .slices { grid-template-columns: repeat(6, 1fr); } img, .key i { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
";

/// The page.
pub(super) fn of(build: &Build, volume: &Volume, judged: &Judged, found: &Found) -> Result<String> {
    let name = volume.name().file_name().unwrap_or(volume.name().as_os_str()).to_string_lossy();
    let mut body = html::blocks(&[Block::Warning("Not a medical device, not for diagnosis.".into())]);
    body += &html::blocks(&blocks::of(found));
    body += &html::blocks(&[blocks::title("Slice by slice")]);
    body += &curves(found);
    body += &html::blocks(&[blocks::title("Slices")]);
    body += &montage(build, volume, judged, found)?;
    body += &html::blocks(&[blocks::title("Made with")]);
    body += &sources(found);
    Ok(html::page(&format!("Scan {name}"), STYLE, &body))
}

/// The colour of a class, as masks have it.
fn colour(class: usize) -> String {
    let [r, g, b] = Palette::default().colour(u8::try_from(class).unwrap_or(u8::MAX));
    format!("#{r:02x}{g:02x}{b:02x}")
}

fn curves(found: &Found) -> String {
    let names: Vec<&String> = found.classes.0.iter().map(|(name, _)| name).collect();
    let value = |slice: &Slice, class: usize| {
        let values = slice.area_cm2.as_ref().or(slice.probabilities.as_ref());
        values.and_then(|values| values.0.get(class)).map_or(f64::NAN, |(_, value)| *value)
    };
    let is_segmentation = found.is_segmentation();
    // The background is no finding.
    let shown = usize::from(is_segmentation)..names.len();
    let line = |class: usize| Line {
        name: names[class].clone(),
        colour: if is_segmentation {
            colour(class)
        } else {
            html::COLOURS[class % html::COLOURS.len()].into()
        },
        points: found.slices.iter().map(|slice| [slice.position_mm, value(slice, class)]).collect(),
    };
    let lines: Vec<Line> = shown.map(line).collect();
    let first = found.slices.first().map_or(0.0, |slice| slice.position_mm);
    // Slices are sorted by place; a single one has room beside it.
    let across = [first, found.slices.last().map_or(first, |slice| slice.position_mm).max(first + 1.0)];
    let most = |lines: &[Line]| {
        let values = lines.iter().flat_map(|line| &line.points).map(|[_, y]| *y).filter(|y| y.is_finite());
        values.fold(0.0, f64::max)
    };
    let top = if is_segmentation { most(&lines).max(1e-3) * 1.05 } else { 1.0 };
    let (caption, upwards) = if is_segmentation {
        ("Area of each class, by slice", "cm²")
    } else {
        ("Probability of each class, by slice", "probability")
    };
    let size = [330.0, 150.0];
    let mut text =
        Plot { caption, axes: ["position, mm", upwards], range: [across, [0.0, top]], size, lines }.figure();
    let points: Vec<[f64; 2]> =
        found.slices.iter().map(|s| [s.position_mm, s.abnormal_percent.unwrap_or(f64::NAN)]).collect();
    if points.iter().any(|[_, y]| y.is_finite()) {
        let line = Line { name: "abnormal".into(), colour: colour(1), points };
        let lines = vec![line];
        let top = (most(&lines) * 1.05).clamp(1.0, 100.0);
        let caption = "Abnormal share of the lung, by slice";
        text +=
            &Plot { caption, axes: ["position, mm", "%"], range: [across, [0.0, top]], size, lines }.figure();
    }
    text
}

/// Indices of the slices that are shown: evenly spread, and the one with the largest abnormal share.
fn shown(found: &Found) -> BTreeSet<usize> {
    let last = found.slices.len() - 1;
    let steps = last.min(SHOWN - 1);
    let mut shown: BTreeSet<usize> = (0..=steps).map(|i| i * last / steps.max(1)).collect();
    let most = found.slices.iter().filter(|slice| slice.abnormal_percent.is_some());
    let most =
        most.max_by(|a, b| a.abnormal_percent.unwrap_or(0.0).total_cmp(&b.abnormal_percent.unwrap_or(0.0)));
    shown.extend(most.map(|slice| slice.slice));
    shown
}

fn montage(build: &Build, volume: &Volume, judged: &Judged, found: &Found) -> Result<String> {
    let geometry = volume.geometry();
    let [_, h, w] = geometry.size;
    let [_, down, across] = geometry.spacing;
    let wide = w.min(WIDE);
    // In the proportions of the patient.
    let tall =
        (wide as f64 * h as f64 * down / (w as f64 * across)).round().clamp(1.0, 4.0 * WIDE as f64) as usize;
    let preprocess = Preprocess { resize: Some(ResizeMode::Area), ..build.preprocess.clone() };
    let palette = Palette::default();
    let mut text = String::new();
    if let Judged::Labels { .. } = judged {
        let key = found.classes.0.iter().enumerate().skip(1).map(|(class, (name, _))| {
            format!("<span><i style=\"background: {}\"></i> {}</span>", colour(class), escaped(name))
        });
        text += &format!("<p class=\"key\">{}</p>\n", key.collect::<String>());
    }
    text += "<div class=\"slices\">\n";
    for index in shown(found) {
        let gray = preprocess.view(&volume.slice(index)?, [tall, wide])?;
        let labels = match judged {
            Judged::Labels { labels, .. } => {
                preprocess.labels(&labels[index * h * w..][..h * w], [h, w], [tall, wide])?
            }
            Judged::Classes { .. } => vec![0; gray.len()],
        };
        let png = overlay_png(volume.name(), &gray, &labels, [tall, wide], &palette)?;
        let slice = &found.slices[index];
        let mut words = format!("slice {index}, {:.1} mm", slice.position_mm);
        if let Some(percent) = slice.abnormal_percent {
            words += &format!(", {percent:.1} % abnormal");
        }
        if let (Some(class), Some(p)) = (&slice.class, &slice.probabilities) {
            let p = p.0.iter().find(|(name, _)| name == class).map_or(0.0, |(_, p)| *p);
            words += &format!(", {class} {p:.2}");
        }
        let words = escaped(&words);
        text += &format!(
            "<figure><img src=\"{}\" width=\"{wide}\" height=\"{tall}\" alt=\"{words}\"><figcaption>{words}</figcaption></figure>\n",
            html::png(&png)
        );
    }
    Ok(text + "</div>\n")
}

/// What the figures follow from.
fn sources(found: &Found) -> String {
    let row = |name: &str, value: &str| (name.to_string(), value.to_string());
    let mut rows = vec![row("scan", &found.scan.display().to_string())];
    rows.extend(found.series.iter().map(|series| row("series", series)));
    rows.push(row("program", &format!("{} {}", found.network, found.program)));
    rows.extend(found.ranges.iter().map(|ranges| row("calibration", ranges)));
    rows.push(row("pre-processing", &found.preprocess));
    rows.extend(found.sources.iter().map(|(name, hash)| row(name, &format!("sha256 {hash}"))));
    let rows = rows.iter().map(|(name, value)| format!("<br><b>{}</b>: {}", escaped(name), escaped(value)));
    format!("<p class=\"small\">niello {}{}</p>\n", escaped(env!("NIELLO_VERSION")), rows.collect::<String>())
}
