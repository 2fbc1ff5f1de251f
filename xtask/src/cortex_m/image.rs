//! Images: one model in one rounding for one memory map.

use super::{log, missing, qemu};
use crate::{Result, cross, stage::Runner, stage::Stage};
use std::{fs, path::Path, path::PathBuf, process::Command};

/// A recipe of `tests/bits`.
#[derive(PartialEq)]
pub(super) struct Model {
    /// The recipe's stem.
    pub(super) name: &'static str,
    /// Whether its weights lie in the shared data.
    pub(super) trained: bool,
    /// Bytes of stack that it may have, printing included.
    pub(super) stack: usize,
    /// In which it runs on boards.
    pub(super) roundings: &'static [&'static str],
}

/// As recipes name them.
const ROUNDINGS: &[&str] = &["tflite-double", "single"];
/// That of most recipes, where a model is there for its operators: the other rounding is the same code with another constant.
const USUAL: &[&str] = &["tflite-double"];

/// All models that boards run. Measured stacks: 2048 bytes for the tiny one on M0; on M7 1288, 1108, 1044 and 1092.
pub(super) const MODELS: &[Model] = &[
    Model { name: "anam_net_tiny", trained: false, stack: 4096, roundings: ROUNDINGS },
    Model { name: "anam_net_wide", trained: false, stack: 4096, roundings: ROUNDINGS },
    Model { name: "anam_net_narrow", trained: false, stack: 4096, roundings: ROUNDINGS },
    Model { name: "squeezenet1_1", trained: false, stack: 4096, roundings: ROUNDINGS },
    Model { name: "w251_cnn", trained: true, stack: 4096, roundings: ROUNDINGS },
    Model { name: "w251_squeezenet", trained: true, stack: 4096, roundings: ROUNDINGS },
    Model { name: "every_operator_int16", trained: false, stack: 4096, roundings: USUAL },
    Model { name: "every_operator_f32", trained: false, stack: 4096, roundings: USUAL },
    Model { name: "every_operator_f16", trained: false, stack: 4096, roundings: USUAL },
    Model { name: "every_operator_f16_native", trained: false, stack: 4096, roundings: USUAL },
    // Tiles of floating point keep their sums on the stack: 4100 bytes on the M33.
    Model { name: "squeezenet1_1_mixed", trained: false, stack: 6144, roundings: USUAL },
];

const PACKAGE: &str = "niello-cortex-m-qemu";

/// What is built once.
#[derive(Clone, PartialEq)]
pub(super) struct Image {
    pub(super) model: &'static Model,
    pub(super) rounding: &'static str,
    pub(super) memory: &'static str,
    pub(super) target: &'static str,
    /// A layer whose bytes it prints.
    pub(super) dump: Option<usize>,
    /// A layer with a wrong weight.
    pub(super) flip: Option<usize>,
}

/// The checkout.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where the shared data lies, if it does.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("NIELLO_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    // Build scripts run elsewhere.
    folder.join("data/weights").is_dir().then(|| folder.canonicalize().unwrap_or(folder))
}

impl Image {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.model.name, self.rounding)
    }

    /// Where it is kept: the next build would overwrite it.
    pub(super) fn elf(&self) -> PathBuf {
        let part = |what: &str, layer: Option<usize>| layer.map_or(String::new(), |i| format!("-{what}-{i}"));
        let (dump, flip) = (part("layer", self.dump), part("flip", self.flip));
        let Self { model, rounding, memory, target, .. } = self;
        let name = format!("{}-{rounding}-{memory}-{target}{dump}{flip}.elf", model.name);
        root().join("targets/target/images").join(name)
    }

    /// What it must print.
    pub(super) fn golden(&self) -> PathBuf {
        root().join(format!("tests/bits/{}.{}.golden", self.model.name, self.rounding))
    }

    fn stage(&self) -> Result<Stage> {
        let targets = root().join("targets");
        let call = format!("build --release -p {PACKAGE}");
        let name = format!("{}, {}", self.memory, self.name());
        let stage = cross::bare(&name, &call, self.target)
            .ok_or_else(|| missing(&format!("Rust's core library for {}", self.target)))?;
        let stage = [
            // Arguments can hold spaces only as variables.
            ("CARGO_TARGET_DIR", &*targets.join("target").to_string_lossy()),
            ("NIELLO_MODEL", self.model.name),
            ("NIELLO_ROUNDING", self.rounding),
            ("NIELLO_MACHINE", self.memory),
            ("NIELLO_DUMP", &self.dump.map_or(String::new(), |layer| layer.to_string())),
            ("NIELLO_FLIP", &self.flip.map_or(String::new(), |layer| layer.to_string())),
        ]
        .into_iter()
        .fold(stage, |stage, (variable, value)| stage.variable(variable, value));
        Ok(stage.arguments(&[
            "--locked".into(),
            "--manifest-path".into(),
            targets.join("Cargo.toml").to_string_lossy().into_owned(),
        ]))
    }

    /// Builds it.
    pub(super) fn build(&self, runner: &mut Runner) -> Result {
        runner.run(self.stage()?)?;
        let elf = self.elf();
        let built = root().join(format!("targets/target/{}/release/{PACKAGE}", self.target));
        let of_file = |e| format!("{}: {e}", elf.display());
        fs::create_dir_all(elf.parent().unwrap_or(root())).map_err(of_file)?;
        fs::copy(built, &elf).map_err(of_file)?;
        Ok(())
    }

    /// The first element of a layer that is not what the reference kernels compute on this machine, in words.
    pub(super) fn element(&self, machine: &str, case: &str, layer: &log::Place) -> Result<String> {
        let image = Image { dump: Some(layer.index), ..self.clone() };
        image.build(&mut Runner::new("dump"))?;
        let found = log::dump(&qemu::run(machine, &image.elf())?, case);
        let out = image.elf().with_extension("expected");
        let input = match case.split_once(':') {
            Some(("seed", seed)) => ["--seed".into(), seed.into()],
            Some(("file", file)) => {
                let folder = shared().unwrap_or_default().join("data/ct/covid_ct/val/COVID");
                ["--data".into(), folder.join(file).to_string_lossy().into_owned()]
            }
            _ => return Err(format!("no input is called {case}")),
        };
        let mut command = Command::new("cargo");
        command.current_dir(root()).args("run --quiet --package niello-cli -- golden".split(' '));
        command.arg(root().join(format!("tests/bits/{}.toml", self.model.name)));
        command.args(["--rounding", self.rounding, "--dump", &layer.name]).args(input);
        command.arg("--out").arg(&out);
        let status = command.status().map_err(|e| format!("cannot run `cargo`: {e}"))?;
        if !status.success() {
            return Err("`niello golden --dump` failed".into());
        }
        let expected = fs::read(&out).map_err(|e| format!("{}: {e}", out.display()))?;
        Ok(log::element(&found, &expected, &layer.shape))
    }
}
