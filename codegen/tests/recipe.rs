//! Recipes: every key, and one clear error for whatever is wrong.

use niello_codegen::recipe::{
    CalibrationSet, Head, NumberFormat, RangeChoice, RangeOverride, Recipe, Reference, Rounding,
};
use proptest::prelude::*;
use std::fs;

/// Every key, as in `docs/recipes.md`.
const FULL: &str = r#"
network = "anam_net"
weights = "weights.safetensors"
classes = ["background", "abnormal", "normal"]

[input]
size = [512, 512]
channels = 1
preprocess = "window:-600,1500"
resize = "none"
colour = "gray"
polarity = "normal"
window = "-600,1500"

[calibrate]
images = "calibration/"
range = "auto"
percentile = 99.9
bias_correction = false

[output]
head = "argmax"
cam = true

[format]
numbers = "int8"
rounding = "single"
reference = "tflm"
f16 = ["a"]
f16-native = ["b"]
f16-winograd = ["c"]
f32 = ["d", "e"]
int16 = ["f"]
int16-weights = ["g"]
min-sqnr-db = 30.5

[target]
name = "portable"
board = "boards/small.toml"
weights-section = ".ext_flash"
arena-section = ".dtcm"
threads = 2
tuning = "pi4.tuning.toml"

[overrides."bottleneck1.ext_conv1.0"]
range = "percentile"
percentile = 99.5

[overrides.conv_final]
min = -1.0
max = 3.5
"#;

fn full() -> Recipe {
    Recipe::new("anam_net")
        .weights("weights.safetensors")
        .classes(["background", "abnormal", "normal"])
        .input_size(512, 512)
        .input_channels(1)
        .preprocess("window:-600,1500")
        .resize("none")
        .colour("gray")
        .polarity("normal")
        .window(-600.0, 1500.0)
        .calibrate_on("calibration/")
        .range(RangeChoice::Auto)
        .percentile(99.9)
        .bias_correction(false)
        .head(Head::Argmax)
        .cam()
        .numbers(NumberFormat::Int8)
        .rounding(Rounding::Single)
        .reference(Reference::Tflm)
        .f16("a")
        .f16_native("b")
        .f16_winograd("c")
        .f32("d")
        .f32("e")
        .int16("f")
        .int16_weights("g")
        .min_sqnr_db(30.5)
        .target("portable")
        .on_board("boards/small.toml")
        .weights_section(".ext_flash")
        .arena_section(".dtcm")
        .threads(2)
        .tuning("pi4.tuning.toml")
        .override_range("bottleneck1.ext_conv1.0", RangeOverride::percentile(99.5))
        .override_range("conv_final", RangeOverride::fixed(-1.0, 3.5))
        .base_dir("somewhere")
}

#[test]
fn text_and_builder_say_the_same() {
    assert_eq!(Recipe::parse(FULL, "somewhere").unwrap(), full());
}

#[test]
fn every_key_is_a_flag_and_in_the_documentation() {
    let documentation = include_str!("../../docs/recipes.md");
    let text = FULL.replace("[input]", "width = 8\n[input]").replace("[output]", "lock = 'a.lock'\n[output]");
    let whole: toml::Value = toml::from_str(&text).unwrap();
    let mut recipe = Recipe::new("").base_dir("somewhere");
    for key in Recipe::keys().filter(|key| key.flag != "override") {
        assert!(documentation.contains(&format!("`--{}", key.flag)), "`--{}` in docs/recipes.md", key.flag);
        assert!(!key.help().is_empty() && !key.help().ends_with('.'), "{}", key.flag);
        let value = key.path.split('.').try_fold(&whole, |value, name| value.get(name));
        let values = match value {
            Some(toml::Value::Array(sides)) if sides[0].is_integer() => {
                vec![format!("{}x{}", sides[0], sides[1])]
            }
            Some(toml::Value::Array(texts)) => texts.iter().map(|t| t.as_str().unwrap().into()).collect(),
            Some(toml::Value::String(text)) => vec![text.clone()],
            Some(other) => vec![other.to_string()],
            None => {
                assert_eq!(key.flag, "seeded", "it excludes `weights`, all others are there");
                continue;
            }
        };
        assert!(values.len() == 1 || key.many);
        values.iter().for_each(|value| key.set(&mut recipe, value.as_ref(), "".as_ref()).expect(key.flag));
    }
    recipe.overrides = full().overrides;
    assert_eq!(recipe, full().width(8).lock("a.lock"));
    assert_eq!(recipe, Recipe::parse(&text, "somewhere").unwrap());
}

#[test]
fn a_name_is_a_recipe() {
    assert_eq!(Recipe::parse("network = 'anam_net'", "").unwrap(), Recipe::new("anam_net"));
}

#[test]
fn recipes_survive_a_round_trip() {
    for recipe in [full(), Recipe::new("squeezenet1_0"), Recipe::new("x").calibrate_on_files(["a", "b"])] {
        let text = recipe.to_toml().unwrap();
        assert_eq!(Recipe::parse(&text, &recipe.base_dir).unwrap(), recipe, "{text}");
    }
}

#[test]
fn every_mistake_is_one_error_that_names_it() {
    let in_full = |from: &str, to: &str| {
        assert!(FULL.contains(from), "{from}");
        FULL.replace(from, to)
    };
    for (text, words) in [
        (String::new(), "missing field `network`"),
        ("network = 3".into(), "line 1: invalid type: integer `3`, expected a string"),
        ("network = 'x'\nnetwork = 'y'".into(), "line 2: duplicate key"),
        ("network = 'x'\n[input\nsize = 3".into(), "line 2: "),
        ("network = ' '".into(), "`network` is empty"),
        (
            in_full("\nweights =", "\nwieghts ="),
            "line 3: unknown field `wieghts`, expected one of `network`, `weights`",
        ),
        (in_full("polarity =", "polarty ="), "unknown field `polarty`"),
        (in_full("bias_correction", "bias"), "unknown field `bias`"),
        (in_full("head =", "heads ="), "unknown field `heads`, expected `head` or `cam`"),
        (in_full("numbers =", "number ="), "unknown field `number`"),
        (in_full("name =", "bord ="), "unknown field `bord`"),
        (in_full("max = 3.5", "maxx = 3.5"), "unknown field `maxx`"),
        (in_full("weights = \"weights.safetensors\"", "weights = \"\""), "`weights` is empty"),
        (in_full("pi4.tuning.toml", ""), "`target.tuning` is empty"),
        (in_full("\"normal\"]", "\"abnormal\"]"), "`classes` has `abnormal` twice"),
        (in_full("\"normal\"]", "\"\"]"), "name 2 of `classes` is empty"),
        (in_full("size = [512, 512]", "size = 512"), "line 7: invalid type: integer `512`"),
        (
            in_full("size = [512, 512]", "size = [512, 512, 1]"),
            "line 7: expected a height and a width, found 3 numbers",
        ),
        (in_full("size = [512, 512]", "size = [512, -1]"), "line 7: invalid value: integer `-1`"),
        (in_full("size = [512, 512]", "size = [512, 0]"), "`input.size` is [512, 0]"),
        (in_full("channels = 1", "channels = 0"), "`input.channels` is 0"),
        (in_full("window:-600,1500", "windows"), "expected one of imagenet, unit"),
        (in_full("resize = \"none\"", "resize = \"bicubic\""), "expected resize=none, stretch"),
        (in_full("colour = \"gray\"", "colour = \"red\""), "expected colour=auto or gray"),
        (in_full("window = \"-600,1500\"", "window = \"-600\""), "expected window=CENTRE,WIDTH"),
        (in_full("\"calibration/\"", "3"), "expected a path or a list of paths"),
        (in_full("\"calibration/\"", "[]"), "`calibrate.images` is empty"),
        (
            in_full("range = \"auto\"", "range = \"max\""),
            "unknown variant `max`, expected one of `auto`, `minmax`",
        ),
        (in_full("percentile = 99.9\n", "percentile = 0.99\n"), "`calibrate.percentile` is 0.99"),
        (in_full("percentile = 99.9\n", "percentile = nan\n"), "`calibrate.percentile` is NaN"),
        (in_full("head = \"argmax\"", "head = \"arg-max\""), "`logits`, `argmax`, `softmax`, `sigmoid`"),
        (in_full("\"int8\"", "\"int4\""), "unknown variant `int4`"),
        (in_full("rounding = \"single\"", "rounding = \"none\""), "`tflite-double`"),
        (in_full("name = \"portable\"", "name = \"\""), "`target.name` is empty"),
        (in_full("max = 3.5", "max = -1.0"), "`overrides.\"conv_final\"`: expected min < max"),
        (in_full("max = 3.5", ""), "expected either `range` or both `min` and `max`"),
        (in_full("range = \"percentile\"", "range = \"mse\""), "no meaning for range = \"mse\""),
        (in_full("percentile = 99.5", "percentile = 101.0"), "ext_conv1.0\".percentile` is 101"),
    ] {
        let error = Recipe::parse(&text, "").expect_err(&text).to_string();
        assert!(error.starts_with("recipe: ") && error.contains(words), "{error}\nexpected: {words}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn files_are_relative_to_the_recipes_folder_and_errors_name_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recipe.toml");
    let error = Recipe::from_file(&path).unwrap_err().to_string();
    assert!(error.starts_with("cannot read") && error.contains("recipe.toml"), "{error}");

    fs::write(&path, "netwrk = 'x'").unwrap();
    let error = Recipe::from_file(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: line 1: unknown field `netwrk`", path.display())), "{error}");

    fs::write(&path, FULL).unwrap();
    let recipe = Recipe::from_file(&path).unwrap();
    assert_eq!(recipe.weights_path().unwrap(), dir.path().join("weights.safetensors"));
    let error = recipe.check_files().unwrap_err().to_string();
    assert!(error.contains("weights.safetensors: expected the file of the recipe's `weights`"), "{error}");
    fs::write(dir.path().join("weights.safetensors"), "").unwrap();
    let error = recipe.check_files().unwrap_err().to_string();
    assert!(error.contains("`calibrate.images`"), "{error}");
    fs::create_dir(dir.path().join("calibration")).unwrap();
    let error = recipe.check_files().unwrap_err().to_string();
    assert!(error.contains("`target.board`"), "{error}");
    fs::create_dir(dir.path().join("boards")).unwrap();
    fs::write(dir.path().join("boards/small.toml"), "").unwrap();
    let error = recipe.check_files().unwrap_err().to_string();
    assert!(error.contains("`target.tuning`"), "{error}");
    fs::write(dir.path().join("pi4.tuning.toml"), "").unwrap();
    recipe.check_files().unwrap();
}

#[test]
fn calibration_sets_are_images_or_tensors() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("images")).unwrap();
    let set = |recipe: Recipe| recipe.base_dir(dir.path()).calibration_set();
    let new = || Recipe::new("anam_net");
    assert_eq!(set(new()).unwrap(), None);
    let error = set(new().calibrate_on("none")).unwrap_err().to_string();
    assert!(error.contains("none: expected the file of the recipe's `calibrate.images`"), "{error}");

    #[cfg(feature = "imaging")]
    {
        let error = set(new().calibrate_on("images")).unwrap_err().to_string();
        assert!(error.contains("found none"), "{error}");
        fs::write(at("images/b.png"), "").unwrap();
        fs::write(at("images/a.dcm"), "").unwrap();
        let images = CalibrationSet::Images(vec![at("images/a.dcm"), at("images/b.png")]);
        assert_eq!(set(new().calibrate_on("images")).unwrap(), Some(images.clone()));

        // What a CD has beside its slices is skipped and listed; by name, it is taken for an image.
        let directory: Vec<u8> = [
            &[0; 128][..],
            b"DICM\x02\0\x02\0UI\x14\x001.2.840.10008.1.3.10",
            b"\x08\0\x05\0CS\x0a\0ISO_IR 100",
        ]
        .concat();
        fs::write(at("images/DICOMDIR"), directory).unwrap();
        let recipe = new().calibrate_on("images").base_dir(dir.path());
        assert_eq!(recipe.calibration_set().unwrap(), Some(images));
        assert_eq!(
            recipe.skipped_files(),
            [(at("images/DICOMDIR"), "a DICOMDIR, the directory of a medium")]
        );
        let named = new().calibrate_on("images/DICOMDIR").base_dir(dir.path());
        assert_eq!(named.skipped_files(), []);
        let CalibrationSet::Images(files) = named.calibration_set().unwrap().unwrap() else { panic!() };
        let error = niello_imaging::load(&files[0]).unwrap_err().to_string();
        assert!(error.contains("a DICOMDIR, the directory of a medium: it holds no image"), "{error}");
    }

    fs::write(at("inputs.safetensors"), "").unwrap();
    fs::write(at("c.npy"), "").unwrap();
    let tensors = CalibrationSet::Tensors(at("inputs.safetensors"));
    assert_eq!(set(new().calibrate_on("inputs.safetensors")).unwrap(), Some(tensors));
    let one = CalibrationSet::Images(vec![at("c.npy")]);
    assert_eq!(set(new().calibrate_on("c.npy")).unwrap(), Some(one));
    let error = set(new().calibrate_on_files(["c.npy", "inputs.safetensors"])).unwrap_err().to_string();
    assert!(error.contains("cannot be mixed"), "{error}");
}

#[test]
fn names_are_the_same_in_flags() {
    assert_eq!("mse".parse::<RangeChoice>().unwrap(), RangeChoice::Mse);
    let error = "mes".parse::<RangeChoice>().unwrap_err().to_string();
    assert_eq!(error, "no range `mes`; there are: auto, minmax, percentile, mse");
    for name in Head::NAMES {
        assert_eq!(name.parse::<Head>().unwrap().to_string(), *name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in "\\PC{0,80}", cut in 0..FULL.len(), insert in "[\\[\\]\"'=.,a-z0-9\n-]{0,6}") {
        let _ = Recipe::parse(&text, "");
        let damaged = format!("{}{insert}{}", &FULL[..cut], &FULL[cut..]);
        if let Ok(recipe) = Recipe::parse(&damaged, "") {
            prop_assert_eq!(Recipe::parse(&recipe.to_toml().unwrap(), "").unwrap(), recipe);
        }
    }
}
