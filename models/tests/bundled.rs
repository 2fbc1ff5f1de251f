//! The bundled weights and slices are whole and fit each other.

mod common;

use common::{agreement, arg_max, from_torch, read_png, relative_error, unit_plane};
use niello_codegen::{
    Graph, Tensor,
    import::network::{Network, NetworkOptions},
    weights::{NamedTensor, read_tensors},
};
use niello_models::{bundled, networks::AnamNet};

/// Anam-Net with its bundled weights.
fn anam_net(h: usize, w: usize) -> Graph {
    let options = NetworkOptions { input_size: Some([h, w]), ..Default::default() };
    AnamNet.build(&options, &mut bundled::anam_net_weights().unwrap()).unwrap()
}

#[test]
fn the_card_names_the_weights_that_lie_beside_it() {
    let card = std::str::from_utf8(bundled::ANAM_NET_CARD.bytes).unwrap();
    assert!(card.contains(&bundled::anam_net_weights().unwrap().sha256()));
    assert!(card.contains("Not a medical device, not for diagnosis"));
}

#[test]
fn assets_are_the_files_of_the_source_tree() {
    let slices = bundled::CT_SLICES.iter().flat_map(|s| [s.image, s.label, s.reference]);
    let others = [
        bundled::ANAM_NET_WEIGHTS,
        bundled::ANAM_NET_CARD,
        bundled::ANAM_NET_GOLDEN_CROP,
        bundled::CT_ATTRIBUTION,
    ];
    for asset in slices.chain(others) {
        assert_eq!(std::fs::read(asset.path()).unwrap(), asset.bytes, "{asset:?}");
    }
}

#[test]
fn f16_weights_keep_the_logits_of_the_golden_crop() {
    let mut golden = read_tensors(bundled::ANAM_NET_GOLDEN_CROP.path()).unwrap();
    let input = from_torch(&golden.remove("input_u8").unwrap());
    let NamedTensor { shape, data } = golden.remove("logits_f32").unwrap();
    let logits = from_torch(&NamedTensor { shape, data });
    let graph = anam_net(128, 128);
    let ours = graph.eval_f64(&[input.map(|v| v as f64 / 255.0)]).unwrap().remove(0);
    let error = relative_error(&ours, &logits);
    let classes = |t: &Tensor<f32>| arg_max(t);
    let agreement = agreement(&classes(&ours.map(|v| v as f32)), &classes(&logits));
    println!("logits within {error:.1e} of the largest, classes {:.4} %", 100.0 * agreement);
    // Rounding the weights to 11 bits moves a logit by up to 0.02 (CARD.md).
    assert!(error <= 5e-3, "{error:e}");
    assert!(agreement >= 0.999, "{agreement}");
}

#[test]
fn f16_weights_keep_the_classes_of_a_whole_slice() {
    let slice = bundled::CT_SLICES[2];
    let (w, h, image) = read_png(slice.image.bytes);
    let logits = anam_net(h, w).eval_f32(&[unit_plane(h, w, &image)]).unwrap().remove(0);
    let ours = arg_max(&logits);
    let agreement = agreement(&ours, &read_png(slice.reference.bytes).2);
    println!("{}: {:.4} %", slice.name, 100.0 * agreement);
    assert!(agreement >= 0.9999, "{agreement}");
}

#[test]
fn slices_show_both_normal_and_abnormal_lung() {
    for slice in bundled::CT_SLICES {
        for png in [slice.label, slice.reference] {
            let (w, h, classes) = read_png(png.bytes);
            assert_eq!((w, h), (512, 512));
            for class in [1, 2] {
                let pixels = classes.iter().filter(|c| **c == class).count();
                assert!(pixels > 1000, "{png:?}: {pixels} pixels of class {class}");
            }
        }
        assert_eq!(read_png(slice.image.bytes).2.len(), 512 * 512);
    }
}
