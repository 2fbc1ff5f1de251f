//! `niello run` of a generator.

use super::{Run, class_index};
use crate::{inputs::sample, output};
use niello_codegen::{Error, Result, recipe::Recipe};
use niello_imaging::write_label_png;

impl Run {
    /// An image from numbers and a class.
    pub(super) fn generate(&self, recipe: &Recipe) -> Result<String> {
        if self.labels.is_some() || self.overlay.is_some() {
            let message = "makes images: there is no label map; `--image` writes the image";
            return Err(Error::Invalid(format!("{} {message}", recipe.network)));
        }
        if self.cam.is_wanted() {
            let message = "makes images: it sees no class in any";
            return Err(Error::Invalid(format!("{} {message}", recipe.network)));
        }
        let build = crate::args::build_with_progress(recipe)?;
        let class = self.class.as_deref().map_or(Ok(0), |class| class_index(&build.classes, class))?;
        let source = match &self.sources[..] {
            [] => None,
            [path] => Some(path.as_path()),
            more => return Err(Error::Invalid(format!("expected one file of numbers, got {}", more.len()))),
        };
        let inputs = match source {
            Some(path) => sample(&build, path)?,
            None => build.drawn(self.seed, class),
        };
        let dumped = self.dump.find(&build)?;
        let (mut answer, outputs) = self.infer(&build, source, &inputs)?;
        let output = &outputs[0];
        if source.is_none() {
            answer.class = build.classes.get(class).cloned();
        }
        self.write_values(output)?;
        if let Some(path) = &self.image {
            let data = &output.data;
            let (low, high) = data.iter().fold((f32::MAX, f32::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
            let gray: Vec<u8> =
                data.iter().map(|v| (255.0 * (v - low) / (high - low)).round() as u8).collect();
            let _writing = output::writing();
            write_label_png(path, &gray, [output.shape.h, output.shape.w], None)?;
        }
        answer.dumps = self.dump.write(build, &dumped, &inputs, self.float)?;
        if self.json { output::json(&answer) } else { Ok(answer.text()) }
    }
}
