//! Models and the memory that they live in.

use crate::{TensorInfo, kernels::Rounding, observe::LayerInfo};
use core::{cell::Cell, fmt};

/// Weights, aligned for the widest loads. Stays in flash.
#[repr(C, align(64))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// The arena of a model: all activations and scratch.
///
/// With the feature `canaries`, [`Arena::CANARY_BYTES`] lie around it, half before and half behind. The first inference writes a pattern
/// there, which niello never touches again: [`Arena::check`] reports whether other code did. A stack, a buffer or a DMA transfer that overruns into
/// the arena changes it.
#[repr(C, align(64))]
pub struct Arena<const N: usize> {
    #[cfg(feature = "canaries")]
    before: Canaries,
    bytes: [i8; N],
    #[cfg(feature = "canaries")]
    behind: Canaries,
}

/// Words beside an arena: zeros before the first inference, so that a static arena lies in `.bss`. As many bytes as an arena is aligned to.
#[cfg(feature = "canaries")]
type Canaries = [u32; 16];

/// The pattern after the first inference. Neither zeros nor a small number nor an address.
#[cfg(feature = "canaries")]
const CANARIES: Canaries = [0x5aa5_c33c; 16];

/// Memory around an arena that other code has written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArenaError {
    /// Before its first byte: a buffer at a lower address overran, or a stack from above grew through the whole arena.
    Before,
    /// Behind its last byte: a stack above it grew down, or a write went backwards out of its buffer.
    Behind,
}

impl fmt::Display for ArenaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "memory before the arena was written over",
            Self::Behind => "memory behind the arena was written over",
        })
    }
}

impl core::error::Error for ArenaError {}

impl<const N: usize> Arena<N> {
    /// Bytes around it that are watched: 0 without the feature `canaries`.
    pub const CANARY_BYTES: usize = if cfg!(feature = "canaries") { 128 } else { 0 };

    /// Zeros: a static one lies in `.bss` and takes no flash.
    pub const fn new() -> Self {
        Self {
            #[cfg(feature = "canaries")]
            before: [0; 16],
            bytes: [0; N],
            #[cfg(feature = "canaries")]
            behind: [0; 16],
        }
    }

    /// Shared cells over the whole arena, for inferences.
    pub fn cells(&mut self) -> &[Cell<i8>] {
        #[cfg(feature = "canaries")]
        if self.is_unused() {
            self.arm();
        }
        Cell::from_mut(&mut self.bytes[..]).as_slice_of_cells()
    }

    /// Writes the pattern around it anew: for an arena in memory with arbitrary contents, or to go on after an error. Does nothing without
    /// the feature `canaries`.
    pub fn arm(&mut self) {
        #[cfg(feature = "canaries")]
        {
            (self.before, self.behind) = (CANARIES, CANARIES);
        }
    }

    /// Checks that the words around it are untouched since its first inference. Without the feature `canaries` it always succeeds.
    ///
    /// # Errors
    /// Memory around it was written over; from then on always, until [`Arena::arm`]. The results of the last inferences may be wrong.
    pub fn check(&self) -> Result<(), ArenaError> {
        #[cfg(feature = "canaries")]
        if !self.is_unused() {
            for (canaries, error) in [(&self.before, ArenaError::Before), (&self.behind, ArenaError::Behind)]
            {
                // The compiler must not assume the last value that it saw written.
                if *core::hint::black_box(canaries) != CANARIES {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether no inference has begun.
    #[cfg(feature = "canaries")]
    fn is_unused(&self) -> bool {
        [self.before, self.behind].as_flattened().iter().all(|word| *word == 0)
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Buffers that a model does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferError {
    /// The model has another number of inputs or outputs.
    Count {
        /// Inputs and outputs of the model.
        expected: [usize; 2],
        /// Given.
        found: [usize; 2],
    },
    /// An input has another length.
    Input {
        /// Which one.
        index: usize,
        /// Bytes that it has.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// An output has another length.
    Output {
        /// Which one.
        index: usize,
        /// Bytes that it has.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, index, expected, found) = match self {
            Self::Count { expected: [inputs, outputs], found: [i, o] } => {
                return write!(f, "expected {inputs} inputs and {outputs} outputs, found {i} and {o}");
            }
            Self::Input { index, expected, found } => ("input", index, expected, found),
            Self::Output { index, expected, found } => ("output", index, expected, found),
        };
        write!(f, "{what} {index}: expected {expected} bytes, found {found}")
    }
}

impl core::error::Error for BufferError {}

/// The common interface of generated models, for code that is generic over them.
pub trait Model {
    /// The network's name.
    const NAME: &'static str;
    /// Size of the arena in bytes.
    const ARENA_BYTES: usize;
    /// Size of weights and tables in bytes.
    const FLASH_BYTES: usize;
    /// The inputs, in order.
    const INPUTS: &'static [TensorInfo];
    /// The outputs, in order.
    const OUTPUTS: &'static [TensorInfo];
    /// The layers, in order of execution.
    const LAYERS: &'static [LayerInfo];
    /// Its origin and its rounding.
    const METADATA: Metadata;

    /// One inference on bytes, for buffers whose lengths are known at run time only; a generated model's own `infer` takes arrays, and cannot fail.
    /// The elements of [`Model::INPUTS`] and [`Model::OUTPUTS`] lie in `[h, w, c]` order, f16 and f32 in little-endian bytes.
    ///
    /// # Errors
    /// Buffers of another number or length than the model's: nothing is written.
    fn infer(&mut self, inputs: &[&[i8]], outputs: &mut [&mut [i8]]) -> Result<(), BufferError>;

    /// Whether [`Model::infer`] takes buffers of these numbers and lengths.
    ///
    /// # Errors
    /// The first that it does not take.
    fn check_buffers(inputs: &[&[i8]], outputs: &[&mut [i8]]) -> Result<(), BufferError> {
        let (expected, found) = ([Self::INPUTS.len(), Self::OUTPUTS.len()], [inputs.len(), outputs.len()]);
        if expected != found {
            return Err(BufferError::Count { expected, found });
        }
        for (index, (info, input)) in Self::INPUTS.iter().zip(inputs).enumerate() {
            let (expected, found) = (info.bytes(), input.len());
            if expected != found {
                return Err(BufferError::Input { index, expected, found });
            }
        }
        for (index, (info, output)) in Self::OUTPUTS.iter().zip(outputs).enumerate() {
            let (expected, found) = (info.bytes(), output.len());
            if expected != found {
                return Err(BufferError::Output { index, expected, found });
            }
        }
        Ok(())
    }
}

/// The origin of a model, for logs and reports.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// The network that was built.
    pub network: &'static str,
    /// Number format, e.g. `int8`.
    pub format: &'static str,
    /// The rounding of every requantisation.
    pub rounding: Rounding,
    /// The target that weights are packed for; any target computes the same bytes.
    pub target: &'static str,
    /// Class names, in channel order.
    pub classes: &'static [&'static str],
    /// The pre-processing of the input, in a recipe's words.
    pub preprocess: &'static str,
    /// Name and SHA-256 of every source file.
    pub sources: &'static [(&'static str, &'static str)],
}

#[cfg(all(test, feature = "canaries"))]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn every_byte_around_an_arena_is_watched_once_it_is_used() {
        const SIZE: usize = size_of::<Arena<192>>();
        assert_eq!(SIZE, 192 + Arena::<192>::CANARY_BYTES);
        for at in 0..SIZE {
            let mut arena = Arena::<192>::new();
            assert_eq!(arena.check(), Ok(()), "not used yet");
            arena.cells().iter().for_each(|cell| cell.set(-1));
            assert_eq!(arena.check(), Ok(()));
            // SAFETY: a byte of the arena, any value of which is one.
            unsafe { *ptr::from_mut(&mut arena).cast::<u8>().add(at) ^= 1 };
            let expected = match at {
                0..64 => Err(ArenaError::Before),
                64..256 => Ok(()),
                _ => Err(ArenaError::Behind),
            };
            assert_eq!(arena.check(), expected, "byte {at}");
            arena.cells();
            assert_eq!(arena.check(), expected, "byte {at}, after another inference");
            arena.arm();
            assert_eq!(arena.check(), Ok(()));
        }
    }
}
