//! Cases as pictures: the input, what float and the program make of it, where they differ, what classes were seen where.

use crate::{
    commands::verify::Compared,
    html::{escaped, png},
    table,
};
use niello_codegen::{
    Error, Result, Tensor, ValueId,
    intermediates::{coded_intermediates, float_intermediates},
    passes::cam::{Linear, of_class},
    pipeline::{Build, Task},
};
use niello_imaging::{GridScale, Palette, grid_png, heat_png, metrics, overlay_png, resize};
use std::fmt::Write;

/// The first cases of a comparison.
pub(super) struct Examples {
    most: usize,
    pub(super) cases: Vec<Case>,
}

/// A case: its picture if it has one, its inputs and outputs.
pub(super) struct Case {
    name: String,
    /// Gray levels, with height and width.
    gray: Option<(Vec<u8>, [usize; 2])>,
    pub(super) inputs: Vec<Tensor<f32>>,
    float: Tensor<f32>,
    coded: Tensor<f32>,
}

/// A layer to show: its name, and its result.
pub(super) type Layer = (String, ValueId);

/// A section of a page: its title, and its markup.
pub(super) type Section = (&'static str, String);

/// The layers of these names.
///
/// # Errors
/// One that the network does not have.
pub(super) fn find(build: &Build, layers: &[String]) -> Result<Vec<Layer>> {
    let find = |layer: &String| {
        let problem = |message| {
            let remedy = "`niello inspect --optimized` lists the layers";
            Error::Invalid(format!("`--activations {layer}`: {message}; {remedy}"))
        };
        Ok((layer.clone(), build.quantized.graph.require(layer).map_err(problem)?))
    };
    layers.iter().map(find).collect()
}

/// Height and width.
fn size_of(tensor: &Tensor<f32>) -> [usize; 2] {
    [tensor.shape.h, tensor.shape.w]
}

/// The first channel from its smallest value to its largest.
fn first_channel(tensor: &Tensor<f32>) -> Vec<u8> {
    let values = of_class(tensor, 0);
    let (min, max) = values.iter().fold((f32::MAX, f32::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    let level = |v: &f32| (255.0 * (v - min) / (max - min).max(f32::MIN_POSITIVE)) as u8;
    values.iter().map(level).collect()
}

/// Marks with all pixels around them, so far that a single one can be seen.
fn widened(marks: &[u8], [h, w]: [usize; 2]) -> Vec<u8> {
    let around = h.max(w) / 256;
    let mut wide = vec![0; marks.len()];
    for at in (0..marks.len()).filter(|at| marks[*at] > 0) {
        let ends = |at: usize, side: usize| at.saturating_sub(around)..(at + around + 1).min(side);
        ends(at / w, h).for_each(|y| wide[y * w..][ends(at % w, w)].fill(1));
    }
    wide
}

/// A picture with its words below.
fn figure(bytes: &[u8], words: &str) -> String {
    let (address, words) = (png(bytes), escaped(words));
    format!("<figure><img src=\"{address}\" alt=\"{words}\"><figcaption>{words}</figcaption></figure>\n")
}

impl Examples {
    pub(super) fn new(most: usize) -> Self {
        Self { most, cases: vec![] }
    }

    /// Keeps a case, if there is room.
    ///
    /// # Errors
    /// An image that cannot be read.
    pub(super) fn add(&mut self, case: &Compared<'_>) -> Result<()> {
        if self.cases.len() >= self.most {
            return Ok(());
        }
        let Compared { build, name, image, pair } = case;
        let (input, float) = (&pair.inputs[0], &pair.float[0]);
        let wanted = if build.task == Task::Segmentation { size_of(float) } else { size_of(input) };
        let gray = match image {
            Some(file) => Some(build.preprocess.view(&niello_imaging::load(file)?, wanted)?),
            None if build.task == Task::Generation || input.shape.area() < 4 => None,
            None => Some(resize::bilinear(&first_channel(input), [input.shape.h, input.shape.w, 1], wanted)),
        };
        self.cases.push(Case {
            name: name.to_string(),
            gray: gray.map(|gray| (gray, wanted)),
            inputs: pair.inputs.clone(),
            float: float.clone(),
            coded: pair.coded[0].clone(),
        });
        Ok(())
    }

    /// The sections of a page; none without cases.
    ///
    /// # Errors
    /// A layer whose result the program never has whole.
    pub(super) fn sections(&self, build: &Build, layers: &[Layer]) -> Result<Vec<Section>> {
        let Some(first) = self.cases.first() else { return Ok(vec![]) };
        let cam = Linear::of(&build.quantized.graph);
        let mut html = String::new();
        for case in &self.cases {
            let _ = writeln!(html, "<h3>{}</h3>", escaped(&case.name));
            html += &match build.task {
                Task::Segmentation => case.masks(build)?,
                Task::Generation => case.made()?,
                Task::Classification => case.classes(build, cam.as_ref().ok())?,
            };
        }
        if let (Task::Classification, Err(why)) = (build.task, &cam) {
            let _ = writeln!(html, "<p>{}</p>", escaped(&why.to_string()));
        }
        let mut sections = vec![("Examples", html)];
        if !layers.is_empty() {
            sections.push(("Activation maps", first.maps(build, layers)?));
        }
        Ok(sections)
    }
}

impl Case {
    /// The picture with the labels over it, or the labels on black.
    fn overlay(&self, labels: &[u8], size: [usize; 2], palette: &Palette) -> Result<Vec<u8>> {
        let black = vec![0; labels.len()];
        let gray = self.gray.as_ref().map_or(&black, |(gray, _)| gray);
        Ok(overlay_png(&self.name, gray, labels, size, palette)?)
    }

    fn masks(&self, build: &Build) -> Result<String> {
        let (size, names) = (size_of(&self.float), build.label_names());
        let (float, coded) = (build.labels(&self.float), build.labels(&self.coded));
        let differs: Vec<u8> = float.iter().zip(&coded).map(|(a, b)| (a != b) as u8).collect();
        let (palette, strong) = (Palette::default(), Palette { alpha: 0.9, ..Palette::default() });
        let none = vec![0; float.len()];
        let count = differs.iter().filter(|d| **d > 0).count();
        let (differs, all) = (widened(&differs, size), table::grouped(float.len() as u64));
        let format = build.program.format();
        let mut html = String::from("<div class=\"row\">\n");
        for (labels, palette, words) in [
            (&none, &palette, "picture".to_string()),
            (&float, &palette, "float".into()),
            (&coded, &palette, format.into()),
            (
                &differs,
                &strong,
                format!("{} of {all} pixels differ, drawn larger", table::grouped(count as u64)),
            ),
        ] {
            html += &figure(&self.overlay(labels, size, palette)?, &words);
        }
        html += "</div>\n";
        let counts = [&float, &coded].map(|labels| metrics::class_counts(labels, names.len()));
        let share = |n: u64| table::percent(Some(n as f64 / float.len() as f64));
        let rows = names.iter().enumerate().map(|(class, name)| {
            let dice = metrics::dice(&coded, &float, class as u8, None);
            let [r, g, b] = palette.colour(class as u8);
            format!(
                "<tr><td><span class=\"swatch\" style=\"background: rgb({r} {g} {b})\"></span>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(name),
                share(counts[0][class]),
                share(counts[1][class]),
                table::optional(dice, 4)
            )
        });
        Ok(html + &small_table(&["class", "float", format, "Dice"], &rows.collect::<String>()))
    }

    fn classes(&self, build: &Build, cam: Option<&Linear>) -> Result<String> {
        let [float, coded] = [&self.float, &self.coded].map(|scores| build.probabilities(&scores.data));
        let (names, format) = (build.label_names(), build.program.format());
        let mut html = String::from("<div class=\"row\">\n");
        if let Some((gray, size)) = &self.gray {
            html += &figure(&self.overlay(&vec![0; gray.len()], *size, &Palette::default())?, "picture");
            let class = build.class(&self.float.data);
            if let Some(cam) = cam.filter(|_| class < build.classes.len()) {
                let (inputs, wanted) = (&self.inputs, [cam.map]);
                let maps = [
                    float_intermediates(&build.quantized.graph, inputs, &wanted)?.remove(0),
                    coded_intermediates(&build.program, inputs, &wanted)?.remove(0),
                ];
                for (map, of) in maps.iter().zip(["float", format]) {
                    let map = cam.apply(map)?;
                    let (of_class, of_map) = (of_class(&map, class), size_of(&map));
                    let bytes = heat_png(&self.name, gray, *size, &of_class, of_map)?;
                    html += &figure(&bytes, &format!("where {of} saw {}", names[class]));
                }
            }
        }
        html += "</div>\n";
        let mut order: Vec<usize> = (0..names.len().min(float.len())).collect();
        order.sort_by(|a, b| float[*b].total_cmp(&float[*a]));
        let share = |p: &[f32], class: usize| table::percent(p.get(class).map(|p| f64::from(*p)));
        let rows = order.iter().take(SHOWN).map(|class| {
            let (float, coded) = (share(&float, *class), share(&coded, *class));
            format!("<tr><td>{}</td><td>{float}</td><td>{coded}</td></tr>\n", escaped(&names[*class]))
        });
        Ok(html + &small_table(&["class", "float", format], &rows.collect::<String>()))
    }

    /// A generator's pictures.
    fn made(&self) -> Result<String> {
        let grid = |tensor: &Tensor<f32>| {
            let shape = [tensor.shape.h, tensor.shape.w, tensor.shape.c];
            grid_png(&self.name, &tensor.data, shape, GridScale::Map)
        };
        let mut difference = self.float.clone();
        difference.data.iter_mut().zip(&self.coded.data).for_each(|(a, b)| *a = (*a - b).abs());
        let pictures = [
            (&self.float, "float"),
            (&self.coded, "program"),
            (&difference, "difference, from none to the largest"),
        ];
        let mut html = String::from("<div class=\"row\">\n");
        for (tensor, words) in pictures {
            html += &figure(&grid(tensor)?, words);
        }
        Ok(html + "</div>\n")
    }

    /// Results of layers, channel by channel.
    fn maps(&self, build: &Build, layers: &[Layer]) -> Result<String> {
        let wanted: Vec<ValueId> = layers.iter().map(|(_, id)| *id).collect();
        let float = float_intermediates(&build.quantized.graph, &self.inputs, &wanted)?;
        let coded = coded_intermediates(&build.program, &self.inputs, &wanted)?;
        let mut html = format!(
            "<p>Results for {}, each channel from its smallest value (black) to its largest (white).</p>\n",
            escaped(&self.name)
        );
        for ((name, _), maps) in layers.iter().zip(float.iter().zip(&coded)) {
            let shape = [maps.0.shape.h, maps.0.shape.w, maps.0.shape.c];
            let [h, w, c] = shape;
            let _ = writeln!(html, "<h3>{} {h}x{w}x{c}</h3>\n<div class=\"row large\">", escaped(name));
            for (map, of) in [(maps.0, "float"), (maps.1, build.program.format())] {
                let bytes = grid_png(name, &map.data, shape, GridScale::Channel)?;
                html += &figure(&bytes, &format!("{c} channels, {of}"));
            }
            html += "</div>\n";
        }
        Ok(html)
    }
}

/// Classes that a table of probabilities has.
const SHOWN: usize = 5;

fn small_table(headings: &[&str], rows: &str) -> String {
    let headings: String = headings.iter().map(|h| format!("<th scope=\"col\">{h}</th>")).collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::widened;

    #[test]
    fn a_mark_in_a_large_picture_is_drawn_larger() {
        let mut marks = vec![0; 256 * 2];
        marks[0] = 1;
        marks[300] = 1;
        let wide = widened(&marks, [2, 256]);
        let found: Vec<usize> = (0..512).filter(|at| wide[*at] > 0).collect();
        assert_eq!(found, [0, 1, 43, 44, 45, 256, 257, 299, 300, 301]);
        assert_eq!(widened(&[0, 1, 0, 0], [2, 2]), [0, 1, 0, 0]);
    }
}
