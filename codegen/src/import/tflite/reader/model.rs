//! What a `.tflite` file holds, owned and checked.

use super::options::Options;
use std::{
    fmt,
    ops::{Range, RangeInclusive},
    sync::Arc,
};

/// Builtin operators by their numbers, as the schema has them.
const OPERATORS: &str = "\
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP \
    L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE \
    RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM \
    STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX \
    MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG \
    SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN \
    FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V \
    UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE \
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM \
    CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL \
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU \
    DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST \
    BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE \
    STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE \
    STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE \
    STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER \
    STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL \
    STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW \
    STABLEHLO_COMPOSITE COMPLEX";

/// Types of elements by their numbers, as the schema has them.
const ELEMENTS: &str = "\
    float32 float16 int32 uint8 int64 string bool int16 complex64 int8 float64 complex128 uint64 resource variant uint32 uint16 int4 bfloat16";

/// A file: its first graph.
///
/// All indices are within their vectors. Operators stand in the order of execution: each reads constants, inputs of the graph and results of
/// operators before it; nothing is made twice.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// The writer's own words.
    pub(crate) description: String,
    /// How many graphs the file has behind the first, which are left out.
    pub(crate) other_graphs: usize,
    /// Names of what lies beside the graph.
    pub(crate) metadata_names: Vec<String>,
    /// Names that the model's author gave to inputs and outputs.
    pub(crate) signatures: Vec<Signature>,
    /// Indices of tensors that are given.
    pub(crate) inputs: Vec<usize>,
    /// Indices of tensors that are asked for.
    pub(crate) outputs: Vec<usize>,
    /// Values and constants. What nothing uses is not checked.
    pub(crate) tensors: Vec<TensorDef>,
    /// In order of execution.
    pub(crate) operators: Vec<Operator>,
}

impl Model {
    /// What the file says of itself beside its graph: its description, names of signatures and metadata, and tensors whose sizes it leaves open.
    pub(crate) fn about(&self) -> String {
        let open = self.inputs.iter().map(|at| &self.tensors[*at]).filter(|tensor| tensor.free);
        let lists = [
            (
                "signatures",
                self.signatures.iter().map(|signature| signature.key.as_str()).collect::<Vec<_>>(),
            ),
            ("metadata", self.metadata_names.iter().map(String::as_str).collect()),
            ("sizes that the file leaves open", open.map(|tensor| tensor.name.as_str()).collect()),
        ];
        let description = Some(self.description.trim()).filter(|text| !text.is_empty());
        let mut about = description.map_or(String::new(), |text| format!(": {text}"));
        for (what, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            about += &format!("; {what}: {}", names.join(", "));
        }
        if self.other_graphs > 0 {
            about += &format!("; the first of {} subgraphs", self.other_graphs + 1);
        }
        about
    }
}

/// A way to call a model: names of its tensors and their indices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature {
    /// Its own name.
    pub(crate) key: String,
    /// Inputs.
    pub(crate) inputs: Vec<(String, usize)>,
    /// Outputs.
    pub(crate) outputs: Vec<(String, usize)>,
}

/// A value or a constant.
#[derive(Clone, Debug)]
pub(crate) struct TensorDef {
    /// Its name in the file; `tensor N` if it has none.
    pub(crate) name: String,
    /// Sizes, outermost first; empty for a single number. A free first axis (batch) has size 1. Their product fits `i32`.
    pub(crate) shape: Vec<usize>,
    /// The file says that an axis behind the first may have any size; `shape` has the size that stands in the file.
    pub(crate) free: bool,
    /// Type of its elements.
    pub(crate) element: Element,
    /// What its integers mean. `None` for floats.
    pub(crate) quantization: Option<Quantization>,
    /// Elements of a constant, little-endian; as many as `shape` says unless the type is [`Element::Other`].
    pub(crate) data: Option<Data>,
}

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Float32,
    Float16,
    /// Two in a byte, the first one in its low half.
    Int4,
    Int8,
    UInt8,
    Int16,
    Int32,
    Int64,
    Bool,
    /// One that niello has no use for, by its number in the schema.
    Other(i8),
}

impl Element {
    /// By its number in the schema.
    pub(super) fn new(number: i8) -> Self {
        match number {
            0 => Self::Float32,
            1 => Self::Float16,
            2 => Self::Int32,
            3 => Self::UInt8,
            4 => Self::Int64,
            6 => Self::Bool,
            7 => Self::Int16,
            9 => Self::Int8,
            17 => Self::Int4,
            other => Self::Other(other),
        }
    }

    /// Its number in the schema.
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Float32 => 0,
            Self::Float16 => 1,
            Self::Int32 => 2,
            Self::UInt8 => 3,
            Self::Int64 => 4,
            Self::Bool => 6,
            Self::Int16 => 7,
            Self::Int8 => 9,
            Self::Int4 => 17,
            Self::Other(other) => other,
        }
    }

    /// Bytes of so many elements; `None` for types that niello has no use for.
    pub(super) fn bytes_of(self, elements: usize) -> Option<usize> {
        match self {
            Self::Int4 => Some(elements.div_ceil(2)),
            _ => self.bytes().map(|bytes| elements.saturating_mul(bytes)),
        }
    }

    /// Bytes of an element; `None` for types that niello has no use for, and where it is less than one.
    pub(crate) fn bytes(self) -> Option<usize> {
        match self {
            Self::Float32 | Self::Int32 => Some(4),
            Self::Float16 | Self::Int16 => Some(2),
            Self::Int64 => Some(8),
            Self::Int8 | Self::UInt8 | Self::Bool => Some(1),
            Self::Int4 | Self::Other(_) => None,
        }
    }

    /// Zero points that integers of this type may have; `None` for types that are not quantised.
    pub(super) fn zero_points(self) -> Option<RangeInclusive<i64>> {
        match self {
            Self::Int4 => Some(-8..=7),
            Self::Int8 => Some(-128..=127),
            Self::UInt8 => Some(0..=255),
            Self::Int16 => Some(-32768..=32767),
            Self::Int32 | Self::Int64 => Some(0..=0),
            Self::Float32 | Self::Float16 | Self::Bool | Self::Other(_) => None,
        }
    }
}

/// As TensorFlow calls them.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number();
        match usize::try_from(number).ok().and_then(|number| ELEMENTS.split(' ').nth(number)) {
            Some(name) => f.write_str(name),
            None => write!(f, "type {number}"),
        }
    }
}

/// `value = scale * (code - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quantization {
    /// One for all; for a constant also one for each index of `dimension`. Positive and normal; but if all codes that a constant has with this
    /// scale are 0, also 0 or subnormal.
    pub(crate) scale: Vec<f32>,
    /// As many as scales; within the type's range, and 0 for 32 bits and more.
    pub(crate) zero_point: Vec<i64>,
    /// Axis of the shape, 0 if there is one scale.
    pub(crate) dimension: usize,
}

/// Bytes of the file.
#[derive(Clone)]
pub(crate) struct Data {
    pub(super) file: Arc<[u8]>,
    pub(super) range: Range<usize>,
}

impl std::ops::Deref for Data {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// A step of the graph.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    /// What it does.
    pub(crate) code: Code,
    /// Of the operator's definition, from 1.
    pub(crate) version: i32,
    /// Indices of tensors; `None` for one that is left out.
    pub(crate) inputs: Vec<Option<usize>>,
    /// Indices of tensors.
    pub(crate) outputs: Vec<usize>,
    /// Of a builtin operator.
    pub(crate) options: Options,
    /// Of a custom operator.
    pub(crate) custom_options: Data,
}

/// What an operator does. As text: its name, or what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// An operator of TensorFlow Lite, by its name in the schema.
    Builtin(&'static str),
    /// One that is newer than this reader.
    Unknown(i32),
    /// Somebody's own.
    Custom(String),
}

impl Code {
    /// By the number in the schema.
    pub(super) fn new(number: i32) -> Self {
        let name = usize::try_from(number).ok().and_then(|number| OPERATORS.split(' ').nth(number));
        name.map_or(Self::Unknown(number), Self::Builtin)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin(name) => f.write_str(name),
            Self::Unknown(number) => write!(f, "builtin operator {number}"),
            Self::Custom(name) => write!(f, "custom operator {}", brief(name)),
        }
    }
}

/// The beginning of a name, as errors have it: names may be as long as the file.
pub(super) fn brief(name: &str) -> &str {
    &name[..name.char_indices().nth(250).map_or(name.len(), |(end, _)| end)]
}

/// An operator's name in errors.
pub(super) fn label(index: usize, code: &Code, result: Option<&str>) -> String {
    match result {
        Some(name) => format!("operator {index} ({code} `{}`)", brief(name)),
        None => format!("operator {index} ({code})"),
    }
}
