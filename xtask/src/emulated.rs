//! Tests on emulated Cortex-A cores: the suites of kernels and runtime, generated models, the command line.
//!
//! QEMU faults on an instruction that the chosen core lacks: what passes on one uses nothing that it does not have. All
//! cores of a family run the same binaries, which are built once.

use crate::{
    Result,
    cortex_m::log,
    cross,
    folders::{built, shared},
    generate,
    stage::{Runner, Stage},
};
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

/// A core to test on.
pub(crate) struct Core {
    /// Its name for `--target`.
    pub(crate) name: &'static str,
    /// QEMU's word for it.
    pub(crate) cpu: &'static str,
    /// Where it is found and what it adds.
    pub(crate) summary: &'static str,
    /// The suites, which look at single kernels, that run there on every push: those of what no other core has. In a sweep, all run.
    suites: &'static [&'static str],
    /// The packings of the generated models that run there on every push: all on one core, on others what one would choose. In a sweep, all
    /// run.
    packings: &'static [&'static str],
    /// Seconds that all of that may take.
    budget: u64,
}

/// All cores.
pub(crate) const CORES: &[Core] = &[
    Core {
        name: "aarch64-cortex-a53",
        cpu: "cortex-a53",
        summary: "Raspberry Pi 3 and Zero 2: NEON",
        // The A72's.
        suites: &[],
        packings: &PACKINGS,
        budget: 140,
    },
    Core {
        name: "aarch64-cortex-a72",
        cpu: "cortex-a72",
        summary: "Raspberry Pi 4: NEON",
        suites: ALL,
        packings: &["aarch64-neon"],
        budget: 360,
    },
    Core {
        name: "aarch64-cortex-a76",
        cpu: "cortex-a76",
        summary: "Raspberry Pi 5: and dot products, fp16",
        suites: ALL,
        packings: &["aarch64-dotprod"],
        budget: 240,
    },
    Core {
        name: "aarch64-max",
        cpu: "max",
        summary: "all that QEMU knows: and products of matrices (i8mm)",
        // Of its instructions, kernels use more than the A76's in products of whole numbers.
        suites: &[
            "--lib",
            "--test=extremes",
            "--test=oracle",
            "--test=refusal",
            "--test=row_chain",
            "--test=tflite_ops",
        ],
        packings: &["aarch64-dotprod"],
        budget: 90,
    },
];

const ALL: &[&str] = &["--lib", "--tests"];

/// The core that also calibrates trained weights.
const CALIBRATING: &str = "aarch64-cortex-a72";

/// The suites that run there: those of the code that boards run. Emulation is slow: all of that is optimised, and keeps its assertions.
const SUITES: &str =
    "test --config profile.dev.package.niello.opt-level=2 -p niello-kernels -p niello --no-fail-fast";

/// The program of all generated models.
const MODELS: &str = "build --release -p niello-bits --bin niello-bits";
/// Its folder of sources.
const FOLDER: &str = "bits";

/// Recipes of `tests/bits` with seeded weights, in two roundings.
const SEEDED: [&str; 9] = [
    "every_operator",
    "every_operator_int16",
    "squeezenet1_1_int16",
    "anam_net_tiny",
    "anam_net_wide",
    "anam_net_narrow",
    "squeezenet1_1",
    "shallow_cgan_generator",
    "residual_attention_unet",
];
/// With floating point: one rounding.
const FLOATS: [&str; 7] = [
    "more_operators",
    "every_operator_f32",
    "every_operator_f16",
    "every_operator_f16_native",
    "squeezenet1_1_f16",
    "squeezenet1_1_f16_native",
    "squeezenet1_1_mixed",
];
/// Model files, with the scales and the rounding that they mean.
const FILES: [&str; 3] = ["resnet8", "ds_cnn", "nano_u"];
/// Of the former, those in the last rounding too.
const EVEN: [&str; 3] = ["every_operator", "anam_net_tiny", "anam_net_narrow"];
/// Where the shared data is, in one packing only.
const TRAINED: [&str; 2] = ["w251_cnn", "w251_squeezenet"];
const ROUNDINGS: [&str; 3] = ["tflite-double", "single", "float-even"];
const PACKINGS: [&str; 3] = ["portable", "aarch64-neon", "aarch64-dotprod"];
const TRAINED_PACKINGS: [&str; 1] = ["aarch64-neon"];

/// The sources of all generated models: `MODEL.ROUNDING.PACKING`.
pub(crate) fn models() -> Vec<generate::Model> {
    let trained: &[&str] = if shared().is_some() { &TRAINED } else { &[] };
    let kinds: [(&[&str], &[&str], &[&str]); 5] = [
        (&SEEDED, &ROUNDINGS[..2], &PACKINGS),
        (&EVEN, &ROUNDINGS[2..], &PACKINGS),
        (&FLOATS, &ROUNDINGS[..1], &PACKINGS),
        (&FILES, &ROUNDINGS[..1], &PACKINGS),
        (trained, &ROUNDINGS[..2], &TRAINED_PACKINGS),
    ];
    let mut models = vec![];
    for (names, roundings, packings) in kinds {
        for (name, rounding) in names.iter().flat_map(|name| roundings.iter().map(move |r| (name, r))) {
            let recorded = generate::Model::recorded(FOLDER, name, rounding);
            models.extend(packings.iter().map(|packing| generate::Model {
                name: format!("{}.{packing}", recorded.name),
                target: Some((*packing).into()),
                ..recorded.clone()
            }));
        }
    }
    models
}

/// The command line, which also runs there in a sweep.
const PROGRAM: &str = "build --release -p niello-cli --bin niello";

/// The tests of one core. `arguments` go to the test binaries; with any, only those run.
pub(crate) fn tests(runner: &mut Runner, core: &Core, sweep: bool, arguments: &[String]) -> Result {
    runner.part(core.name, core.budget);
    let all = sweep || !arguments.is_empty();
    let suites = if all { ALL } else { core.suites };
    let stage = cross::aarch64(core.name, &[&[SUITES], suites].concat().join(" "), core.cpu)?;
    if !arguments.is_empty() {
        return runner.run(stage.arguments(&["--".into()]).arguments(arguments));
    }
    let programs = cross::aarch64(&format!("{}: generated models, built", core.name), MODELS, core.cpu)?;
    runner.run(generate::from(programs, FOLDER))?;
    let folder = built(&format!("{}/release", cross::AARCH64_LINUX));
    let packings = if sweep { &PACKINGS } else { core.packings };
    generated(runner, core, &format!("{folder}/niello-bits"), packings)?;
    if sweep {
        runner.run(cross::aarch64(&format!("{}: command line, built", core.name), PROGRAM, core.cpu)?)?;
        command_line(runner, core, &format!("{folder}/niello"))?;
    }
    if suites.is_empty() { Ok(()) } else { runner.run(stage) }
}

/// Every generated model of some packings prints each layer's checksum; all are as recorded.
fn generated(runner: &mut Runner, core: &Core, program: &str, packings: &[&str]) -> Result {
    let start = Instant::now();
    let run = |arguments: &[&str]| emulate(core, program, arguments).output();
    let names = run(&[])?;
    let chosen = |name: &&str| packings.iter().any(|packing| name.ends_with(&format!(".{packing}")));
    let names: Vec<&str> = names.lines().filter(chosen).collect();
    let check = |name: &str| -> Result<usize> {
        let golden = match name.rsplit_once('.') {
            Some((recorded, _packing)) => format!("tests/bits/{recorded}.golden"),
            None => return Err(format!("{program} has a model `{name}`, expected MODEL.ROUNDING.PACKING")),
        };
        let golden = fs::read_to_string(&golden).map_err(|e| format!("cannot read {golden}: {e}"))?;
        let what = format!("{}: generated model {name}", core.name);
        log::compare(&golden, &run(&[name])?).map_err(|difference| {
            let element = element(core, program, name, &difference);
            format!(
                "{what}: {difference}{}",
                element.unwrap_or_else(|e| format!("; the element is not known: {e}"))
            )
        })
    };
    // A model runs on one thread.
    let next = AtomicUsize::new(0);
    let some = || -> Result<usize> {
        let mut layers = 0;
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            layers += check(name)?;
        }
        Ok(layers)
    };
    let layers: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(some)).collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).sum::<Result<usize>>()
    })?;
    if layers == 0 {
        return Err(format!("{}: no generated model ran", core.name));
    }
    let models = names.len();
    runner.note(format!("{}: {models} generated models, {layers} layers equal", core.name), start.elapsed());
    Ok(())
}

/// The first element of a layer that is not what the same generated code computes on this machine, in words.
fn element(core: &Core, program: &str, name: &str, difference: &log::Difference) -> Result<String> {
    let Some(log::Place { index, shape, .. }) = &difference.layer else { return Ok(String::new()) };
    let index = index.to_string();
    let found = emulate(core, program, &[name, &index]).output()?;
    let line = format!("run --release --quiet -p niello-bits -- {name} {index}");
    let expected = generate::from(Stage::cargo("reference", &line), FOLDER).output()?;
    let dump = |text: &str| log::dump(text, &difference.case);
    Ok(format!("; {}", log::element(&dump(&found), &dump(&expected), shape)))
}

/// The command line imports, calibrates and packs a recorded model on the core, and checks each layer.
fn command_line(runner: &mut Runner, core: &Core, program: &str) -> Result {
    for (model, rounding, packing) in
        [("anam_net_narrow", "tflite-double", "aarch64-neon"), ("anam_net_tiny", "single", "portable")]
    {
        let file = format!("tests/bits/{model}.{rounding}.golden");
        let name = format!("{}: niello golden, {model}, {rounding}, {packing}", core.name);
        let arguments =
            format!("golden tests/bits/{model}.toml --rounding {rounding} --target {packing} --check {file}");
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        runner.run(emulate(core, program, &arguments).named(name))?;
    }
    match shared() {
        // Calibrated there on real slices, in float: the same bytes as on x86. Once, as it takes a while.
        Some(_) if core.name != CALIBRATING => {}
        Some(folder) => {
            let data = folder.join("data/ct/covid_ct/val/COVID").display().to_string();
            let check = "golden tests/bits/w251_cnn.toml --target aarch64-neon --check tests/bits/w251_cnn.tflite-double.golden";
            let arguments: Vec<&str> = check.split_whitespace().chain(["--data", &data]).collect();
            runner.run(
                emulate(core, program, &arguments).named(format!("{}: niello golden, w251_cnn", core.name)),
            )?;
        }
        None => runner
            .leave_out(format!("{}: trained weights (no shared data beside the checkout)", core.name))?,
    }
    let models = emulate(core, program, &["models"]).output()?;
    if !models.contains("squeezenet1_1") {
        return Err(format!("{}: `niello models` prints\n{models}", core.name));
    }
    Ok(())
}

/// A program of this core, under QEMU.
fn emulate(core: &Core, program: &str, arguments: &[&str]) -> Stage {
    cross::emulated(core.name, core.cpu, program, arguments)
}
