//! The messages of an ONNX file: what importing needs of `onnx.proto` (ONNX 1.21, proto2), by its field numbers; other fields are skipped.
//!
//! Written by hand, once, in the form of the macro below, which implements [`prost::Message`] as its derive macro would: that macro alone costs
//! more to build than this crate's readers. To add a field, take its number and type from `onnx.proto` and add a line.
//! `prost` stops at 100 messages in each other.

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{self, DecodeContext, WireType},
};

/// One field of one of the four kinds: merging, writing, length.
macro_rules! field {
    (type option $codec:ident $t:ty) => { Option<$t> };
    (type $kind:ident $codec:ident $t:ty) => { Vec<$t> };
    (merge option $codec:ident $field:expr, $wire:ident, $buf:ident, $cx:ident) => {
        encoding::$codec::merge($wire, $field.get_or_insert_with(Default::default), $buf, $cx)
    };
    (merge $kind:ident $codec:ident $field:expr, $wire:ident, $buf:ident, $cx:ident) => {
        encoding::$codec::merge_repeated($wire, &mut $field, $buf, $cx)
    };
    (encode option $codec:ident $tag:literal, $field:expr, $buf:ident) => {
        if let Some(value) = &$field {
            encoding::$codec::encode($tag, value, $buf);
        }
    };
    (encode packed $codec:ident $tag:literal, $field:expr, $buf:ident) => {
        encoding::$codec::encode_packed($tag, &$field, $buf)
    };
    (encode repeated $codec:ident $tag:literal, $field:expr, $buf:ident) => {
        for value in &$field {
            encoding::$codec::encode($tag, value, $buf);
        }
    };
    (len option $codec:ident $tag:literal, $field:expr) => {
        $field.as_ref().map_or(0, |value| encoding::$codec::encoded_len($tag, value))
    };
    (len packed $codec:ident $tag:literal, $field:expr) => {
        encoding::$codec::encoded_len_packed($tag, &$field)
    };
    (len repeated $codec:ident $tag:literal, $field:expr) => {
        $field.iter().map(|value| encoding::$codec::encoded_len($tag, value)).sum::<usize>()
    };
}

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $tag:literal $field:ident: $kind:ident $codec:ident $t:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: field!(type $kind $codec $t),)*
        }

        impl Message for $name {
            fn encode_raw(&self, buf: &mut impl BufMut) {
                $(field!(encode $kind $codec $tag, self.$field, buf);)*
            }

            fn merge_field(
                &mut self,
                tag: u32,
                wire: WireType,
                buf: &mut impl Buf,
                cx: DecodeContext,
            ) -> Result<(), DecodeError> {
                match tag {
                    $($tag => field!(merge $kind $codec self.$field, wire, buf, cx).map_err(|mut error| {
                        error.push(stringify!($name), stringify!($field));
                        error
                    }),)*
                    _ => encoding::skip_field(wire, tag, buf, cx),
                }
            }

            fn encoded_len(&self) -> usize {
                0 $(+ field!(len $kind $codec $tag, self.$field))*
            }

            fn clear(&mut self) {
                *self = Self::default();
            }
        }
    )*};
}

messages! {
    /// A file.
    ModelProto {
        /// The format's own version.
        1 ir_version: option int64 i64,
        /// Who wrote the file.
        2 producer_name: option string String,
        /// The network.
        7 graph: option message GraphProto,
        /// Versions of the sets of operators.
        8 opset_import: repeated message OperatorSetIdProto,
        /// Functions that nodes may call.
        25 functions: repeated message FunctionProto,
    }

    /// A set of operators.
    OperatorSetIdProto {
        /// Empty for ONNX's own.
        1 domain: option string String,
        /// Its version.
        2 version: option int64 i64,
    }

    /// A network, or a branch of one.
    GraphProto {
        /// Operators in execution order.
        1 node: repeated message NodeProto,
        /// Its name.
        2 name: option string String,
        /// Constants.
        5 initializer: repeated message TensorProto,
        /// What the caller gives, and with old versions constants too.
        11 input: repeated message ValueInfoProto,
        /// What the caller gets.
        12 output: repeated message ValueInfoProto,
        /// What else the file says of its values.
        13 value_info: repeated message ValueInfoProto,
        /// Constants of few values that are not zero.
        15 sparse_initializer: repeated message SparseTensorProto,
    }

    /// An operator in its place.
    NodeProto {
        /// Names of values; empty ones are left out.
        1 input: repeated string String,
        /// Names of values.
        2 output: repeated string String,
        /// Its name; need not be unique.
        3 name: option string String,
        /// Its operator.
        4 op_type: option string String,
        /// Its attributes.
        5 attribute: repeated message AttributeProto,
        /// The set that the operator is of.
        7 domain: option string String,
    }

    /// An attribute of a node.
    AttributeProto {
        /// Its name.
        1 name: option string String,
        /// A number.
        2 f: option float f32,
        /// An integer.
        3 i: option int64 i64,
        /// A text.
        4 s: option bytes Vec<u8>,
        /// A tensor.
        5 t: option message TensorProto,
        /// A graph.
        6 g: option message Box<GraphProto>,
        /// Numbers.
        7 floats: packed float f32,
        /// Integers.
        8 ints: packed int64 i64,
        /// Texts.
        9 strings: repeated bytes Vec<u8>,
        /// Which of the fields is meant: see [`attribute`].
        20 r#type: option int32 i32,
        /// In functions: the caller's attribute of that name is meant.
        21 ref_attr_name: option string String,
        /// A tensor of few values that are not zero.
        22 sparse_tensor: option message SparseTensorProto,
    }

    /// A dense tensor.
    TensorProto {
        /// Sizes.
        1 dims: packed int64 i64,
        /// See `Type` of `array`.
        2 data_type: option int32 i32,
        /// Single precision.
        4 float_data: packed float f32,
        /// Integers of up to 32 bits, truth values, bits of half precision.
        5 int32_data: packed int32 i32,
        /// Integers of 64 bits.
        7 int64_data: packed int64 i64,
        /// Its name.
        8 name: option string String,
        /// The values in little-endian order, for every type.
        9 raw_data: option bytes Vec<u8>,
        /// Double precision.
        10 double_data: packed double f64,
        /// Unsigned integers of 32 and 64 bits.
        11 uint64_data: packed uint64 u64,
        /// Where the values are: `location`, `offset`, `length`.
        13 external_data: repeated message StringStringEntryProto,
        /// 1 where the values are in another file.
        14 data_location: option int32 i32,
    }

    /// A tensor of few values that are not zero.
    SparseTensorProto {
        /// The values; has the tensor's name.
        1 values: option message TensorProto,
    }

    /// A key and a value.
    StringStringEntryProto {
        /// The key.
        1 key: option string String,
        /// The value.
        2 value: option string String,
    }

    /// Name and type of a value.
    ValueInfoProto {
        /// The name.
        1 name: option string String,
        /// The type.
        2 r#type: option message TypeProto,
    }

    /// The type of a value.
    TypeProto {
        /// A dense tensor; other types are not read.
        1 tensor_type: option message TypeTensorProto,
    }

    /// The type of a dense tensor.
    TypeTensorProto {
        /// See `Type` of `array`.
        1 elem_type: option int32 i32,
        /// Its sizes, if their number is known.
        2 shape: option message TensorShapeProto,
    }

    /// Sizes of a tensor.
    TensorShapeProto {
        /// One for each axis.
        1 dim: repeated message DimensionProto,
    }

    /// Size of an axis; has neither if nothing is known.
    DimensionProto {
        /// The size.
        1 dim_value: option int64 i64,
        /// The name of a size that is not known.
        2 dim_param: option string String,
    }

    /// A function that nodes may call.
    FunctionProto {
        /// Its name, which nodes have as operator.
        1 name: option string String,
        /// Names of its inputs.
        4 input: repeated string String,
        /// Names of its outputs.
        5 output: repeated string String,
        /// Names of its attributes.
        6 attribute: repeated string String,
        /// Its operators.
        7 node: repeated message NodeProto,
        /// Versions of the sets of operators.
        9 opset_import: repeated message OperatorSetIdProto,
        /// Its set.
        10 domain: option string String,
        /// Attributes with the value that they have where the caller gives none.
        11 attribute_proto: repeated message AttributeProto,
    }
}

/// Values of `type` of [`AttributeProto`].
pub mod attribute {
    /// [`super::AttributeProto::f`].
    pub const FLOAT: i32 = 1;
    /// [`super::AttributeProto::i`].
    pub const INT: i32 = 2;
    /// [`super::AttributeProto::s`].
    pub const STRING: i32 = 3;
    /// [`super::AttributeProto::t`].
    pub const TENSOR: i32 = 4;
    /// [`super::AttributeProto::g`].
    pub const GRAPH: i32 = 5;
    /// [`super::AttributeProto::floats`].
    pub const FLOATS: i32 = 6;
    /// [`super::AttributeProto::ints`].
    pub const INTS: i32 = 7;
    /// [`super::AttributeProto::strings`].
    pub const STRINGS: i32 = 8;
}

impl NodeProto {
    /// Its operator.
    pub fn op(&self) -> &str {
        self.op_type.as_deref().unwrap_or_default()
    }

    /// The set that its operator is of: empty for ONNX's own, under either of its names.
    pub fn set(&self) -> &str {
        standard(self.domain.as_deref().unwrap_or_default())
    }
}

/// A set's name, ONNX's own always as the empty one.
pub(super) fn standard(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
