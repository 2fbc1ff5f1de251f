//! `niello tune`: measurements decide the tuning file, and the file decides the build.

mod support;

use niello_codegen::{pipeline::build, recipe::Recipe};
use serde_json::Value;
use std::{fs, path::Path};
use support::Room;

/// Three convolutions with their poolings, three layers behind them.
const CNN: &str = "--model w251_baseline_cnn --seeded --input 32x32 --target portable";

/// Every kind of layer; some have two algorithms.
const ANAM: &str = "--model anam_net --seeded --width 8 --input 32x32 --target aarch64-neon";

/// Prints a cost for every step in `names`: that of a layer in it whose choice is in a line `LAYER CHOICE COST` of `costs`, otherwise
/// 1000. A choice is made of the lines of the candidate's tuning file: `pixels=8;winograd=true;`.
const RUNNER: &str = r#"
set -e
test -s "$NIELLO_MODEL_DIR/src/model.rs" && test -s "$NIELLO_MODEL_DIR/src/weights.bin"
grep -q "$NIELLO_TUNING" "$NIELLO_RECIPE"
echo run >> runs
echo "warming up"
awk '
FILENAME == ARGV[1] { costs[$1 " " $2] = $3; next }
FILENAME == ARGV[2] { names[++n] = $1; next }
/^\[layer\./ { sub(/^\[layer\./, ""); gsub(/["\]]/, ""); layer = $0 }
/^(pixels|winograd) = / { choice[layer] = choice[layer] $1 "=" $3 ";" }
END {
    for (i = 1; i <= n; i++) {
        cost = 1000
        for (l = split(names[i], layers, "+"); l > 0; l--) {
            key = layers[l] " " choice[layers[l]]
            if (key in costs) cost = costs[key]
        }
        print "layer", names[i], cost
    }
}' costs names "$NIELLO_TUNING"
"#;

/// A room with that runner for the steps of a model.
fn room(model: &str, costs: &str) -> Room {
    let room = Room::new();
    room.write("runner.sh", RUNNER);
    room.write("costs", costs);
    room.write("names", steps(&room, model).join("\n"));
    room
}

fn steps(room: &Room, model: &str) -> Vec<String> {
    let report = room.json(&format!("report {model} --json"));
    report["layers"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap().into()).collect()
}

/// `niello tune` with that runner.
fn tune(room: &Room, model: &str, more: &[&str]) -> Value {
    let mut command = room.command(&format!("tune {model} --out t.toml --json --runner"));
    let output = command.arg("sh runner.sh").args(more).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The message of a command that fails.
fn error(room: &Room, words: &str) -> String {
    let output = room.niello(words);
    assert_eq!(output.status.code(), Some(1), "{words}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn costs_steer_what_is_chosen() {
    let costs = "conv2d_list.0.relu pixels=8; 900\nconv2d_list.1.relu pixels=8; 900\nconv2d_list.1.relu pixels=2; 800\n\
                 conv2d_list.2.relu pixels=8; 980\n";
    let room = room(CNN, costs);
    let json = tune(&room, CNN, &["--pixels", "2,8", "--unit", "beans"]);
    assert_eq!(json["programs"], 3);
    assert_eq!((&json["before"], &json["after"]), (&6000.into(), &5700.into()));
    let text = fs::read_to_string(room.path("t.toml")).unwrap();
    let choices = text.split_once("[layer.").unwrap();
    assert!(
        choices.0.contains("target = \"portable\"\nrunner = \"sh runner.sh\"\nunit = \"beans\"\n"),
        "{text}"
    );
    assert_eq!(
        choices.1,
        "\"conv2d_list.0.relu\"]\npixels = 8\nbefore = 1000\nafter = 900\nwith = [\"conv2d_list.0.max\"]\n\n\
         [layer.\"conv2d_list.1.relu\"]\npixels = 2\nbefore = 1000\nafter = 800\nwith = [\"conv2d_list.1.max\"]\n",
        "2 % are less than the margin"
    );
    // Three programs, then the default beside the choices.
    assert_eq!(fs::read_to_string(room.path("runs")).unwrap().lines().count(), 5);

    let report = room.text(&format!("report {CNN} --tuning t.toml"));
    let tuned = "\ntuned  conv2d_list.0.relu (8 pixels), conv2d_list.1.relu (2 pixels)\n";
    assert!(report.contains(tuned), "{report}");
    assert!(!room.text(&format!("report {CNN}")).contains("\ntuned"));
}

#[test]
fn an_algorithm_is_chosen_with_its_own_pixels() {
    let recipe = Recipe::new("anam_net").seeded().width(8).input_size(32, 32).target("aarch64-neon");
    let choices = build(&recipe, &niello_models::Registry, |_| {}).unwrap().program.choices;
    let layer = choices.iter().find(|(_, choice)| choice.winograd == Some(true)).expect("some pay").0;
    let room = room(ANAM, &format!("{layer} winograd=false; 900\n{layer} pixels=30;winograd=false; 500\n"));
    let json = tune(&room, ANAM, &["--pixels", "30"]);
    let tuned = &json["layer"][layer];
    assert_eq!((&tuned["winograd"], &tuned["pixels"]), (&false.into(), &30.into()), "{json}");
    let report = room.text(&format!("report {ANAM} --tuning t.toml"));
    assert!(report.contains(&format!("{layer} (direct, 30 pixels)")), "{report}");
}

#[test]
fn nothing_is_chosen_where_nothing_is_gained() {
    // Costs that do not depend on any choice.
    let room = room(CNN, "");
    room.write("t.toml", "left from an earlier run");
    let json = tune(&room, CNN, &[]);
    assert_eq!((json.get("layer"), &json["before"], &json["after"]), (None, &6000.into(), &6000.into()));
    assert_eq!(json["arena_bytes_before"], json["arena_bytes_after"]);
    let text = fs::read_to_string(room.path("t.toml")).unwrap();
    assert!(!text.contains("[layer"), "{text}");
    room.text(&format!("report {CNN} --tuning t.toml"));
}

#[test]
fn choices_stay_within_the_arena() {
    let layers = ["conv2d_list.0.relu", "conv2d_list.1.relu", "conv2d_list.2.relu"];
    let costs: String = layers.iter().map(|layer| format!("{layer} pixels=400; 10\n")).collect();
    let room = room(CNN, &costs);
    let free = tune(&room, CNN, &["--pixels", "400"]);
    let (before, after) = (&free["arena_bytes_before"], &free["arena_bytes_after"]);
    assert!(after.as_u64() > before.as_u64(), "{free}");
    let limit = before.to_string();
    let output = room
        .command(&format!("tune {CNN} --out t.toml --pixels 400 --runner"))
        .args(["sh runner.sh", "--arena", &limit])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("no other choice fits"));
}

#[test]
fn this_machine_measures_to_the_end_and_no_byte_changes() {
    let room = Room::new();
    let json = room.json(&format!("tune {CNN} --out found.toml --rounds 2 --margin 0 --json"));
    assert!(json["programs"].as_u64() > Some(2) && json["unit"] == "ns", "{json}");
    assert!(json["before"].as_u64() >= json["after"].as_u64(), "{json}");
    let text = room.text(&format!("tune {CNN} --out again.toml --rounds 1"));
    assert!(text.contains("\ninference  ") && text.contains("\nwritten    again.toml\n"), "{text}");

    room.write("t.toml", TUNING);
    room.text(&format!("golden {CNN} --seed 1 --out golden.txt"));
    room.text(&format!("golden {CNN} --check golden.txt --tuning t.toml"));
    room.text(&format!("golden {CNN} --check golden.txt --tuning found.toml"));
    // The file has an effect, by a flag and in a recipe.
    let compile = |more: &str, out: &str| {
        room.text(&format!("compile {more} --out {out}"));
        room.contents(out)[Path::new("src/model.rs")].clone()
    };
    let (default, tuned) = (compile(CNN, "a"), compile(&format!("{CNN} --tuning t.toml"), "b"));
    assert!(default != tuned);
    room.write(
        "recipes/r.toml",
        "network = 'w251_baseline_cnn'\nseeded = true\ninput.size = [32, 32]\n\
         [target]\nname = 'portable'\ntuning = '../t.toml'\n",
    );
    assert!(compile("--recipe recipes/r.toml", "c") == tuned);
}

/// For [`CNN`].
const TUNING: &str = "network = 'w251_baseline_cnn'\ntarget = 'portable'\nlayer.'conv2d_list.0.relu'.pixels = 7\nlayer.fc3.pixels = 1\n\
                      layer.'conv2d_list.2.relu'.pixels = 1\n";

#[test]
fn files_that_do_not_fit_name_file_and_layer() {
    let room = Room::new();
    let head = "network = 'w251_baseline_cnn'\ntarget = 'portable'\n";
    for (text, words) in [
        (format!("{head}layer.fc4.pixels = 3"), "no layer `fc4`; choices have: conv2d_list.0.relu, "),
        (format!("{head}layer.fc3.winograd = true"), "layer `fc3` (Conv2d): `winograd` cannot be chosen"),
        (format!("{head}layer.fc3.pixels = 0"), "layer `fc3`: `pixels` is 0"),
        (TUNING.replace("w251_baseline_cnn", "anam_net"), "tunes network `anam_net`, the recipe has"),
        (TUNING.replace("portable", "x86-vnni"), "tunes target `x86-vnni`, the recipe has target `portable`"),
        ("network".into(), "line 1: "),
    ] {
        room.write("t.toml", &text);
        let error = error(&room, &format!("report {CNN} --tuning t.toml"));
        assert!(error.starts_with("error: t.toml: ") && error.contains(words), "{text}: {error}");
    }
    let error = error(&room, &format!("report {CNN} --tuning none.toml"));
    assert!(error.starts_with("error: cannot read none.toml: "), "{error}");
}

#[test]
fn runners_that_fail_are_told_apart() {
    let room = Room::new();
    for (script, words) in [
        ("exit 3", "runner: `sh runner.sh` failed, exit status: 3"),
        ("echo hello", "runner: printed no line `layer NAME COST`"),
        ("echo layer fc3 fast", "runner: expected a whole number at the end of `layer fc3 fast`"),
        ("echo layer fc3 9", "runner: printed no cost of layer `conv2d_list.0.relu`"),
        ("echo layer fc9 9", "runner: printed a cost of layer `fc9`, which the model does not have"),
    ] {
        room.write("runner.sh", script);
        let output =
            room.command(&format!("tune {CNN} --out t.toml --runner")).arg("sh runner.sh").output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(words), "{errors}");
    }
    assert!(!room.path("t.toml").exists());
    let foreign = error(&room, &format!("tune {} --out t.toml", CNN.replace("portable", "cortex-m-dsp")));
    assert!(foreign.contains("give a `--runner`"), "{foreign}");
}

#[test]
fn the_documented_program_is_a_runner() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/tuning.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0
    };
    let runtime = format!("path = {:?}", root.join("runtime"));
    let manifest = page.split_once("# measure/Cargo.toml\n").unwrap().1.split_once("```").unwrap().0;
    assert!(manifest.contains("version = \"0.1.0\""));
    let room = Room::new();
    room.write(
        "measure/Cargo.toml",
        manifest.replace("version = \"0.1.0\",", &format!("{runtime},")) + "\n[workspace]\n",
    );
    room.write("measure/src/main.rs", block("rust"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    room.write(
        "runner.sh",
        format!(
            "exec {:?} run --quiet --release --offline --manifest-path measure/Cargo.toml --target-dir {target:?}",
            env!("CARGO")
        ),
    );
    let model = "--model squeezenet1_0 --seeded --classes 3 --input 32x32";
    let output = room
        .command(&format!("tune {model} --out t.toml --json --pixels 24 --work pi4 --runner"))
        .args(["sh runner.sh", "--runtime", &format!("{{ {runtime} }}")])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["programs"] == 2 && json["before"].as_u64() > Some(0), "{json}");
    assert!(room.path("pi4/src/model.rs").is_file());
}

#[test]
fn another_target_keeps_the_tuning_that_is_its_own_and_must_fit_the_board() {
    let room = Room::new();
    let tuned =
        "network = 'w251_baseline_cnn'\ntarget = 'portable'\n[layer.'conv2d_list.0.relu']\npixels = 7\n";
    room.write("t.toml", tuned);
    let board = |flash: &str| {
        format!(
            "name = 'small'\nsummary = 'for tests'\ncore = 'cortex-m4'\nrust-target = 'thumbv7em-none-eabihf'\ntarget = 'portable'\n\
             place = {{ code = 'FLASH', weights = 'FLASH', arena = 'RAM', stack = 'RAM' }}\nreserve = {{ code = 100, stack = '1K' }}\n\
             memory = [{{ name = 'FLASH', kind = 'flash', origin = 0, length = '{flash}' }},\n\
             {{ name = 'RAM', kind = 'ram', origin = 0x2000_0000, length = '1M' }}]\n"
        )
    };
    room.write("large.toml", board("1M"));
    room.write("small.toml", board("20K"));
    let recipe = "network = 'w251_baseline_cnn'\nseeded = true\n[input]\nsize = [32, 32]\n\
                  [target]\nname = 'portable'\ntuning = 't.toml'\nboard = 'large.toml'\n";
    room.write("model.toml", recipe);
    let recipe = Recipe::from_file(room.path("model.toml")).unwrap();
    let mut built = build(&recipe, &niello_models::Registry, |_| {}).unwrap();
    let pixels = |built: &niello_codegen::pipeline::Build| built.program.choices["conv2d_list.0.relu"].pixels;
    assert_eq!(pixels(&built), Some(7));
    built.retarget("cortex-m-dsp").unwrap();
    assert_ne!(pixels(&built), Some(7));
    built.retarget("portable").unwrap();
    assert_eq!(pixels(&built), Some(7));
    built.recipe.target.board = Some("small.toml".into());
    let message = built.retarget("portable").unwrap_err().to_string();
    assert!(message.contains("bytes too many"), "{message}");
}
