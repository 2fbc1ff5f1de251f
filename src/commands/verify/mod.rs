//! `niello verify`.

mod answers;
mod cases;
mod framework;
mod verified;

pub(super) use self::{
    cases::Given,
    verified::{Compared, Limits, Row, Verified, by_harm},
};
use super::Done;
use crate::{args::BuildArgs, output};
use clap::Args;
use niello_codegen::Result;
use std::path::PathBuf;

/// Compare int8 with float, layer by layer and at the output
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello verify --model squeezenet1_0 --classes 3 --weights W.safetensors \
                        --input 224x224 \\\n    --preprocess imagenet --calibrate slices/ --data slices/ --format int8 --json\n\n\
                        Exit status 1 if a figure is below the budget (`--min-sqnr-db`) or `--min-agreement`, and if int8 gives no answer at all: most of an \
                        input is cut off, or the outputs are noise or the same for all inputs."
)]
pub(crate) struct Verify {
    /// Images to compare on: a folder, or one image; or a safetensors file of inputs (for a generator, absent: drawn ones)
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Compare float with another framework too: its tensors `CASE/output`, and `CASE/input` to check the pre-processing; a case is the name of an
    /// image or of a sample. A safetensors file of `--data` may have them itself
    #[arg(long, value_name = "SAFETENSORS")]
    expected: Option<PathBuf>,
    /// Show only so many layers, those with the largest errors of their own
    #[arg(long, value_name = "N")]
    worst: Option<usize>,
    /// Fail if a smaller share (0 to 1) of images, or of a segmentation's pixels, has the class that float gives
    #[arg(long, value_name = "SHARE")]
    min_agreement: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

impl Verify {
    pub(crate) fn run(self) -> Result<Done> {
        let recipe = self.model.recipe()?;
        let given = Given::new(&recipe, self.data.as_deref(), self.expected.as_deref())?;
        let mut build = self.model.build()?;
        let limits = Limits { worst: self.worst, min_agreement: self.min_agreement };
        let verified = given.compare(&mut build, limits, |_| Ok(()))?;
        let text = if self.json { output::json(&verified)? } else { verified.text() };
        Ok(Done { text, failure: verified.failure() })
    }
}
