//! The generated crate returns the bytes of the program that it was printed from, layer by layer.

mod common;
mod support;

use niello::self_test::Checksum;
use niello_codegen::{
    Graph,
    emit::{EmitOptions, emit, write_crate},
    execute::Executor,
    import::network::Networks,
    passes::cam::with_map,
    pipeline::build,
    program::Program,
    recipe::{NumberFormat, Recipe},
};
use niello_kernels::{Isa, Rounding};
use niello_models::Registry;
use std::{fs, path::Path, process::Command};

/// Checksums of every step's output and of the outputs, for the codes that follow from a seed.
fn expected(program: &Program, isa: Isa, seed: u64) -> Vec<String> {
    let inputs = program.seeded_inputs(seed);
    let inputs: Vec<&[i8]> = inputs.iter().map(|input| &input[..]).collect();
    let mut lines = vec![];
    let outputs = Executor::with_isa(program, isa)
        .run_observed(&inputs, |i, view| {
            let step = &program.steps[i];
            // A device shows no result that a later step adds to.
            if program.steps[i + 1..].iter().any(|later| later.writes() == step.writes()) {
                return;
            }
            lines.push(format!("{i} {} {:016x}", step.name, Checksum::of_codes(&view.tensor(step.writes()))));
        })
        .expect("the input has the right size");
    lines.extend(outputs.iter().map(|o| format!("output {:016x}", Checksum::of_codes(o))));
    lines
}

/// A program that prints the same for a generated crate.
fn driver(type_name: &str, crate_name: &str, program: &Program) -> String {
    let names = |base: &str, count: usize| -> Vec<String> {
        (0..count).map(|i| if count == 1 { base.into() } else { format!("{base}{i}") }).collect()
    };
    let inputs = names("input", program.inputs.len());
    let outputs: Vec<String> = match program.outputs.len() {
        2 if program.metadata.cam => vec!["output".into(), "cam".into()],
        n => names("output", n),
    };
    let buffers: String = inputs
        .iter()
        .chain(&outputs)
        .map(|name| format!("let mut {name} = Box::new([Element::ZERO; m::{}_LEN]);", name.to_uppercase()))
        .collect();
    let given: String = inputs.iter().map(|i| format!("&{i}, ")).collect();
    let lost: String = inputs.iter().map(|i| format!("&mut {i}, ")).collect();
    let fills: String = inputs.iter().map(|i| format!("codes.fill(&mut {i}[..]);")).collect();
    let arguments: String = outputs.iter().map(|o| format!("&mut {o}, ")).collect();
    let as_bytes = |names: &[String]| -> String {
        names.iter().map(|name| format!("niello::kernels::memory::bytes(&{name}[..]), ")).collect()
    };
    let (inputs_as_bytes, outputs_as_bytes) = (as_bytes(&inputs), as_bytes(&outputs));
    let prints: String = outputs
        .iter()
        .map(|o| format!("println!(\"output {{:016x}}\", niello::self_test::Checksum::of_codes(&{o}[..]));"))
        .collect();
    format!(
        "use {crate_name} as m;
         use niello::kernels::memory::Element;
         static MODEL: niello::StaticCell<m::{type_name}> = niello::StaticCell::new(m::{type_name}::new());
         fn main() {{
             let model = MODEL.take().unwrap();
             {buffers}
             model.self_test({lost}{arguments}).unwrap();
             let mut codes = niello::self_test::Codes::new(7);
             {fills}
             let mut print = |i: usize, l: &niello::LayerInfo, o: niello::Output<'_>| {{
                 println!(\"{{i}} {{}} {{:016x}}\", l.name, o.checksum());
             }};
             model.infer_observed({given}{arguments}&mut print);
             {prints}
             let given: &[&[i8]] = &[{inputs_as_bytes}];
             let mut made: Vec<Vec<i8>> = <m::{type_name} as niello::Model>::OUTPUTS.iter().map(|o| vec![0; o.bytes()]).collect();
             let mut outputs: Vec<&mut [i8]> = made.iter_mut().map(|o| &mut o[..]).collect();
             niello::Model::infer(model, given, &mut outputs).unwrap();
             niello::Model::infer(model, given, &mut outputs[1..]).unwrap_err();
             niello::Model::infer(model, &[given, &[&[]]].concat(), &mut outputs).unwrap_err();
             let short: Vec<&[i8]> = given.iter().map(|g| &g[1..]).collect();
             assert_eq!(niello::Model::infer(model, &short, &mut outputs).unwrap_err().to_string().split(':').next(), Some(\"input 0\"));
             let expected: &[&[i8]] = &[{outputs_as_bytes}];
             assert!(made.iter().zip(expected).all(|(made, expected)| made == expected));
             model.check_arena().unwrap();
             let mut check = niello::WeightCheck::new();
             while !m::{type_name}::check_weights(&mut check, 1000).unwrap() {{}}
         }}"
    )
}

/// Writes a crate for every program, builds them together, and compares the output of each with the results of the program, on every
/// instruction set.
fn compare(programs: &[(String, Program)]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runtime = format!("{{ path = {:?} }}", root.join("runtime"));
    let mut manifest =
        "[package]\nname = \"driver\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n"
            .to_string();
    manifest += &format!(
        "[dependencies]\nniello = {{ path = {:?}, features = [\"std\", \"canaries\"] }}\n",
        root.join("runtime")
    );
    fs::create_dir_all(dir.path().join("src/bin")).expect("a folder");
    for (name, program) in programs {
        let to = dir.path().join(name);
        let package = niello_codegen::program::names::identifier(&program.name);
        write_crate(program, &EmitOptions::default(), &to, &runtime).expect("a folder to write to");
        // Members of one build share their dependencies.
        let file = fs::read_to_string(to.join("Cargo.toml")).expect("written");
        fs::write(to.join("Cargo.toml"), file.replace("\n[workspace]\n", "")).expect("writable");
        manifest += &format!("{} = {{ path = \"{name}\" }}\n", package.replace('_', "-"));
        let type_name = emit(program, &EmitOptions::default()).expect("emits").type_name;
        let main = driver(&type_name, &package, program);
        fs::write(dir.path().join(format!("src/bin/{name}.rs")), main).expect("writable");
    }
    fs::write(dir.path().join("Cargo.toml"), manifest).expect("writable");
    for (name, program) in programs {
        let output = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--release", "--offline", "--bin", name])
            .current_dir(dir.path())
            .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let printed = String::from_utf8(output.stdout).expect("text");
        let printed: Vec<&str> = printed.lines().collect();
        for isa in Isa::available() {
            let expected = expected(program, isa, 7);
            for (found, expected) in printed.iter().zip(&expected) {
                assert_eq!(found, expected, "{name} on {}", isa.name());
            }
            assert_eq!(printed.len(), expected.len(), "{name}");
        }
        println!("{name}: {} lines equal", printed.len());
    }
}

/// A network in which nothing has a usual name, under a name that is no identifier.
fn oddly_named() -> (Graph, &'static str) {
    const NAMES: [&str; 10] =
        ["", "self", "3", "3", "a+b", "*/ \u{202e}", "line\nfeed \"\\", "网络", "%2b", "L00_"];
    let mut graph = common::linear_ending();
    for (node, name) in graph.nodes.iter_mut().zip(NAMES) {
        node.name = name.into();
    }
    for (value, name) in graph.values.iter_mut().zip(NAMES.into_iter().rev()) {
        value.name = name.into();
    }
    graph.name = "*/ fn\n\u{202e}".into();
    (graph, "3d_unet")
}

#[test]
fn generated_crates_return_the_bytes_of_their_programs() {
    // With class-activation maps: one is the map that is averaged, the other has a layer of its own.
    let cam = |graph| with_map(graph).expect("an ending that has one");
    let cases = [
        ("every", common::every_operator(), Rounding::TfliteDouble, "portable"),
        ("generator", common::generator(), Rounding::TfliteDouble, "portable"),
        ("vnni", common::every_operator(), Rounding::Single, "x86-vnni"),
        ("squeezenet", cam(common::network("squeezenet1_1", 64)), Rounding::TfliteDouble, "portable"),
        ("linear", cam(common::linear_ending()), Rounding::TfliteDouble, "portable"),
        ("anam", common::network("anam_net", 32), Rounding::TfliteDouble, "x86-vnni"),
        ("odd", oddly_named().0, Rounding::TfliteDouble, "portable"),
        ("taken", common::linear_ending(), Rounding::TfliteDouble, "portable"),
    ];
    let programs = cases.map(|(name, graph, rounding, target)| {
        let mut program = common::program(&common::quantized(graph, rounding), target);
        program.name = match name {
            "odd" => oddly_named().1.into(),
            // Generated code has a trait of that name.
            "taken" => "model".into(),
            _ => format!("{name}_model"),
        };
        program.metadata.cam = matches!(name, "squeezenet" | "linear");
        (name.to_string(), program)
    });
    compare(&programs);
}

#[test]
fn generated_crates_of_model_files_return_the_bytes_of_their_programs() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let mut cases = vec![
        ("tiny8", own.join("tiny_int8.tflite"), NumberFormat::Int8),
        ("tiny32", own.join("tiny.onnx"), NumberFormat::F32),
    ];
    // Long names, ends without a sign.
    if let Some(models) = support::shared().map(|shared| shared.join("import/tflite/models")) {
        cases.push(("kws", models.join("ds_cnn_kws_int8.tflite"), NumberFormat::Int8));
        cases.push(("unsigned", models.join("mobilenet_v1_0.25_128_uint8.tflite"), NumberFormat::Int8));
    }
    let programs = cases.into_iter().map(|(name, file, numbers)| {
        let recipe = Recipe::new(file).numbers(numbers).target("portable");
        let built = build(&recipe, &Registry, |_| {}).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut program = built.program;
        program.name = format!("{name}_model");
        (name.to_string(), program)
    });
    compare(&programs.collect::<Vec<_>>());
}

/// The side of the square images that networks get here, unless they take only others: then their own.
const SIDE: usize = 64;

#[test]
#[ignore = "builds every network, in many minutes: cargo xtask networks"]
fn generated_crates_of_every_network_return_the_bytes_of_their_programs() {
    let wanted = std::env::var("NIELLO_NETWORKS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let mut compared = 0;
    for network in Registry.all() {
        if !wanted.is_empty() && !wanted.contains(&network.name()) {
            continue;
        }
        let own = Recipe::new(network.name()).seeded();
        let sized = if network.generates() { own.clone() } else { own.clone().input_size(SIDE, SIDE) };
        let built = build(&sized, &Registry, |_| {}).or_else(|_| build(&own, &Registry, |_| {}));
        let mut program = built.unwrap_or_else(|e| panic!("{}: {e}", network.name())).program;
        let name = network.name().replace('_', "");
        program.name = format!("{name}_model");
        compare(&[(name, program)]);
        compared += 1;
    }
    assert!(compared > 0, "no network of {wanted:?}");
}

#[test]
fn generated_source_is_deterministic_and_as_reviewed() {
    for (name, graph) in
        [("", common::every_operator as fn() -> Graph), ("several_inputs", common::generator)]
    {
        let make = || {
            let q = common::quantized_at_fixed_ranges(graph());
            emit(&common::program(&q, "portable"), &EmitOptions::default()).expect("emits")
        };
        let (first, second) = (make(), make());
        assert_eq!(first.source, second.source);
        assert_eq!(first.weights, second.weights);
        match name {
            "" => insta::assert_snapshot!(first.source),
            name => insta::assert_snapshot!(name, first.source),
        }
    }
}
