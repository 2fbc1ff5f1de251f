//! Where a program is counted: emulated cores, emulated boards, this machine.

use super::{loops, measured::Measured};
use crate::{
    Result,
    cortex_m::{BOARDS, Board},
    cross,
    emulated::{CORES, Core},
    folders::built,
    generate, images,
    stage::Stage,
    tools,
};
use std::{fs, path::Path};

const LINUX: &str = "niello-count";
const FIRMWARE: &str = "niello-count-cortex-m";

/// Something that runs programs and counts their instructions.
pub(super) enum Machine {
    /// This machine, by callgrind.
    Host,
    Core(&'static Core),
    Board(&'static Board),
}

/// Builds the plugin for QEMU.
pub(super) fn plugin() -> Result<Stage> {
    let folder = path("");
    fs::create_dir_all(&folder).map_err(|e| format!("{folder}: {e}"))?;
    let call = format!("-O2 -shared -fPIC targets/count/count.c -o {}", path("count.so"));
    let arguments: Vec<String> = call.split(' ').map(Into::into).collect();
    Ok(Stage::new("plugin for QEMU", "gcc").arguments(&arguments))
}

/// Where `qemu-aarch64` loads position-independent programs.
const EMULATED_BASE: u64 = 0x55_0000_0000;

/// Where the plugin and the marks are kept.
fn path(file: &str) -> String {
    built(&format!("count/{file}"))
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))
}

/// The name of a recipe.
fn stem(recipe: &str) -> String {
    Path::new(recipe).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The target for a core, as a user would choose it.
fn packing(core: &Core) -> &'static str {
    match core.cpu {
        "cortex-a53" | "cortex-a57" | "cortex-a72" => "aarch64-neon",
        _ => "aarch64-dotprod",
    }
}

impl Machine {
    /// The machine of that name.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn find(name: &str) -> Result<Self> {
        if name == "host" {
            return Ok(Self::Host);
        }
        let core = CORES.iter().find(|core| core.name == name).map(Self::Core);
        let board = || BOARDS.iter().find(|board| board.name == name).map(Self::Board);
        core.or_else(board).ok_or_else(|| format!("no target `{name}`; see cargo xtask test --list"))
    }

    pub(super) fn is_emulated(&self) -> bool {
        !matches!(self, Self::Host)
    }

    /// What it needs and this machine does not have.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let found = self.is_emulated() || tools::runs("valgrind", &["--version"]);
        (!found).then_some("valgrind (cargo xtask setup --profilers)")
    }

    /// The words that distinguish its program from those of other machines.
    pub(super) fn program(&self) -> [&'static str; 2] {
        match self {
            Self::Host => ["host", ""],
            Self::Core(core) => [cross::AARCH64_LINUX, packing(core)],
            Self::Board(board) => [board.target, board.memory],
        }
    }

    /// A recipe's model for it.
    pub(super) fn model(&self, recipe: &str) -> generate::Model {
        let (target, board) = match self {
            Self::Host => (Some("host".into()), None),
            Self::Core(core) => (Some(packing(core).into()), None),
            Self::Board(board) => (None, Some(format!("targets/cortex-m-qemu/boards/{}.toml", board.memory))),
        };
        let (folder, name, recipe) = (self.folder(recipe), "model".into(), recipe.into());
        generate::Model { folder, name, recipe, target, board, ..generate::Model::default() }
    }

    /// Where that lies.
    fn folder(&self, recipe: &str) -> String {
        let machine = match self {
            Self::Host => "host",
            Self::Core(core) => packing(core),
            Self::Board(board) => board.memory,
        };
        format!("count-{}-{machine}", stem(recipe))
    }

    /// Builds a recipe's program.
    ///
    /// # Errors
    /// A tool that is not installed.
    pub(super) fn build(&self, recipe: &str) -> Result<Stage> {
        let linux = format!("build --release -p {LINUX} --features generated");
        let (stage, kind) = match self {
            Self::Host => (Stage::cargo("", &linux), "this machine"),
            Self::Core(core) => (cross::aarch64("", &linux, core.cpu)?, "aarch64"),
            Self::Board(board) => (images::build(FIRMWARE, board.target, "")?, board.target),
        };
        let stage = stage.named(format!("count, program of {} for {kind}", stem(recipe)));
        Ok(generate::from(stage, &self.folder(recipe)))
    }

    /// Where [`Machine::build`] leaves the program.
    fn elf(&self) -> String {
        match self {
            Self::Host => built(&format!("release/{LINUX}")),
            Self::Core(_) => built(&format!("{}/release/{LINUX}", cross::AARCH64_LINUX)),
            Self::Board(board) => images::image(FIRMWARE, board.target).to_string_lossy().into_owned(),
        }
    }

    /// Runs what was built last and counts.
    ///
    /// # Errors
    /// A program or an emulator that fails, marks that do not fit the layers.
    pub(super) fn measure(&self) -> Result<Measured> {
        let out = path("marks");
        let Some(stage) = self.run(&[("COUNT_OUT", out.clone())]) else { return callgrind(&self.elf()) };
        // The output of an earlier run must not be taken for this one's.
        let _ = fs::remove_file(&out);
        Measured::from_marks(&stage.output()?, &read(&out)?)
    }

    /// The loops of what was built last, as text.
    ///
    /// # Errors
    /// As [`Machine::measure`], and as [`loops::table`].
    pub(super) fn loops(&self, name: &str) -> Result<String> {
        let model = loops::model(name)?;
        let profile = path("profile");
        let variables = [("COUNT_OUT", path("marks")), ("COUNT_PROFILE", profile.clone())];
        let Some(stage) = self.run(&variables) else { return Err(format!("{name} is not emulated")) };
        stage.output()?;
        let base = if matches!(self, Self::Core(_)) { EMULATED_BASE } else { 0 };
        loops::table(model, &self.elf(), &read(&profile)?, base)
    }

    /// The emulator with the plugin and its variables; `None` for this machine.
    fn run(&self, variables: &[(&str, String)]) -> Option<Stage> {
        let plugin = path("count.so");
        match self {
            Self::Host => None,
            Self::Core(core) => {
                let variables = [variables, &[("QEMU_PLUGIN", plugin)]].concat();
                Some(cross::counted(core.name, core.cpu, Path::new(&self.elf()), &["layers"], &variables))
            }
            Self::Board(board) => {
                let call = format!(
                    "-M {} -display none -monitor none -serial none -semihosting-config enable=on,target=native -plugin {plugin} -kernel {}",
                    board.machine,
                    self.elf()
                );
                let arguments: Vec<String> = call.split(' ').map(Into::into).collect();
                let stage = Stage::new(board.name, "qemu-system-arm").arguments(&arguments);
                Some(variables.iter().fold(stage, |stage, (name, value)| stage.variable(name, value)))
            }
        }
    }
}

/// On this machine, as valgrind shows it: without AVX-512.
fn callgrind(program: &str) -> Result<Measured> {
    let folder = path("callgrind");
    // Parts of an earlier run would be read as this one's.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|e| format!("{folder}: {e}"))?;
    let program = Path::new(program);
    let call = format!(
        "--tool=callgrind --callgrind-out-file={folder}/part --dump-before=niello_count::mark* ./{LINUX} layers"
    );
    let arguments: Vec<String> = call.split(' ').map(Into::into).collect();
    let stage = Stage::new("host", "valgrind").arguments(&arguments);
    let printed = stage.alone(program.parent().unwrap_or(program).into()).output()?;
    // One part up to each mark, in a file with its number.
    let part = |i: usize| fs::read_to_string(format!("{folder}/part.{i}")).ok();
    let parts = (1..).map_while(part).map(|text| {
        let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).and_then(|n| n.parse().ok());
        totals.ok_or_else(|| format!("{folder}: a part without totals"))
    });
    Measured::from_parts(&printed, &parts.collect::<Result<Vec<u64>>>()?)
}
