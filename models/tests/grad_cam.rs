//! Grad-CAM against PyTorch's autograd: maps of networks with seeded weights, which `grad_cam/make.py` writes.

mod common;

use common::{Golden, from_torch, relative_error, tests_folder};
use niello_codegen::{
    Graph, Shape, Tensor,
    grad_cam::{Over, grad_cam},
    import::network::{NetworkOptions, Networks},
    passes::optimize,
    weights::{read_tensors, seeded_input},
};
use niello_models::Registry;

/// The network of a golden case, as calibration and `niello run` see it, and the case's input in this size.
fn build(case: &str, [h, w]: [usize; 2]) -> (Graph, Vec<Tensor<f32>>) {
    let golden = Golden::open(&tests_folder().join("goldens"), case);
    let recipe = &golden.json["inputs"][0];
    let shape = Shape::new(h, w, recipe["shape"][1].as_u64().unwrap() as usize);
    let [scale, offset] = ["scale", "offset"].map(|field| recipe[field].as_f64().unwrap());
    let values = seeded_input(recipe["prng_key"].as_str().unwrap(), shape.len(), scale, offset);
    let classes = golden.json["classes"].as_array().unwrap().len();
    let options = NetworkOptions {
        input_size: Some([h, w]),
        input_channels: Some(shape.c),
        classes: (classes > 0).then_some(classes),
        ..NetworkOptions::default()
    };
    let graph = Registry.find(case).unwrap().build(&options, &mut golden.seeded()).unwrap();
    (optimize(graph), vec![Tensor::from_chw(shape, &values).unwrap()])
}

#[test]
fn maps_are_pytorchs() {
    let maps = read_tensors(tests_folder().join("grad_cam/maps.safetensors")).unwrap();
    let mut built = None;
    for (key, map) in &maps {
        let [case, size, layer, class, pixels] = key.split('/').collect::<Vec<_>>()[..] else {
            panic!("{key}")
        };
        let (h, w) = size.split_once('x').unwrap();
        if built.as_ref().is_none_or(|(name, _)| *name != case) {
            built = Some((case, build(case, [h.parse().unwrap(), w.parse().unwrap()])));
        }
        let (graph, inputs) = built.as_ref().map(|(_, built)| built).expect("it was built");
        let layer = graph.require(layer).unwrap_or_else(|why| panic!("{key}: {why}"));
        let over = if pixels == "mask" { Over::Mask } else { Over::Image };
        let found = grad_cam(graph, inputs, layer, class.parse().unwrap(), over).unwrap();
        let error = relative_error(&found.map.map(f64::from), &from_torch(map));
        println!("{key}: {error:.1e}");
        assert!(error <= 1e-5, "{key}: {error:e}");
    }
    assert!(maps.len() >= 20, "{} maps", maps.len());
}
