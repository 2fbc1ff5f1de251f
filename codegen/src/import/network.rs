//! Metadata of a network, and its constructor.

use crate::{Graph, Result, Shape, weights::WeightSource};
use std::fmt;

/// The options of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkOptions {
    /// Height and width of the input; the network's own where absent.
    pub input_size: Option<[usize; 2]>,
    /// Channels of the input.
    pub input_channels: Option<usize>,
    /// Number of classes.
    pub classes: Option<usize>,
    /// The base number of channels, for networks that have one ([`Network::width_unit`]).
    pub width: Option<usize>,
    /// Whose kernels a quantised file is computed like; those of its format's own runtime where absent.
    pub reference: Option<Reference>,
}

/// An implementation whose bytes a quantised file is computed to; `docs/arithmetic.md` says where they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The reference kernels of LiteRT, formerly TensorFlow Lite: fully connected layers round once.
    LiteRt,
    /// TensorFlow Lite of 2023: fully connected layers round twice, as convolutions do and as in TensorFlow Lite for Microcontrollers and CMSIS-NN.
    Tflm,
    /// TensorFlow Lite for Microcontrollers: the same, with sigmoid and hyperbolic tangent in fixed point.
    TflmInterpreter,
    /// onnxruntime, with sums of products in 32 bits as ONNX has them: for `.onnx`.
    OnnxRuntime,
}

/// Trained weights that come with the project.
#[derive(Clone)]
pub struct Bundled {
    /// Name and contents of a safetensors file.
    pub weights: (&'static str, &'static [u8]),
    /// Names and contents of images.
    pub calibration: Vec<(&'static str, &'static [u8])>,
    /// Name and text of a calibration lock of the two, for recipes that say nothing else.
    pub lock: Option<(&'static str, &'static str)>,
}

/// One published network. Implementations live in `niello-models`, one file each.
pub trait Network: Sync {
    /// Name in recipes and on the command line: `squeezenet1_0`.
    fn name(&self) -> &str;

    /// One line: what it is for and what it is made of.
    fn summary(&self) -> &str;

    /// Paper and code that it follows.
    fn source(&self) -> &str;

    /// Input shape when nothing is chosen.
    fn default_input(&self) -> Shape;

    /// Class names of the published weights.
    fn default_classes(&self) -> &'static [&'static str];

    /// How images usually become its input, in a recipe's words.
    fn default_preprocess(&self) -> &str {
        "unit"
    }

    /// The multiple that a chosen width must be of, for a network that can be built narrower or wider.
    fn width_unit(&self) -> Option<usize> {
        None
    }

    /// Whether it makes images, from numbers and class labels (its inputs), instead of reading them: then the classes are
    /// those of the labels.
    fn generates(&self) -> bool {
        false
    }

    /// Weights that come with the project, and images to calibrate them on.
    fn bundled(&self) -> Option<Bundled> {
        None
    }

    /// What a build of it warns about: layers, each with what is the matter with it.
    fn warnings(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Builds the graph with tensors by their checkpoint names.
    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph>;
}

macro_rules! forward {
    ($($name:ident() -> $t:ty),* $(,)?) => {
        $(fn $name(&self) -> $t {
            (**self).$name()
        })*
    };
}

impl<N: Network + ?Sized> Network for &N {
    forward! {
        name() -> &str,
        summary() -> &str,
        source() -> &str,
        default_input() -> Shape,
        default_classes() -> &'static [&'static str],
        default_preprocess() -> &str,
        width_unit() -> Option<usize>,
        generates() -> bool,
        bundled() -> Option<Bundled>,
        warnings() -> Vec<(String, String)>,
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        (**self).build(options, weights)
    }
}

impl fmt::Debug for dyn Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Finds networks by name, for recipes. A list of networks is one, and so are two of them together: `(Registry, [&Mine, &Another])`.
pub trait Networks: Sync {
    /// All of them.
    fn all(&self) -> Vec<&'static dyn Network>;

    /// Others that are found by their name only.
    fn unlisted(&self) -> Vec<&'static dyn Network> {
        Vec::new()
    }

    /// Names and texts (`board.toml`) of boards that recipes need no file for.
    fn boards(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// Crates with kernels of these networks' own operators: names and values of dependencies, as in the `Cargo.toml` of a crate that is generated,
    /// e.g. `("my-kernels", "{ version = \"1.2\" }")`. Paths are relative to that crate or absolute.
    fn kernel_crates(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The network of that name; else an error that lists near matches.
    fn find(&self, name: &str) -> Result<&'static dyn Network> {
        let all = self.all();
        all.iter().chain(&self.unlisted()).find(|n| n.name() == name).copied().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|n| n.name()).collect();
            let near = crate::text::near_matches(name, names.iter().copied());
            let near = if near.is_empty() {
                format!("none of the {} known ones has a name like it", names.len())
            } else {
                format!("did you mean: {}?", near.join(", "))
            };
            crate::Error::Network { name: name.into(), near }
        })
    }
}

impl<N: Network, const LEN: usize> Networks for [&'static N; LEN] {
    fn all(&self) -> Vec<&'static dyn Network> {
        self.iter().map(|network| *network as &dyn Network).collect()
    }
}

impl<const LEN: usize> Networks for [&'static dyn Network; LEN] {
    fn all(&self) -> Vec<&'static dyn Network> {
        self.to_vec()
    }
}

/// Networks of both, boards of the first that has some.
impl<A: Networks, B: Networks> Networks for (A, B) {
    fn all(&self) -> Vec<&'static dyn Network> {
        [self.0.all(), self.1.all()].concat()
    }

    fn unlisted(&self) -> Vec<&'static dyn Network> {
        [self.0.unlisted(), self.1.unlisted()].concat()
    }

    fn boards(&self) -> &'static [(&'static str, &'static str)] {
        Some(self.0.boards()).filter(|boards| !boards.is_empty()).unwrap_or_else(|| self.1.boards())
    }

    fn kernel_crates(&self) -> Vec<(String, String)> {
        [self.0.kernel_crates(), self.1.kernel_crates()].concat()
    }
}
