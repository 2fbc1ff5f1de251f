//! `.tflite` files of the field against LiteRT's reference kernels: every output byte, and a checksum of every layer.
//!
//! Small models lie in `tests/models` of the checkout. More lie beside the checkout (`../shared/import`), or where `NIELLO_SHARED` says. Without that
//! folder their tests say so and pass; under `CI=true`, or when `NIELLO_SHARED` is set, they fail.

#[path = "common/page.rs"]
mod page;

use niello_codegen::{
    Tensor,
    execute::Executor,
    format::{Format, Mode},
    import::{
        Element, ModelFile,
        network::{NetworkOptions, Reference},
    },
    lower::{Target, lower, lower_apart},
    precision::float,
    program::{Metadata, Program},
    weights::read_tensors,
};
use niello_runtime::self_test::{Checksum, Codes};
use page::{row, share};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn shared() -> Option<PathBuf> {
    let chosen = std::env::var_os("NIELLO_SHARED").map(PathBuf::from);
    let required = chosen.is_some() || std::env::var("CI").is_ok_and(|v| v == "true");
    let folder = chosen.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    let folder = folder.join("import/tflite");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(!required, "no shared data in {}", folder.display());
    println!("skipped: no shared data in {}", folder.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

fn seeded(seed: u64, len: usize) -> Vec<i8> {
    let mut codes = vec![0i8; len];
    Codes::new(seed).fill(&mut codes);
    codes
}

/// The codes of a case, as `tools/goldens.py` makes them.
fn codes(folder: &Path, case: &Value, shape: &[usize], zero_point: i8) -> Vec<i8> {
    let len: usize = shape.iter().product();
    let seed = || case["seed"].as_u64().unwrap();
    match case["kind"].as_str().unwrap() {
        "noise" => seeded(seed(), len),
        "blocks" => {
            let [_, h, w, c] = shape[..] else {
                let blocks = seeded(seed(), len.div_ceil(8));
                return (0..len).map(|i| blocks[i / 8]).collect();
            };
            let columns = w.div_ceil(8);
            let blocks = seeded(seed(), h.div_ceil(8) * columns * c);
            let at = |i: usize| {
                let (y, x, channel) = (i / (w * c), i / c % w, i % c);
                blocks[(y / 8 * columns + x / 8) * c + channel]
            };
            (0..len).map(at).collect()
        }
        "constant" => vec![case["code"].as_i64().map_or(zero_point, |code| code as i8); len],
        "file" => {
            let file = folder.join("natural").join(case["file"].as_str().unwrap());
            fs::read(file).unwrap().into_iter().map(|b| b as i8).collect()
        }
        "picture" => {
            let file = folder.join("natural").join(format!("{}.rgb", case["picture"].as_str().unwrap()));
            let picture = fs::read(file).unwrap();
            let by_channel = ![1, 3].contains(&shape[3]);
            let [h, w, c] =
                if by_channel { [shape[2], shape[3], shape[1]] } else { [shape[1], shape[2], shape[3]] };
            let at = |y: usize, x: usize, channel: usize| {
                let (row, column) = ((2 * y + 1) * 256 / (2 * h), (2 * x + 1) * 256 / (2 * w));
                let rgb = &picture[(row * 256 + column) * 3..][..3];
                let [r, g, b] = [0, 1, 2].map(|i| rgb[i] as u32);
                let byte = if c == 1 { (77 * r + 150 * g + 29 * b) >> 8 } else { rgb[channel] as u32 };
                (byte as i32 - 128) as i8
            };
            match by_channel {
                true => (0..len).map(|i| at(i / w % h, i % w, i / (h * w))).collect(),
                false => (0..len).map(|i| at(i / (w * c), i / c % w, i % c)).collect(),
            }
        }
        other => panic!("a case of kind {other}"),
    }
}

/// The bytes of a program's tensor as the file has them.
fn as_in_file(program_bytes: &[i8], element: Element) -> Vec<u8> {
    let flip = if element == Element::UInt8 { 0x80 } else { 0 };
    program_bytes.iter().map(|b| *b as u8 ^ flip).collect()
}

fn checksum(bytes: &[u8]) -> String {
    format!("{:016x}", Checksum::of(bytes))
}

fn options(reference: Reference) -> NetworkOptions {
    NetworkOptions { reference: Some(reference), ..NetworkOptions::default() }
}

/// The inputs of a case as the program takes them.
fn input_bytes(doc: &Value, folder: &Path, case: &Value, file: &ModelFile, program: &Program) -> Vec<i8> {
    let end = &file.inputs()[0];
    let behind = &doc["int8_input_behind_quantize"];
    let zero_point = doc["inputs"][0]["zero_point"].as_i64().or(behind["zero_point"].as_i64()).unwrap_or(0);
    let signed = if end.element == Element::UInt8 { zero_point - 128 } else { zero_point } as i8;
    let codes = codes(folder, case, &end.shape, signed);
    assert_eq!(
        checksum(as_in_file(&codes, Element::Int8).as_slice()),
        case["inputs"][0]["codes"],
        "codes of a case"
    );
    match program.tensor(program.inputs[0]).format {
        Format::Int8(_) => codes,
        _ => floats(doc, &codes).iter().flat_map(|x| x.to_le_bytes().map(|b| b as i8)).collect(),
    }
}

/// Codes as the numbers that a model with a float input is given.
fn floats(doc: &Value, codes: &[i8]) -> Vec<f32> {
    let behind = &doc["int8_input_behind_quantize"];
    if behind.is_object() {
        let (scale, zero_point) =
            (behind["scale"].as_f64().unwrap() as f32, behind["zero_point"].as_i64().unwrap());
        return codes.iter().map(|q| (*q as i64 - zero_point) as f32 * scale).collect();
    }
    let of = &doc["float_input"];
    let (offset, factor) = (of["offset"].as_f64().unwrap() as f32, of["factor"].as_f64().unwrap() as f32);
    codes.iter().map(|q| (*q as f32 + offset) * factor).collect()
}

/// What was compared of a model, and what differs.
#[derive(Default)]
struct Compared {
    cases: usize,
    outputs: [usize; 2],
    layers: [usize; 2],
    differences: Vec<String>,
}

impl Compared {
    /// Counts one of `kind` as equal, or as different.
    fn add(kind: &mut [usize; 2], differences: &mut Vec<String>, difference: Option<String>) {
        kind[0] += usize::from(difference.is_none());
        kind[1] += 1;
        differences.extend(difference);
    }

    /// As a table of the page has it.
    fn cells(&self, name: &str, reference: &str) -> Vec<String> {
        let [outputs, layers] = [self.outputs, self.layers].map(|[right, of]| share(right, of));
        let first = self.differences.first().map_or("none", String::as_str).replace('|', "/");
        vec![format!("`{name}`"), reference.into(), self.cases.to_string(), outputs, layers, first]
    }
}

/// The first byte that differs from those of a golden, in words.
fn first_difference(hex: &str, found: &[u8]) -> Option<String> {
    let expected: Vec<String> = hex.as_bytes().chunks(2).map(|b| String::from_utf8_lossy(b).into()).collect();
    let found: Vec<String> = found.iter().map(|b| format!("{b:02x}")).collect();
    let at = (0..expected.len().max(found.len())).find(|i| expected.get(*i) != found.get(*i))?;
    let of = |bytes: &[String]| bytes.get(at).cloned().unwrap_or("no byte".into());
    Some(format!(" at byte {at}: {}, expected {}", of(&found), of(&expected)))
}

/// Output and layer checksums of one model: the outputs of `other` instead of the document's, where there are any, and then no layers.
fn compare(folder: &Path, doc: &Value, reference: Reference, other: Option<&Value>) -> Compared {
    let name = doc["model"].as_str().unwrap();
    let file = ModelFile::open(&folder.join(name), &options(reference)).unwrap_or_else(|e| panic!("{e}"));
    let q = file.quantized().unwrap_or_else(|| panic!("{name} is quantised"));
    let target = Target::find("host").unwrap();
    let program = match lower(q, target, Metadata::default()) {
        Ok(program) => program,
        Err(error) => {
            return Compared { differences: vec![format!("{name}: {error}")], ..Compared::default() };
        }
    };
    let apart = lower_apart(q, Target::find("portable").unwrap(), Metadata::default()).unwrap();
    let (mut all, mut each) = (Executor::new(&program), Executor::new(&apart));
    let mut found = Compared::default();
    for case in doc["cases"].as_array().unwrap() {
        let case_name = case["name"].as_str().unwrap();
        let input = input_bytes(doc, folder, case, &file, &program);
        let differing = other.map(|o| &o[case_name]["outputs"]).filter(|o| o.is_array());
        let expected = differing.unwrap_or(&case["reference"]).as_array().unwrap();
        let outputs = all.run(&[&input]).unwrap();
        found.cases += 1;
        for (i, ((output, end), expected)) in outputs.iter().zip(file.outputs()).zip(expected).enumerate() {
            let bytes = as_in_file(output, end.element);
            let stored = case["bytes"][i].as_str().filter(|_| differing.is_none());
            let element = stored.and_then(|hex| first_difference(hex, &bytes));
            let differs = checksum(&bytes) != *expected || element.is_some();
            let element = element.unwrap_or_default();
            let what = differs.then(|| format!("{name}, {case_name}: output `{}`{element}", end.name));
            Compared::add(&mut found.outputs, &mut found.differences, what);
        }
        // Layers behind a dense one may differ from those of the document.
        let Some(layers) = case["layers"].as_array().filter(|_| other.is_none()) else { continue };
        let mut seen: BTreeMap<String, Vec<i8>> = BTreeMap::new();
        each.run_observed(&[&input], |step, view| {
            let id = apart.steps[step].writes();
            seen.insert(apart.tensor(id).name.clone(), view.tensor(id));
            // A concatenation whose operands are written in their places has no step.
            for node in q.graph.nodes.iter().filter(|node| node.inputs.contains(&id)) {
                if node.op.places_inputs() {
                    seen.insert(node.name.clone(), view.tensor(node.output()));
                }
            }
        })
        .unwrap();
        for (layer, expected) in doc["layers"].as_array().unwrap().iter().zip(layers) {
            let layer_name = layer["name"].as_str().unwrap();
            let Some(bytes) = seen.get(layer_name) else {
                // Codes that are the operand's own, without a sign or with one.
                if layer["operator"] != "QUANTIZE" {
                    let what = format!("{name}, {case_name}: no layer `{layer_name}`");
                    Compared::add(&mut found.layers, &mut found.differences, Some(what));
                }
                continue;
            };
            let element = if layer["type"] == "uint8" { Element::UInt8 } else { Element::Int8 };
            let differs = checksum(&as_in_file(bytes, element)) != *expected;
            let (at, operator) = (&layer["op"], layer["operator"].as_str().unwrap());
            let what =
                differs.then(|| format!("{name}, {case_name}: layer {at} `{layer_name}` ({operator})"));
            Compared::add(&mut found.layers, &mut found.differences, what);
        }
    }
    found
}

/// Compares models with both references and prints what is found. `older` gives the cases of a model in which `tflm` has other outputs.
fn compare_all<'d>(
    table: &str,
    folder: &Path,
    models: &'d [(String, Value)],
    older: impl Fn(&'d str, &'d Value) -> Option<&'d Value>,
) -> Vec<Vec<String>> {
    let (mut rows, mut differences) = (vec![], vec![]);
    for (name, doc) in models {
        let litert = Some(("`litert`", Reference::LiteRt, None));
        let tflm = older(name, doc).map(|other| ("`tflm`", Reference::Tflm, Some(other)));
        for (text, reference, other) in litert.into_iter().chain(tflm) {
            let found = compare(folder, doc, reference, other);
            let cells = found.cells(name, text);
            row(table, &cells);
            rows.push(cells);
            differences.extend(found.differences);
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    rows
}

/// Descriptions of the models, integers or floats.
fn models(folder: &Path, quantized: bool) -> Vec<(String, Value)> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let is_quantized = name.ends_with("int8");
        if path.extension().is_some_and(|e| e == "json")
            && name != "older_reference"
            && is_quantized == quantized
        {
            all.push((name, json(&path)));
        }
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn quantised_models_have_the_bytes_of_litert_and_of_tflm() {
    let Some(folder) = shared() else { return };
    let models = models(&folder, true);
    assert_eq!(models.len(), 11, "int8 and uint8 models");
    let older = json(&folder.join("older_reference.json"));
    // Of uint8 models there is no older reference.
    compare_all("tflite", &folder, &models, |name, _| {
        older["models"].get(name).map(|model| &model["differences"])
    });
}

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

#[test]
fn bundled_models_have_the_bytes_of_litert_and_of_tflm() {
    let folder = bundled();
    let models = models(&folder, true);
    assert_eq!(models.len(), 6, "models of others in tests/models");
    for (name, doc) in &models {
        let bytes = fs::read(folder.join(doc["model"].as_str().unwrap())).unwrap();
        let sum: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(doc["sha256"], sum, "{name}: another file than the golden's");
        assert!(doc["tflm"].is_object(), "{name}");
    }
    let rows = compare_all("bundled", &folder, &models, |_, doc| Some(&doc["tflm"]));
    let (written, new) = (page::written("bundled"), rows.iter().map(|cells| page::markdown(cells)));
    let new: Vec<String> = new.collect();
    let old = written.get(2..).unwrap_or_default();
    assert!(old == new, "docs/conformance.md is out of date: `cargo xtask conformance` writes it again");
}

#[test]
fn float_models_are_near() {
    let Some(folder) = shared() else { return };
    for (name, doc) in models(&folder, false) {
        let file = ModelFile::open(&folder.join(doc["model"].as_str().unwrap()), &options(Reference::LiteRt))
            .unwrap_or_else(|e| panic!("{e}"));
        assert!(file.quantized().is_none(), "{name}");
        let graph = file.graph();
        let expected = read_tensors(folder.join(format!("{name}.outputs.safetensors"))).unwrap();
        let program = lower(
            &float::everywhere(graph.clone(), Mode::F32),
            Target::find("host").unwrap(),
            Metadata::default(),
        )
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut executor = Executor::new(&program);
        let shape = graph.shape(graph.inputs[0]);
        let (mut compared, mut worst) = (0, 0f32);
        // Kernels for weights of 8 bits alone round activations too, as they come.
        let bound = if name.ends_with("dynamic_range") { 1e-3 } else { 1e-5 };
        for case in doc["cases"].as_array().unwrap() {
            let case_name = case["name"].as_str().unwrap();
            // Two of each model, one of those that take seconds.
            let enough = if graph.macs() > 100_000_000 { 1 } else { 2 };
            let stored = expected.keys().find(|key| key.split('/').next() == Some(case_name));
            let Some(key) = stored.filter(|_| compared < enough) else { continue };
            compared += 1;
            let codes = codes(&folder, case, &file.inputs()[0].shape, 0);
            let input = Tensor::new(shape, floats(&doc, &codes)).unwrap();
            let bytes: Vec<i8> = input.data.iter().flat_map(|x| x.to_le_bytes().map(|b| b as i8)).collect();
            let by_program = executor.run(&[&bytes]).unwrap();
            let numbers = bytemuck::cast_slice::<i8, u8>(&by_program[0]).as_chunks::<4>().0;
            let by_program: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let by_graph = graph.eval_f32(&[input]).unwrap().remove(0).data;
            let wanted = &expected[key].data;
            let to = graph.shape(graph.outputs[0]);
            let step = if key.ends_with("every8th") { 8 } else { 1 };
            let kept =
                |i: &usize| (i / to.c / to.w).is_multiple_of(step) && (i / to.c % to.w).is_multiple_of(step);
            let largest = wanted.iter().fold(0f32, |m, x| m.max(x.abs()));
            for (what, found) in [("graph", by_graph), ("program", by_program)] {
                let kept = (0..found.len()).filter(kept).map(|i| found[i]);
                let error = kept.zip(wanted).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                worst = worst.max(error / largest);
                assert!(error <= bound * largest, "{name}, {key}, {what}: {error} of {largest}");
            }
        }
        assert!(compared > 0, "{name}: no outputs to compare with");
        let why =
            if bound > 1e-5 { "LiteRT rounds activations to 8 bits on the fly; niello does not" } else { "" };
        row(
            "tflite-float",
            &[
                format!("`{name}`"),
                compared.to_string(),
                format!("{worst:.0e}"),
                format!("{bound:.0e}"),
                why.into(),
            ],
        );
    }
}

/// The same folder's neighbour of broken files: an error that names what is wrong, or a model that can be lowered.
#[test]
fn broken_files_are_refused_or_right() {
    let Some(folder) = shared() else { return };
    let folder = folder.join("../malformed/tflite");
    let list = json(&folder.join("malformed.json"));
    // Files that are right after all.
    let right = "ok_ two_subgraphs int4_weights no_bias bias_minus_one weight_zero_point dynamic_shape bit_flips long_chain scale_weights_zero input_with_data reshape_sizes_differ";
    let mut failures = vec![];
    let (mut refused, mut imported) = (0, 0);
    for (name, broken) in list.as_object().unwrap() {
        let start = std::time::Instant::now();
        let opened = ModelFile::open(&folder.join(format!("{name}.tflite")), &options(Reference::LiteRt));
        assert!(start.elapsed().as_secs_f64() < 60.0, "{name}: {:?}", start.elapsed());
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                refused += 1;
                let error = error.to_string().to_lowercase();
                for words in broken["the_error_should_name"].as_array().unwrap() {
                    let mut words = words.as_str().unwrap().split(", ").flat_map(|words| words.split(" or "));
                    if !words.any(|word| word == "the file" || error.contains(&word.to_lowercase())) {
                        failures
                            .push(format!("{name}: {error}, expected {}", broken["the_error_should_name"]));
                    }
                }
                if name.starts_with("ok_") {
                    failures.push(format!("{name}: {error}"));
                }
                continue;
            }
        };
        imported += 1;
        let portable = Target::find("portable").unwrap();
        if let Some(q) = file.quantized().filter(|q| q.graph.nodes.len() < 1000)
            && let Err(error) = lower(q, portable, Metadata::default())
        {
            failures.push(format!("{name}: {error}"));
        }
        if !right.split(' ').any(|right| name.starts_with(right)) {
            failures.push(format!("{name}: accepted; {}", broken["wrong"]));
        }
    }
    row("broken", &page::refusals("broken or odd `.tflite` files", refused, imported, &failures));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
