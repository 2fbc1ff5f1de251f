//! Fixed-point kernels for image networks, with one meaning on every target.
//!
//! Each room imports from those above it only (a test looks):
//!
//! * [`base`]: [`arith`] is the numeric contract, how a 32-bit accumulator becomes an `i8`; [`memory`] says where tensors live: NHWC views with a
//!   pixel stride, in one arena, an input or an output; [`isa`] what the core can execute.
//! * [`schedule`]: which rows are computed when, and by which thread.
//! * [`microkernels`]: the inner tiles of convolution, by instruction set. The scalar tile is the reference: any other tile is correct when it
//!   returns the same bytes.
//! * [`ops`]: the operators. Each is a plain struct of parameters that implements [`Kernel`]; generated code holds them in
//!   `static`s, the build tools hold the same structs in memory, and both call [`Kernel::run`]. [`ops::conv`] is an indirect matrix multiplication
//!   over packed weights.
//! * [`formats`]: the same operators on 16-bit codes and in floating point.
//!
//! Kernels never allocate and never panic. Each checks its operands once, at the top, against the memory that it was
//! given; parameters that do not [fit](Kernel::fits) make it return without touching memory (and fail a debug assertion).
//!
//! # Finding: no panics
//!
//! Every index is checked by `get`, or proven where the compiler can see it; nothing divides by what could be zero. `cargo xtask images` builds
//! firmware with these kernels for every Cortex-M and refuses an image that has a function of `core::panicking`. An object file of its own may still refer
//! to one, from helpers of `core::array` that were not inlined there.
//!
//! # Features
//!
//! * `std`: detection of instruction sets at run time (hosts and Linux boards), and `bench`.
//! * `threads`: a layer on several threads, where `schedule::threads` is told to (Linux). Includes `std`.
#![no_std]
#![cfg_attr(not(test), warn(missing_docs))]
#[cfg(feature = "std")]
extern crate std;

pub mod base;
#[cfg(feature = "std")]
pub mod bench;
pub mod formats;
pub mod microkernels;
pub mod ops;
pub mod schedule;

pub use base::{
    arith::{Multiplier, OutputParams, Rounding},
    isa::Isa,
    kernel::Kernel,
    memory::{F16, Memory, Operand, Region, Space},
};
pub use formats::{
    float::{
        AddFloat, ArgMaxFloat, AttentionFloat, AveragePool2dFloat, CastFloat, ChannelShuffleFloat,
        ClampFloat, Conv2dFloat, DequantizeFloat, DivFloat, ElementaryFloat, EmbeddingFloat, Float,
        FloatBounds, GlobalAveragePoolFloat, L2NormalizeFloat, LogSoftmaxFloat, MaxPool2dFloat,
        MaxPosition2dFloat, MaxUnpool2dFloat, MulFloat, PReluFloat, PointWiseFloat, QuantizeFloat,
        QuantizeLinear, ResizeBilinearFloat, ScaleFloat, SoftmaxFloat, SubFloat, WinogradConv2dFloat,
    },
    int16::{
        AddInt16, AveragePool2dInt16, Bounds, ChannelShuffleInt16, Conv2dInt16, GlobalAveragePoolInt16,
        LutInt16, MaxPool2dInt16, MaxPosition2dInt16, MaxUnpool2dInt16, MulInt16, PReluInt16, RescaleInt16,
        ResizeBilinearInt16, SigmoidInt16, SoftmaxInt16, SubInt16, Width,
    },
};
pub use microkernels::Layout;
pub use ops::{
    argmax::ArgMax,
    attention::Attention,
    conv::{
        Conv2d, Gather, TransposedConv2d, conv_max_pool::ConvMaxPool2d, depthwise::DepthwiseConv2d,
        winograd::WinogradConv2d,
    },
    elementwise::{
        add::{Add, AddRepeated},
        copy::{CopyElements, Requantize},
        linear_pair::LinearPair,
        mul::Mul,
        prelu::PRelu,
        squared_difference::SquaredDifference,
        sub::Sub,
        table::Lut,
    },
    embedding::Embedding,
    normalize::{L2Normalize, LogSoftmax},
    pool::{AveragePool2d, GlobalAveragePool, MaxPool2d, MaxPosition2d, MaxUnpool2d},
    shape::{
        channels::{ChannelShuffle, PadChannels},
        constant::Constant,
        index::Index,
        permute::Permute,
        reshape::Reshape,
        resize::{ResizeBilinear, ResizeNearest},
    },
    softmax::Softmax,
};
pub use schedule::row_chain::{FusedRows, FusedStage, FusionLayout};

// Modules that other crates name: their paths stay, wherever the files lie.
pub use base::{arith, isa, memory};
#[cfg(feature = "std")]
pub use bench::peak;
pub use formats::{
    DilatedMaxPool2d, DilatedMaxPool2dFloat, Extremum, ExtremumFloat, Interpolate, InterpolateFloat,
    ReduceExtremum, ReduceFloat, ReduceSum, ReduceSumInt16, Reduction, float, int16,
};
pub use ops::{
    attention, conv, conv::winograd, elementwise::add, elementwise::squared_difference, shape::permute,
    shape::resize,
};
#[cfg(feature = "threads")]
pub use schedule::threads;
pub use schedule::{by_rows, row_chain};

/// Compiles and runs the examples of the specification.
#[cfg(doctest)]
#[doc = include_str!("../../docs/arithmetic.md")]
pub struct Arithmetic;
