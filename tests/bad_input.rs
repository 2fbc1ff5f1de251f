//! Every mistake ends in one clear error that names the file and what was expected; nothing is half-written.

mod support;

use support::{Room, safetensors, tensors};

const CNN: &str = "--model w251_baseline_cnn --weights cnn.safetensors --input 32x32 --calibrate images";

fn room() -> Room {
    let room = Room::new();
    let good = tensors("w251_baseline_cnn", 3);
    let bytes = safetensors(&good);
    room.write("cnn.safetensors", &bytes);
    room.write("short.safetensors", &bytes[..bytes.len() - 7]);
    room.write("header.safetensors", &bytes[..40]);
    room.write("empty.safetensors", []);
    let mut damaged = bytes.clone();
    damaged[9] = b'#';
    room.write("damaged.safetensors", damaged);
    room.write("pickle.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.");
    let mut nan = good.clone();
    nan.get_mut("fc2.bias").unwrap().1[3] = f32::NAN;
    room.write("nan.safetensors", safetensors(&nan));
    let mut other = good;
    let fc = other.remove("fc2.bias").unwrap();
    other.insert("fc2.bais".into(), fc);
    room.write("misspelt.safetensors", safetensors(&other));
    room.png("images/a.png", 32);
    room.png("large/a.png", 48);
    room.npy("hu/a.npy", 32);
    room.npy("hu/large.npy", 48);
    room.write("none/readme.txt", "no image");
    room.write("text.png", "no image either");
    let mut cut = std::fs::read(room.path("images/a.png")).unwrap();
    cut.truncate(cut.len() / 2);
    room.write("cut.png", cut);
    room.write("file", "a file where a folder is expected");
    room.write("key.toml", "network = 'anam_net'\n[input]\nsizes = [32, 32]\n");
    room.write("type.toml", "network = 'anam_net'\n[input]\nsize = 32\n");
    room.write("empty.toml", "");
    room.write("mine/Cargo.toml", "[package]");
    room.write("lost.toml", "network = 'w251_baseline_cnn'\nweights = 'lost.safetensors'\n");
    room.write(
        "layer.toml",
        "network = 'w251_baseline_cnn'\nweights = 'cnn.safetensors'\n[input]\nsize = [32, 32]\n\
        [calibrate]\nimages = 'images'\n[overrides.fc9]\nrange = 'mse'\n",
    );
    room
}

/// Runs a command that must fail and leave the folder as it was; gives its error.
fn error(room: &Room, words: &str, code: i32) -> String {
    let before = room.contents("");
    let output = room.niello(words);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "niello {words}: {text}");
    assert!(output.stdout.is_empty(), "niello {words} printed to standard output");
    assert!(text.starts_with("error: "), "niello {words}: {text}");
    assert_eq!(text.matches("error:").count(), 1, "niello {words}: {text}");
    assert!(!text.contains("panicked") && !text.contains("backtrace"), "niello {words}: {text}");
    let after = room.contents("");
    assert!(before == after, "niello {words} left {:?} of {:?}", after.keys(), before.keys());
    println!("niello {words}\n  {}\n", text.trim_end().replace('\n', "\n  "));
    text
}

/// Commands and the words of their errors.
fn assert_errors(code: i32, table: &[(String, &[&str])]) {
    let room = room();
    for (words, expected) in table {
        let text = error(&room, words, code);
        for part in *expected {
            assert!(text.contains(part), "niello {words}: expected `{part}` in {text}");
        }
    }
}

#[test]
fn weights_that_do_not_fit() {
    let report =
        |file: &str| format!("report {} --weights {file}", CNN.replace("--weights cnn.safetensors ", ""));
    assert_errors(
        1,
        &[
            (report("short.safetensors"), &["short.safetensors: truncated"]),
            (report("header.safetensors"), &["header.safetensors: truncated", "bytes, has 40"]),
            (report("empty.safetensors"), &["empty.safetensors: truncated or not a safetensors file"]),
            (report("damaged.safetensors"), &["damaged.safetensors: damaged safetensors header"]),
            (
                report("pickle.pt"),
                &["pickle.pt: expected a safetensors file, found a pickled PyTorch checkpoint"],
            ),
            (report("nan.safetensors"), &["nan.safetensors", "`fc2.bias`", "finite", "NaN"]),
            (
                report("misspelt.safetensors"),
                &["`fc2.bias`: missing, expected shape [50]", "`fc2.bais`", "hint: "],
            ),
            (report("lost.safetensors"), &["lost.safetensors", "No such file"]),
            (report("images"), &["cannot read", "images"]),
            (
                "report --model squeezenet1_1 --weights cnn.safetensors --calibrate images --input 32x32"
                    .into(),
                &["cnn.safetensors: weights do not fit squeezenet1_1", "`features.0.weight`", "more"],
            ),
            (format!("report {CNN} --classes 4"), &["expected shape [4, ", "found [3, "]),
            ("inspect --tensors short.safetensors".into(), &["short.safetensors: truncated"]),
            ("inspect --tensors lost.safetensors".into(), &["lost.safetensors"]),
        ],
    );
}

#[test]
fn images_that_do_not_fit() {
    let no_resize = CNN.replace("--calibrate", "--resize none --calibrate");
    assert_errors(
        1,
        &[
            (format!("run {no_resize} large/a.png"), &["large/a.png", "32x32", "48x48", "resize"]),
            (format!("verify {no_resize} --data large"), &["large/a.png", "32x32", "48x48"]),
            (
                "report --model w251_baseline_cnn --weights cnn.safetensors --input 32x32 --resize none --calibrate \
                 large"
                    .into(),
                &["large/a.png", "48x48"],
            ),
            // 8-bit images have no Hounsfield units; three planes are wanted of one that has none.
            (format!("run {CNN} --preprocess hu:1024 images/a.png"), &["images/a.png", "8-bit"]),
            (format!("run {CNN} --preprocess unit hu/a.npy"), &["hu/a.npy", "window"]),
            (format!("run {CNN} text.png"), &["text.png", "PNG, JPEG, DICOM"]),
            (format!("run {CNN} cut.png"), &["cut.png"]),
            (format!("run {CNN} lost.png"), &["lost.png", "No such file"]),
            (format!("run {CNN} none"), &["none: expected PNG, JPEG, DICOM or NPY images"]),
            (format!("verify {CNN} --data none"), &["none: expected PNG, JPEG, DICOM or NPY images"]),
            (format!("verify {CNN} --data lost"), &["lost: expected an image or a folder of images"]),
            (
                "report --model w251_baseline_cnn --weights cnn.safetensors --calibrate none".into(),
                &["none: expected PNG, JPEG, DICOM or NPY images, found none"],
            ),
            ("report --model w251_baseline_cnn --weights cnn.safetensors --calibrate lost".into(), &["lost"]),
            (
                format!("report {CNN} --calibrate cnn.safetensors"),
                &["cnn.safetensors", "cannot be mixed with other calibration files"],
            ),
            (
                "report --model w251_baseline_cnn --weights cnn.safetensors --calibrate cnn.safetensors".into(),
                &["cnn.safetensors: tensor `", "expected an input of [1, 1, 256, 256]"],
            ),
            ("report --model w251_baseline_cnn --weights cnn.safetensors".into(), &["--calibrate"]),
        ],
    );
}

#[test]
fn recipes_and_flags_that_make_no_sense() {
    assert_errors(
        1,
        &[
            ("report".into(), &["--recipe FILE", "--model NAME"]),
            (
                "report --recipe key.toml".into(),
                &["key.toml: line 3: unknown field `sizes`, expected one of `size`"],
            ),
            ("report --recipe type.toml".into(), &["type.toml: line 3:"]),
            ("report --recipe empty.toml".into(), &["empty.toml", "missing field `network`"]),
            ("report --recipe lost.toml".into(), &["lost.safetensors"]),
            ("report --recipe none.toml".into(), &["cannot read none.toml"]),
            ("report --recipe cnn.safetensors".into(), &["cnn.safetensors: expected a recipe (TOML)"]),
            ("report --recipe layer.toml".into(), &["`fc9`: no such tensor", "fc3", "hint: "]),
            ("report --model anam".into(), &["no network `anam`", "anam_net", "hint: `niello models`"]),
            ("report --model squeezenet1_0".into(), &["squeezenet1_0: no weights come with this network"]),
            (format!("report {CNN} --target toaster"), &["no target `toaster`", "portable"]),
            (format!("bench {CNN} --isa sse9"), &["no instruction set `sse9`", "scalar"]),
            (format!("report {CNN} --classes 0"), &["--classes 0"]),
            (format!("report {CNN} --classes a,a,b"), &["`classes` has `a` twice"]),
            (format!("report {CNN} --classes a,,b"), &["name 1 of `classes` is empty"]),
            (format!("report {CNN} --classes 99999"), &["--classes 99999", "1 to 16384"]),
            (format!("report {CNN} --classes 99999999999"), &["1 to 16384"]),
            (format!("report {CNN} --classes 99999999999999999999"), &["1 to 16384"]),
            (format!("report {CNN} --classes 2.5"), &["1 to 16384"]),
            (
                "report --model toaster".into(),
                &["no network `toaster`; none of the ", "hint: `niello models`"],
            ),
            (
                format!("golden {CNN} --check cnn.safetensors"),
                &["cnn.safetensors: expected a golden file, found bytes that are not text"],
            ),
            (
                format!("compile {CNN} --out made --runtime garbage[["),
                &["dependency `niello = garbage[[`", "hint: "],
            ),
            (format!("compile {CNN} --out made --runtime {{}}"), &["says neither version, path nor git"]),
            (
                format!("compile {CNN} --out mine"),
                &["mine/Cargo.toml: is there already, and niello did not write it", "hint: ", "--force"],
            ),
            (format!("report {CNN} --preprocess sharpen"), &["sharpen", "unit"]),
            (format!("report {CNN} --resize bicubic"), &["bicubic", "stretch"]),
            (format!("report {CNN} --percentile 40"), &["percentile", "above 50"]),
            (format!("report {CNN} --override fc2=1,-1"), &["min < max"]),
            (format!("report {CNN} --channels 0"), &["`input.channels` is 0"]),
            (format!("report {CNN} --channels 3"), &["cnn.safetensors: weights do not fit"]),
            (
                "report --model anam_net --input 40x40".into(),
                &["input height must be a multiple of 16", "got 40"],
            ),
            (format!("run {CNN} images/a.png --labels labels.png"), &["there is no label map"]),
            (
                "report --model unet_small_lung --weights cnn.safetensors --head argmax".into(),
                &["cnn.safetensors: weights do not fit unet_small_lung"],
            ),
        ],
    );
}

#[test]
fn sizes_beyond_all_memory() {
    assert_errors(
        1,
        &[
            (
                "report --model anam_net --input 100000x100000".into(),
                &["input height must be", "at most 16384"],
            ),
            (
                "report --model anam_net --input 16384x16384".into(),
                &["has more than 2147483647 elements", "choose a smaller input"],
            ),
            (
                "compile --model anam_net --input 4096x3072 --out made".into(),
                &["the float reference would keep", "choose a smaller input"],
            ),
        ],
    );
}

#[test]
fn words_that_the_command_line_does_not_know() {
    assert_errors(
        2,
        &[
            ("report --model anam_net --input 0x0".into(), &["`0x0` is not a size, expected e.g. 224x224"]),
            ("report --model anam_net --input 32".into(), &["`32` is not a size"]),
            ("report --model anam_net --input 99999999999999999999x1".into(), &["is not a size"]),
            (
                format!("report {CNN} --format f8"),
                &["no number format `f8`; there are: int8, f16, f16-native, f16-winograd, f32"],
            ),
            (
                format!("report {CNN} --rounding up"),
                &["no rounding `up`; there are: tflite-double, single, float-even"],
            ),
            (format!("report {CNN} --range wide"), &["no range `wide`", "minmax"]),
            (format!("report {CNN} --head tail"), &["no output head `tail`", "softmax"]),
            (format!("report {CNN} --override fc2"), &["`fc2`: expected e.g. `conv1=minmax`"]),
            (format!("bench {CNN} --repetitions 0"), &["0", "repetitions"]),
            (format!("report {CNN} --wieghts w"), &["--wieghts", "--weights"]),
            (format!("run {CNN} images/a.png --cam-npy map.npy"), &["--cam", "--cam-layer"]),
            (format!("run {CNN} images/a.png --cam 0 --cam-over mask"), &["--cam-layer"]),
            ("compile --model anam_net".into(), &["--out"]),
            ("paint".into(), &["paint"]),
        ],
    );
}

#[test]
fn layers_classes_and_images_that_a_network_does_not_have() {
    let seeded = "--model squeezenet1_1 --seeded --classes cat,dog --input 32x32";
    let run = |net: &str, rest: &str| format!("run {net} images/a.png {rest}");
    assert_errors(
        1,
        &[
            (
                run(CNN, "--dump fc2.relu --dump fc2.rleu --dump-to maps"),
                &["--dump `fc2.rleu`: no such tensor; near: fc2.relu", "hint: `niello inspect --optimized`"],
            ),
            (
                run(CNN, "--cam 0"),
                &[
                    "w251_baseline_cnn: no class-activation map: `",
                    "stands between the mean over a map and the scores",
                    "hint: `--cam-layer auto`",
                ],
            ),
            (
                run(CNN, "--cam-layer fc2.rleu"),
                &[
                    "--cam-layer `fc2.rleu`: no such tensor; near: fc2.relu",
                    "hint: `niello inspect --optimized`",
                ],
            ),
            (run(CNN, "--cam-layer fc2.relu"), &["no Grad-CAM at `fc2.relu`: 1x1x50 is one place"]),
            (run(CNN, "--cam-layer auto --cam 3"), &["no class `3`; known: "]),
            (
                run("--model anam_net --input 32x32 --calibrate images", "--cam-layer auto"),
                &["anam_net gives each pixel a class: `--cam` says which"],
            ),
            (
                run("--model anam_net --input 32x32", "--cam 0"),
                &["anam_net: no class-activation map: it needs one score"],
            ),
            ("verify --model anam_net --input 32x32".into(), &["anam_net reads images: give `--data`"]),
            ("run --model anam_net --input 32x32".into(), &["anam_net reads an image: name one"]),
            (run(seeded, "--cam dgo"), &["no class `dgo`; known: cat, dog"]),
            (run(seeded, "--cam 2"), &["no class `2`; known: cat, dog"]),
            (run(seeded, "--overlay x.png"), &["classifies whole images", "--cam"]),
        ],
    );
}

#[test]
fn places_that_cannot_be_written() {
    assert_errors(
        1,
        &[
            (format!("compile {CNN} --out file"), &["cannot create file", "hint: "]),
            (format!("compile {CNN} --out file/below"), &["cannot create file/below", "hint: "]),
            (
                format!("run {CNN} images/a.png --dump fc2.relu --dump-to file"),
                &["cannot create file", "hint: "],
            ),
            (format!("run {CNN} images/a.png --npy file/x.npy"), &["cannot write file/x.npy"]),
            (format!("run {CNN} images/a.png --npy lost/x.npy"), &["cannot write lost/x.npy"]),
            (format!("run {CNN} images/a.png --npy images"), &["images: expected the name of a file"]),
            ("run --model anam_net images/a.png --labels x.png --overlay lost/x.png".into(), &["lost/x.png"]),
        ],
    );
}

#[test]
fn a_folder_made_for_a_crate_that_cannot_be_built_goes_again() {
    let room = room();
    error(
        &room,
        "compile --model w251_baseline_cnn --weights nan.safetensors --calibrate images --out a/b/c",
        1,
    );
    // A folder that was there stays, with its contents.
    room.write("there/notes.txt", "mine");
    error(
        &room,
        "compile --model w251_baseline_cnn --weights nan.safetensors --calibrate images --out there/new",
        1,
    );
    // A file of the crate cannot be replaced: none of the others is written either.
    room.write("blocked/src/model.rs/file", "a folder where a file goes");
    let text = error(&room, &format!("compile {CNN} --out blocked"), 1);
    assert!(text.contains("blocked/src/model.rs"), "{text}");
}
