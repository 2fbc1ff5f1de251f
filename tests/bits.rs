//! Promise 1: the recorded bytes of `tests/bits` come out of every target's program on every instruction set of this
//! machine, and a wrong constant, weight or offset is caught and named.

mod support;

use niello_codegen::{
    check::golden::{Bundle, Codes, Golden, Source, check, record},
    lower::TARGETS,
    pipeline::{Build, build},
    recipe::{RangeOverride, Recipe},
};
use niello_kernels::Isa;
use niello_models::Registry;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const ROUNDINGS: [&str; 3] = ["tflite-double", "single", "float-even"];
/// Recipes that are recorded in all of them; others are without the last one.
const EVEN: [&str; 3] = ["every_operator", "anam_net_tiny", "anam_net_narrow"];
/// Recipes with floating point: where there are codes besides, the rounding is the usual one.
const FLOATS: [&str; 7] = [
    "more_operators",
    "every_operator_f32",
    "every_operator_f16",
    "every_operator_f16_native",
    "squeezenet1_1_f16",
    "squeezenet1_1_f16_native",
    "squeezenet1_1_mixed",
];
/// Recipes of model files, and their goldens in `tests/models`: the file has its scales, and layers are rounded as it means.
const FILES: [(&str, &str); 3] =
    [("resnet8", "resnet8_int8"), ("ds_cnn", "ds_cnn_kws_int8"), ("nano_u", "nano_u_int8")];
/// Recipes that need nothing but the project.
const OWN: [&str; 9] = [
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
/// Recipes of trained weights in the shared data.
const TRAINED: [&str; 2] = ["w251_cnn", "w251_squeezenet"];

/// The roundings that a model is recorded in.
fn roundings(model: &str) -> &'static [&'static str] {
    match model {
        _ if FLOATS.contains(&model) || files().any(|file| file == model) => &ROUNDINGS[..1],
        _ if EVEN.contains(&model) => &ROUNDINGS,
        _ => &ROUNDINGS[..2],
    }
}

fn files() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(recipe, _)| *recipe)
}

fn bits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bits")
}

fn golden(model: &str, rounding: &str) -> Golden {
    let path = bits().join(format!("{model}.{rounding}.golden"));
    fs::read_to_string(&path).expect("a golden file").parse().expect("a readable golden file")
}

fn built(model: &str, rounding: &str, shared: Option<&Path>) -> Build {
    let mut recipe = Recipe::from_file(bits().join(format!("{model}.toml"))).expect("a recipe");
    recipe.format.rounding = rounding.parse().expect("a rounding");
    if let Some(shared) = shared {
        let moved = |path: &Path| shared.join(path.strip_prefix("../../../shared").expect("a shared path"));
        recipe.weights = recipe.weights.as_deref().map(moved);
        recipe.calibrate.images = recipe.calibrate.images.map(|i| i.paths().map(moved).collect());
    }
    build(&recipe, &Registry, |_| {}).expect("a recipe that builds")
}

/// The same with a step for every layer.
fn apart(mut build: Build) -> Build {
    let target = build.program.target.clone();
    build.retarget_apart(&target).expect("a known target");
    build
}

/// Checks one recorded model on every target and instruction set, with its inputs from the shared data where there are files among
/// them. Gives the operators and the kernels that ran.
fn reproduce(model: &str, shared: Option<&Path>) -> BTreeSet<String> {
    let mut ran = BTreeSet::new();
    for rounding in roundings(model).iter().copied() {
        let golden = golden(model, rounding);
        let mut build = built(model, rounding, shared);
        for target in TARGETS {
            build.retarget(target.name).expect("a known target");
            for step in &build.program.steps {
                ran.extend([step.kind.to_string(), format!("kernel {}", step.call.kernel())]);
            }
            for isa in Isa::available() {
                let differences = check(&golden, &build.program, isa, &Codes::new(), |source| {
                    let Source::File(name) = source else { unreachable!("seeds need no file") };
                    let folder =
                        shared.expect("own models have no images").join("data/ct/covid_ct/val/COVID");
                    let input = build.input(&niello_imaging::load(folder.join(name))?)?;
                    Ok(vec![build.program.tensor(build.program.inputs[0]).quantize(&input.data)])
                });
                let differences = differences.expect("the golden file is of this program");
                let what = format!("{model}, {rounding}, packed for {}, on {}", target.name, isa.name());
                assert!(differences.is_empty(), "{what}: {}", differences[0]);
            }
        }
    }
    ran
}

/// [`reproduce`] for several models, shared out among threads: a test that waits for one core keeps all others waiting at the end.
fn reproduce_all(models: &[&str], shared: Option<&Path>) -> BTreeSet<String> {
    let next = AtomicUsize::new(0);
    let some = || {
        let mut ran = BTreeSet::new();
        while let Some(model) = models.get(next.fetch_add(1, Ordering::Relaxed)) {
            ran.append(&mut reproduce(model, shared));
        }
        ran
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(some)).collect();
        threads.into_iter().flat_map(|t| t.join().expect("all bytes are as recorded")).collect()
    })
}

/// The texts in the bodies of methods of that name: each is one of the names that it gives.
fn texts_of<'t>(method: &str, text: &'t str) -> impl Iterator<Item = String> + use<'t> {
    let head = format!("fn {method}(&self) -> &'static str {{");
    let mut bodies: Vec<&str> = vec![];
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&head) {
        bodies.push(after.split("\n    }").next().unwrap_or(after));
        rest = after;
    }
    bodies.into_iter().flat_map(|body| body.split('"').skip(1).step_by(2)).map(String::from)
}

/// Every operator and kernel that the sources in `codegen/src` know.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("codegen/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("source");
            let code = |line: &&str| !line.trim_start().starts_with("//");
            let text: String = text.lines().filter(code).map(|line| format!("{line}\n")).collect();
            known.extend(texts_of("kind", &text));
            known.extend(texts_of("kernel", &text).map(|name| format!("kernel {name}")));
            // `AddCall for Add by rows {`
            let heads = text.lines().map(str::trim).filter(|line| !line.starts_with("impl "));
            let calls = heads.filter_map(|line| line.strip_suffix('{')?.split_once("Call for "));
            let names = calls.filter_map(|(_, kernel)| kernel.split_whitespace().next());
            known.extend(names.map(|name| format!("kernel {name}")));
        }
    }
    known
}

/// What only quantised files are made of, as their scales are those of the file: `codegen/tests/onnx_int8.rs` and `tflite_kinds.rs` hold them to
/// the outputs of the runtimes.
const ONLY_OF_FILES: [&str; 6] =
    ["LinearPair", "QuantizeLinear", "ReduceSumInt16", "SigmoidInt16", "SoftmaxInt16", "SubInt16"];

#[test]
fn own_models_return_the_recorded_bytes_on_every_target_and_instruction_set_and_have_every_operator() {
    let models: Vec<&str> = OWN.iter().chain(&FLOATS).copied().chain(files()).collect();
    let ran = reproduce_all(&models, None);
    let known = known();
    assert!(known.contains("Conv2d") && known.contains("kernel Conv2d"), "{known:?}");
    let of_files = |name: &&String| ONLY_OF_FILES.contains(&name.strip_prefix("kernel ").unwrap_or(name));
    let missing: Vec<&String> = known.difference(&ran).filter(|name| !of_files(name)).collect();
    assert!(
        missing.is_empty(),
        "no model of `tests/bits` has these: {missing:?}; `EveryOperator` of niello-models wants them"
    );
}

#[test]
fn trained_models_return_the_recorded_bytes_on_every_target_and_instruction_set() {
    let Some(shared) = support::shared() else { return };
    reproduce_all(&TRAINED, Some(&shared));
}

/// What emulated cores reproduce is what LiteRT's reference kernels computed.
#[test]
fn recorded_bytes_of_model_files_are_those_of_litert() {
    for (recipe, file) in FILES {
        let path = bits().join(format!("../models/{file}.json"));
        let doc: Value = serde_json::from_slice(&fs::read(&path).expect("a golden")).expect("JSON");
        let of = |golden: &[u64]| -> Vec<String> { golden.iter().map(|sum| format!("{sum:016x}")).collect() };
        let golden = golden(recipe, ROUNDINGS[0]);
        let mut layers = 0;
        for case in &golden.cases {
            let Source::Seed(seed) = case.source else { panic!("{recipe}: a case of a file") };
            let cases = doc["cases"].as_array().expect("cases");
            let wanted = cases.iter().find(|c| c["kind"] == "noise" && c["seed"] == seed).expect("the seed");
            assert_eq!(wanted["inputs"][0]["bytes"], of(&case.inputs)[0], "{recipe} {seed}");
            assert_eq!(wanted["reference"], Value::from(of(&case.outputs)), "{recipe} {seed}");
            let Some(sums) = wanted["layers"].as_array() else { continue };
            let names = doc["layers"].as_array().expect("layers").iter().map(|layer| &layer["name"]);
            for ((layer, name), sum) in case.layers.iter().zip(names).zip(sums) {
                assert_eq!(
                    (&*layer.name, format!("{:016x}", layer.checksum)),
                    (name.as_str().expect("a name"), sum.as_str().expect("a checksum").into(),)
                );
                layers += 1;
            }
            assert_eq!(case.layers.len(), sums.len(), "{recipe}");
        }
        assert!(layers > 0, "{recipe}: no case with layers");
    }
}

#[test]
fn golden_files_read_back_as_they_were_written() {
    for model in OWN.iter().chain(&FLOATS).chain(&TRAINED).copied().chain(files()) {
        for rounding in roundings(model).iter().copied() {
            let golden = golden(model, rounding);
            assert_eq!(golden.to_string().parse::<Golden>().expect("readable"), golden, "{model} {rounding}");
        }
    }
    for (text, problem) in [
        ("", "expected `# niello golden 1`"),
        ("# niello golden 1\nnetwork x\n", "at least one case"),
        ("# niello golden 1\nnetwork x\nlayer 0 a 1x1x1 00\n", "line 3"),
        ("# niello golden 1\nnetwork x\ncase seed:1\nlayer 0 a 1x1 00\n", "line 4"),
        ("# niello golden 1\nnetwork x\ncase seed:1\ninput 0 xyz\n", "line 4"),
    ] {
        let error = text.parse::<Golden>().expect_err(text).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn another_program_differs_at_a_layer_a_row_and_an_element() {
    let mut recipe = Recipe::from_file(bits().join("anam_net_tiny.toml")).expect("a recipe");
    recipe.recalibrate = true;
    let program_of = |recipe: &Recipe| apart(build(recipe, &Registry, |_| {}).expect("builds")).program;
    let original = program_of(&recipe);
    let inputs = [(Source::Seed(1), original.seeded_inputs(1))];
    let (golden, layers) = record(&original, &inputs).expect("an input that fits");
    // The same network with another range in the middle of it: layers before it stay the same.
    let range = RangeOverride::fixed(-1.0, 3.0);
    let other = program_of(&recipe.override_range("conv3_block", range));
    let none = |_: &Source| unreachable!("no case of a file");
    let differences = check(&golden, &other, Isa::detect(), &layers, none).expect("the same layers");
    let difference = &differences[0];
    assert_eq!(difference.layer, "conv3_block");
    let ([y, _, _], expected, found) = difference.element.expect("the bytes were kept");
    assert_eq!(Some(y), difference.row);
    assert_ne!(expected, found);
    assert!(difference.to_string().starts_with("seed:1: layer 12 `conv3_block` differs first: checksum "));
    // Without the bytes, the row is still known.
    let differences = check(&golden, &other, Isa::detect(), &Codes::new(), none).expect("the same layers");
    assert_eq!((differences[0].row, differences[0].element), (Some(y), None));
}

#[test]
fn bytes_beside_a_golden_file_read_back() {
    let build = apart(built("anam_net_tiny", "single", None));
    let inputs = [(Source::Seed(3), build.program.seeded_inputs(3))];
    let (_, layers) = record(&build.program, &inputs).expect("an input that fits");
    let bundle = Bundle::new(&build.program, &build.quantized.graph, &inputs, layers.clone()).expect("runs");
    let room = support::Room::new();
    room.write("x.safetensors", bundle.to_bytes().expect("tensors"));
    let read = Bundle::open(&room.path("x.safetensors")).expect("readable");
    assert_eq!(read.layers, layers);
    assert_eq!(read.input(&Source::Seed(3)), Some(inputs[0].1.clone()));
    assert_eq!(read.input(&Source::Seed(4)), None);
}

#[test]
fn a_log_is_compared_layer_by_layer() {
    let golden = golden("anam_net_tiny", "single");
    // A device prints the lines of a golden file, without rows.
    let text = golden.to_string();
    let log: String = text.lines().filter(|l| !l.starts_with("rows")).map(|l| format!("{l}\n")).collect();
    assert_eq!(golden.check_log(&log).expect("complete"), None);
    let third = golden.cases[0].layers[3].checksum;
    let wrong = log.replace(&format!("{third:016x}"), &format!("{:016x}", third ^ 1));
    let difference = golden.check_log(&wrong).expect("complete").expect("a difference");
    assert_eq!((difference.index, &*difference.layer), (3, "bottleneck1.ext_conv2"));
    let short: Vec<&str> = log.lines().take(20).collect();
    assert!(golden.check_log(&short.join("\n")).is_err(), "a log that breaks off is no success");
    assert!(golden.check_log("").is_err());
}
