//! The contract between everything before and everything after: a flat list of kernel calls.
//!
//! A [`Program`] holds packed constants ([`Blob`]), where each tensor lies ([`Location`]), and [`Step`]s, each one call
//! of a kernel of `niello-kernels`. [`crate::execute`] makes the calls in process, [`crate::emit`] prints them as Rust.
//! Both go through the same [`Call`], declared once per kernel by `kernel_call!`, so they cannot differ.

mod blob;
mod call;
mod choice;
mod field;
mod memory;
pub mod names;
mod samples;
mod verify;

pub use blob::{Blob, BlobBuilder, Const, Pod};
#[doc(hidden)]
pub use call::literal;
pub use call::{Access, Bindings, Call, Inside};
pub use choice::{Choice, Choices};
pub use field::{Field, In, Out, Ref, Scratch};
pub(crate) use memory::MAX_BYTES;
pub use memory::{ALIGNMENT, Location, MemoryPlan};
pub use verify::verify;
// What `kernel_call!` names.
#[doc(hidden)]
pub use {
    crate::kernel_call, niello_kernels as kernels, niello_kernels::by_rows::RowKernel,
    proc_macro2::TokenStream,
};

use crate::{
    format::{Format, Mode},
    graph::ValueId,
    tensor::Shape,
};
use niello_kernels::{Region, Rounding};
use std::{collections::BTreeMap, sync::Arc};

/// One tensor of a program.
#[derive(Clone, Debug)]
pub struct TensorInfo {
    /// The layer that makes it, or the input's name.
    pub name: String,
    /// NHWC shape.
    pub shape: Shape,
    /// Its format.
    pub format: Format,
    /// Where they are.
    pub location: Location,
}

impl TensorInfo {
    /// Bytes of one pixel's codes.
    pub fn pixel_bytes(&self) -> usize {
        self.format.bytes() * self.shape.c
    }

    /// Bytes of all its codes.
    pub fn bytes(&self) -> usize {
        self.format.bytes() * self.shape.len()
    }
}

/// One kernel call.
#[derive(Debug)]
pub struct Step {
    /// The layers that it computes without keeping their results, then the one whose result it writes. Never empty.
    pub layers: Vec<String>,
    /// All of them in one word, see [`names::step_name`].
    pub name: String,
    /// The operator, e.g. `Conv2d`.
    pub kind: &'static str,
    /// The kernel and its parameters.
    pub call: Arc<dyn Call>,
    /// Tensors that the call reads.
    pub(crate) reads: Vec<ValueId>,
    /// The tensor that it writes.
    pub(crate) writes: ValueId,
    /// Tensors whose memory the result may take over: the kernel reads each element before it writes it.
    pub in_place: Vec<ValueId>,
    /// Scratch bytes in the arena.
    pub scratch: Region,
    /// Whether it copies an operand into the result beside others, which may have been written there by their makers.
    pub joins_operands: bool,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of constants.
    pub constant_bytes: usize,
}

impl Step {
    /// The layer whose result it writes.
    pub fn layer(&self) -> &str {
        self.layers.last().map_or("", String::as_str)
    }

    /// The tensors that the call reads, each once.
    pub fn reads(&self) -> &[ValueId] {
        &self.reads
    }

    /// The tensor that it writes.
    pub fn writes(&self) -> ValueId {
        self.writes
    }
}

/// The origin of a generated crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Name of the network.
    pub network: String,
    /// Class names, in channel order.
    pub classes: Vec<String>,
    /// Name and SHA-256 of every source file.
    pub sources: Vec<(String, String)>,
    /// How the input is prepared, in a recipe's words.
    pub preprocess: String,
    /// Whether the last output is a class-activation map (see [`crate::passes::cam`]).
    pub cam: bool,
}

/// A network ready to run: kernel calls, constants, memory plan.
#[derive(Debug)]
pub struct Program {
    /// Name, as an identifier.
    pub name: String,
    /// Where it came from.
    pub metadata: Metadata,
    /// The target that it was lowered for.
    pub target: String,
    /// How all layers compute, if it is in floating point.
    pub mode: Option<Mode>,
    /// The rounding of every requantisation.
    pub rounding: Rounding,
    /// All tensors, by [`ValueId`].
    pub tensors: Vec<TensorInfo>,
    /// Tensors that the caller gives.
    pub inputs: Vec<ValueId>,
    /// Tensors that the caller gets.
    pub outputs: Vec<ValueId>,
    /// Calls in order.
    pub steps: Vec<Step>,
    /// Packed constants.
    pub blob: Blob,
    /// Arena size, lower bound, and how they came about.
    pub plan: MemoryPlan,
    /// How each layer is lowered that could be lowered otherwise.
    pub choices: Choices,
    /// Steps that calibration added to the biases of layers, by the layers' results: what a [`crate::lock`] keeps.
    pub corrections: BTreeMap<ValueId, Vec<i32>>,
    /// The choices that a tuning made.
    pub tuned: Choices,
}

impl Program {
    /// The number format of its results: `int8`, or the name of a floating-point mode; `int8` too if only some are floats.
    pub fn format(&self) -> &'static str {
        self.mode.map_or("int8", Mode::name)
    }

    /// Bytes of flash for weights, biases, multipliers and tables.
    pub fn constant_bytes(&self) -> usize {
        self.blob.len()
    }

    /// Multiply-accumulates of one inference.
    pub fn macs(&self) -> u64 {
        self.steps.iter().map(|s| s.macs).fold(0, u64::saturating_add)
    }

    /// The output that is a class-activation map, if there is one.
    pub fn cam(&self) -> Option<ValueId> {
        self.outputs.last().copied().filter(|_| self.metadata.cam)
    }

    /// The operands and constants of step `index`.
    pub fn bindings(&self, index: usize) -> Bindings<'_> {
        Bindings { tensors: &self.tensors, blob: &self.blob, scratch: self.steps[index].scratch }
    }

    /// The tensor of that id.
    pub fn tensor(&self, id: ValueId) -> &TensorInfo {
        &self.tensors[id.0]
    }

    /// Whether the result of step `index` is complete when it ends: no later step adds to it.
    pub fn completes(&self, index: usize) -> bool {
        let writes = self.steps[index].writes;
        !self.steps[index + 1..].iter().any(|s| s.writes == writes)
    }

    /// Whether golden files compare the result of step `index`.
    pub(crate) fn is_compared(&self, index: usize) -> bool {
        self.completes(index) && !self.steps[index].joins_operands
    }
}
