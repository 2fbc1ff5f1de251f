//! The operators that are imported: one function each.

mod arithmetic;
mod between;
mod constants;
mod dense;
mod dynamic;
mod functions;
mod linear;
mod logic;
mod moves;
mod norms;
mod quantized;
mod reductions;
mod resize;
mod shapes;
mod transposed;
mod windows;

use super::context::{Cx, Made};
use crate::ops::{Function, ReduceKind};
use functions::{unary, with_alpha};
use logic::{Relation, relation};
use std::fmt;

/// An operator of the format that is imported.
#[derive(Clone, Copy)]
pub struct Operator {
    /// Its name.
    pub name: &'static str,
    /// The version of ONNX's operators that it came with.
    pub since: i64,
    /// What of it is imported, where that is not all.
    pub limits: &'static str,
    pub(super) import: fn(&mut Cx<'_, '_>) -> Made,
}

impl fmt::Debug for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.since)
    }
}

const fn op(
    name: &'static str,
    since: i64,
    limits: &'static str,
    import: fn(&mut Cx<'_, '_>) -> Made,
) -> Operator {
    Operator { name, since, limits, import }
}

/// Computed while the file is read.
const CONSTANTS: &str = "of constants and shapes";

/// Comparisons are signs of differences, choices are sums of products.
const FINITE: &str = "of finite numbers";

/// What a tensor has to be known of, if its sizes depend on others.
const SIZES: &str = "a constant size, or one that the file declares for the result";

/// All of them, by name. Operators of other sets and other names are listed in one error.
pub static OPERATORS: &[Operator] = &[
    op("Abs", 6, "", |cx| unary(cx, Function::Abs)),
    op("Add", 6, "", arithmetic::add),
    op("And", 7, "", |cx| relation(cx, Relation::And)),
    op("ArgMax", 1, "up to 128 classes", |cx| reductions::position(cx, true)),
    op("ArgMin", 1, "up to 128 classes", |cx| reductions::position(cx, false)),
    op("AveragePool", 1, "one or two spatial axes", windows::average_pool),
    op("BatchNormalization", 1, "not in training mode", norms::batch_normalization),
    op("Cast", 1, "to 8 and 16 bits only of constants", constants::cast),
    op("CastLike", 15, "as `Cast`", constants::cast_like),
    op("Ceil", 6, "", |cx| unary(cx, Function::Ceil)),
    op("Celu", 12, "", |cx| with_alpha(cx, 1.0, Function::Celu)),
    op("Clip", 1, "constant bounds", functions::clip),
    op("Concat", 1, "", moves::concat),
    op("Constant", 1, "numbers", constants::constant),
    op("ConstantOfShape", 9, SIZES, constants::constant_of_shape),
    op("Conv", 1, "constant weights, one or two spatial axes", windows::conv),
    op("ConvInteger", 10, "constant weights, one or two spatial axes", dynamic::conv),
    op("ConvTranspose", 1, "constant weights, one or two spatial axes", transposed::conv_transpose),
    op("Cos", 7, "", |cx| unary(cx, Function::Cos)),
    op("DepthToSpace", 1, "", shapes::depth_to_space),
    op("DequantizeLinear", 10, "of codes of 8 bits and of constants", quantized::dequantize_linear),
    op("Div", 6, "", arithmetic::div),
    op("Dropout", 1, "not in training mode", shapes::dropout),
    op("DynamicQuantizeLinear", 11, "", dynamic::dynamic_quantize_linear),
    op("Elu", 1, "", |cx| with_alpha(cx, 1.0, Function::Elu)),
    op("Equal", 1, FINITE, |cx| relation(cx, Relation::Equal)),
    op("Erf", 9, "", |cx| unary(cx, Function::Erf)),
    op("Exp", 6, "", |cx| unary(cx, Function::Exp)),
    op("Expand", 8, SIZES, shapes::expand),
    op("Flatten", 1, "", shapes::flatten),
    op("Floor", 6, "", |cx| unary(cx, Function::Floor)),
    op("Gather", 1, "constant indices", moves::gather),
    op("Gelu", 20, "", functions::gelu),
    op("Gemm", 1, "one matrix is constant", dense::gemm),
    op("GlobalAveragePool", 1, "one or two spatial axes", windows::global_average_pool),
    op("GlobalMaxPool", 1, "one or two spatial axes", windows::global_max_pool),
    op("Greater", 1, FINITE, |cx| relation(cx, Relation::Greater)),
    op("GreaterOrEqual", 12, FINITE, |cx| relation(cx, Relation::GreaterOrEqual)),
    op("GroupNormalization", 18, "constant parameters", norms::group_normalization),
    op("HardSigmoid", 1, "", functions::hard_sigmoid),
    op("HardSwish", 14, "", |cx| unary(cx, Function::HardSwish)),
    op("Hardmax", 1, "up to 128 classes", reductions::hardmax),
    op("Identity", 1, "", shapes::identity),
    op("InstanceNormalization", 1, "constant parameters", norms::instance_normalization),
    op("LRN", 1, "", norms::lrn),
    op("LayerNormalization", 17, "constant parameters", |cx| norms::layer_normalization(cx, true)),
    op("LeakyRelu", 1, "", |cx| with_alpha(cx, 0.01, Function::LeakyRelu)),
    op("Less", 1, FINITE, |cx| relation(cx, Relation::Less)),
    op("LessOrEqual", 12, FINITE, |cx| relation(cx, Relation::LessOrEqual)),
    op("Log", 6, "", |cx| unary(cx, Function::Log)),
    op("LogSoftmax", 1, "", reductions::log_softmax),
    op("LpNormalization", 1, "p of 2", norms::lp_normalization),
    op("LpPool", 2, "one or two spatial axes", windows::lp_pool),
    op("MatMul", 1, "one matrix is constant", dense::mat_mul),
    op("MatMulInteger", 10, "the second matrix is constant", dynamic::mat_mul),
    op("Max", 6, "", arithmetic::max),
    op("MaxPool", 1, "one or two spatial axes; positions of windows next to each other", windows::max_pool),
    op("MaxUnpool", 9, "with the positions of a `MaxPool`", transposed::max_unpool),
    op("Mean", 6, "", arithmetic::mean),
    op("Min", 6, "", arithmetic::min),
    op("Mish", 18, "", |cx| unary(cx, Function::Mish)),
    op("Mod", 10, CONSTANTS, constants::modulo),
    op("Mul", 6, "", arithmetic::mul),
    op("Neg", 6, "", |cx| unary(cx, Function::Neg)),
    op("Not", 1, "", logic::not),
    op("Or", 7, "", |cx| relation(cx, Relation::Or)),
    op("PRelu", 6, "constant slopes", functions::prelu),
    op("Pad", 1, "constant pads", moves::pad),
    op(
        "Pow",
        7,
        "a constant exponent, or a constant number as base; exponents that differ are of positive numbers",
        functions::pow,
    ),
    op("QLinearConv", 10, "constant weights", linear::conv),
    op("QLinearMatMul", 10, "the second matrix is constant", linear::mat_mul),
    op("QuantizeLinear", 10, "to 8 bits", quantized::quantize_linear),
    op("RMSNormalization", 23, "constant parameters", |cx| norms::layer_normalization(cx, false)),
    op("Range", 11, SIZES, constants::range),
    op("Reciprocal", 6, "", |cx| unary(cx, Function::Reciprocal)),
    op("ReduceL1", 1, "", |cx| reductions::reduce_of(cx, Function::Abs, None)),
    op("ReduceL2", 1, "", |cx| reductions::reduce_of(cx, Function::Square, Some(Function::Sqrt))),
    op("ReduceLogSum", 1, "", reductions::log_sum),
    op("ReduceMax", 1, "", |cx| reductions::reduce(cx, ReduceKind::Max)),
    op("ReduceMean", 1, "", |cx| reductions::reduce(cx, ReduceKind::Mean)),
    op("ReduceMin", 1, "", |cx| reductions::reduce(cx, ReduceKind::Min)),
    op("ReduceProd", 1, CONSTANTS, reductions::product),
    op("ReduceSum", 1, "", |cx| reductions::reduce(cx, ReduceKind::Sum)),
    op("ReduceSumSquare", 1, "", |cx| reductions::reduce_of(cx, Function::Square, None)),
    op("Relu", 6, "", functions::relu),
    op("Reshape", 1, SIZES, shapes::reshape),
    op("Resize", 10, "two axes, constant sizes or scales", resize::resize),
    op("Round", 11, "", |cx| unary(cx, Function::Round)),
    op("ScatterND", 11, "a max unpooling", transposed::scatter_nd),
    op("Selu", 6, "", functions::selu),
    op("Shape", 1, "", shapes::shape),
    op("Shrink", 9, "", functions::shrink),
    op("Sigmoid", 6, "", |cx| unary(cx, Function::Sigmoid)),
    op("Sign", 9, "", |cx| unary(cx, Function::Sign)),
    op("Sin", 7, "", |cx| unary(cx, Function::Sin)),
    op("Size", 1, "", shapes::size),
    op("Slice", 1, "constant bounds", moves::slice),
    op("Softmax", 1, "", reductions::softmax),
    op("Softplus", 1, "", |cx| unary(cx, Function::Softplus)),
    op("Softsign", 1, "", |cx| unary(cx, Function::Softsign)),
    op("SpaceToDepth", 1, "", shapes::space_to_depth),
    op("Split", 1, "constant sizes", moves::split),
    op("Sqrt", 6, "", |cx| unary(cx, Function::Sqrt)),
    op("Squeeze", 1, "constant axes", shapes::squeeze),
    op("Sub", 6, "", arithmetic::sub),
    op("Sum", 6, "", arithmetic::sum),
    op("Swish", 24, "alpha of 1", functions::swish),
    op("Tanh", 6, "", |cx| unary(cx, Function::Tanh)),
    op("ThresholdedRelu", 10, "", |cx| with_alpha(cx, 1.0, Function::ThresholdedRelu)),
    op("Tile", 6, "constant repeats", moves::tile),
    op("Transpose", 1, "", shapes::transpose),
    op("Unsqueeze", 1, "constant axes", shapes::unsqueeze),
    op("Upsample", 7, "two axes, constant scales", resize::upsample),
    op("Where", 9, FINITE, constants::select),
    op("Xor", 7, "", |cx| relation(cx, Relation::Xor)),
];

/// Those of the set `com.microsoft`, by name.
pub static MICROSOFT: &[Operator] = &[
    op("QGemm", 1, "constant weights, codes of 8 bits", linear::gemm),
    op("QLinearAdd", 1, "", linear::add),
    op("QLinearAveragePool", 1, "as `AveragePool`", linear::average_pool),
    op("QLinearConcat", 1, "", linear::concat),
    op("QLinearGlobalAveragePool", 1, "as `GlobalAveragePool`", linear::global_average_pool),
    op("QLinearLeakyRelu", 1, "", linear::leaky_relu),
    op("QLinearMul", 1, "", linear::mul),
    op("QLinearSigmoid", 1, "", linear::sigmoid),
    op("QLinearSoftmax", 1, "", linear::softmax),
];

/// The operator of that name in a set.
pub(super) fn find(set: &str, name: &str) -> Option<&'static Operator> {
    let all = match set {
        "" => OPERATORS,
        "com.microsoft" => MICROSOFT,
        _ => return None,
    };
    all.binary_search_by_key(&name, |op| op.name).ok().map(|i| &all[i])
}

/// What a node becomes.
pub(super) fn import(cx: &mut Cx<'_, '_>, operator: &Operator) -> Made {
    quantized::import(cx, operator)
}

/// What would work in the place of an operator that is not imported.
pub(super) fn instead_of(name: &str) -> &'static str {
    match name {
        "LSTM" | "GRU" | "RNN" | "Loop" | "Scan" => {
            "recurrent networks are not imported; leave this part to a program that calls the network"
        }
        "If" => "control flow is not imported; export the branch that is taken",
        _ if name.starts_with('Q') => {
            "an operator that is not imported of a quantised network; those of `QLinear` names are, and numbers between `DequantizeLinear` and `QuantizeLinear`; or export it in floating point, and niello quantises it"
        }
        "NonMaxSuppression" | "TopK" | "NonZero" | "Unique" | "Compress" => {
            "sizes that depend on data are not imported; end the network before it, and do this in the program that calls it"
        }
        "Attention" | "MultiHeadAttention" | "Einsum" => {
            "products of two tensors that depend on the input are not imported"
        }
        _ => "an operator that is not imported; write it in those that are, or as an operator of your own",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_found_by_name() {
        assert!(OPERATORS.is_sorted_by_key(|op| op.name), "{OPERATORS:?}");
        assert!(MICROSOFT.is_sorted_by_key(|op| op.name), "{MICROSOFT:?}");
        assert_eq!(find("", "Conv").map(|op| op.name), Some("Conv"));
        assert!(find("", "Konv").is_none());
    }
}
