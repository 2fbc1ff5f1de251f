//! Options of operators: one table of the schema each, by the number that it has in the union `BuiltinOptions`.

use super::flatbuffer::{Fault, Field, Table};
#[cfg(test)]
use super::write::Part;

/// How far a window reaches beyond the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many results as inputs over the stride, rounded up; what is missing is halved, the larger half at the end.
    Same,
    /// Not at all.
    Valid,
}

/// What an operator does to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// At least 0.
    Relu,
    /// -1 to 1.
    ReluN1To1,
    /// 0 to 6.
    Relu6,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 for negative numbers, otherwise 0.
    SignBit,
}

impl Activation {
    /// As the schema has it.
    pub(crate) fn name(self) -> &'static str {
        ["NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"][self as usize]
    }
}

/// What MIRROR_PAD mirrors at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// The outermost value, which stands once.
    Reflect,
    /// The edge, so that the outermost value stands twice.
    Symmetric,
}

/// A field of options.
trait Value: Sized {
    /// As it is written.
    #[cfg(test)]
    fn part(&self) -> Part;

    /// The field's value, or the schema's default for it.
    fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault>;
}

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl Value for $type {
            #[cfg(test)]
            fn part(&self) -> Part {
                Part::Number(self.to_le_bytes().into())
            }

            fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault> {
                Ok(table.map(|table| table.number(field)).transpose()?.flatten().unwrap_or(default))
            }
        }
    )* };
}

numbers!(i8 i32 f32);

impl Value for bool {
    #[cfg(test)]
    fn part(&self) -> Part {
        Part::byte((*self).into())
    }

    fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault> {
        i8::read(table, field, default.into()).map(|byte| byte != 0)
    }
}

/// A size, of which the schema's default is 0: at least 1.
impl Value for usize {
    #[cfg(test)]
    fn part(&self) -> Part {
        Part::int(*self as i32)
    }

    fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault> {
        let number = i32::read(table, field, default as i32)?;
        let size = usize::try_from(number).ok().filter(|size| *size > 0);
        size.ok_or_else(|| format!("{} is {number}, expected at least 1", field.1))
    }
}

impl Value for Vec<i32> {
    #[cfg(test)]
    fn part(&self) -> Part {
        Part::ints(self.iter().copied())
    }

    fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault> {
        table.map_or(Ok(default), |table| table.numbers(field))
    }
}

macro_rules! choices {
    ($($type:ident: $($value:ident)*;)*) => { $(
        impl Value for $type {
            #[cfg(test)]
            fn part(&self) -> Part {
                Part::byte(*self as u8)
            }

            fn read(table: Option<&Table<'_>>, field: Field, default: Self) -> Result<Self, Fault> {
                const VALUES: &[$type] = &[$($type::$value),*];
                let number = i8::read(table, field, default as i8)?;
                let value = usize::try_from(number).ok().and_then(|number| VALUES.get(number));
                value.copied().ok_or_else(|| format!("{} is {number}, expected 0 to {}", field.1, VALUES.len() - 1))
            }
        }
    )* };
}

choices! {
    Padding: Same Valid;
    Activation: None Relu ReluN1To1 Relu6 Tanh SignBit;
    Mirror: Reflect Symmetric;
}

macro_rules! options {
    ($($(#[$doc:meta])* $table:ident = $tag:literal: $($operator:literal)* {
        $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr, $id:literal;)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub(crate) struct $table {
                $($(#[$field_doc])* pub(crate) $field: $type,)*
            }
        )*

        /// Options of an operator, as its kind wants them.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Options {
            /// The operator has none, or is none that niello knows options of.
            None,
            $(
                #[doc = concat!("Of", $(" ", $operator,)* ".")]
                $table($table),
            )*
        }

        impl Options {
            /// Those that `operator` wants. Fields that the file leaves out, all of them perhaps, have the schema's defaults. `tag` and `table`
            /// are the operator's union `builtin_options`.
            pub(super) fn read(operator: &str, tag: u8, table: Option<Table<'_>>) -> Result<Self, Fault> {
                let table = table.as_ref();
                match operator {
                    $(
                        $($operator)|* => {
                            let of_another = || format!("options are table {tag} of the union, expected {} ({})", $tag, stringify!($table));
                            if tag != $tag && tag != 0 {
                                return Err(of_another());
                            }
                            let table = table.filter(|_| tag == $tag);
                            Ok(Self::$table($table { $($field: Value::read(table, ($id, stringify!($field)), $default)?,)* }))
                        }
                    )*
                    _ => Ok(Self::None),
                }
            }

            /// The union's member and its table.
            #[cfg(test)]
            pub(super) fn table(&self) -> Option<(u8, Part)> {
                match self {
                    Self::None => None,
                    $(Self::$table(table) => Some(($tag, Part::Table(vec![$(($id, table.$field.part())),*]))),)*
                }
            }
        }
    };
}

options! {
    /// A convolution. Sizes in elements.
    Conv2D = 1: "CONV_2D" {
        padding: Padding = Padding::Same, 0;
        stride_w: usize = 0, 1;
        stride_h: usize = 0, 2;
        activation: Activation = Activation::None, 3;
        dilation_w: usize = 1, 4;
        dilation_h: usize = 1, 5;
    }
    /// A depthwise convolution. Sizes in elements; the multiplier follows from the weights.
    DepthwiseConv2D = 2: "DEPTHWISE_CONV_2D" {
        padding: Padding = Padding::Same, 0;
        stride_w: usize = 0, 1;
        stride_h: usize = 0, 2;
        activation: Activation = Activation::None, 4;
        dilation_w: usize = 1, 5;
        dilation_h: usize = 1, 6;
    }
    /// A pool. Sizes in elements.
    Pool2D = 5: "AVERAGE_POOL_2D" "MAX_POOL_2D" "L2_POOL_2D" {
        padding: Padding = Padding::Same, 0;
        stride_w: usize = 0, 1;
        stride_h: usize = 0, 2;
        filter_w: usize = 0, 3;
        filter_h: usize = 0, 4;
        activation: Activation = Activation::None, 5;
    }
    /// A dense layer.
    FullyConnected = 8: "FULLY_CONNECTED" {
        activation: Activation = Activation::None, 0;
        /// 0: one row of weights after the other; 1: shuffled.
        weights_format: i8 = 0, 1;
        /// The result has all axes of the input, the last one excepted.
        keep_num_dims: bool = false, 2;
    }
    /// Softmax of the input times `beta`.
    Softmax = 9: "SOFTMAX" {
        beta: f32 = 0.0, 0;
    }
    /// One after the other along an axis; a negative one counts from the end.
    Concatenation = 10: "CONCATENATION" {
        axis: i32 = 0, 0;
        activation: Activation = Activation::None, 1;
    }
    /// A sum.
    Add = 11: "ADD" {
        activation: Activation = Activation::None, 0;
        /// Scales of 16-bit operands are powers of two.
        pot_scale_int16: bool = true, 1;
    }
    /// Over the euclidean norm of the last axis.
    L2Norm = 12: "L2_NORMALIZATION" {
        activation: Activation = Activation::None, 0;
    }
    /// Resized, between neighbours.
    ResizeBilinear = 15: "RESIZE_BILINEAR" {
        align_corners: bool = false, 2;
        half_pixel_centers: bool = false, 3;
    }
    /// Another shape, unless the second input says it.
    Reshape = 17: "RESHAPE" {
        new_shape: Vec<i32> = vec![], 0;
    }
    /// Blocks to channels.
    SpaceToDepth = 19: "SPACE_TO_DEPTH" {
        block_size: usize = 0, 0;
    }
    /// A product.
    Mul = 21: "MUL" {
        activation: Activation = Activation::None, 0;
    }
    /// Picked entries of an axis.
    Gather = 23: "GATHER" {
        axis: i32 = 0, 0;
        batch_dims: i32 = 0, 1;
    }
    /// Reduced along axes, which the second input names.
    Reducer = 27: "MEAN" "SUM" "REDUCE_MAX" "REDUCE_MIN" "REDUCE_PROD" "REDUCE_ANY" "REDUCE_ALL" {
        /// Reduced axes stay, with size 1.
        keep_dims: bool = false, 0;
    }
    /// A difference.
    Sub = 28: "SUB" {
        activation: Activation = Activation::None, 0;
        /// Scales of 16-bit operands are powers of two.
        pot_scale_int16: bool = true, 1;
    }
    /// A quotient.
    Div = 29: "DIV" {
        activation: Activation = Activation::None, 0;
    }
    /// Without these axes of size 1, or without all of them.
    Squeeze = 30: "SQUEEZE" {
        squeeze_dims: Vec<i32> = vec![], 0;
    }
    /// A slice with steps. Bit `n` of a mask: axis `n`.
    StridedSlice = 32: "STRIDED_SLICE" {
        begin_mask: i32 = 0, 0;
        end_mask: i32 = 0, 1;
        ellipsis_mask: i32 = 0, 2;
        new_axis_mask: i32 = 0, 3;
        shrink_axis_mask: i32 = 0, 4;
        /// The ends are counted from the beginnings.
        offset: bool = false, 5;
    }
    /// Equal parts of an axis.
    Split = 35: "SPLIT" {
        num_splits: usize = 0, 0;
    }
    /// A transposed convolution. Sizes in elements.
    TransposeConv = 49: "TRANSPOSE_CONV" {
        padding: Padding = Padding::Same, 0;
        stride_w: usize = 0, 1;
        stride_h: usize = 0, 2;
        activation: Activation = Activation::None, 3;
    }
    /// Stacked along a new axis.
    Pack = 59: "PACK" {
        values_count: usize = 0, 0;
        axis: i32 = 0, 1;
    }
    /// Taken apart along an axis, which goes.
    Unpack = 64: "UNPACK" {
        num: usize = 0, 0;
        axis: i32 = 0, 1;
    }
    /// Resized, nearest neighbours.
    ResizeNearestNeighbor = 74: "RESIZE_NEAREST_NEIGHBOR" {
        align_corners: bool = false, 0;
        half_pixel_centers: bool = false, 1;
    }
    /// Negative numbers times `alpha`.
    LeakyRelu = 75: "LEAKY_RELU" {
        alpha: f32 = 0.0, 0;
    }
    /// A border of mirrored values.
    MirrorPad = 77: "MIRROR_PAD" {
        mode: Mirror = Mirror::Reflect, 0;
    }
    /// Parts of an axis, with sizes of their own.
    SplitV = 79: "SPLIT_V" {
        num_splits: usize = 0, 0;
    }
    /// Channels to blocks.
    DepthToSpace = 94: "DEPTH_TO_SPACE" {
        block_size: usize = 0, 0;
    }
    /// A product of matrices, either of them transposed first.
    BatchMatMul = 101: "BATCH_MATMUL" {
        adj_x: bool = false, 0;
        adj_y: bool = false, 1;
    }
    /// GELU, by the error function or approximated by a hyperbolic tangent.
    Gelu = 116: "GELU" {
        approximate: bool = false, 0;
    }
}
