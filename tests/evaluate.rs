//! `niello evaluate` on the bundled slices and on a small classifier: figures, merging, resuming, bad input, exit status.

mod support;

use niello_imaging::{NpyData, Samples, load, write_label_png, write_npy};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};
use support::{Room, Tensors, gray, keys, safetensors};

const CNN: &str = "--model w251_baseline_cnn --weights cnn.safetensors --classes Normal,Pneumonia,COVID --input 32x32 \
                   --calibrate images";

/// A classifier and twelve images in folders of its classes.
fn room() -> Room {
    let room = Room::new();
    room.checkpoint("cnn.safetensors", "w251_baseline_cnn", 3);
    for (i, class) in ["Normal", "pneumonia", "COVID/patient7"].into_iter().enumerate() {
        // Names of different lengths make different images.
        (0..4).for_each(|n| room.png(&format!("images/{class}/{}.png", "x".repeat(1 + n * 3 + i)), 32));
    }
    room
}

fn number(value: &Value, path: &str) -> f64 {
    let found = path.split('.').fold(value, |v, key| &v[key]);
    found.as_f64().unwrap_or_else(|| panic!("`{path}` of {value}"))
}

fn read(room: &Room, name: &str) -> Value {
    serde_json::from_slice(&fs::read(room.path(name)).unwrap()).unwrap()
}

/// The cases of a result.
fn cases(json: &Value) -> &Vec<Value> {
    json["records"]["cases"].as_array().unwrap()
}

/// Scores of a case, and the first of the largest.
fn scores(scores: &Value) -> (Vec<f32>, usize) {
    let scores: Vec<f32> = scores.as_array().unwrap().iter().map(|s| s.as_f64().unwrap() as f32).collect();
    let best = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
    (scores, best)
}

/// Standard output and standard error of a command with this status.
fn ends(room: &Room, words: &str, code: i32) -> (String, String) {
    let output = room.niello(words);
    let [out, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "niello {words}: {errors}");
    (out, errors)
}

#[test]
fn figures_of_a_classifier_follow_from_its_scores() {
    let room = room();
    let json = room.json(&format!("evaluate {CNN} --data images --against float --json"));
    assert_eq!((cases(&json).len(), json["left_out"].as_array().unwrap().len()), (12, 0));
    let classes = ["Normal", "Pneumonia", "COVID"];
    let (mut right, mut same) = (0, 0);
    for (i, case) in cases(&json).iter().enumerate() {
        let id = case["id"].as_str().unwrap();
        let label = case["label"].as_u64().unwrap() as usize;
        assert!(id.to_lowercase().starts_with(&classes[label].to_lowercase()), "{id}");
        let best = scores(&case["scores"]).1;
        right += usize::from(best == label);
        same += usize::from(best == scores(&case["against"]).1);
        if i % 4 == 0 {
            let ran = room.json(&format!("run {CNN} --json images/{id}"));
            assert_eq!(ran["class"], classes[best], "{id}");
        }
    }
    let figures = &json["figures"]["figures"];
    assert_eq!(number(figures, "accuracy.value"), right as f64 / 12.0);
    assert_eq!(number(&json["figures"]["against"], "agreement.value"), same as f64 / 12.0);
    let rows = json["figures"]["confusion"].as_array().unwrap();
    let counts = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|n| n.as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 12);
    let named = ["average_precision", "f1", "precision", "roc_area", "sensitivity", "specificity"];
    assert_eq!(keys(&figures["macro_mean"]), named.into());
    assert!(figures["accuracy"]["interval"].is_array());
    assert!(number(&json["figures"]["against"], "mcnemar.exact_p") <= 1.0);
    let text = room.text(&format!("evaluate {CNN} --data images --against float --csv cases.csv"));
    for part in [
        "taken for",
        "calibration error",
        "McNemar's test",
        "w251_baseline_cnn (int8) on 12 cases, against float",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read_to_string(room.path("cases.csv")).unwrap().lines().count(), 13);
    room.text(&format!("evaluate {CNN} --data images --html page.html"));
    let page = fs::read_to_string(room.path("page.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert_eq!((page.matches("<polyline ").count(), page.matches("<table>").count()), (6, 2));
    assert!(!page.contains("<script") && !page.contains("http"), "nothing is fetched");
}

#[test]
fn merged_shards_are_one_run_to_the_byte() {
    let room = room();
    let words = format!("evaluate {CNN} --data images --against float");
    let whole = room.text(&format!("{words} --json whole.json --csv whole.csv"));
    for k in 1..=3 {
        room.text(&format!("{words} --shard {k}/3 --json {k}.json"));
    }
    let merged = room.text("evaluate --merge 3.json 1.json 2.json --json merged.json --csv merged.csv");
    assert_eq!(merged, whole);
    for ending in ["json", "csv"] {
        let bytes = |name: &str| fs::read(room.path(&format!("{name}.{ending}"))).unwrap();
        assert!(bytes("merged") == bytes("whole"), "{ending}");
    }
    assert!(!room.path("whole.json.journal").exists());
    let (_, errors) = ends(&room, "evaluate --merge 1.json 3.json", 1);
    assert!(errors.contains("missing, of 3: 2"), "{errors}");
    room.text(&format!("{words} --rounding single --shard 2/3 --json 2.json"));
    let (_, errors) = ends(&room, "evaluate --merge 1.json 2.json 3.json", 1);
    assert!(errors.contains("2.json: the program"), "{errors}");
    let (_, errors) = ends(&room, "evaluate --merge cnn.safetensors", 1);
    assert!(errors.contains("cnn.safetensors: no result of `niello evaluate`"), "{errors}");
}

#[test]
fn a_killed_evaluation_goes_on_where_it_ended() {
    let room = room();
    let words = format!("evaluate {CNN} --data many");
    for copy in 0..300 {
        let class = ["Normal", "Pneumonia", "COVID"][copy % 3];
        fs::create_dir_all(room.path(&format!("many/{class}"))).unwrap();
        fs::copy(room.path("images/Normal/x.png"), room.path(&format!("many/{class}/{copy}.png"))).unwrap();
    }
    room.png("many/COVID/other.png", 32);
    room.text(&format!("{words} --json whole.json"));
    let mut command = room.command(&format!("{words} --json part.json"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let journal = room.path("part.json.journal");
    let lines = || fs::read(&journal).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
    let start = Instant::now();
    while lines() < 5 && start.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_micros(200));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success() && !room.path("part.json").exists() && lines() >= 5);
    // The last line ends in its middle; a record that says something else is not computed again.
    let text = fs::read_to_string(&journal).unwrap();
    let first = text.lines().nth(1).unwrap();
    let mut record: Value = serde_json::from_str(first).unwrap();
    record["scores"]["scores"] = serde_json::json!([9.0, 0.0, 0.0]);
    let id = record["scores"]["id"].as_str().unwrap().to_string();
    fs::write(&journal, text.replace(first, &record.to_string()) + "{\"scores\":{\"id\":\"COV").unwrap();
    room.text(&format!("{words} --json part.json"));
    assert!(!journal.exists());
    let (whole, part) = (read(&room, "whole.json"), read(&room, "part.json"));
    let pairs = cases(&whole).iter().zip(cases(&part));
    let changed: Vec<&str> = pairs.filter(|(a, b)| a != b).map(|(_, b)| b["id"].as_str().unwrap()).collect();
    assert_eq!((changed, cases(&part).len()), (vec![id.as_str()], 301));
    // A journal of other data, and one that is none.
    let header = text.lines().next().unwrap();
    fs::write(&journal, format!("{}\n", header.replace("\"total\":301", "\"total\":300"))).unwrap();
    let (_, errors) = ends(&room, &format!("{words} --json part.json"), 1);
    assert!(errors.contains("differs in the list of cases and labels: remove it"), "{errors}");
    fs::write(&journal, "something\n").unwrap();
    let (_, errors) = ends(&room, &format!("{words} --json part.json"), 1);
    assert!(errors.contains("no journal of `niello evaluate`"), "{errors}");
}

#[test]
fn tables_splits_and_tensors_name_the_same_cases() {
    let room = room();
    let whole = room.json(&format!("evaluate {CNN} --data images --json"));
    let scores_of = |json: &Value| cases(json).iter().map(|case| case["scores"].clone()).collect::<Vec<_>>();
    let mut csv = "\u{feff}class,Path,more\n".to_string();
    let mut txt = String::new();
    for case in cases(&whole) {
        let (id, label) = (case["id"].as_str().unwrap(), case["label"].as_u64().unwrap());
        csv += &format!("{},\"images/{id}\",x\n", ["normal", "Grippe", "COVID"][label as usize]);
        txt += &format!("{id} {label} 1 2 3 4\n");
    }
    room.write("test.csv", csv);
    room.write("test.txt", txt);
    let by_csv = room.json(&format!("evaluate {CNN} --data test.csv --map Grippe=Pneumonia --json"));
    let by_txt = room.json(&format!("evaluate {CNN} --data images --labels test.txt --json"));
    assert_eq!(by_csv["figures"], whole["figures"]);
    assert_eq!(by_txt["figures"], whole["figures"]);
    room.write("split.txt", "xxxx.png\nNormal/x\nlost.png\n");
    let split = room.json(&format!("evaluate {CNN} --data images --split split.txt --json"));
    assert_eq!(cases(&split).len(), 2);
    assert_eq!(split["left_out"][0]["id"], "lost.png");
    // The same inputs and labels as arrays, and case by case.
    let inputs: Vec<f32> = (0..4).flat_map(|i| gray(&"y".repeat(i), 32)).map(f32::from).collect();
    write_npy(room.path("x.npy"), NpyData::F32(&inputs), &[4, 1, 32, 32]).unwrap();
    write_npy(room.path("y.npy"), NpyData::F32(&[0.0, 2.0, 1.0, 2.0]), &[4]).unwrap();
    let by_npy = room.json(&format!("evaluate {CNN} --data x.npy --labels y.npy --json"));
    let mut tensors = Tensors::new();
    tensors.insert("inputs".into(), (vec![4, 1, 32, 32], inputs.clone()));
    tensors.insert("labels".into(), (vec![4], vec![0.0, 2.0, 1.0, 2.0]));
    room.write("xy.safetensors", safetensors(&tensors));
    let by_rows = room.json(&format!("evaluate {CNN} --data xy.safetensors --json"));
    tensors.clear();
    for (i, (input, label)) in inputs.chunks(1024).zip([0.0, 2.0, 1.0, 7.0]).enumerate() {
        tensors.insert(format!("{i}"), (vec![1, 1, 32, 32], input.to_vec()));
        tensors.insert(format!("{i}/label"), (vec![], vec![label]));
    }
    room.write("cases.safetensors", safetensors(&tensors));
    let by_case = room.json(&format!("evaluate {CNN} --data cases.safetensors --json"));
    assert_eq!(by_rows, by_npy);
    assert_eq!(scores_of(&by_case), scores_of(&by_npy)[..3]);
    assert_eq!(by_case["left_out"][0]["why"], "label 7: expected 0 to 2");
    let (_, errors) = ends(&room, &format!("evaluate {CNN} --data x.npy"), 1);
    assert!(errors.contains("x.npy: has no tensor `labels`"), "{errors}");
}

#[test]
fn outputs_of_another_framework_are_compared_case_by_case() {
    let room = room();
    let own = room.json(&format!("evaluate {CNN} --data images --json"));
    let mut outputs: Tensors = cases(&own)
        .iter()
        .map(|case| (case["id"].as_str().unwrap().to_string(), (vec![1, 3], scores(&case["scores"]).0)))
        .collect();
    room.write("same.safetensors", safetensors(&outputs));
    let words = format!("evaluate {CNN} --data images --unlabelled --against");
    let same = room.json(&format!("{words} same.safetensors --min-agreement 1 --json"));
    assert_eq!(number(&same["figures"]["against"], "agreement.value"), 1.0);
    assert!(same["figures"].get("figures").is_none());
    assert!(same["run"]["against"].as_str().unwrap().starts_with("same.safetensors (sha256 "));
    // One that is surely another class, and one that is not there.
    let flipped = outputs.get_mut("COVID/patient7/xxx.png").unwrap();
    let best = scores(&serde_json::json!(flipped.1)).1;
    flipped.1 = (0..3).map(|i| if i == (best + 1) % 3 { 2.0 } else { -1.5 }).collect();
    outputs.remove("Normal/x.png");
    room.write("other.safetensors", safetensors(&outputs));
    let (out, errors) = ends(&room, &format!("{words} other.safetensors --min-agreement 0.99 --json"), 1);
    let json: Value = serde_json::from_str(&out).unwrap();
    assert!(errors.contains("agreement 0.9091 is below `--min-agreement 0.99`"), "{errors}");
    let flips = json["figures"]["against"]["flips"].as_array().unwrap();
    assert_eq!((flips.len(), &flips[0]["id"]), (1, &"COVID/patient7/xxx.png".into()));
    assert_eq!(
        (number(&flips[0], "against_margin"), flips[0]["decision"].as_u64()),
        (3.5, Some(best as u64))
    );
    assert_eq!(json["left_out"][0]["id"], "Normal/x.png");
    let (_, errors) = ends(&room, &format!("{words} cnn.safetensors"), 1);
    assert!(errors.contains("expected tensors with the names of cases"), "{errors}");
}

#[test]
fn what_cannot_be_read_is_named_and_ends_nothing() {
    let room = room();
    room.write("images/COVID/broken.png", "no image");
    let text =
        format!("evaluate {} --data images", CNN.replace("--calibrate images", "--calibrate images/Normal"));
    let (out, errors) = ends(&room, &text, 0);
    assert!(out.contains("1 of 13 cases left out") && errors.is_empty(), "{out}{errors}");
    assert!(out.contains("COVID/broken.png: ") && out.contains("expected a PNG, JPEG, DICOM"), "{out}");
    let words = format!("{text} --labels");
    room.write("labels.csv", "Normal/x.png,Normal\nlost.png,COVID\n");
    let json = room.json(&format!("{words} labels.csv --json"));
    let left_out: Vec<(&str, &str)> = json["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["id"].as_str().unwrap(), case["why"].as_str().unwrap()))
        .collect();
    assert_eq!((cases(&json).len(), left_out.len()), (1, 13));
    assert!(left_out.contains(&("lost.png", "no such file (labels.csv, line 2)")));
    assert!(left_out.contains(&("Normal/xxxx.png", "no label in labels.csv")));
    for (table, expected) in [
        ("Normal/x.png,Flu\n", "`Flu` (line 1); its classes are Normal, Pneumonia, COVID"),
        ("Normal/x.png,3\n", "`3` (line 1)"),
        ("Normal/x.png\n", "line 1: expected a path and a label"),
        ("Normal/x.png,0\nb.png,1\nNormal/x.png,1\n", "lines 1 and 3: `Normal/x.png` is given twice"),
        ("", "found none"),
        ("lost.png,0\n", "none of 14 cases has a result"),
    ] {
        room.write("labels.csv", table);
        let (_, errors) = ends(&room, &format!("{words} labels.csv"), 1);
        assert!(errors.contains(expected), "{table}: {errors}");
    }
    room.png("images/Flu/a.png", 32);
    room.png("images/b.png", 32);
    let (_, errors) = ends(&room, &text, 1);
    for part in
        ["`.` (1 image), `Flu` (1 image)", "its classes are Normal, Pneumonia, COVID", "--map FOLDER=CLASS"]
    {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    fs::remove_file(room.path("images/b.png")).unwrap();
    let json = room.json(&format!("{text} --map Flu=- --json"));
    assert_eq!(cases(&json).len(), 12);
    for (more, expected) in [
        ("--masks images", "`--masks` is for segmentations"),
        ("--min-dice 0.5", "`--min-dice` is for segmentations"),
        ("--min-agreement 0.5", "`--min-agreement` needs `--against`"),
        ("--map x", "--map x: expected NAME=CLASS"),
        ("--against lost.safetensors", "lost.safetensors"),
        ("--json images/Normal/x.png", "is there already and no JSON"),
    ] {
        let (_, errors) = ends(&room, &format!("{text} {more}"), 1);
        assert!(errors.contains(expected), "{more}: {errors}");
    }
    for more in ["--shard 4/3", "--shard 0/3", "--min-accuracy 2", "--merge a.json", "--unlabelled"] {
        ends(&room, &format!("{text} {more}"), 2);
    }
}

#[test]
fn the_exit_status_says_whether_it_is_good_enough() {
    let room = room();
    let words = format!("evaluate {CNN} --data images --json verdict.json");
    room.text(&words);
    let accuracy = number(&read(&room, "verdict.json")["figures"]["figures"], "accuracy.value");
    room.text(&format!("{words} --min-accuracy {accuracy}"));
    let (out, errors) = ends(&room, &format!("{words} --min-accuracy {}", accuracy + 0.01), 1);
    assert!(errors.contains("accuracy") && errors.contains("is below `--min-accuracy"), "{errors}");
    assert!(out.contains("calibration error"), "the figures are printed all the same");
    ends(&room, &format!("evaluate --merge verdict.json --min-accuracy {}", accuracy + 0.01), 1);
}

#[test]
fn a_network_that_decides_nothing_fails() {
    let room = room();
    for i in 0..2 {
        room.write(&format!("black/{i}.png"), []);
        write_label_png(room.path(&format!("black/{i}.png")), &[i; 1024], [32, 32], None).unwrap();
    }
    let words = format!("evaluate {} --data images", CNN.replace("--calibrate images", "--calibrate black"));
    let (_, errors) = ends(&room, &words, 1);
    assert!(errors.contains("the input's range is ") && errors.contains("--calibrate FOLDER"), "{errors}");
    // Weights of zero decide nothing.
    let zeros = support::tensors("w251_baseline_cnn", 3).into_iter().map(|(name, (shape, data))| {
        let factor = if name.starts_with("fc3") { 0.0 } else { 1.0 };
        (name, (shape, data.into_iter().map(|x| factor * x).collect()))
    });
    room.write("zeros.safetensors", safetensors(&zeros.collect()));
    let words = format!("evaluate {} --data images", CNN.replace("cnn.safetensors", "zeros.safetensors"));
    let (out, errors) = ends(&room, &words, 1);
    assert!(errors.contains("the output is the same for all 12 cases"), "{errors}");
    assert!(out.contains("warning: 12 cases have two largest scores that are equal"), "{out}");
}

/// Crops of the bundled slices and of their masks.
fn slices(room: &Room) {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/assets/ct");
    for name in ["val_03", "val_05", "val_07"] {
        for (kind, folder) in [("image", "images"), ("label", "masks")] {
            let image = load(assets.join(format!("{name}_{kind}.png"))).unwrap();
            let Samples::U8(all) = image.samples() else { panic!("8 bits") };
            let crop: Vec<u8> =
                (220..284).flat_map(|y| &all[y * 512 + 100..y * 512 + 164]).copied().collect();
            let path = format!("{folder}/{name}.png");
            room.write(&path, []);
            write_label_png(room.path(&path), &crop, [64, 64], None).unwrap();
        }
    }
}

const ANAM: &str = "--model anam_net --input 64x64 --calibrate images/val_07.png";

#[test]
fn masks_are_judged_pixel_by_pixel() {
    let room = Room::new();
    slices(&room);
    let words = format!("evaluate {ANAM} --data images");
    let json = room.json(&format!("{words} --masks masks --against float --min-dice 0.1 --json"));
    assert_eq!(json["run"]["classes"], serde_json::json!(["background", "abnormal lung", "normal lung"]));
    let figures = &json["figures"]["figures"];
    for (class, name) in
        figures["classes"].as_array().unwrap().iter().zip(["background", "abnormal", "normal"])
    {
        let sum = |key: &str| -> f64 {
            let at = ["background", "abnormal", "normal"].iter().position(|n| *n == name).unwrap();
            cases(&json).iter().map(|case| number(&case["outcome"]["counts"][at], key)).sum()
        };
        let dice = 2.0 * sum("both") / (sum("truth") + sum("found"));
        assert_eq!(number(&class["pooled"], "dice.value"), dice, "{name}");
        assert!(dice > 0.5, "{name}: {dice}");
        assert!(class["by_image"]["hausdorff_95"]["mean"].is_object());
    }
    assert!(number(&json["figures"]["against"]["agreement"], "accuracy.value") > 0.9);
    // The network's own maps, as it draws them, are right everywhere.
    for name in ["val_03", "val_05", "val_07"] {
        room.write(&format!("own/{name}_mask.png"), []);
        room.text(&format!("run {ANAM} images/{name}.png --labels own/{name}_mask.png"));
    }
    let json = room.json(&format!("{words} --masks own --json"));
    for class in json["figures"]["figures"]["classes"].as_array().unwrap() {
        assert_eq!(
            (number(&class["pooled"], "dice.value"), number(&class["by_image"], "hausdorff_95.maximum")),
            (1.0, 0.0)
        );
    }
    let text = room.text(&format!("{words} --masks masks --against float --csv pixels.csv"));
    for part in ["pooled", "by image", "Hausdorff 95", "pixel accuracy", "against the other's maps"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(fs::read_to_string(room.path("pixels.csv")).unwrap().lines().count(), 1 + 3 * 3);
    let (_, errors) = ends(&room, &format!("{words} --masks masks --min-dice 1"), 1);
    assert!(errors.contains("is below `--min-dice 1`"), "{errors}");
}

#[test]
fn masks_that_do_not_fit_are_named() {
    let room = Room::new();
    slices(&room);
    let gray_map = |name: &str, value: u8, size: [usize; 2]| {
        write_label_png(room.path(name), &vec![value; size[0] * size[1]], size, None).unwrap();
    };
    gray_map("masks/val_03.png", 77, [64, 64]);
    gray_map("masks/val_05.png", 1, [32, 64]);
    gray_map("masks/alone.png", 1, [64, 64]);
    gray_map("images/without.png", 9, [64, 64]);
    gray_map("images/twice.png", 9, [64, 64]);
    gray_map("masks/twice.png", 0, [64, 64]);
    gray_map("masks/twice_mask.png", 0, [64, 64]);
    let json = room.json(&format!("evaluate {ANAM} --data images --masks masks --json"));
    let left_out = json["left_out"].as_array().unwrap();
    let why = |id: &str| left_out.iter().find(|case| case["id"] == id).unwrap()["why"].as_str().unwrap();
    for (id, expected) in [
        ("val_03.png", "0 to 2, one for each class; found 77 ("),
        ("val_05.png", "expected 64x64 as the network's map or 64x64 as the image, found 32x64"),
        ("masks/alone.png", "a mask without an image in images"),
        ("without.png", "no mask in masks"),
        ("twice.png", "several masks: twice.png, twice_mask.png"),
    ] {
        assert!(why(id).contains(expected), "{id}: {}", why(id));
    }
    assert_eq!((cases(&json).len(), left_out.len()), (1, 5));
    let json = room.json(&format!("evaluate {ANAM} --data images --masks masks --map 77=- --json"));
    assert_eq!(cases(&json).len(), 2);
    // A table names images and masks too.
    room.write(
        "pairs.tsv",
        "image\tmask\nimages/val_07.png\tmasks/val_07.png\nimages/val_05.png\tmasks/lost.png\n",
    );
    let json = room.json(&format!("evaluate {ANAM} --data pairs.tsv --json"));
    assert_eq!(
        (cases(&json).len(), json["left_out"][0]["why"].as_str()),
        (1, Some("no mask masks/lost.png"))
    );
    let (_, errors) = ends(&room, &format!("evaluate {ANAM} --data images"), 1);
    assert!(errors.contains("give `--masks FOLDER`"), "{errors}");
}
