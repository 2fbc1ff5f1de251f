//! Images: the models of one set for one memory map.

use super::{Board, log, missing, qemu};
use crate::{
    Result, cross,
    folders::{firmware, root, shared, target},
    generate, images,
    stage::{Runner, Stage},
};
use std::{fs, path::PathBuf, process::Command};

/// A recipe of `tests/bits`.
#[derive(PartialEq)]
pub(super) struct Recipe {
    /// Its stem.
    name: &'static str,
    /// Whether its weights lie in the shared data.
    trained: bool,
    /// Bytes of stack that it may have, printing included.
    pub(super) stack: usize,
}

/// Weights that need no file, or one of `tests/models`.
const fn own(name: &'static str) -> Recipe {
    Recipe { name, trained: false, stack: 4096 }
}

const fn trained(name: &'static str) -> Recipe {
    Recipe { name, trained: true, stack: 4096 }
}

/// All recipes that boards run. Measured stacks in whole numbers: up to 3752 bytes on the M0, 3504 on the others, where nothing else is said.
const RECIPES: &[Recipe] = &[
    own("anam_net_tiny"),
    own("anam_net_wide"),
    // 4360 bytes on the M55, whose kernels save vectors.
    Recipe { stack: 4608, ..own("anam_net_narrow") },
    own("squeezenet1_1"),
    trained("w251_cnn"),
    trained("w251_squeezenet"),
    // 4236 bytes on the M33: convolutions have a form with sums of 64 bits, which files ask for.
    Recipe { stack: 4608, ..own("every_operator_int16") },
    own("more_operators"),
    own("resnet8"),
    own("ds_cnn"),
    // 4020 bytes on the M0.
    Recipe { stack: 4608, ..own("nano_u") },
    own("every_operator_f32"),
    own("every_operator_f16"),
    own("every_operator_f16_native"),
    // Tiles of floating point keep their sums on the stack: 4248 bytes on the M33.
    Recipe { stack: 6144, ..own("squeezenet1_1_mixed") },
];

/// The models of one firmware image: names `RECIPE.ROUNDING`, as golden files have them.
#[derive(PartialEq)]
pub(super) struct Set {
    pub(super) name: &'static str,
    pub(super) models: &'static [&'static str],
}

/// A model of a set.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Model {
    pub(super) recipe: &'static Recipe,
    pub(super) rounding: &'static str,
    /// A layer with a wrong weight.
    pub(super) flip: Option<usize>,
}

impl Set {
    /// Its models: those in the shared data only where that lies beside the checkout.
    pub(super) fn models(&self) -> Vec<Model> {
        let of = |name: &&'static str| {
            let (stem, rounding) = name.split_once('.')?;
            let recipe = RECIPES.iter().find(|recipe| recipe.name == stem)?;
            Some(Model { recipe, rounding, flip: None })
        };
        let found = shared().is_some();
        self.models.iter().filter_map(of).filter(|model| found || !model.recipe.trained).collect()
    }
}

impl Model {
    /// As the image calls it.
    pub(super) fn name(&self) -> String {
        let flip = self.flip.map_or(String::new(), |layer| format!(".flip{layer}"));
        format!("{}{flip}", self.recorded())
    }

    /// As its golden file is called.
    fn recorded(&self) -> String {
        format!("{}.{}", self.recipe.name, self.rounding)
    }

    /// Its golden file.
    pub(super) fn golden(&self) -> PathBuf {
        root().join(format!("tests/bits/{}.golden", self.recorded()))
    }
}

const PACKAGE: &str = "niello-cortex-m-qemu";

/// A build.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Image {
    pub(super) set: &'static Set,
    pub(super) memory: &'static str,
    pub(super) target: &'static str,
}

impl Image {
    /// For a board.
    pub(super) fn of(set: &'static Set, board: &Board) -> Self {
        Self { set, memory: board.memory, target: board.target }
    }

    /// Its sources, for the generator; `flipped` is one more model.
    pub(super) fn sources(&self, flipped: Option<Model>) -> Vec<generate::Model> {
        let board = format!("targets/cortex-m-qemu/boards/{}.toml", self.memory);
        let source = |model: Model| generate::Model {
            name: model.name(),
            board: Some(board.clone()),
            flip: model.flip,
            ..generate::Model::recorded(&self.folder(), model.recipe.name, model.rounding)
        };
        self.set.models().into_iter().chain(flipped).map(source).collect()
    }

    fn folder(&self) -> String {
        format!("{}-{}", self.memory, self.set.name)
    }

    /// The weights that a model was generated with.
    pub(super) fn weights(&self, model: &Model) -> PathBuf {
        generate::path(&self.folder()).join(format!("{}.bin", model.name().replace(['-', '.'], "_")))
    }

    /// Where it is kept: the next build would overwrite it.
    pub(super) fn elf(&self) -> PathBuf {
        firmware().join("images").join(format!("{}-{}.elf", self.folder(), self.target.replace('/', "-")))
    }

    fn stage(&self) -> Result<Stage> {
        let targets = root().join("targets");
        let call = format!("build --release -p {PACKAGE}");
        let stage = cross::bare(&format!("{}, built", self.folder()), &call, self.target)
            .ok_or_else(|| missing(&format!("Rust's core library for {}", self.target)))?;
        // Arguments can hold spaces only as variables.
        let stage = stage.variable("CARGO_TARGET_DIR", &images::folder(self.target).to_string_lossy());
        Ok(generate::from(stage, &self.folder()).arguments(&[
            "--locked".into(),
            "--manifest-path".into(),
            targets.join("Cargo.toml").to_string_lossy().into_owned(),
        ]))
    }

    /// Builds it.
    pub(super) fn build(&self, runner: &mut Runner) -> Result {
        runner.run(self.stage()?)?;
        let elf = self.elf();
        let built = images::image(PACKAGE, self.target);
        let of_file = |e| format!("{}: {e}", elf.display());
        fs::create_dir_all(elf.parent().unwrap_or(root())).map_err(of_file)?;
        fs::copy(built, &elf).map_err(of_file)?;
        Ok(())
    }

    /// The first element of a layer that is not what the reference kernels compute on this machine, in words.
    pub(super) fn element(
        &self,
        machine: &str,
        model: &Model,
        case: &str,
        layer: &log::Place,
    ) -> Result<String> {
        let call = [model.name(), layer.index.to_string()];
        let found = log::dump(&qemu::run(machine, &self.elf(), &call)?, case);
        let out = self.elf().with_extension(format!("{}-{}.expected", model.name(), qemu::first(machine)));
        let input = match case.split_once(':') {
            Some(("seed", seed)) => ["--seed".into(), seed.into()],
            Some(("file", file)) => {
                let folder = shared().unwrap_or_default().join("data/ct/covid_ct/val/COVID");
                ["--data".into(), folder.join(file).to_string_lossy().into_owned()]
            }
            _ => return Err(format!("no input is called {case}")),
        };
        let mut command = Command::new(target().join("debug/niello"));
        command.current_dir(root()).arg("golden");
        command.arg(root().join(format!("tests/bits/{}.toml", model.recipe.name)));
        command.args(["--rounding", model.rounding, "--dump", &layer.name]).args(input);
        command.arg("--out").arg(&out);
        let status = command.status().map_err(|e| format!("cannot run `niello`: {e}"))?;
        if !status.success() {
            return Err("`niello golden --dump` failed".into());
        }
        let expected = fs::read(&out).map_err(|e| format!("{}: {e}", out.display()))?;
        Ok(log::element(&found, &expected, &layer.shape))
    }
}
