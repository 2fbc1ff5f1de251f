//! Networks that make images: their calibration, their errors, int8 beside float.

mod common;

use niello_codegen::{
    Error, Result,
    check::compare::verify,
    execute::Executor,
    format::Format,
    pipeline::{Build, Task, build},
    recipe::{Head, Recipe},
};
use niello_imaging::{Image, Samples};
use niello_models::Registry;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};

const NAME: &str = "shallow_cgan_generator";

fn seeded() -> Recipe {
    Recipe::new(NAME).seeded().target("portable")
}

fn made(recipe: &Recipe) -> Result<Build> {
    build(recipe, &Registry, |_| {})
}

/// A file of `f32` tensors, all values 0.5.
fn write(name: &str, tensors: &[(&str, &[usize])]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("generators-{name}.safetensors"));
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, s)| 0.5f32.to_le_bytes().repeat(s.iter().product())).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

#[test]
fn an_image_comes_from_numbers_and_a_label() {
    let build = made(&seeded()).unwrap();
    assert_eq!((build.task, build.classes.len()), (Task::Generation, 3));
    let [numbers, label] = build.program.inputs[..] else { panic!("two inputs") };
    assert!(matches!(build.program.tensor(numbers).format, Format::Int8(_)));
    assert_eq!(build.program.tensor(label).format, Format::Label);
    assert_eq!((build.program.metadata.preprocess.as_str(), build.emit_options().input_table), ("", None));
    let run = |seed, class| {
        let codes = build.codes(&build.drawn(seed, class));
        Executor::new(&build.program).run(&[&codes[0], &codes[1]]).unwrap().remove(0)
    };
    assert_eq!(run(1, 0).len(), 28 * 28);
    assert_eq!(run(1, 0), run(1, 0));
    assert!(run(1, 0) != run(2, 0) && run(1, 0) != run(1, 1));
    // Labels beyond the last class stand for the last one.
    assert_eq!(run(1, 2), run(1, 9));
}

#[test]
fn drawn_numbers_are_normal() {
    let build = made(&seeded()).unwrap();
    let all: Vec<f64> = (0..50).flat_map(|seed| build.drawn(seed, 0).remove(0).data).map(f64::from).collect();
    let mean = |power: i32| all.iter().map(|x| x.powi(power)).sum::<f64>() / all.len() as f64;
    assert!(mean(1).abs() < 0.05 && (mean(2) - 1.0).abs() < 0.05 && (mean(4) - 3.0).abs() < 0.3);
}

#[test]
fn int8_is_near_float() {
    let mut build = made(&seeded()).unwrap();
    build.retarget_apart("portable").unwrap();
    let samples = (0..3).map(|i| Ok(build.drawn(i as u64, i)));
    let result = verify(&build.quantized.graph, &build.program, samples, |_, _| Ok(())).unwrap();
    let db = result.output.sqnr_db().unwrap();
    assert!(db > 20.0, "{db}");
}

#[test]
fn samples_have_a_tensor_for_every_input() {
    let label: &[usize] = &[1];
    let two: &[(&str, &[usize])] =
        &[("a/input", &[1, 100]), ("a/label", label), ("b/input", &[100]), ("b/label", label)];
    let build = made(&seeded().calibrate_on(write("two", two))).unwrap();
    assert_eq!(build.samples(&write("two", two)).unwrap().len(), 2);
    assert_eq!(build.samples(&write("one", &[("input", &[100]), ("label", label)])).unwrap().len(), 1);
    for (name, tensors, expected) in [
        ("no-label", &[("input", &[100usize][..])][..], "sample `` has no tensor for the input `label`"),
        ("long", &[("input", &[101]), ("label", label)], "expected an input of [1, 100, 1, 1]"),
        ("more", &[("input", &[100]), ("label", label), ("other", label)], "`other` is no input of"),
    ] {
        let message = build.samples(&write(name, tensors)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn what_a_generator_cannot_do_is_an_error() {
    let message = |result: Result<Build>| result.err().unwrap().to_string();
    assert!(message(made(&seeded().head(Head::Argmax))).contains("output head `argmax` means nothing"));
    assert!(message(made(&seeded().preprocess("unit"))).contains("nothing to pre-process"));
    let images = made(&seeded().calibrate_on(common::tests_folder().join("../assets")));
    assert!(message(images).contains("reads no images"));
    let build = made(&seeded()).unwrap();
    let image = Image::new("p", [2, 2, 1], Samples::U8(vec![0; 4])).unwrap();
    let refused: Result<_, Error> = build.input(&image);
    assert!(refused.unwrap_err().to_string().contains("makes images and reads none"));
}
