//! Weights that do not fit are rejected with the tensor's name, what was expected and what was found.

mod common;

use common::SCALED;
use niello_codegen::{
    import::network::{Network, NetworkOptions, Networks},
    weights::{Kind, Request, SafeTensorsFile, WeightSource, Zeros},
};
use niello_models::{Registry, networks::W251BaselineCnn};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::BTreeMap;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Zeros that remember the requests.
#[derive(Default)]
struct Recorder(Tensors);

impl WeightSource for Recorder {
    fn describe(&self) -> String {
        "recorder".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let data = Zeros.load(request)?;
        let before = self.0.insert(request.name.into(), (request.shape.into(), data.clone()));
        assert!(before.is_none(), "`{}` is asked for twice", request.name);
        Ok(data)
    }
}

fn tensors_of(network: &dyn Network) -> Tensors {
    let mut recorder = Recorder::default();
    network.build(&NetworkOptions::default(), &mut recorder).unwrap();
    recorder.0
}

/// A safetensors file in memory.
fn checkpoint(tensors: &Tensors) -> SafeTensorsFile {
    let bytes = |data: &Vec<f32>| {
        let mut bytes = vec![[0; 4]; data.len()];
        // Most are zeros.
        for (i, value) in data.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            bytes[i] = value.to_le_bytes();
        }
        bytes.into_flattened()
    };
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> =
        tensors.iter().map(|(name, (shape, data))| (name, shape, bytes(data))).collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    SafeTensorsFile::from_bytes("model.safetensors", safetensors::serialize(views, None).unwrap()).unwrap()
}

/// The baseline CNN's tensors after `change`, built: the error's text, or nothing.
fn complaint(change: impl FnOnce(&mut Tensors)) -> Option<String> {
    let mut tensors = tensors_of(&W251BaselineCnn);
    change(&mut tensors);
    let built = W251BaselineCnn.build(&NetworkOptions::default(), &mut checkpoint(&tensors));
    built.err().map(|e| e.to_string())
}

const TITLE: &str = "model.safetensors: weights do not fit w251_baseline_cnn:\n";

#[test]
fn the_right_tensors_are_accepted() {
    assert_eq!(complaint(|_| ()), None);
}

#[test]
fn a_missing_tensor_is_named_with_its_shape() {
    let message = complaint(|t| {
        t.remove("fc2.bias");
    });
    let message = message.unwrap();
    assert!(message.starts_with(&format!("{TITLE}  `fc2.bias`: missing, expected shape [50]")), "{message}");
    assert_eq!(message.lines().count(), 2, "{message}");
}

#[test]
fn a_misspelt_tensor_is_reported_with_near_matches() {
    let message = complaint(|t| {
        let tensor = t.remove("conv2d_list.1.weight").unwrap();
        t.insert("conv2d_list.1.wieght".into(), tensor);
    });
    let message = message.unwrap();
    let missing = "  `conv2d_list.1.weight`: missing, expected shape [25, 1, 3, 3]; did you mean `conv2d_list.1.wieght`";
    assert!(message.starts_with(&format!("{TITLE}{missing}")), "{message}");
    assert!(message.contains("\n  `conv2d_list.1.wieght`: not a tensor of this network"), "{message}");
}

#[test]
fn a_wrapped_checkpoint_is_read_if_it_is_wrapped_as_a_whole() {
    let wrapped = |t: &mut BTreeMap<_, _>, first: usize| {
        let named = std::mem::take(t).into_iter().enumerate();
        *t = named
            .map(|(i, (name, tensor))| (if i >= first { format!("module.{name}") } else { name }, tensor))
            .collect();
    };
    assert_eq!(complaint(|t| wrapped(t, 0)), None);
    let message = complaint(|t| wrapped(t, 1)).unwrap();
    assert!(
        message.contains("`fc3.bias`: missing, expected shape [3]; did you mean `module.fc3.bias`"),
        "{message}"
    );
}

#[test]
fn an_extra_tensor_is_named() {
    let message = complaint(|t| {
        t.insert("fc4.bias".into(), (vec![1], vec![0.0]));
    });
    assert_eq!(message.unwrap(), format!("{TITLE}  `fc4.bias`: not a tensor of this network"));
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let message = complaint(|t| {
        t.insert("fc3.weight".into(), (vec![50, 3], vec![0.0; 150]));
    });
    assert_eq!(message.unwrap(), format!("{TITLE}  `fc3.weight`: expected shape [3, 50], found [50, 3]"));
}

#[test]
fn a_tensor_with_a_value_that_is_no_number_is_named() {
    for (bad, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let message = complaint(|t| t.get_mut("fc1.bias").unwrap().1[7] = bad);
        assert_eq!(message.unwrap(), format!("{TITLE}  `fc1.bias`: holds {word}, expected finite numbers"));
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let message = complaint(|t| {
        t.remove("fc1.weight");
        t.get_mut("fc1.bias").unwrap().1[0] = f32::NAN;
        t.insert("extra".into(), (vec![1], vec![0.0]));
    });
    assert_eq!(message.unwrap().lines().count(), 1 + 3);
}

#[test]
fn every_network_asks_for_each_tensor_once_and_loads_what_it_asked_for() {
    for network in Registry.all().into_iter().filter(|network| !SCALED.contains(&network.name())) {
        let mut file = checkpoint(&tensors_of(network));
        let graph = network.build(&NetworkOptions::default(), &mut file).unwrap();
        // Running statistics and the rotations of a hash are no parameters.
        let trained = |name: &str| !name.contains(".running_") && !name.ends_with(".rotations");
        let elements: usize =
            file.shapes().filter(|(name, _)| trained(name)).map(|(_, s)| s.iter().product::<usize>()).sum();
        assert_eq!(graph.parameters(), elements, "{}", network.name());
    }
}

#[test]
fn counters_of_batch_norms_may_be_there() {
    let mut tensors = tensors_of(Registry.find("anam_net").unwrap());
    tensors.insert("conv1_block.1.num_batches_tracked".into(), (vec![], vec![3.0]));
    let options = NetworkOptions::default();
    Registry.find("anam_net").unwrap().build(&options, &mut checkpoint(&tensors)).unwrap();
}

#[test]
fn kinds_suit_the_shapes() {
    struct Check;
    impl WeightSource for Check {
        fn describe(&self) -> String {
            "check".into()
        }
        fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
            let rank = match request.kind {
                Kind::ConvWeight | Kind::ConvTransposeWeight => 4,
                Kind::LinearWeight | Kind::Embedding => 2,
                Kind::LshRotation => 3,
                _ => 1,
            };
            assert_eq!(request.shape.len(), rank, "{}", request.name);
            Zeros.load(request)
        }
    }
    for network in Registry.all() {
        network.build(&NetworkOptions::default(), &mut Check).unwrap();
    }
}
