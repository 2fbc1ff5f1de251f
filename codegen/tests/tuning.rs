//! Choices of a tuning change what is computed when, and no byte of any result.

mod common;

use common::{graph, pooling, quantized};
use niello_codegen::{
    Graph, Shape,
    execute::Executor,
    lower::{TARGETS, Target, lower},
    ops::{ConvParams, TransposedConvParams},
    program::{Choice, Choices, Metadata, Program},
    quantize::QGraph,
    tuning::Tuning,
};
use niello_kernels::Isa;

/// What has choices: convolutions of every kind, some of which have two algorithms, one transposed.
fn convolutions() -> Graph {
    graph(|b| {
        let input = b.input("input", Shape::new(21, 18, 3));
        let stem = b.conv2d("stem", input, ConvParams::new(16, 3).padding(1));
        let square = b.conv2d("square", stem, ConvParams::new(24, 3).padding(1));
        let narrow = b.conv2d("narrow", square, ConvParams::new(8, 1));
        let wide = b.conv2d("wide", narrow, ConvParams::new(40, 3).padding(1));
        let depthwise = b.conv2d("depthwise", wide, ConvParams::new(40, 3).padding(1).groups(40));
        let grouped = b.conv2d("grouped", depthwise, ConvParams::new(8, 3).stride(2).groups(4));
        vec![b.transposed_conv2d("up", grouped, TransposedConvParams::new(5, 2, 2))]
    })
}

fn tuned(q: &QGraph, target: &Target, choices: Choices) -> niello_codegen::Result<Program> {
    let tuning = Tuning { source: "pi.toml".into(), choices };
    lower(q, &Target { tuning, ..target.clone() }, Metadata::default())
}

/// The same for every layer that has the choice.
fn everywhere(program: &Program, pixels: Option<usize>, winograd: Option<bool>) -> Choices {
    let choice =
        |made: &Choice| Choice { pixels: made.pixels.and(pixels), winograd: made.winograd.and(winograd) };
    program.choices.iter().map(|(layer, made)| (layer.clone(), choice(made))).collect()
}

#[test]
fn no_choice_changes_a_byte() {
    for graph in [convolutions(), pooling()] {
        let q = quantized(graph);
        for target in TARGETS {
            let default = lower(&q, target, Metadata::default()).unwrap();
            let inputs = default.seeded_inputs(3);
            let inputs: Vec<&[i8]> = inputs.iter().map(|i| &i[..]).collect();
            let expected = Executor::with_isa(&default, Isa::scalar()).run(&inputs).unwrap();
            for pixels in [None, Some(1), Some(7), Some(1000), Some(usize::MAX)] {
                for winograd in [None, Some(false), Some(true)] {
                    let choices = everywhere(&default, pixels, winograd);
                    let program = tuned(&q, target, choices.clone()).unwrap();
                    for isa in Isa::available() {
                        let found = Executor::with_isa(&program, isa).run(&inputs).unwrap();
                        assert_eq!(found, expected, "{}, {}, {choices:?}", target.name, isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_program_tells_what_could_be_chosen_and_what_was() {
    let q = quantized(convolutions());
    let of = |target: &str, choices: Choices| {
        let program = tuned(&q, Target::find(target).unwrap(), choices.clone()).unwrap();
        assert_eq!(program.tuned, choices);
        program.choices
    };
    let pixels = |pixels| Choice { pixels: Some(pixels), winograd: None };
    let portable = of("portable", Choices::new());
    let names: Vec<&str> = portable.keys().map(String::as_str).collect();
    assert_eq!(names, ["grouped", "narrow", "square", "stem", "up", "wide"], "not the depthwise one");
    assert!(portable.values().all(|choice| *choice == pixels(4)), "{portable:?}");

    let asked = Choices::from([
        ("square".into(), Choice { pixels: Some(130), winograd: Some(true) }),
        ("wide".into(), Choice { pixels: None, winograd: Some(false) }),
        ("stem".into(), pixels(1000)),
        ("up".into(), pixels(3)),
    ]);
    let neon = of("aarch64-neon", asked);
    // 130 pixels are 9 tiles of 16, of which groups have 8. The map has 378 pixels.
    assert_eq!(neon["square"], Choice { pixels: Some(256), winograd: Some(true) });
    assert_eq!(neon["wide"], Choice { pixels: Some(60), winograd: Some(false) });
    assert_eq!([neon["stem"], neon["up"], neon["narrow"]], [pixels(378), pixels(3), pixels(60)]);
    // What a program came to choose gives the same program again.
    assert_eq!(of("aarch64-neon", neon.clone()), neon);
}

#[test]
fn fewer_pixels_take_less_scratch() {
    let q = quantized(convolutions());
    let target = Target::find("cortex-m-dsp").unwrap();
    let scratch = |pixels| {
        let choices = Choices::from([("square".into(), Choice { pixels: Some(pixels), winograd: None })]);
        let program = tuned(&q, target, choices).unwrap();
        program
            .steps
            .iter()
            .find(|step| step.layers.iter().any(|layer| layer == "square"))
            .unwrap()
            .scratch
            .len
    };
    assert!(scratch(1) < scratch(12) && scratch(12) < scratch(48));
}

#[test]
fn what_cannot_be_chosen_names_the_file_and_the_layer() {
    let q = quantized(convolutions());
    let pixels = Choice { pixels: Some(5), winograd: None };
    let winograd = |on| Choice { pixels: None, winograd: Some(on) };
    for (target, layer, choice, words) in [
        (
            "portable",
            "steam",
            pixels,
            "no layer `steam`; choices have: grouped, narrow, square, stem, up, wide",
        ),
        ("portable", "depthwise", pixels, "layer `depthwise` (DepthwiseConv2d): `pixels` cannot be chosen"),
        ("aarch64-neon", "narrow", winograd(true), "layer `narrow` (Conv2d): `winograd` cannot be chosen"),
        ("aarch64-neon", "grouped", winograd(false), "layer `grouped` (Conv2d): `winograd` cannot be chosen"),
        ("aarch64-neon", "up", winograd(false), "layer `up` (TransposedConv2d): `winograd` cannot be chosen"),
        ("x86-vnni", "square", winograd(true), "layer `square` (Conv2d): `winograd` cannot be chosen"),
    ] {
        let target = Target::find(target).unwrap();
        let error = tuned(&q, target, Choices::from([(layer.into(), choice)])).unwrap_err().to_string();
        assert!(error.starts_with("pi.toml: ") && error.contains(words), "{error}");
    }
}
