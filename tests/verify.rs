//! `niello verify`: what it says of a network that calibration broke, of each layer, and of another framework's tensors.

mod support;

use niello_imaging::{NpyData, write_npy};
use serde_json::Value;
use support::{Room, Tensors, gray, safetensors};

/// A classifier of 3 classes that reads gray images, as NPY of one channel or more.
const CNN: &str =
    "--model w251_baseline_cnn --weights cnn.safetensors --classes Normal,Pneumonia,COVID --input 32x32";

fn room() -> Room {
    let room = Room::new();
    room.checkpoint("cnn.safetensors", "w251_baseline_cnn", 3);
    for name in ["a", "b", "c"] {
        image(&room, &format!("images/{name}.npy"), 1.0);
        image(&room, &format!("half/{name}.npy"), 0.5);
        image(&room, &format!("dark/{name}.npy"), 0.02);
    }
    room
}

/// A gray image, darker by a factor.
fn image(room: &Room, name: &str, factor: f32) {
    room.write(name, []);
    let pixels: Vec<u8> = gray(name, 32).iter().map(|v| (f32::from(*v) * factor) as u8).collect();
    write_npy(room.path(name), NpyData::U8(&pixels), &[32, 32]).unwrap();
}

/// The output and the errors of a command that ends with status 1.
fn failed(room: &Room, words: &str) -> (Value, String) {
    let output = room.niello(words);
    assert_eq!(output.status.code(), Some(1), "niello {words}");
    let errors = String::from_utf8(output.stderr).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {errors}")), errors)
}

#[test]
fn a_network_calibrated_on_dark_images_fails_and_names_the_input() {
    let room = room();
    let words = format!("verify {CNN} --calibrate dark --data images --json");
    let (json, errors) = failed(&room, &words);
    for part in ["% of the input `input` are cut off", "calibrate with inputs like these"] {
        assert!(errors.contains(part) && json["failures"].to_string().contains(part), "{errors}");
    }
    let input = &json["inputs"][0];
    assert_eq!((&input["kind"], &input["name"]), (&"input".into(), &"input".into()));
    assert!(input["above"].as_f64().unwrap() > 0.5 && input["below"] == 0.0, "{input}");
    assert!(input["range"][1].as_f64() < input["seen"][1].as_f64());
    // Images like those of the calibration set are no failure.
    let json = room.json(&format!("verify {CNN} --calibrate images --data images --json"));
    assert_eq!((&json["failures"], &json["inputs"][0]["saturated"]), (&Value::Array(vec![]), &0.0.into()));
}

#[test]
fn layers_have_their_own_error_their_range_and_its_rule() {
    let room = room();
    let words = format!("verify {CNN} --calibrate images --data images");
    let json = room.json(&format!("{words} --json"));
    let layers = json["layers"].as_array().unwrap();
    let own = |layer: &Value| layer["own_sqnr_db"].as_f64();
    // Errors add up on the way, and no layer alone has all of them.
    let last = layers.iter().rfind(|l| own(l).is_some()).unwrap();
    assert!(own(last).unwrap() > last["sqnr_db"].as_f64().unwrap() + 1.0, "{last}");
    assert_eq!(own(&layers[0]), layers[0]["sqnr_db"].as_f64());
    assert_eq!(
        (&layers[0]["rule"], &layers.last().unwrap()["rule"]),
        (&"auto 99.99".into(), &"minmax".into())
    );
    for layer in layers {
        let (low, high) = (layer["range"][0].as_f64().unwrap(), layer["range"][1].as_f64().unwrap());
        let (scale, zero) = (layer["scale"].as_f64().unwrap(), layer["zero_point"].as_f64().unwrap());
        assert!((low - scale * (-128.0 - zero)).abs() < 1e-4 * (high - low), "{layer}");
    }
    let worst = room.json(&format!("{words} --worst 2 --json"));
    let worst: Vec<_> = worst["layers"].as_array().unwrap().iter().map(own).collect();
    let mut all: Vec<_> = layers.iter().filter_map(own).collect();
    all.sort_by(f64::total_cmp);
    assert_eq!(worst, [Some(all[0]), Some(all[1])]);
    assert!(room.text(&words).contains("own dB"));
}

#[test]
fn thresholds_set_the_exit_status() {
    let room = room();
    let words = format!("verify {CNN} --calibrate images --data images --json");
    let db = |words: &str| room.json(words)["output"]["sqnr_db"].as_f64().unwrap();
    // Images on which the budget holds that calibration met, and darker ones, on which it does not.
    let dark = words.replace("--data images", "--data half");
    let (of_images, of_dark) = (db(&words), db(&dark));
    assert!(of_images > of_dark + 1.0, "{of_images} {of_dark}");
    let least = format!("--min-sqnr-db {:.2} --min-agreement 1", (of_images + of_dark) / 2.0);
    room.text(&format!("{words} {least}"));
    let (json, errors) = failed(&room, &format!("{dark} {least}"));
    assert!(errors.contains(" dB, expected at least ") && !errors.contains("share of"), "{errors}");
    assert_eq!(json["failures"].as_array().unwrap().len(), 1);
    // All scores of a last layer of zeros are equal: no answer agrees with another.
    let mut tensors = support::tensors("w251_baseline_cnn", 3);
    let last = tensors.iter_mut().filter(|(name, _)| name.starts_with("fc3"));
    last.for_each(|(_, (_, data))| data.fill(0.0));
    room.write("cnn.safetensors", safetensors(&tensors));
    let (json, errors) = failed(&room, &format!("{words} --min-agreement 0.5"));
    assert!(errors.contains("the same class on a share of 0.0000"), "{errors}");
    assert_eq!((&json["output"]["ties"], &json["output"]["top1_agreement"]), (&3.into(), &0.0.into()));
}

#[test]
fn another_frameworks_tensors_show_another_pre_processing() {
    let room = room();
    let mut expected = Tensors::new();
    for name in ["a", "b"] {
        room.text(&format!("run {CNN} --calibrate images --float images/{name}.npy --npy out.npy"));
        // Three numbers behind the header.
        let file = std::fs::read(room.path("out.npy")).unwrap();
        let scores = file[file.len() - 12..].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        expected.insert(format!("{name}.npy/output"), (vec![1, 3], scores));
    }
    room.write("framework.safetensors", safetensors(&expected));
    let words =
        format!("verify {CNN} --calibrate images --data images --expected framework.safetensors --json");
    let json = room.json(&words);
    let framework = &json["framework"];
    assert_eq!((&framework["cases"], &framework["same_class"]), (&2.into(), &2.into()));
    assert!(framework["output_difference"].as_f64().unwrap() < 1e-5, "{framework}");
    // As if its pre-processing were another.
    let json = room.json(&words.replace("--data images", "--data half"));
    let warned = json["warnings"].to_string();
    assert!(warned.contains("the pre-processing, the weights or the network are others"), "{warned}");

    // Inputs and outputs in one file; then the pre-processing is no part of it.
    let mut pairs = Tensors::new();
    let pixels = gray("a", 32).into_iter().map(f32::from).collect();
    pairs.insert("a/input".into(), (vec![1, 1, 32, 32], pixels));
    pairs.insert("a/logits".into(), (vec![3], vec![9.0, 0.0, -9.0]));
    room.write("pairs.safetensors", safetensors(&pairs));
    let json = room.json(&format!("verify {CNN} --calibrate images --data pairs.safetensors --json"));
    assert_eq!((&json["images"], &json["framework"]["cases"]), (&1.into(), &1.into()));
    assert!(json["framework"]["output_difference"].as_f64().unwrap() > 0.1, "{json}");

    let lost = Tensors::from([("z.npy/output".to_string(), (vec![1, 3], vec![0.0; 3]))]);
    room.write("framework.safetensors", safetensors(&lost));
    let errors = String::from_utf8(room.niello(&words).stderr).unwrap();
    assert!(errors.contains("none of its cases (`z.npy`, …) has the name of an image"), "{errors}");
}
