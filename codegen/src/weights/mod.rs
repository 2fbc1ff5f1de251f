//! Sources of weights: a checkpoint file, or a seed.
//!
//! * [`SafeTensorsFile`]: a checkpoint, tensors by their original names; one file, or an index and its shards.
//! * [`Seeded`]: synthetic weights that any implementation can regenerate bit for bit.
//! * [`Zeros`]: for figures that depend on shapes only.
//!
//! A source answers one [`Request`] per tensor; an error about a tensor comes back as one line without its name, and
//! [`crate::GraphBuilder`] collects those lines into one error.

mod other_formats;
mod safetensors;
mod seeded;
mod sharded;
mod zeros;

#[cfg(feature = "imaging")]
pub(crate) use self::safetensors::read_tensors_of_kinds;
pub use self::safetensors::{NamedTensor, SafeTensorsFile, read_tensors, sha256_of, wrapper_prefix};
pub use seeded::{Seeded, seeded_input, seeded_values};
pub use sharded::shards;
pub use zeros::Zeros;

/// A tensor that a builder requests.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The checkpoint's tensor name.
    pub name: &'a str,
    /// PyTorch's shape.
    pub shape: &'a [usize],
    /// Its role.
    pub kind: Kind,
}

/// The role of a tensor; a seeded source draws from a range that suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Convolution, `[out, in / groups, kh, kw]`.
    ConvWeight,
    /// Transposed convolution, `[in, out, kh, kw]`.
    ConvTransposeWeight,
    /// Fully connected, `[out, in]`.
    LinearWeight,
    /// Any bias.
    Bias,
    /// Batch norm's factor.
    BatchNormWeight,
    /// Batch norm's offset.
    BatchNormBias,
    /// Batch norm's running mean.
    BatchNormMean,
    /// Batch norm's running variance.
    BatchNormVariance,
    /// Slopes of a PReLU, `[1]` or `[channels]`.
    PReluSlope,
    /// Embedding table, `[entries, width]`.
    Embedding,
    /// Rotations of an LSH attention, `[head width, rounds, buckets / 2]`.
    LshRotation,
}

/// Tensors by name.
pub trait WeightSource {
    /// The name of the source, for error messages.
    fn describe(&self) -> String;

    /// The tensor as `f32`, in C order; else one line that describes the error, without the tensor's name.
    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String>;

    /// Names that were never requested, except those that a network is known to leave unused.
    fn unused(&self) -> Vec<String> {
        Vec::new()
    }
}
