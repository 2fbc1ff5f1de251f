//! `niello infer`.

mod cases;
mod codes;
mod results;

use crate::{
    args::BuildArgs,
    ends::{self, Described},
    output::{self, check_writable},
    progress::Step,
};
use cases::Cases;
use clap::Args;
use niello_codegen::{Error, Result, execute::Executor, import::End, pipeline::Build};
use results::Results;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

/// Run a network on tensors: any number of cases, codes or numbers in, codes or numbers out
#[derive(Args)]
#[command(
    after_help = "Examples:\n  niello infer --model kws_int8.tflite --inputs in.safetensors --outputs out.safetensors --layers\n  \
                        niello infer --model net.onnx --format f32 --inputs in.safetensors --outputs out.safetensors\n  \
                        niello infer --recipe covid.toml --inputs in.safetensors --outputs out.safetensors --json\n\n\
                        Tensors are called CASE/INPUT, or CASE where there is one input, or INPUT where there is one case. Shapes and \
                        elements are those that a model's file declares; networks that niello knows have [1, c, h, w]. A quantised input is \
                        given as codes of the declared type, or as float numbers, which are quantised.\n\n\
                        Results are called CASE/OUTPUT and CASE/layer/NAME."
)]
pub(crate) struct Infer {
    /// Inputs of every case
    #[arg(long, value_name = "SAFETENSORS")]
    inputs: PathBuf,
    /// File to write
    #[arg(long, value_name = "SAFETENSORS")]
    outputs: PathBuf,
    /// Write the result of each layer too
    #[arg(long)]
    layers: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Inferred {
    network: String,
    format: &'static str,
    cases: usize,
    /// Layers of each case that were written.
    layers: usize,
    milliseconds_per_case: f64,
    inputs: Vec<Described>,
    outputs: Vec<Described>,
}

impl Infer {
    pub(crate) fn run(self) -> Result<String> {
        check_writable(&self.outputs)?;
        let bytes = std::fs::read(&self.inputs).map_err(Error::io("cannot read", &self.inputs))?;
        let mut build = self.model.build()?;
        if self.layers {
            // Every layer, also those whose results the program for a device does not keep.
            let target = build.program.target.clone();
            build.retarget_apart(&target)?;
        }
        let inferred = self.infer(&build, &bytes)?;
        if self.json { output::json(&inferred) } else { Ok(inferred.text(&self.outputs)) }
    }

    fn infer(&self, build: &Build, bytes: &[u8]) -> Result<Inferred> {
        let (program, inputs) = (&build.program, build.inputs());
        let cases = Cases::read(&self.inputs, bytes, &inputs, program)?;
        let _writing = output::writing();
        let mut results = Results::create(&self.outputs, build, &cases.names(), self.layers)?;
        let mut executor = Executor::new(program);
        let step = Step::new("running", cases.len() as u64);
        let mut seconds = 0.0;
        for case in 0..cases.len() {
            let codes = cases.codes(case)?;
            let views: Vec<&[i8]> = codes.iter().map(|input| &input[..]).collect();
            let start = Instant::now();
            let outputs = if self.layers {
                executor.run_observed(&views, |at, view| results.layers(case, at, view))?
            } else {
                executor.run(&views)?
            };
            seconds += start.elapsed().as_secs_f64();
            results.ends(case, &codes, &outputs)?;
            step.advance();
        }
        drop(step);
        let layers = results.finish()?;
        let described = |ids: &[niello_codegen::ValueId], ends: &[End]| {
            ids.iter()
                .zip(ends)
                .map(|(id, end)| Described::new(end, Some(program.tensor(*id).format)))
                .collect()
        };
        Ok(Inferred {
            network: program.metadata.network.clone(),
            format: program.format(),
            cases: cases.len(),
            layers,
            milliseconds_per_case: 1e3 * seconds / cases.len() as f64,
            inputs: described(&program.inputs, &inputs),
            outputs: described(&program.outputs, &build.outputs()),
        })
    }
}

impl Inferred {
    fn text(&self, file: &std::path::Path) -> String {
        let ends = ends::render(&self.inputs, &self.outputs);
        let plural = if self.cases == 1 { "" } else { "s" };
        format!(
            "{ends}\n{}: {} case{plural} of {} ({}), {} layers each, {:.2} ms per case\n",
            file.display(),
            self.cases,
            self.network,
            self.format,
            self.layers,
            self.milliseconds_per_case
        )
    }
}
