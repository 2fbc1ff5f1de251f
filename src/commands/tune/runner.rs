//! Runners of programs: this machine, or a command of the user's.

use crate::{
    output::{temporary, writing},
    progress::Step,
    runtime,
};
use niello_codegen::{
    Error, Result,
    bench::alternate,
    emit::{EmitOptions, write_crate, write_files},
    lower::Target,
    pipeline::Build,
    program::Program,
    recipe::Recipe,
    tuning::{Costs, TunedLayer, TuningFile},
};
use niello_kernels::{Isa, Layout, threads};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Measures programs.
pub(super) struct Runner {
    rounds: usize,
    device: Device,
}

enum Device {
    Here(Isa),
    Command(Box<Shell>),
}

/// A command and its inputs.
struct Shell {
    command: String,
    unit: Option<String>,
    folder: PathBuf,
    /// Whether the folder is removed in the end.
    temporary: bool,
    runtime: String,
    emit: EmitOptions,
    recipe: Recipe,
}

impl Drop for Shell {
    fn drop(&mut self) {
        if self.temporary {
            // A folder that cannot be removed lies among temporary files.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

impl Runner {
    /// This machine.
    ///
    /// # Errors
    /// Weights that are packed for another one: its tiles would not run.
    pub(super) fn here(build: &Build, rounds: usize) -> Result<Self> {
        let (target, own) = (Target::find(&build.program.target)?, Target::find("host")?);
        if target.layout != own.layout && target.layout != Layout::SCALAR {
            return Err(Error::Invalid(format!(
                "this machine runs `{}` by plain kernels, whose times mean nothing: give a `--runner`, or `--target {}`",
                target.name, own.name
            )));
        }
        Ok(Self { rounds, device: Device::Here(Isa::detect()) })
    }

    /// A command for the shell.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub(super) fn command(
        build: &Build,
        rounds: usize,
        command: &str,
        unit: Option<String>,
        work: Option<&Path>,
        runtime: Option<&str>,
    ) -> Result<Self> {
        let folder = match work {
            Some(folder) => std::path::absolute(folder).map_err(Error::io("cannot find", folder))?,
            None => std::env::temp_dir().join(format!("niello-tune-{}", std::process::id())),
        };
        fs::create_dir_all(&folder).map_err(Error::io("cannot create", &folder))?;
        if work.is_none() {
            temporary(&folder);
        }
        let runtime = runtime::dependency(runtime, &folder)?;
        let mut recipe = build.recipe.clone().absolute()?;
        recipe.target.name.clone_from(&build.program.target);
        recipe.target.tuning = Some(folder.join(TUNING));
        let shell = Shell {
            command: command.into(),
            unit,
            temporary: work.is_none(),
            folder,
            runtime,
            emit: build.emit_options(),
            recipe,
        };
        Ok(Self { rounds, device: Device::Command(Box::new(shell)) })
    }

    /// The unit of costs, if it is known.
    pub(super) fn unit(&self) -> Option<String> {
        match &self.device {
            Device::Here(_) => Some("ns".into()),
            Device::Command(shell) => shell.unit.clone(),
        }
    }

    /// The minimum costs of each program.
    ///
    /// # Errors
    /// A command that fails, or prints no costs, or costs of other layers.
    pub(super) fn measure(&self, programs: &[&Program]) -> Result<Vec<Costs>> {
        let step = Step::new("measuring", (programs.len() * self.rounds) as u64);
        match &self.device {
            Device::Here(isa) => alternate(programs, *isa, self.rounds, || step.advance()),
            Device::Command(shell) => shell.measure(programs, self.rounds, &step),
        }
    }
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Device::Here(isa) => {
                let n = threads::count();
                write!(f, "this machine, {}, {n} thread{}", isa.name(), if n == 1 { "" } else { "s" })
            }
            Device::Command(shell) => f.write_str(&shell.command),
        }
    }
}

const RECIPE: &str = "recipe.toml";
const TUNING: &str = "tuning.toml";

impl Shell {
    fn measure(&self, programs: &[&Program], rounds: usize, step: &Step) -> Result<Vec<Costs>> {
        let mut costs = vec![Costs::default(); programs.len()];
        for _ in 0..rounds {
            for (program, costs) in programs.iter().zip(&mut costs) {
                self.write(program)?;
                let found = Costs::parse(&step.suspend(|| self.run())?)?;
                check(&found, program)?;
                costs.merge(&found);
                step.advance();
            }
        }
        Ok(costs)
    }

    /// Writes the crate, and the recipe with the tuning that give the same.
    fn write(&self, program: &Program) -> Result<()> {
        let _writing = writing();
        write_crate(program, &self.emit, &self.folder, &self.runtime)?;
        let layer = program.tuned.iter().map(|(layer, choice)| {
            let (pixels, winograd) = (choice.pixels, choice.winograd);
            (layer.clone(), TunedLayer { pixels, winograd, ..TunedLayer::default() })
        });
        let tuning = TuningFile {
            network: self.recipe.network_name(),
            target: program.target.clone(),
            layer: layer.collect(),
            ..TuningFile::default()
        };
        write_files(&[
            (self.folder.join(RECIPE), self.recipe.to_toml()?.as_bytes()),
            (self.folder.join(TUNING), tuning.to_toml()?.as_bytes()),
        ])
    }

    /// The output of the command.
    fn run(&self) -> Result<String> {
        let failed = |why: String| Error::Invalid(format!("runner: `{}` {why}", self.command));
        let output = Command::new("sh")
            .args(["-c", &self.command])
            .env("NIELLO_MODEL_DIR", &self.folder)
            .env("NIELLO_RECIPE", self.folder.join(RECIPE))
            .env("NIELLO_TUNING", self.folder.join(TUNING))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| failed(format!("cannot be run: {e}")))?;
        if !output.status.success() {
            return Err(failed(format!("failed, {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|_| failed("printed bytes that are not text".into()))
    }
}

/// Whether every cost is one of the program's, and every layer with a choice has one.
fn check(costs: &Costs, program: &Program) -> Result<()> {
    let known: Vec<&String> = program.steps.iter().flat_map(|step| &step.layers).collect();
    let costed: Vec<&String> = costs.steps.keys().flatten().collect();
    if let Some(layer) = costed.iter().find(|layer| !known.contains(layer)) {
        return Err(Error::Invalid(format!(
            "runner: printed a cost of layer `{layer}`, which the model does not have"
        )));
    }
    match program.choices.keys().find(|layer| !costed.contains(layer)) {
        Some(layer) => Err(Error::Invalid(format!("runner: printed no cost of layer `{layer}`"))),
        None => Ok(()),
    }
}
