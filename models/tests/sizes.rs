//! Input sizes, channels and class counts that a network allows work; others are errors that name the rule.

mod common;

use common::{SCALED, sweep};
use niello_codegen::{
    Graph, Result, Shape,
    import::network::{NetworkOptions, Networks},
    passes::cam::with_map,
    tensor::Tensor,
    weights::{Seeded, WeightSource, Zeros},
};
use niello_models::Registry;
use std::collections::BTreeSet;

fn build(name: &str, size: [usize; 2], channels: usize, classes: usize) -> Result<Graph> {
    build_with(&mut Seeded::new(), name, size, channels, classes)
}

fn build_with(
    weights: &mut dyn WeightSource,
    name: &str,
    size: [usize; 2],
    channels: usize,
    classes: usize,
) -> Result<Graph> {
    let options = NetworkOptions {
        input_size: Some(size),
        input_channels: Some(channels),
        classes: Some(classes),
        width: None,
        ..NetworkOptions::default()
    };
    Registry.find(name).unwrap().build(&options, weights)
}

/// The output of a network.
#[derive(Clone, Copy)]
enum Output {
    /// Classes of every pixel.
    Map,
    /// Classes of the image.
    Vector,
    /// An image of this side, for any input.
    Image(usize),
}

/// The smallest sizes, and two that fit no power of two.
const ALLOWED: &[(&str, Output, [[usize; 2]; 3])] = &[
    ("anam_net", Output::Map, [[16, 16], [48, 80], [112, 16]]),
    ("anam_net_paper", Output::Map, [[16, 16], [48, 80], [112, 16]]),
    ("unet_anam", Output::Map, [[16, 16], [16, 48], [32, 16]]),
    ("unet_small_lung", Output::Map, [[8, 8], [24, 40], [8, 72]]),
    ("squeezenet1_0", Output::Vector, [[29, 29], [37, 50], [99, 29]]),
    ("squeezenet1_1", Output::Vector, [[25, 25], [37, 50], [99, 25]]),
    ("squeezenet1_0_bypass", Output::Vector, [[29, 29], [37, 50], [99, 29]]),
    ("w251_baseline_cnn", Output::Vector, [[4, 4], [5, 31], [64, 4]]),
    ("resnet18", Output::Vector, [[1, 1], [33, 50], [99, 29]]),
    ("resnet34", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("resnet50", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("resnext50_32x4d", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("residual_attention_unet", Output::Map, [[32, 64], [64, 32], [16, 128]]),
    ("dccgan_generator", Output::Image(256), [[1, 1]; 3]),
    ("shallow_cgan_generator", Output::Image(28), [[1, 1]; 3]),
    ("unet_plus_plus", Output::Map, [[16, 16], [16, 48], [32, 16]]),
    ("attention_unet", Output::Map, [[16, 16], [16, 48], [32, 16]]),
    ("deeplab_v3_plus", Output::Map, [[1, 1], [7, 29], [35, 18]]),
    ("squeezenet1_0_complex_bypass", Output::Vector, [[29, 29], [37, 50], [99, 29]]),
    ("squeezenet1_0_caffe", Output::Vector, [[29, 29], [37, 50], [99, 29]]),
    ("polsinelli_cnn", Output::Vector, [[33, 33], [36, 49], [52, 35]]),
    ("efficientnet_b0", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("efficientnet_b0_tf_same", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("efficientnet_lite0", Output::Vector, [[1, 1], [33, 50], [7, 29]]),
    ("segnet", Output::Map, [[32, 32], [32, 64], [64, 32]]),
    ("enet", Output::Map, [[8, 8], [24, 40], [8, 72]]),
    ("enet_anam", Output::Map, [[8, 8], [24, 40], [8, 72]]),
    ("lednet", Output::Map, [[32, 32], [32, 96], [64, 32]]),
    ("miniseg", Output::Map, [[16, 16], [48, 80], [112, 16]]),
];

/// Of networks some of which have no golden vectors of their own: the published counts (torchvision's; of EfficientNet-Lite,
/// TensorFlow's), with three classes. Of the complex bypass, those of `squeezenet1_0` and of four 1x1 convolutions with bias.
const PARAMETERS: &[(&str, usize)] = &[
    ("resnet18", 11_178_051),
    ("resnet34", 21_286_211),
    ("resnet50", 23_514_179),
    ("resnext50_32x4d", 22_986_051),
    ("efficientnet_b0", 4_011_391),
    ("efficientnet_b1", 6_517_027),
    ("efficientnet_b2", 7_705_221),
    ("efficientnet_b3", 10_700_843),
    ("efficientnet_b4", 17_553_995),
    ("efficientnet_b5", 28_346_931),
    ("efficientnet_b6", 40_742_619),
    ("efficientnet_b7", 63_794_643),
    ("efficientnet_b0_tf_same", 4_011_391),
    ("efficientnet_b7_tf_same", 63_794_643),
    ("efficientnet_lite0", 3_374_851),
    ("efficientnet_lite1", 4_139_523),
    ("efficientnet_lite2", 4_814_915),
    ("efficientnet_lite3", 6_919_939),
    ("efficientnet_lite4", 11_729_411),
    (
        "squeezenet1_0_complex_bypass",
        736_963 + (96 + 1) * 128 + (128 + 1) * 256 + (256 + 1) * 384 + (384 + 1) * 512,
    ),
];

/// A size that is too small or not a multiple, and the words of the error.
const REJECTED: &[(&str, [usize; 2], &str)] = &[
    ("anam_net", [24, 16], "input height must be a multiple of 16"),
    ("anam_net", [16, 0], "input width must be a multiple of 16"),
    ("anam_net_paper", [16, 8], "input width must be a multiple of 16"),
    ("unet_anam", [16, 24], "input width must be a multiple of 16"),
    ("resnet50", [0, 4], "input height must be at least 1"),
    ("unet_plus_plus", [16, 8], "input width must be a multiple of 16"),
    ("attention_unet", [8, 16], "input height must be a multiple of 16"),
    ("deeplab_v3_plus", [1, 0], "input width must be at least 1"),
    ("polsinelli_cnn", [32, 33], "input height must be at least 33, and 1 to 4 above a multiple of 16"),
    ("polsinelli_cnn", [33, 37], "input width must be at least 33, and 1 to 4 above a multiple of 16"),
    ("polsinelli_cnn", [18, 33], "input height must be at least 33, and 1 to 4 above a multiple of 16"),
    ("squeezenet1_0_complex_bypass", [20, 21], "input height must be at least 21"),
    ("squeezenet1_0_caffe", [21, 20], "input width must be at least 21"),
    ("efficientnet_b7", [5, 0], "input width must be at least 1"),
    ("unet_small_lung", [12, 8], "input height must be a multiple of 8"),
    ("residual_attention_unet", [24, 64], "input height must be a multiple of 16"),
    ("residual_attention_unet", [48, 64], "input height times width must be a multiple of 2048, got 48x64"),
    ("dccgan_generator", [1, 64], "input width must be exactly 1"),
    ("shallow_cgan_generator", [28, 28], "input height must be exactly 1"),
    ("segnet", [64, 48], "input width must be a multiple of 32"),
    ("enet", [12, 8], "input height must be a multiple of 8"),
    ("enet_anam", [8, 0], "input width must be a multiple of 8"),
    ("lednet", [32, 40], "input width must be a multiple of 32"),
    ("miniseg", [24, 16], "input height must be a multiple of 16"),
    ("squeezenet1_0", [20, 21], "input height must be at least 21"),
    ("squeezenet1_1", [17, 16], "input width must be at least 17"),
    ("w251_baseline_cnn", [3, 4], "input height must be at least 4"),
    ("w251_baseline_cnn", [usize::MAX, 4], "input height must be at least 4 (and at most 16384)"),
];

#[test]
fn every_allowed_size_builds_and_runs() {
    assert_eq!(ALLOWED.len() + SCALED.len(), Registry.all().len(), "a network has no line above");
    for (name, output, sizes) in ALLOWED.iter().copied() {
        for size @ [h, w] in sizes.iter().copied().collect::<BTreeSet<_>>() {
            // The other combination of channels and classes at one of the sizes, or everywhere.
            let combinations = if size == sizes[1] || sweep() { &[(1, 1), (4, 5)][..] } else { &[(4, 5)] };
            for (channels, classes) in combinations.iter().copied() {
                let graph =
                    build(name, size, channels, classes).unwrap_or_else(|e| panic!("{name} {size:?}: {e}"));
                let input = Tensor::filled(Shape::new(h, w, channels), 0.5);
                let rest = graph.inputs[1..].iter().map(|id| Tensor::filled(graph.shape(*id), 0.0));
                let inputs: Vec<Tensor<f32>> = std::iter::once(input).chain(rest).collect();
                let made = graph.eval_f32(&inputs).unwrap().remove(0);
                let expected = match output {
                    Output::Map => Shape::new(h, w, classes),
                    Output::Vector => Shape::new(1, 1, classes),
                    Output::Image(side) => Shape::new(side, side, 1),
                };
                assert_eq!(made.shape, expected, "{name} {size:?}");
                assert!(made.data.iter().all(|v| v.is_finite()), "{name} {size:?}");
            }
        }
    }
}

#[test]
fn parameter_counts_are_the_published_ones() {
    for (name, parameters) in PARAMETERS.iter().copied() {
        // Running means and variances are no parameters.
        assert_eq!(build_with(&mut Zeros, name, [32, 32], 3, 3).unwrap().parameters(), parameters, "{name}");
    }
}

#[test]
fn squeezenets_run_at_torchvisions_smallest_sizes() {
    for (name, side) in [("squeezenet1_0", 21), ("squeezenet1_1", 17)] {
        let graph = build(name, [side, side], 3, 3).unwrap_or_else(|e| panic!("{name}: {e}"));
        let output = graph.eval_f32(&[Tensor::filled(Shape::new(side, side, 3), 0.5)]).unwrap().remove(0);
        assert_eq!(output.shape, Shape::new(1, 1, 3), "{name}");
    }
}

#[test]
fn a_size_that_a_network_cannot_take_is_an_error_with_the_rule() {
    for (name, size, rule) in REJECTED.iter().copied() {
        let message = build(name, size, 1, 3).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{name}: {rule}")), "{message}");
    }
}

#[test]
fn networks_tell_about_themselves() {
    for network in Registry.all() {
        let graph = network.build(&NetworkOptions::default(), &mut Zeros).unwrap();
        assert_eq!(graph.name, network.name());
        assert_eq!(graph.shape(graph.inputs[0]), network.default_input());
        let scores = if network.generates() { 1 } else { network.default_classes().len() };
        assert_eq!(graph.shape(graph.outputs[0]).c, scores);
        assert!(!network.summary().contains('\n') && !network.source().is_empty());
    }
}

#[test]
fn classifiers_that_end_in_a_mean_have_class_activation_maps() {
    for network in Registry.all() {
        let graph = network.build(&NetworkOptions::default(), &mut Zeros).unwrap();
        let is_vector = graph.shape(graph.outputs[0]).area() == 1;
        // It flattens its last map instead.
        let expected = is_vector && network.name() != "w251_baseline_cnn";
        let found = with_map(graph);
        assert_eq!(found.is_ok(), expected, "{}: {found:?}", network.name());
        if let Ok(graph) = found {
            let map = graph.shape(graph.outputs[1]);
            assert_eq!(map.c, network.default_classes().len(), "{}", network.name());
            assert!(map.area() > 1, "{}", network.name());
        }
    }
}

#[test]
fn value_names_are_unique_so_that_find_is_unambiguous() {
    for network in Registry.all() {
        let graph = network.build(&NetworkOptions::default(), &mut Zeros).unwrap();
        let mut names: Vec<&str> = graph.values.iter().map(|v| v.name.as_str()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "{}", network.name());
    }
}

#[test]
fn an_unknown_network_is_an_error_with_near_matches() {
    let message = Registry.find("squeezenet_1_0").err().unwrap().to_string();
    assert!(
        message.contains("no network `squeezenet_1_0`") && message.contains("squeezenet1_0"),
        "{message}"
    );
}
