//! Writes a program that proves the bits of a generated model on any target, and counts its instructions there:
//!
//! ```text
//! cargo run -p niello-models --example seeded_crate -- NETWORK SIZE TARGET ROUNDING FOLDER
//! ```
//!
//! The network has seeded weights and is calibrated on seeded inputs. `FOLDER` becomes a package whose binary, `driver`,
//! runs the model's self-test, prints a checksum of every layer's output and of the model's, and repeats the inference
//! as often as its argument says. What it prints must be the same everywhere.

use niello_codegen::{
    Tensor,
    emit::{EmitOptions, emit, write_crate},
    import::network::{NetworkOptions, Networks},
    lower::{Target, lower},
    passes::optimize,
    program::Metadata,
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
    weights::{Seeded, seeded_values},
};
use niello_kernels::Rounding;
use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, size, target, rounding, folder] = &arguments[..] else {
        return Err("usage: seeded_crate NETWORK SIZE TARGET tflite-double|single|float-even FOLDER".into());
    };
    let rounding = match rounding.as_str() {
        "tflite-double" => Rounding::TfliteDouble,
        "single" => Rounding::Single,
        "float-even" => Rounding::FloatEven,
        other => return Err(format!("no rounding `{other}`").into()),
    };
    let size: usize = size.parse()?;
    let options = NetworkOptions { input_size: Some([size; 2]), ..Default::default() };
    let graph = optimize(niello_models::Registry.find(network)?.build(&options, &mut Seeded::new())?);
    let samples = ["first", "second"].map(|seed| {
        graph
            .inputs
            .iter()
            .map(|id| {
                let shape = graph.shape(*id);
                let values = seeded_values(seed).take(shape.len()).map(|v| 2.0 * v as f32);
                Ok(Tensor::new(shape, values.collect()).expect("as many values as elements"))
            })
            .collect()
    });
    let calibration = calibrate(&graph, samples, |_| {})?;
    let q = quantize(graph, &calibration, &QuantizeOptions { rounding, ..Default::default() })?;
    let metadata = Metadata {
        network: network.clone(),
        classes: vec![],
        sources: vec![("seeded".into(), "0".repeat(64))],
        preprocess: "raw".into(),
        cam: false,
    };
    let mut program = lower(&q, Target::find(target)?, metadata)?;
    program.name = "seeded".into();
    if program.outputs.len() != 1 {
        return Err("the driver is for models of one output".into());
    }

    let folder = Path::new(folder);
    let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime").canonicalize()?;
    write_crate(
        &program,
        &EmitOptions::default(),
        &folder.join("model"),
        &format!("{{ path = {runtime:?} }}"),
    )?;
    // Members of one build share their dependencies.
    let manifest = folder.join("model/Cargo.toml");
    fs::write(&manifest, fs::read_to_string(&manifest)?.replace("\n[workspace]\n", ""))?;
    fs::create_dir_all(folder.join("src"))?;
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"driver\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
             niello = {{ path = {runtime:?}, features = [\"std\"] }}\nseeded = {{ path = \"model\" }}\n"
        ),
    )?;
    let type_name = emit(&program, &EmitOptions::default())?.type_name;
    fs::write(folder.join("src/main.rs"), driver(&type_name))?;
    Ok(())
}

fn driver(type_name: &str) -> String {
    format!(
        "use seeded as m;
static MODEL: niello::StaticCell<m::{type_name}> = niello::StaticCell::new(m::{type_name}::new());
fn main() {{
    let repeat: usize = std::env::args().nth(1).map_or(1, |n| n.parse().expect(\"a number\"));
    let model = MODEL.take().expect(\"taken once\");
    let (mut input, mut output) = (Box::new([0i8; m::INPUT_LEN]), Box::new([0i8; m::OUTPUT_LEN]));
    if repeat == 1 {{
        model.self_test(&mut input, &mut output).expect(\"the known answer\");
    }}
    niello::self_test::Codes::new(7).fill(&mut input[..]);
    if repeat == 1 {{
        let mut print = |i: usize, l: &niello::LayerInfo, o: niello::Output<'_>| {{
            println!(\"{{i}} {{}} {{:016x}}\", l.name, o.checksum());
        }};
        model.infer_observed(&input, &mut output, &mut print);
    }} else {{
        for _ in 1..repeat {{
            model.infer(&input, &mut output);
        }}
    }}
    println!(\"output {{:016x}}\", niello::self_test::Checksum::of_codes(&output[..]));
}}
"
    )
}
