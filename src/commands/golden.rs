//! `niello golden`.

use crate::{
    args::BuildArgs,
    inputs::{images, is_tensors, sample},
    output,
    progress::Step,
    table,
};
use clap::Args;
use niello_codegen::{
    Error, Result,
    check::golden::{Bundle, Difference, Golden, Input, Source, check, layer_codes, record},
    emit::write_files,
    pipeline::Build,
    program::Program,
};
use niello_kernels::Isa;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Write the bytes of every layer to a file, or check a target against one
#[derive(Args)]
#[command(after_help = "Examples:\n  niello golden covid.toml --data slices/ --out covid.golden\n  \
                        niello golden covid.toml --check covid.golden --target aarch64-neon\n  \
                        niello golden covid.toml --log covid.golden < board.log")]
pub(crate) struct GoldenCommand {
    /// Seed of an input of pseudo-random codes (may be repeated); absent, and without `--data`: 1
    #[arg(long, value_name = "N")]
    seed: Vec<u64>,
    /// Image that is an input, a folder of them, or a safetensors file of one sample's inputs
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// File to write; beside it, the bytes of inputs, layers and outputs, and float outputs, as `FILE.safetensors`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write checksums only, no file of bytes
    #[arg(long)]
    checksums_only: bool,
    /// Run the program of `--target` against this file, on each instruction set of this machine
    #[arg(long, value_name = "FILE", conflicts_with = "dump")]
    check: Option<PathBuf>,
    /// Compare the output of a device (standard input) with this file; builds nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "dump", "out", "seed", "data"])]
    log: Option<PathBuf>,
    /// Write the raw codes of one layer (its index or name) of the first case to `--out`
    #[arg(long, value_name = "LAYER", requires = "out")]
    dump: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    model: BuildArgs,
}

#[derive(Serialize)]
struct Done {
    network: String,
    cases: usize,
    layers: usize,
    /// Instruction sets that were checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checked: Vec<String>,
}

impl GoldenCommand {
    pub(crate) fn run(self) -> Result<String> {
        if let Some(log) = &self.log {
            let text = std::io::read_to_string(std::io::stdin())
                .map_err(Error::io("cannot read", "standard input"))?;
            let golden = read(log)?;
            return match golden.check_log(&text)? {
                Some(difference) => Err(Error::Invalid(difference.to_string())),
                None => self.done(&golden, vec!["log".into()]),
            };
        }
        let Some(file) = self.out.clone().or_else(|| self.check.clone()) else {
            return Err(Error::Invalid(
                "nothing to do: give `--out FILE`, `--check FILE` or `--log FILE`".into(),
            ));
        };
        if let Some(out) = &self.out {
            output::check_writable(out)?;
        }
        let mut build = self.model.build()?;
        if self.check.is_some() {
            return self.check(&build, &file);
        }
        // Any target gives the same bytes; layers are numbered as the portable one runs them.
        build.retarget_apart("portable")?;
        let inputs = self.inputs(&build)?;
        if let Some(layer) = &self.dump {
            let layer = layer_index(&build.program, layer)?;
            let codes = layer_codes(&build.program, &inputs[0].1, layer)?;
            let bytes: Vec<u8> = codes.iter().map(|c| *c as u8).collect();
            let _writing = output::writing();
            write_files(&[(file.clone(), &bytes)])?;
            return Ok(format!("{}: {} codes\n", file.display(), bytes.len()));
        }
        let step = Step::new("recording", 0);
        let (golden, layers) = record(&build.program, &inputs)?;
        let text = golden.to_string();
        if self.checksums_only {
            let _writing = output::writing();
            write_files(&[(file, text.as_bytes())])?;
        } else {
            let bundle = Bundle::new(&build.program, &build.quantized.graph, &inputs, layers)?.to_bytes()?;
            let _writing = output::writing();
            write_files(&[(beside(&file), &bundle), (file, text.as_bytes())])?;
        }
        drop(step);
        self.done(&golden, vec![])
    }

    /// Every case, with its codes.
    fn inputs(&self, build: &Build) -> Result<Vec<Input>> {
        let seeds = if self.seed.is_empty() && self.data.is_none() { &[1][..] } else { &self.seed };
        let seeded = |seed: &u64| (Source::Seed(*seed), build.program.seeded_inputs(*seed));
        let mut inputs: Vec<Input> = seeds.iter().map(seeded).collect();
        for file in self.data.iter().map(|p| images(p)).collect::<Result<Vec<_>>>()?.concat() {
            inputs.push((Source::File(name(&file)), codes(build, &file)?));
        }
        Ok(inputs)
    }

    fn check(&self, build: &Build, file: &Path) -> Result<String> {
        let golden = read(file)?;
        let bytes = beside(file);
        let bundle = if bytes.is_file() { Bundle::open(&bytes)? } else { Bundle::default() };
        let files = self.data.iter().map(|p| images(p)).collect::<Result<Vec<_>>>()?.concat();
        let mut found: Vec<(Isa, Difference)> = vec![];
        let step = Step::new("checking", Isa::available().count() as u64);
        for isa in Isa::available() {
            let differences = check(&golden, &build.program, isa, &bundle.layers, |source| {
                let wanted = source.name();
                let image = files.iter().find(|f| Source::File(name(f)).name() == wanted);
                match (image, bundle.input(source)) {
                    (Some(image), _) => codes(build, image),
                    (None, Some(codes)) => Ok(codes),
                    (None, None) => {
                        Err(Error::Invalid(format!("{wanted}: no such image; give its path with `--data`")))
                    }
                }
            })?;
            found.extend(differences.into_iter().map(|d| (isa, d)));
            step.advance();
        }
        drop(step);
        if !found.is_empty() {
            let lines: Vec<String> = found.iter().map(|(isa, d)| format!("{}: {d}", isa.name())).collect();
            return Err(Error::file(file, lines.join("\n  ")));
        }
        self.done(&golden, Isa::available().map(|isa| isa.name().to_string()).collect())
    }

    fn done(&self, golden: &Golden, checked: Vec<String>) -> Result<String> {
        let layers = golden.cases.iter().map(|c| c.layers.len()).sum();
        let done = Done { network: golden.network.clone(), cases: golden.cases.len(), layers, checked };
        if self.json {
            return output::json(&done);
        }
        let what = if done.checked.is_empty() {
            "recorded".to_string()
        } else {
            format!("every byte as recorded, by {}", done.checked.join(", "))
        };
        let layers = table::grouped(done.layers as u64);
        Ok(format!("{}: {} cases, {layers} layer results, {what}\n", done.network, done.cases))
    }
}

fn read(path: &Path) -> Result<Golden> {
    let bytes = std::fs::read(path).map_err(Error::io("cannot read", path))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::file(path, "expected a golden file, found bytes that are not text"))?;
    text.parse().map_err(|e: Error| Error::file(path, e.to_string()))
}

/// The path of the bytes of a golden file.
fn beside(golden: &Path) -> PathBuf {
    let mut name = golden.as_os_str().to_owned();
    name.push(".safetensors");
    name.into()
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A layer's index, from its index or its name.
fn layer_index(program: &Program, layer: &str) -> Result<usize> {
    let named = || program.steps.iter().rposition(|step| step.layer() == layer || step.name == layer);
    layer.parse().ok().or_else(named).ok_or_else(|| {
        Error::Invalid(format!("no layer `{layer}`; `niello report` lists the layers, by index or by name"))
    })
}

/// The codes of an image, or of the sample in a safetensors file.
fn codes(build: &Build, file: &Path) -> Result<Vec<Vec<i8>>> {
    if is_tensors(file) {
        return Ok(build.codes(&sample(build, file)?));
    }
    Ok(vec![build.input_codes(&niello_imaging::load(file)?)?])
}
