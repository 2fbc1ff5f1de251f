//! Every command on small seeded networks: its output, its JSON, the files that it writes.

mod support;

use niello_imaging::{Samples, load};
use serde_json::Value;
use std::{collections::BTreeSet, process::Stdio, thread, time::Duration};
use support::{Room, keys};

/// A classifier of 3 classes, with images to calibrate on.
const CNN: &str = "--model w251_baseline_cnn --weights cnn.safetensors --classes Normal,Pneumonia,COVID --input 32x32 \
                   --calibrate images";

/// A segmentation with the bundled weights.
const ANAM: &str = "--model anam_net --input 32x32 --calibrate hu --calibrate images";

/// A segmentation of one class.
const LUNG: &str = "--model unet_small_lung --weights lung.safetensors --input 32x32 --calibrate hu";

fn room() -> Room {
    let room = Room::new();
    room.checkpoint("cnn.safetensors", "w251_baseline_cnn", 3);
    room.checkpoint("lung.safetensors", "unet_small_lung", 1);
    room.png("images/a.png", 32);
    room.jpeg("images/b.jpg", 32);
    room.npy("hu/a.npy", 32);
    room.dicom("hu/b.dcm", 32);
    room
}

/// The figure at a path like `output.sqnr_db`.
fn number(value: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(value, |v, key| &v[key]);
    found.as_f64().unwrap_or_else(|| panic!("`{path}` of {value}"))
}

/// That every layer has these and possibly more keys.
fn assert_layers_have(value: &Value, wanted: &[&str]) {
    let layers = value["layers"].as_array().unwrap();
    assert!(layers.len() > 3);
    for layer in layers {
        assert!(wanted.iter().all(|key| keys(layer).contains(key)), "{wanted:?} in {layer}");
        assert!(layer["name"].is_string());
    }
}

#[test]
fn models_lists_every_network() {
    let room = Room::new();
    let (text, json) = (room.text("models"), room.json("models --json"));
    let names: Vec<&str> = json.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    for name in ["anam_net", "anam_net_paper", "squeezenet1_0", "squeezenet1_1", "unet_small_lung"] {
        assert!(names.contains(&name));
    }
    assert!(names.iter().all(|name| text.contains(name)));
    let anam = json.as_array().unwrap().iter().find(|m| m["name"] == "anam_net").unwrap();
    assert_eq!(anam["parameters"], 4_631_555);
    assert_eq!(anam["bundled_weights"], true);
    assert_eq!(anam["input"], serde_json::json!([512, 512, 1]));
}

#[test]
fn inspect_shows_graphs_and_checkpoints() {
    let room = room();
    let net = "--model w251_baseline_cnn --input 32x32";
    let json = room.json(&format!("inspect {net} --json"));
    assert_eq!(keys(&json), BTreeSet::from(["input", "layers", "macs", "network", "parameters"]));
    assert_layers_have(&json, &["kind", "inputs", "shape", "parameters", "macs"]);
    assert!(room.text(&format!("inspect {net}")).contains("26,203 parameters"));
    // With weights the same graph, after the passes a shorter one.
    assert_eq!(room.json(&format!("inspect {net} --weights cnn.safetensors --json")), json);
    let optimized = room.json(&format!("inspect {net} --optimized --json"));
    assert!(optimized["layers"].as_array().unwrap().len() < json["layers"].as_array().unwrap().len());
    let tensors = room.json("inspect --tensors cnn.safetensors --json");
    let bias = tensors.as_array().unwrap().iter().find(|t| t["name"] == "fc2.bias").unwrap();
    assert_eq!(bias["shape"], serde_json::json!([50]));
    assert!(room.text("inspect --tensors cnn.safetensors").contains("fc2.bias"));
}

#[test]
fn a_generator_makes_an_image() {
    let room = Room::new();
    let net = "--model shallow_cgan_generator --seeded";
    let json = room.json(&format!("run {net} --seed 7 --class covid --image made.png --npy made.npy --json"));
    assert_eq!(json["class"], "COVID");
    assert!(json.get("image").is_none());
    let made = load(room.path("made.png")).unwrap();
    assert_eq!((made.height(), made.width(), made.channels()), (28, 28, 1));
    room.text(&format!("run {net} --seed 8 --class 2 --image other.png"));
    assert!(load(room.path("other.png")).unwrap().samples() != made.samples());
    let verified = room.json(&format!("verify {net} --json"));
    assert!(number(&verified, "output.sqnr_db") > 20.0);
    assert!(verified["output"].get("top1_agreement").is_none());
    for (words, expected) in [
        (format!("run {net} --class Flu"), "no class `Flu`; known: Normal, Pneumonia, COVID"),
        (format!("run {net} --labels l.png"), "there is no label map"),
        ("run --model w251_baseline_cnn --seeded".into(), "reads an image: name one"),
        ("run --model w251_baseline_cnn --seeded p.png --image x.png".into(), "are for generators"),
    ] {
        let output = room.niello(&words);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(expected), "niello {words}: {errors}");
    }
}

#[test]
fn report_keeps_its_contract() {
    let room = room();
    let json = room.json(&format!("report {CNN} --target portable --json"));
    for key in ["arena_bytes", "arena_lower_bound_bytes", "weights_bytes", "flash_bytes", "macs"] {
        assert!(json[key].as_u64().unwrap() > 0, "{key}");
    }
    assert!(json["arena_bytes"].as_u64() >= json["arena_lower_bound_bytes"].as_u64());
    assert_layers_have(&json, &["shape", "macs", "weights_bytes", "offset", "bytes"]);
    assert_eq!(json["target"], "portable");
    let text = room.text(&format!("report {CNN}"));
    assert!(text.contains("lower bound") && text.contains("flash"), "{text}");
}

#[test]
fn verify_of_a_classifier_keeps_its_contract() {
    let room = room();
    let command = format!("verify {CNN} --data images");
    let json = room.json(&format!("{command} --json"));
    assert_layers_have(&json, &["name", "sqnr_db", "cosine", "max_lsb", "saturated"]);
    assert!(number(&json, "output.sqnr_db") > 10.0);
    assert_eq!(number(&json, "output.top1_agreement"), 1.0);
    assert!(json["output"].get("dice").is_none());
    assert_eq!(json["images"], 2);
    assert!(room.text(&command).contains("same class on 100.0 % of the images"));
}

#[test]
fn verify_of_a_segmentation_gives_dice_by_class() {
    let room = room();
    let text = room.text(&format!("verify {ANAM} --data images --json"));
    let json: Value = serde_json::from_str(&text).unwrap();
    let classes = ["background", "abnormal lung", "normal lung"];
    assert_eq!(keys(&json["output"]["dice"]), BTreeSet::from(classes));
    assert!(json["output"].get("top1_agreement").is_none());
    // Classes keep the order of the network's outputs.
    let at = classes.map(|name| text.find(&format!("\"{name}\"")).unwrap());
    assert!(at.is_sorted(), "{text}");
    let json = room.json(&format!("verify {LUNG} --data hu/a.npy --json"));
    assert_eq!(keys(&json["output"]["dice"]), BTreeSet::from(["lung", "not lung"]));
    assert_eq!(json["images"], 1);
}

#[test]
fn bench_keeps_its_contract() {
    let room = room();
    let json = room.json(&format!("bench {CNN} --repetitions 3 --isa scalar --json"));
    assert!(number(&json, "median_ms") > 0.0);
    assert_eq!((&json["threads"], &json["isa"]), (&1.into(), &"scalar".into()));
    assert_layers_have(&json, &["median_ms", "macs"]);
    let text = room.text(&format!("bench {CNN} --repetitions 1"));
    assert!(text.contains("of 1 inferences"), "{text}");
}

#[test]
fn compile_writes_the_same_crate_each_time() {
    let room = room();
    let json = room.json(&format!("compile {CNN} --target portable --out made/once --json"));
    for key in ["folder", "type_name", "target", "arena_bytes", "flash_bytes", "macs"] {
        assert!(keys(&json).contains(key), "{key}");
    }
    let text = room.text(&format!("compile {CNN} --target portable --out made/twice"));
    assert!(text.starts_with("made/twice: `W251BaselineCnn` packed for portable, arena "), "{text}");
    let crate_files = room.contents("made/once");
    assert_eq!(crate_files, room.contents("made/twice"));
    let names: Vec<&str> = crate_files.keys().map(|p| p.to_str().unwrap()).collect();
    assert_eq!(
        names,
        ["Cargo.toml", "src", "src/layer_checks.rs", "src/lib.rs", "src/model.rs", "src/weights.bin"]
    );
    // Into a folder that is there already: files of the crate are replaced, others stay.
    room.write("made/twice/README.md", "mine");
    room.write("made/twice/src/mine.rs", "mine");
    room.write("made/twice/src/model.rs", "old");
    room.text(&format!("compile {CNN} --target portable --out made/twice"));
    let again = room.contents("made/twice");
    assert!(crate_files.iter().all(|(name, bytes)| again[name] == *bytes));
    assert_eq!(again.len(), crate_files.len() + 2);
}

/// A network that needs no files.
const TINY: &str = "--model anam_net --seeded --width 8 --input 32x32";

#[test]
fn what_compile_writes_builds_at_once() {
    let room = Room::new();
    room.text(&format!("compile {TINY} --out deep/net"));
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"), room.path("deep/net/Cargo.lock"))
        .unwrap();
    let output = std::process::Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline"])
        .current_dir(room.path("deep/net"))
        .env("CARGO_TARGET_DIR", std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn files_of_others_are_replaced_by_force_only() {
    let room = Room::new();
    room.write("mine/Cargo.toml", "[package]");
    room.write("mine/src/main.rs", "fn main() {}");
    room.text(&format!("compile {TINY} --out mine --force"));
    let contents = room.contents("mine");
    assert_eq!(contents[std::path::Path::new("src/main.rs")], b"fn main() {}");
    // From now on it is a folder of niello's.
    room.text(&format!("compile {TINY} --out mine --runtime '1'"));
    let manifest =
        String::from_utf8(room.contents("mine")[std::path::Path::new("Cargo.toml")].clone()).unwrap();
    assert!(manifest.starts_with("# Generated by niello") && manifest.contains("niello = '1'"), "{manifest}");
}

#[test]
fn commands_into_one_folder_do_not_mix() {
    let room = Room::new();
    let start = |width: &str| {
        let words = format!("compile --model anam_net --seeded --width {width} --input 32x32 --out net");
        room.command(&words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in ["8", "16", "24"].map(start) {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let found = room.contents("net");
    let one = ["8", "16", "24"].into_iter().find(|width| {
        room.text(&format!("compile --model anam_net --seeded --width {width} --input 32x32 --out w{width}"));
        room.contents(&format!("w{width}")) == found
    });
    assert!(one.is_some(), "{:?}", found.keys());
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_nothing() {
    let room = Room::new();
    room.write("keep", "");
    let words = "compile --model anam_net --seeded --input 256x256 --out a/b/c";
    let mut child = room.command(words).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(Duration::from_millis(700));
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    // On a busy machine the interrupt may come before the program is ready for it: then it ends by the signal.
    assert!(matches!(child.wait().unwrap().code(), Some(130) | None));
    assert_eq!(room.contents("").len(), 1, "{:?}", room.contents("").keys());
}

#[test]
fn a_recipe_may_stand_alone() {
    let room = Room::new();
    room.write("net.toml", "network = 'anam_net'\nseeded = true\nwidth = 8\ninput.size = [32, 32]\n");
    let by_flag = room.text("report --recipe net.toml --json");
    assert_eq!(room.text("report net.toml --json"), by_flag);
    for words in ["inspect net.toml", "compile net.toml --out net", "bench net.toml --repetitions 1"] {
        room.text(words);
    }
    let output = room.niello("report net.toml --recipe net.toml");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_image_comes_through_standard_input() {
    let room = room();
    let run = |path: &str, input: Stdio| {
        let output = room.command(&format!("run {CNN} {path} --json")).stdin(input).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["classes"].clone()
    };
    let file = || std::fs::File::open(room.path("images/a.png")).unwrap();
    assert_eq!(run("-", file().into()), run("images/a.png", Stdio::null()));
    let alone = "run --model w251_baseline_cnn --weights cnn.safetensors --classes 3 --input 32x32 -";
    let output = room.command(alone).stdin(file()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("`--calibrate`"));
}

#[test]
fn names_with_a_wrappers_prefix_are_read_without_it() {
    let room = Room::new();
    let tensors = support::tensors("w251_baseline_cnn", 3);
    let wrapped = tensors.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
    room.write("w.safetensors", support::safetensors(&wrapped));
    room.png("p.png", 32);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_niello"));
    command.args(["report", "--model", "w251_baseline_cnn", "--weights", "w.safetensors", "--classes", "3"]);
    let output = command.args(["--calibrate", "p.png"]).current_dir(room.path(".")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(errors.starts_with("note: every tensor's name begins with `module.`"), "{errors}");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let room = Room::new();
    for (words, code, expected) in [
        ("report --model anm_net --json", 1, "no network `anm_net`; did you mean: anam_net"),
        ("report --modle anam_net --json", 2, "unexpected argument '--modle' found"),
        (
            "compile --model anam_net --out made --runtime garbage[[ --json",
            1,
            "dependency `niello = garbage[[`",
        ),
    ] {
        let output = room.niello(words);
        assert_eq!(output.status.code(), Some(code), "{words}");
        assert!(output.stdout.is_empty(), "{words}");
        let json: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|e| panic!("{words}: {e}"));
        assert!(json["error"].as_str().unwrap().starts_with(expected), "{json}");
        assert!(json["hint"].is_string(), "{json}");
    }
}

#[test]
fn how_much_is_said_can_be_chosen() {
    let room = Room::new();
    let run = |flags: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_niello"));
        let output =
            command.arg("report").args(TINY.split(' ')).args(flags).env("NO_COLOR", "1").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let verbose = run(&["-v"]);
    assert!(verbose.contains("calibrating: ") && verbose.ends_with(" s\n"), "{verbose}");
    assert_eq!(run(&["-q"]), "");
    assert!(!verbose.contains('\x1b'));
    assert_eq!(room.niello("report -v").status.code(), Some(2), "quiet and verbose exclude each other");
}

#[test]
fn shells_and_manuals_know_the_commands() {
    let room = Room::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(room.text(&format!("completions {shell}")).contains("overlay"), "{shell}");
    }
    assert!(room.text("man").contains("niello"));
    assert!(room.text("man compile").contains("force"));
    assert!(!room.niello("man paint").status.success());
    let lines = |text: String| text.lines().map(|line| line.chars().count()).max();
    for command in ["run", "scan", "compile", "tune", "golden", "evaluate"] {
        let text = room.text(&format!("{command} --help"));
        let at = |words: &str| text.find(words).unwrap_or_else(|| panic!("`{words}` of {command}"));
        assert!(at("--json") < at("--model"), "a command's own flags come first");
        assert!(lines(text.clone()) <= Some(110), "{command}");
    }
}

#[test]
fn flags_and_recipe_say_the_same() {
    let room = room();
    room.write(
        "recipes/cnn.toml",
        "network = 'w251_baseline_cnn'\nweights = '../cnn.safetensors'\nclasses = ['a', 'b', 'c']\n\
         [input]\nsize = [32, 48]\nchannels = 1\npreprocess = 'unit'\nresize = 'stretch'\ncolour = 'gray'\n\
         polarity = 'inverted'\nwindow = '-600,1500'\n\
         [calibrate]\nimages = ['../images', '../hu/a.npy']\nrange = 'percentile'\npercentile = 99.5\n\
         bias_correction = false\n[output]\nhead = 'softmax'\n[format]\nnumbers = 'int8'\nrounding = 'single'\n\
         [target]\nname = 'portable'\n[overrides.'fc2.relu']\nmin = -4.0\nmax = 3.5\n[overrides.fc3]\nrange = 'mse'\n",
    );
    let recipe = "--recipe recipes/cnn.toml";
    let model =
        "--model w251_baseline_cnn --weights cnn.safetensors --classes a,b,c --input 32x48 --channels 1";
    let image = "--resize stretch --colour gray --polarity inverted --window -600,1500";
    let rest = "--calibrate images --calibrate hu/a.npy --range percentile --percentile 99.5 \
                --bias-correction false --override fc2.relu=-4,3.5 --override fc3=mse --head softmax --format int8 \
                --rounding single --target portable";
    let flags = format!("{model} --preprocess unit {image} {rest}");
    let report = room.text(&format!("report {recipe} --json"));
    assert_eq!(report, room.text(&format!("report {flags} --json")));
    assert!(report.contains("\"rounding\": \"Single\""));
    room.text(&format!("compile {recipe} --out by_recipe"));
    room.text(&format!("compile {flags} --out by_flags"));
    assert_eq!(room.contents("by_recipe"), room.contents("by_flags"));
    // A flag goes over the recipe, and a pre-processing over all of the recipe's own.
    let text = "unit resize=stretch colour=gray polarity=inverted window=-600,1500";
    let mut command = room.command(&format!("compile {recipe} --out by_both --json --preprocess"));
    assert!(command.arg(text).output().unwrap().status.success());
    assert_eq!(room.contents("by_recipe"), room.contents("by_both"));
    let report = room.text(&format!("report {recipe} --rounding tflite-double --json"));
    assert!(report.contains("\"rounding\": \"TfliteDouble\""));
}

#[test]
fn run_gives_the_probability_of_each_class() {
    let room = room();
    for image in ["images/a.png", "images/b.jpg"] {
        let text = room.text(&format!("run {CNN} {image} --json"));
        let json: Value = serde_json::from_str(&text).unwrap();
        let classes = ["Normal", "Pneumonia", "COVID"];
        assert_eq!(keys(&json["classes"]), BTreeSet::from(classes));
        let at = classes.map(|name| text.find(&format!("\"{name}\":")).unwrap());
        assert!(at.is_sorted(), "classes keep their order: {text}");
        let sum: f64 = classes.iter().map(|c| number(&json["classes"], c)).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        let best = json["class"].as_str().unwrap();
        assert!(classes.iter().all(|c| number(&json["classes"], best) >= number(&json["classes"], c)));
        assert_eq!(json["format"], "int8");
        let float = room.json(&format!("run {CNN} {image} --float --json"));
        assert_eq!((&float["format"], &float["class"]), (&"f32".into(), &json["class"]));
        // An arg-max has no probabilities: it is sure.
        let arg_max = room.json(&format!("run {CNN} {image} --head argmax --json"));
        assert_eq!(arg_max["class"], json["class"]);
        assert_eq!(number(&arg_max["classes"], best), 1.0);
        let softmax = room.json(&format!("run {CNN} {image} --head softmax --json"));
        assert!((number(&softmax["classes"], best) - number(&json["classes"], best)).abs() < 0.02);
    }
    assert!(room.text(&format!("run {CNN} images/a.png")).contains("\nclass: "));
    // Ranges are not found on the image that is judged; float has none. The number of classes names them.
    let alone =
        "run --model w251_baseline_cnn --weights cnn.safetensors --classes 3 --input 32x32 images/a.png";
    let errors = String::from_utf8(room.niello(alone).stderr).unwrap();
    assert!(errors.contains("int8 needs sample inputs") && errors.contains("`--calibrate`"), "{errors}");
    let json = room.json(&format!("{alone} --float --json"));
    assert_eq!(json["classes"].as_object().unwrap().len(), 3);
}

#[test]
fn run_takes_many_images_and_folders() {
    let room = room();
    let words = format!("run {CNN} images hu/../images/a.png --json");
    let all = room.json(&words);
    let of = |name: &str| room.json(&format!("run {CNN} {name} --json"))["classes"].clone();
    let answers = all.as_array().unwrap();
    assert_eq!(answers.len(), 3);
    for (answer, name) in answers.iter().zip(["images/a.png", "images/b.jpg", "images/a.png"]) {
        assert_eq!(answer["classes"], of(name), "{name}");
    }
    assert_eq!(room.text(&format!("run {CNN} images")).matches("\nclass: ").count(), 2);
    // One that cannot be read ends nothing, and is named.
    room.write("images/cut.png", &std::fs::read(room.path("images/a.png")).unwrap()[..100]);
    let net = CNN.replace("--calibrate images", "--calibrate images/b.jpg");
    let output = room.niello(&format!("run {net} images --json"));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("1 of 3 images have no answer: images/cut.png"), "{errors}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), found.as_array().unwrap().len()), (Some(1), 2));
    let output = room.niello(&format!("run {net} images --npy x.npy"));
    assert!(String::from_utf8(output.stderr).unwrap().contains("are for one image, got 3"));
}

#[test]
fn run_takes_each_format_and_writes_labels_overlay_and_values() {
    let room = room();
    for (i, image) in ["images/a.png", "images/b.jpg", "hu/a.npy", "hu/b.dcm"].into_iter().enumerate() {
        let files = format!("--labels {i}.labels.png --overlay {i}.overlay.png --npy {i}.npy");
        let json = room.json(&format!("run {ANAM} {image} {files} --json"));
        let labels = load(room.path(&format!("{i}.labels.png"))).unwrap();
        assert_eq!([labels.height(), labels.width(), labels.channels()], [32, 32, 3], "a palette is colours");
        let overlay = load(room.path(&format!("{i}.overlay.png"))).unwrap();
        assert_eq!([overlay.width(), overlay.channels()], [256, 3], "enlarged, so that words can be read");
        assert!((300..400).contains(&overlay.height()), "a legend below");
        let values = load(room.path(&format!("{i}.npy"))).unwrap();
        assert_eq!([values.height(), values.width(), values.channels()], [32, 32, 3]);
        let Samples::Real(values) = values.samples() else { panic!("NPY of floats") };
        // The shares follow from the scores.
        let mut counts = [0.0f64; 3];
        for s in values.chunks(3) {
            counts[(0..3).rev().max_by(|a, b| s[*a].total_cmp(&s[*b])).unwrap()] += 1.0;
        }
        let names = ["background", "abnormal lung", "normal lung"];
        for (name, count) in names.iter().zip(counts) {
            assert_eq!(number(&json["pixels"], name), count / 1024.0, "{image}: {name}");
        }
        let [_, abnormal, normal] = counts;
        if abnormal + normal > 0.0 {
            let share = abnormal / (abnormal + normal);
            assert!((number(&json, "abnormal_percent") - 100.0 * share).abs() < 1e-9);
            assert!((number(&json["classes"], "abnormal lung") - share).abs() < 1e-9);
        }
        assert!(keys(&json["classes"]) == BTreeSet::from(names));
    }
    let text = room.text(&format!("run {LUNG} hu/b.dcm"));
    assert!(text.contains("not lung") && text.contains("of the image"), "{text}");
}

#[test]
fn run_dumps_the_map_of_any_layer() {
    let room = room();
    // An input, a map that is merged into a step on devices, one that is pooled, a concatenation written in place, the end.
    let layers = ["input", "conv1", "pool1", "upsample1", "upconv1.concat", "final", "sigmoid"];
    let flags: String = layers.iter().map(|layer| format!(" --dump {layer}")).collect();
    let json = room.json(&format!("run {LUNG} hu/a.npy{flags} --dump-to maps/int8 --npy out.npy --json"));
    assert_eq!(json["dumps"].as_array().unwrap().len(), layers.len());
    assert_eq!(json["dumps"][1]["shape"], serde_json::json!([32, 32, 16]));
    let text =
        room.text(&format!("run {LUNG} hu/a.npy{flags} --dump-to maps/float --dump-scale map --float"));
    assert!(text.contains("pool1 16x16x16: maps/float/pool1.npy, maps/float/pool1.png\n"), "{text}");
    let map = |file: &str| {
        let image = load(room.path(file)).unwrap();
        let Samples::Real(values) = image.samples() else { panic!("{file}: float32") };
        (image.channels(), values.clone())
    };
    for layer in layers {
        let ((c, int8), (_, float)) =
            (map(&format!("maps/int8/{layer}.npy")), map(&format!("maps/float/{layer}.npy")));
        assert_eq!(int8.len(), float.len(), "{layer}");
        let power = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v * v)).sum::<f64>();
        let noise = power(&mut int8.iter().zip(&float).map(|(a, b)| a - b));
        let decibels = 10.0 * (power(&mut float.iter().copied()) / noise).log10();
        assert!(decibels > 15.0, "{layer}: {decibels} dB");
        let grid = load(room.path(&format!("maps/int8/{layer}.png"))).unwrap();
        assert_eq!(grid.channels(), 1);
        assert!(grid.height() * grid.width() >= int8.len(), "{layer}: {c} channels have room");
    }
    assert_eq!(map("maps/int8/sigmoid.npy"), map("out.npy"));
    // The concatenation holds the parts that were written into it.
    let ((_, whole), (_, first), (_, last)) =
        (map("maps/int8/upconv1.concat.npy"), map("maps/int8/upsample1.npy"), map("maps/int8/conv1.npy"));
    for ((whole, first), last) in whole.chunks(32).zip(first.chunks(16)).zip(last.chunks(16)) {
        assert_eq!((&whole[..16], &whole[16..]), (first, last));
    }
}

/// A classifier with class-activation maps.
const SQUEEZE: &str = "--model squeezenet1_1 --seeded --classes cat,dog,none --input 64x64 --target portable";

#[test]
fn run_says_where_a_class_was_seen() {
    let room = room();
    room.png("images/large.png", 64);
    let image = "images/large.png";
    let json =
        room.json(&format!("run {SQUEEZE} {image} --cam none --overlay heat.png --dump classifier.2 --json"));
    let seen = &json["cam"];
    assert_eq!((&seen["class"], &seen["map"]), (&"none".into(), &serde_json::json!([3, 3])));
    let heat = load(room.path("heat.png")).unwrap();
    assert_eq!([heat.height(), heat.width(), heat.channels()], [64, 64, 3]);
    // The map is the layer before the mean: the place is where its channel is largest, the first of equal ones.
    let image_of = load(room.path("classifier.2.npy")).unwrap();
    let Samples::Real(map) = image_of.samples() else { panic!("float32") };
    let of_none: Vec<f32> = map.chunks(3).map(|p| p[2]).collect();
    let largest = of_none.iter().copied().fold(f32::MIN, f32::max);
    assert!(largest > 0.0);
    let at = of_none.iter().position(|v| *v == largest).unwrap();
    assert_eq!(seen["cell"], serde_json::json!([at / 3, at % 3]));
    assert_eq!(number(seen, "value") as f32, largest);
    let middle = |cell: usize| (2 * cell + 1) * 64 / 6;
    assert_eq!(seen["pixel"], serde_json::json!([middle(at / 3), middle(at % 3)]));
    // The same by index, in float, and the scores as without the map.
    assert_eq!(room.json(&format!("run {SQUEEZE} {image} --cam 2 --json"))["cam"], *seen);
    let float = room.json(&format!("run {SQUEEZE} {image} --cam none --float --json"));
    assert!((number(&float, "cam.value") - f64::from(largest)).abs() < 0.05 * f64::from(largest));
    let plain = room.json(&format!("run {SQUEEZE} {image} --json"));
    assert_eq!((&plain["classes"], plain.get("cam")), (&json["classes"], None));
    let text = room.text(&format!("run {SQUEEZE} {image} --cam none"));
    assert!(text.contains("\nnone: largest at row "), "{text}");
}

#[test]
fn run_says_where_a_class_was_seen_by_grad_cam() {
    let room = room();
    room.png("large.png", 64);
    let squeeze = format!("run {SQUEEZE} large.png --float --json");
    let cam = &room.json(&format!("{squeeze} --cam none"))["cam"];
    let grad = room.json(&format!("{squeeze} --cam none --cam-layer auto"));
    // The map before the mean is the class-activation map, over its nine places.
    assert_eq!(grad["cam"]["layer"], "classifier.2");
    assert_eq!((&grad["cam"]["cell"], &grad["cam"]["map"]), (&cam["cell"], &cam["map"]));
    assert!((9.0 * number(&grad, "cam.value") - cam["value"].as_f64().unwrap()).abs() < 1e-5);
    // Of the class that the network gives, in another format, in words.
    let answer = room.json(&format!("run {SQUEEZE} large.png --cam-layer features.12 --json"));
    assert_eq!(answer["cam"]["class"], answer["class"]);
    let text = room.text(&format!("run {SQUEEZE} large.png --cam-layer features.12"));
    assert!(text.contains(" at `features.12`: "), "{text}");
    // A segmentation: at the layer of the scores the weight of a class is the share of the pixels that count.
    let slice = format!("run {ANAM} images/a.png --cam 0");
    let over = |pixels: &str| {
        let files = "--cam-npy map.npy --overlay heat.png";
        room.json(&format!("{slice} --cam-layer conv_final --cam-over {pixels} --float {files} --json"))
    };
    let (image, mask) = (over("image"), over("mask"));
    let (value, share) = (number(&image, "cam.value"), number(&mask, "pixels.background"));
    assert!(value > 0.0 && share > 0.0, "{image}");
    assert!((number(&mask, "cam.value") - share * value).abs() < 1e-4 * value, "{mask}");
    let map = load(room.path("map.npy")).unwrap();
    let Samples::Real(values) = map.samples() else { panic!("float32") };
    let largest = values.iter().copied().fold(0.0, f32::max);
    assert_eq!((map.height(), map.width(), largest), (32, 32, number(&mask, "cam.value") as f32));
    // The overlay shows the map in the image's size, and not the labels with their legend.
    let heat = load(room.path("heat.png")).unwrap();
    assert_eq!([heat.height(), heat.width(), heat.channels()], [32, 32, 3]);
    let text = room.text(&format!("{slice} --cam-layer auto"));
    assert!(text.contains("\nbackground at `max4`: nothing speaks for it\n"), "{text}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let room = Room::new();
    assert!(room.text("--help").contains("Exit status"));
    for command in
        ["models", "inspect", "compile", "run", "scan", "verify", "evaluate", "report", "bench", "tune"]
    {
        let text = room.text(&format!("{command} --help"));
        assert!(
            text.contains("Example") && text.contains(&format!("niello {command} ")),
            "{command}: {text}"
        );
        assert!(text.contains("--json"), "{command}");
    }
    assert!(room.text("--version").starts_with("niello "));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child =
        Room::new().command("models").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
