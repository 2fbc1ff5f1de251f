//! Calibration locks: the same bytes as calibrating again, without calibration inputs; and every way in which one can be wrong.

mod support;

use niello_codegen::{emit::emit, pipeline::build, recipe::Recipe};
use niello_models::Registry;
use std::{fs, path::Path, time::Instant};
use support::Room;

/// The build of a recipe with a lock, and the source of its ranges.
fn compiled(room: &Room, recipe: &str) -> (String, Vec<u8>, String) {
    let recipe = Recipe::from_file(room.path(recipe)).unwrap();
    let build = build(&recipe, &Registry, |_| {}).unwrap();
    let generated = emit(&build.program, &build.emit_options()).unwrap();
    (generated.source, generated.weights, build.calibrated.unwrap().summary())
}

/// Recipes of each kind of thing that calibration decides.
const RECIPES: [(&str, &str); 5] = [
    (
        "images",
        "network = 'w251_baseline_cnn'\nweights = 'cnn.safetensors'\ninput.size = [32, 32]\ncalibrate.images = 'images'",
    ),
    (
        "budget",
        "network = 'anam_net'\nseeded = true\nwidth = 4\ninput.size = [16, 16]\nformat.min-sqnr-db = 34.0",
    ),
    (
        "named",
        "network = 'every_operator'\nseeded = true\ninput.size = [8, 9]\nformat.int16 = ['grouped', 'pool']\nformat.int16-weights = ['merge']\nformat.f16 = ['silu']",
    ),
    (
        "rules",
        "network = 'squeezenet1_1'\nseeded = true\ninput.size = [32, 32]\nclasses = ['a', 'b']\noutput.cam = true\noutput.head = 'softmax'\n\
         calibrate.range = 'mse'\noverrides.'features.1' = { min = -1.0, max = 2.5 }",
    ),
    (
        "generator",
        "network = 'shallow_cgan_generator'\nweights = 'cgan.safetensors'\nformat.rounding = 'single'",
    ),
];

fn room() -> Room {
    let room = Room::new();
    room.checkpoint("cnn.safetensors", "w251_baseline_cnn", 3);
    room.checkpoint("cgan.safetensors", "shallow_cgan_generator", 3);
    room.png("images/a.png", 32);
    room.jpeg("images/b.jpg", 32);
    for (name, text) in RECIPES {
        room.write(&format!("{name}.toml"), text);
    }
    room
}

#[test]
fn a_lock_gives_the_bytes_of_calibrating_and_needs_no_inputs() {
    let room = room();
    for (name, _) in RECIPES {
        let recipe = format!("{name}.toml");
        let (source, weights, how) = compiled(&room, &recipe);
        assert!(how.starts_with("ranges calibrated on "), "{name}: {how}");
        let text = room.text(&format!("calibrate {recipe}"));
        assert!(text.contains(&format!("{name}.lock: ")) && text.contains("commit it"), "{text}");
        let locked = compiled(&room, &recipe);
        assert!(
            locked.2.starts_with("ranges from ") && locked.2.contains(&format!("{name}.lock")),
            "{}",
            locked.2
        );
        assert!(locked.0 == source && locked.1 == weights, "{name}: other bytes");
        assert!(room.text(&format!("calibrate {recipe} --check")).contains("gives the same"));
    }
    let budget = fs::read_to_string(room.path("budget.lock")).unwrap();
    assert!(budget.contains("[int16]"), "{budget}");
    let before = compiled(&room, "images.toml");
    fs::remove_dir_all(room.path("images")).unwrap();
    assert_eq!(compiled(&room, "images.toml"), before);
    // In the words of people, wherever the ranges matter.
    for command in ["report images.toml", "verify images.toml --data new.png"] {
        room.png("new.png", 32);
        assert!(room.text(command).contains("ranges from images.lock (sha256 "), "{command}");
    }
    assert!(room.json("report images.toml --json")["ranges"].as_str().unwrap().contains("images.lock"));
}

#[test]
fn the_projects_own_locks_are_what_calibrating_gives() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut checked = 0;
    for folder in
        ["tests/bits", "targets/nrf52840", "targets/rp2350", "targets/stm32f446", "targets/stm32h743"]
    {
        let mut entries: Vec<_> =
            fs::read_dir(root.join(folder)).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for lock in entries.into_iter().filter(|path| path.extension().is_some_and(|e| e == "lock")) {
            let recipe = Recipe::from_file(lock.with_extension("toml")).unwrap();
            if recipe.weights.is_some() && support::shared().is_none() {
                continue;
            }
            let room = Room::new();
            let text = room.text(&format!("calibrate {} --check", lock.with_extension("toml").display()));
            assert!(text.contains("gives the same"), "{text}");
            checked += 1;
        }
    }
    assert!(checked >= 14, "{checked}");
}

/// With a lock that fits the bundled Anam-Net, a slice at full size takes no calibration.
#[test]
fn bundled_weights_come_with_a_lock() {
    let of = |recipe: Recipe| build(&recipe, &Registry, |_| {}).unwrap().calibrated.unwrap().summary();
    let start = Instant::now();
    assert!(of(Recipe::new("anam_net")).starts_with("ranges from bundled anam_net/anam_net.lock"));
    println!("{:.2} s", start.elapsed().as_secs_f64());
    // Another size is another network: calibrated, without a word about the lock.
    assert!(
        of(Recipe::new("anam_net").input_size(32, 32).resize("stretch"))
            .starts_with("ranges calibrated on 3")
    );
}

#[test]
fn what_does_not_match_is_listed_with_what_mends_it() {
    let room = room();
    room.text("calibrate images.toml");
    let recipe = RECIPES[0].1;
    let lock = fs::read_to_string(room.path("images.lock")).unwrap();
    let cases = [
        (recipe.replace("[32, 32]", "[36, 32]"), vec!["`input`: 36x32x1, made with 32x32x1"]),
        (format!("{recipe}\ncalibrate.range = 'mse'"), vec!["`calibrate.range`: mse, made with absent"]),
        (format!("{recipe}\noutput.head = 'softmax'"), vec!["`output.head`: softmax, made with absent"]),
        (
            format!("{recipe}\nclasses = ['a', 'b', 'c']\noverrides.'fc1.relu' = {{ range = 'minmax' }}"),
            vec!["`overrides.fc1.relu.range`: minmax, made with absent"],
        ),
        (
            format!("{recipe}\nformat.int16 = ['fc1.relu']\ninput.preprocess = 'unit'"),
            vec![
                "`format.int16`: [\"fc1.relu\"], made with absent",
                "`input.preprocess`: unit, made with raw",
            ],
        ),
    ];
    for (text, expected) in cases {
        room.write("images.toml", &text);
        let output = room.niello("report images.toml");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{text}");
        for expected in expected.iter().chain(&["images.lock: the lock does not match", "niello calibrate"]) {
            assert!(errors.contains(expected), "expected `{expected}`: {errors}");
        }
        assert!(room.niello("report images.toml --recalibrate").status.success(), "{text}");
    }
    // The target and the rounding may differ: they change no range.
    room.write("images.toml", format!("{recipe}\nformat.rounding = 'single'\ntarget.name = 'cortex-m-dsp'"));
    assert!(room.text("report images.toml").contains("images.lock"));
    room.write("images.toml", recipe);
    // Other weights, other inputs.
    room.checkpoint("other.safetensors", "w251_baseline_cnn", 3);
    let mut other = fs::read(room.path("other.safetensors")).unwrap();
    *other.last_mut().unwrap() ^= 1;
    let cnn = fs::read(room.path("cnn.safetensors")).unwrap();
    room.write("cnn.safetensors", other);
    let refused = |expected: &str| {
        let errors = String::from_utf8(room.niello("report images.toml").stderr).unwrap();
        assert!(errors.contains(expected), "expected `{expected}`: {errors}");
    };
    refused("weights: cnn.safetensors (");
    room.write("cnn.safetensors", cnn);
    room.png("images/c.png", 32);
    refused("calibration inputs: others than the 2 it was made of");
    fs::remove_file(room.path("images/c.png")).unwrap();
    assert!(room.text("report images.toml").contains("images.lock"));

    // Damage of every kind is one error; nothing is calibrated in its place.
    let longer = lock.replace("[ranges]\n", "[ranges]\n\"more\" = [0.0, 1.0]\n");
    for (text, expected) in [
        (&lock[..lock.len() / 2], "is cut off"),
        (&lock[..lock.len() - 70], "is cut off"),
        ("", "is no calibration lock"),
        ("\u{0}\u{1}binary", "is no calibration lock"),
        (&lock.replace("format = 1", "format = 7"), "was made by a newer niello: its format is 7"),
        (&lock.replacen("0.0", "0.5", 1), "has been edited or damaged"),
        (&longer, "has been edited or damaged"),
    ] {
        room.write("images.lock", text);
        refused(expected);
    }
    // Another network's lock.
    room.text("calibrate named.toml");
    room.write("images.lock", fs::read(room.path("named.lock")).unwrap());
    refused("`network`: w251_baseline_cnn, made with every_operator");
    // `calibrate` replaces any file.
    room.text("calibrate images.toml");
    assert_eq!(fs::read_to_string(room.path("images.lock")).unwrap(), lock);
}

#[test]
fn calibrate_writes_whole_files_or_none() {
    let room = room();
    let refused = |words: &str, expected: &str| {
        let output = room.niello(words);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(expected), "{words}: {errors}");
    };
    let before = room.contents(".");
    refused("calibrate images.toml --out none/images.lock", "cannot write none/images.lock");
    refused("calibrate --model anam_net --seeded --width 4 --input 16x16", "`--recipe FILE`");
    refused("calibrate images.toml --check", "cannot read");
    refused("calibrate images.toml --format f16", "needs no calibration");
    room.write(
        "gone.toml",
        "network = 'w251_baseline_cnn'\nweights = 'cnn.safetensors'\ncalibrate.images = 'gone'",
    );
    refused("calibrate gone.toml", "gone");
    fs::remove_file(room.path("gone.toml")).unwrap();
    assert_eq!(room.contents("."), before);
    // A lock that a recipe names must be there.
    room.write("images.toml", format!("{}\ncalibrate.lock = 'locks/cnn.lock'", RECIPES[0].1));
    refused("report images.toml", "locks/cnn.lock");
    fs::create_dir(room.path("locks")).unwrap();
    room.text("calibrate images.toml");
    assert!(room.text("report images.toml").contains("locks/cnn.lock"));
    let json = room.json("calibrate images.toml --json --out again.lock");
    assert_eq!((json["inputs"].as_u64(), json["network"].as_str()), (Some(2), Some("w251_baseline_cnn")));
    assert_eq!(fs::read(room.path("again.lock")).unwrap(), fs::read(room.path("locks/cnn.lock")).unwrap());
    // Inputs named on the command line are there to be calibrated on.
    assert!(room.text("report images.toml --calibrate images/a.png").contains("calibrated on 1 inputs"));
}
