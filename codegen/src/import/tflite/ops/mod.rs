//! Operators of TensorFlow Lite, one function each, and the table of them.

mod arithmetic;
mod blocks;
mod concat;
mod conv;
mod ends;
mod filters;
mod fixed_point;
mod fully_connected;
mod functions;
mod indexing;
mod pool;
mod reduce;
mod resize;
mod shape;
mod softmax;
mod transposed;

use super::{context::Cx, reader::Activation};
use crate::ops::Clamp;

/// An operator of the format.
pub struct Row {
    /// Its name in the schema; of a custom operator, the name that files give it.
    pub name: &'static str,
    /// Adds its nodes to the graph, or says what of it cannot be imported.
    pub(super) import: fn(&mut Cx<'_, '_>) -> Result<(), String>,
    /// Whether it may have several results.
    pub(super) has_several_results: bool,
    /// What of it is imported, where that is not all: for the documentation.
    pub limits: &'static str,
}

const fn row(
    name: &'static str,
    import: fn(&mut Cx<'_, '_>) -> Result<(), String>,
    limits: &'static str,
) -> Row {
    let has_several_results = matches!(name.as_bytes(), b"SPLIT" | b"SPLIT_V" | b"UNPACK");
    Row { name, import, has_several_results, limits }
}

/// Every operator that is imported.
pub const OPERATORS: &[Row] = &[
    row("ABS", functions::abs, ""),
    row("ADD", arithmetic::add, ""),
    row("ADD_N", arithmetic::add_n, "float"),
    row("ARG_MAX", reduce::arg_max, "of up to 128"),
    row(
        "AVERAGE_POOL_2D",
        pool::average,
        "uint8: one scale for operand and result; int8: that of the operand is ignored, as in LiteRT, with a warning",
    ),
    row("BATCH_TO_SPACE_ND", blocks::batch_to_space, "behind `SPACE_TO_BATCH_ND`: a dilated convolution"),
    row("BROADCAST_TO", indexing::broadcast_to, ""),
    row("CAST", ends::cast, "between floats"),
    row("CEIL", functions::ceil, "float"),
    row("CONCATENATION", concat::concatenation, "no fused activation; unequal scales: operands are rescaled"),
    row("CONV_2D", conv::conv2d, ""),
    row("Convolution2DTransposeBias", transposed::with_bias, "MediaPipe's"),
    row("COS", functions::cos, "float"),
    row("DEPTHWISE_CONV_2D", conv::depthwise, ""),
    row("DEPTH_TO_SPACE", shape::depth_to_space, ""),
    row("DEQUANTIZE", ends::dequantize, ""),
    row("DIV", arithmetic::div, "int8: by one constant"),
    row("ELU", functions::elu, ""),
    row("EXP", functions::exp, ""),
    row("EXPAND_DIMS", shape::reshape, ""),
    row("FLOOR", functions::floor, "float"),
    row("FULLY_CONNECTED", fully_connected::fully_connected, "constant weights"),
    row("GATHER", indexing::gather, "constant indices along one axis"),
    row("GELU", functions::gelu, ""),
    row("HARD_SWISH", functions::hard_swish, ""),
    row("L2_NORMALIZATION", softmax::l2_normalization, "along channels; not uint8"),
    row("LEAKY_RELU", functions::leaky_relu, ""),
    row("LOG", functions::log, ""),
    row("LOGISTIC", functions::logistic, ""),
    row("LOG_SOFTMAX", softmax::log_softmax, "along channels"),
    row("MAXIMUM", arithmetic::maximum, "int8: one scale for operands and result"),
    row("MAX_POOL_2D", pool::max, "int8: one scale for operand and result"),
    row("MEAN", reduce::mean, ""),
    row("MINIMUM", arithmetic::minimum, "int8: one scale for operands and result"),
    row("MIRROR_PAD", indexing::mirror_pad, ""),
    row("MUL", arithmetic::mul, ""),
    row("NEG", functions::neg, "float"),
    row("PACK", concat::pack, ""),
    row("PAD", indexing::pad, ""),
    row("PADV2", indexing::pad, ""),
    row("POW", arithmetic::pow, "float, constant exponent"),
    row("PRELU", functions::prelu, "int8: one slope, or one for each channel"),
    row("QUANTIZE", ends::quantize, ""),
    row("REDUCE_MAX", reduce::max, ""),
    row("REDUCE_MIN", reduce::min, ""),
    row("RELU", functions::relu, ""),
    row("RELU6", functions::relu6, ""),
    row("RELU_0_TO_1", functions::relu_0_to_1, ""),
    row("RELU_N1_TO_1", functions::relu_n1_to_1, ""),
    row("RESHAPE", shape::reshape, ""),
    row("RESIZE_BILINEAR", resize::bilinear, ""),
    row("RESIZE_NEAREST_NEIGHBOR", resize::nearest, ""),
    row("ROUND", functions::round, "float"),
    row("RSQRT", functions::rsqrt, ""),
    row("SIN", functions::sin, "float"),
    row("SLICE", indexing::slice, "constant bounds"),
    row("SOFTMAX", softmax::softmax, "along channels"),
    row(
        "SPACE_TO_BATCH_ND",
        blocks::space_to_batch,
        "in front of `BATCH_TO_SPACE_ND`, with convolutions of stride 1 between",
    ),
    row("SPACE_TO_DEPTH", shape::space_to_depth, ""),
    row("SPLIT", indexing::split, ""),
    row("SPLIT_V", indexing::split_v, "constant sizes"),
    row("SQRT", functions::sqrt, ""),
    row("SQUARE", functions::square, "float"),
    row("SQUARED_DIFFERENCE", arithmetic::squared_difference, ""),
    row("SQUEEZE", shape::reshape, ""),
    row("STRIDED_SLICE", indexing::strided_slice, "constant bounds"),
    row("SUB", arithmetic::sub, ""),
    row("SUM", reduce::sum, "int8: with `tflm`"),
    row("TANH", functions::tanh, ""),
    row("TILE", indexing::tile, "constant multiples"),
    row("TRANSPOSE", shape::transpose, "constant order, up to six axes"),
    row("TRANSPOSE_CONV", transposed::transpose_conv, ""),
    row("UNPACK", indexing::unpack, ""),
];

/// Operators that are imported between activations of 16 bits, whose arithmetic is then that of LiteRT's kernels for them.
pub const TAKE_INT16: &[&str] = &[
    "ADD",
    "AVERAGE_POOL_2D",
    "BATCH_TO_SPACE_ND",
    "BROADCAST_TO",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEQUANTIZE",
    "EXPAND_DIMS",
    "FULLY_CONNECTED",
    "GATHER",
    "LEAKY_RELU",
    "LOGISTIC",
    "MAXIMUM",
    "MAX_POOL_2D",
    "MEAN",
    "MINIMUM",
    "MIRROR_PAD",
    "MUL",
    "PACK",
    "PAD",
    "PADV2",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR",
    "SLICE",
    "SOFTMAX",
    "SPACE_TO_BATCH_ND",
    "SPLIT",
    "SPLIT_V",
    "SQUEEZE",
    "STRIDED_SLICE",
    "SUB",
    "TANH",
    "TILE",
    "TRANSPOSE",
    "TRANSPOSE_CONV",
    "UNPACK",
];

/// Operators that may stand between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND.
pub(super) const TAKE_BLOCKS: &[&str] = &[
    "ADD",
    "BATCH_TO_SPACE_ND",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEQUANTIZE",
    "ELU",
    "EXPAND_DIMS",
    "GELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "LOGISTIC",
    "MUL",
    "PAD",
    "QUANTIZE",
    "RELU",
    "RELU6",
    "RELU_N1_TO_1",
    "RESHAPE",
    "SQUEEZE",
    "SUB",
    "TANH",
];

/// The clamp that a fused activation is.
fn clamp(activation: Activation) -> Result<Clamp, String> {
    match activation {
        Activation::None => Ok(Clamp::NONE),
        Activation::Relu => Ok(Clamp::RELU),
        Activation::Relu6 => Ok(Clamp::RELU6),
        Activation::ReluN1To1 => Ok(Clamp { min: -1.0, max: 1.0 }),
        other => Err(format!("a fused activation {} is not supported; a layer of its own is", other.name())),
    }
}
