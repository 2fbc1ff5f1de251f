//! Helpers of the golden tests and the tests on shared data.
#![allow(dead_code, reason = "each test binary uses a part")]

use niello_codegen::{
    Graph, Shape, Tensor,
    weights::{Kind, NamedTensor, Request, Seeded, WeightSource, read_tensors},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Networks that are another one with more layers, more channels or another padding, from the same table: what is checked of every
/// network by computing is checked of that one.
pub(crate) const SCALED: &[&str] = &[
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_b1_tf_same",
    "efficientnet_b2_tf_same",
    "efficientnet_b3_tf_same",
    "efficientnet_b4_tf_same",
    "efficientnet_b5_tf_same",
    "efficientnet_b6_tf_same",
    "efficientnet_b7_tf_same",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "efficientnet_lite3",
    "efficientnet_lite4",
];

/// A golden case: its description and its tensors.
pub(crate) struct Golden {
    pub(crate) json: Value,
    pub(crate) tensors: BTreeMap<String, NamedTensor>,
}

impl Golden {
    /// `NAME.json` and `NAME.safetensors` in `folder`.
    pub(crate) fn open(folder: &Path, name: &str) -> Self {
        let json = read_json(&folder.join(format!("{name}.json")));
        let tensors = read_tensors(folder.join(format!("{name}.safetensors"))).unwrap();
        Self { json, tensors }
    }

    /// The case's weights.
    pub(crate) fn seeded(&self) -> Seeded {
        seeded(&self.json)
    }

    /// All inputs, in the order of the original.
    pub(crate) fn inputs(&self) -> Vec<Tensor<f32>> {
        self.names("inputs").iter().map(|name| from_torch(&self.tensors[*name])).collect()
    }

    /// Names of the tensors listed under `field` (`outputs`, `intermediates`).
    pub(crate) fn names(&self, field: &str) -> Vec<&str> {
        self.json[field].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect()
    }
}

pub(crate) fn read_json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The seeded source with a case's gains.
pub(crate) fn seeded(json: &Value) -> Seeded {
    let gains = json["gains"].as_array().unwrap();
    gains
        .iter()
        .fold(Seeded::new(), |s, g| s.gain(g["pattern"].as_str().unwrap(), g["gain"].as_f64().unwrap()))
}

/// Wrapping sum of `n * bits(w_n)` over all floats, in the order of the case's tensor list.
pub(crate) fn weights_checksum(json: &Value) -> String {
    let mut source = seeded(json);
    let (mut sum, mut n) = (0u64, 0u64);
    for tensor in json["tensors"].as_array().unwrap() {
        let Some(kind) = kind(tensor["kind"].as_str().unwrap()) else { continue };
        let shape = dimensions(&tensor["shape"]);
        let name = tensor["key"].as_str().unwrap();
        for value in source.load(&Request { name, shape: &shape, kind }).unwrap() {
            n += 1;
            sum = sum.wrapping_add(n.wrapping_mul(value.to_bits() as u64));
        }
    }
    format!("{sum:016x}")
}

/// The goldens' word for a kind; `None` for counters.
fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "conv_weight" => Kind::ConvWeight,
        "conv_transpose_weight" => Kind::ConvTransposeWeight,
        "linear_weight" => Kind::LinearWeight,
        "bias" => Kind::Bias,
        "bn_weight" => Kind::BatchNormWeight,
        "bn_bias" => Kind::BatchNormBias,
        "bn_mean" => Kind::BatchNormMean,
        "bn_var" => Kind::BatchNormVariance,
        "prelu" => Kind::PReluSlope,
        "embedding" => Kind::Embedding,
        "lsh_rotation" => Kind::LshRotation,
        "counter" => return None,
        other => panic!("unknown kind {other}"),
    })
}

pub(crate) fn dimensions(shape: &Value) -> Vec<usize> {
    shape.as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect()
}

/// `[1, c, h, w]`, `[c, h, w]`, `[h, w]`, `[1, c]` or `[1]` as a tensor of ours.
pub(crate) fn from_torch(tensor: &NamedTensor) -> Tensor<f32> {
    let shape = match *tensor.shape.as_slice() {
        [1, c, h, w] | [c, h, w] => Shape::new(h, w, c),
        [1, c] => Shape::new(1, 1, c),
        [c] => Shape::new(1, 1, c),
        [h, w] => Shape::new(h, w, 1),
        ref other => panic!("unexpected shape {other:?}"),
    };
    Tensor::from_chw(shape, &tensor.data).unwrap()
}

/// The largest difference, over the largest magnitude of `golden`.
pub(crate) fn relative_error(ours: &Tensor<f64>, golden: &Tensor<f32>) -> f64 {
    assert_eq!(ours.shape, golden.shape);
    let difference = |(a, b): (&f64, &f32)| {
        let d = (a - *b as f64).abs();
        assert!(d.is_finite());
        d
    };
    let largest = golden.data.iter().fold(0.0, |m: f64, v| m.max(v.abs() as f64));
    ours.data.iter().zip(&golden.data).map(difference).fold(0.0, f64::max) / largest
}

/// All values of a graph by name (in `f64`), from `f64` or `f32` arithmetic.
pub(crate) fn values(graph: &Graph, inputs: &[Tensor<f32>], double: bool) -> BTreeMap<String, Tensor<f64>> {
    let mut all = BTreeMap::new();
    let name = |id: niello_codegen::ValueId| graph.values[id.0].name.clone();
    if double {
        graph
            .observe_f64(&inputs.iter().map(|t| t.map(f64::from)).collect::<Vec<_>>(), |id, t| {
                all.insert(name(id), t.clone());
            })
            .unwrap();
    } else {
        graph
            .observe_f32(inputs, |id, t| {
                all.insert(name(id), t.map(f64::from));
            })
            .unwrap();
    }
    all
}

/// Index of the first largest channel of each pixel.
pub(crate) fn arg_max(tensor: &Tensor<f32>) -> Vec<u8> {
    let first_largest = |pixel: &[f32]| {
        let best = (0..pixel.len()).reduce(|best, c| if pixel[c] > pixel[best] { c } else { best });
        best.unwrap() as u8
    };
    tensor.data.chunks(tensor.shape.c).map(first_largest).collect()
}

/// Share of equal elements.
pub(crate) fn agreement(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len() as f64
}

/// Width, height and grey levels of an 8-bit PNG.
pub(crate) fn read_png(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut grey = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut grey).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    (info.width as usize, info.height as usize, grey)
}

/// Grey levels over 255, as Anam-Net wants them.
pub(crate) fn unit_plane(h: usize, w: usize, grey: &[u8]) -> Tensor<f32> {
    Tensor::new(Shape::new(h, w, 1), grey.iter().map(|v| *v as f32 / 255.0).collect()).unwrap()
}

pub(crate) fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Whether all cases run (`cargo xtask test --sweep`), or those of a push.
pub(crate) fn sweep() -> bool {
    std::env::var_os("NIELLO_SWEEP").is_some()
}
