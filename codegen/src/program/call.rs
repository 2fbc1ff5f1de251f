//! Kernel calls that can be run and printed.

use super::{Blob, Const, Location, Pod, TensorInfo};
use crate::graph::ValueId;
use niello_kernels::{
    Bounds, Float, FloatBounds, Gather, Isa, Kernel, Layout, Memory, Multiplier, Operand, OutputParams,
    Region, Rounding, Space, Width, by_rows::RowKernel, float::Function, resize::Corners,
};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};
use std::{any::Any, fmt};

/// One kernel with its parameters, operands and constants still by reference.
pub trait Call: Any + fmt::Debug + Send + Sync {
    /// The kernel's type in `niello-kernels`.
    fn kernel(&self) -> &'static str;

    /// All types that [`Call::tokens`] and [`Call::kernel_type`] name.
    fn kernels(&self) -> Vec<&'static str> {
        vec![self.kernel()]
    }

    /// Every operand that the kernel refers to outside its scratch, in the order of its fields.
    fn operands(&self) -> Vec<Access>;

    /// The kernels that it consists of and what lies in its scratch, for a kernel that consists of others.
    fn inside<'p>(&'p self, bindings: &Bindings<'p>) -> Option<Inside<'p>> {
        let _ = bindings;
        None
    }

    /// Shows the kernel, bound.
    fn bound(&self, bindings: &Bindings<'_>, show: &mut dyn FnMut(&dyn Kernel));

    /// The kernel's struct literal, in terms of the paths that generated code imports.
    fn tokens(&self, bindings: &Bindings<'_>) -> TokenStream;

    /// Its type there.
    fn kernel_type(&self) -> TokenStream {
        path(self.kernel())
    }

    /// Output rows that the kernel computes together: bands of other heights would compute rows in vain.
    fn tile_rows(&self) -> usize {
        1
    }

    /// The largest magnitude of its operands with which everything in between stays finite, where that is less than they can hold.
    fn largest_operand(&self) -> Option<f32> {
        None
    }

    /// The kernel, if it can compute some rows alone: then it can be part of a chain.
    fn by_rows<'p>(&'p self, bindings: &Bindings<'p>) -> Option<Box<dyn RowKernel + Sync + 'p>> {
        let _ = bindings;
        None
    }
}

/// A value that a kernel refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is read.
    Read(ValueId),
    /// It is written.
    Write(ValueId),
}

impl Access {
    /// The value.
    pub fn value(self) -> ValueId {
        let (Self::Read(value) | Self::Write(value)) = self;
        value
    }
}

/// Kernels that pass rows on to each other within one call, for [`verify`](super::verify()).
#[derive(Debug)]
pub struct Inside<'p> {
    /// The kernels, in order.
    pub calls: Vec<&'p dyn Call>,
    /// Values between them, each with the part of the first thread's scratch that holds some of its rows.
    pub buffers: Vec<(ValueId, Region)>,
    /// The part of the first thread's scratch that the kernels use themselves, and others that hold no value.
    pub own: Vec<Region>,
}

impl dyn Call {
    /// The values that it reads, each once.
    pub fn reads(&self) -> Vec<ValueId> {
        distinct(self.operands().into_iter().filter(|access| matches!(access, Access::Read(_))))
    }

    /// The values that it writes, each once: one, in every program.
    pub fn writes(&self) -> Vec<ValueId> {
        distinct(self.operands().into_iter().filter(|access| matches!(access, Access::Write(_))))
    }

    /// Whether the kernel computes anything: its operands lie in `mem`, its parameters fit together.
    pub fn fits(&self, bindings: &Bindings<'_>, mem: &Memory<'_>) -> bool {
        let mut fits = false;
        self.bound(bindings, &mut |kernel| fits = kernel.fits(mem));
        fits
    }

    /// Runs the kernel.
    pub fn run(&self, bindings: &Bindings<'_>, mem: &Memory<'_>, isa: Isa) {
        self.bound(bindings, &mut |kernel| kernel.run(mem, isa));
    }
}

/// The path of a kernel in generated code.
fn path(kernel: &str) -> TokenStream {
    let parts = kernel.split("::").map(|part| format_ident!("{part}"));
    quote!(#(#parts)::*)
}

/// The struct literal of a kernel, from the expressions of its fields.
#[doc(hidden)]
pub fn literal(kernel: &str, fields: &[(&str, TokenStream)]) -> TokenStream {
    let kernel = path(kernel);
    let fields = fields.iter().map(|(name, value)| {
        let name = format_ident!("{name}");
        quote!(#name: #value)
    });
    quote!(#kernel { #(#fields),* })
}

/// The values of `all`, each once, in order.
fn distinct(all: impl Iterator<Item = Access>) -> Vec<ValueId> {
    let mut values = vec![];
    for value in all.map(Access::value) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// Where a call finds what it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Bindings<'p> {
    /// All tensors, with their locations.
    pub tensors: &'p [TensorInfo],
    /// All constants.
    pub blob: &'p Blob,
    /// The step's scratch.
    pub scratch: Region,
}

/// A parameter of a kernel: how it is bound for running and how it is printed.
pub trait Field {
    /// The kernel's type of it.
    type Bound<'p>
    where
        Self: 'p;
    /// The value.
    fn bind<'p>(&'p self, b: &Bindings<'p>) -> Self::Bound<'p>;
    /// Its expression in generated code.
    fn tokens(&self, b: &Bindings<'_>) -> TokenStream;
    /// Whether it is an operand that the kernel writes: each call has one.
    const WRITTEN: bool = false;
    /// The value that it refers to, if it is an operand.
    fn access(&self) -> Option<Access> {
        None
    }
}

/// A tensor operand: the whole of a value, or some of its channels; see [`In`] and [`Out`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ref<const WRITTEN: bool> {
    /// The value.
    pub value: ValueId,
    /// First channel and number of channels, where not all.
    pub channels: Option<(usize, usize)>,
}

/// An operand that the kernel reads.
pub type In = Ref<false>;

/// An operand that the kernel writes.
pub type Out = Ref<true>;

impl<const WRITTEN: bool> Ref<WRITTEN> {
    /// All of `value`.
    pub fn new(value: ValueId) -> Self {
        Self { value, channels: None }
    }

    /// `len` channels of `value` from `first` on.
    pub fn channels(value: ValueId, first: usize, len: usize) -> Self {
        Self { value, channels: Some((first, len)) }
    }
}

impl<const WRITTEN: bool> Field for Ref<WRITTEN> {
    type Bound<'p> = Operand;
    const WRITTEN: bool = WRITTEN;
    fn access(&self) -> Option<Access> {
        Some(if WRITTEN { Access::Write(self.value) } else { Access::Read(self.value) })
    }
    fn bind<'p>(&'p self, b: &Bindings<'p>) -> Operand {
        let TensorInfo { shape, location: Location { space, offset, stride }, format, .. } =
            &b.tensors[self.value.0];
        // To a kernel, a pixel is its bytes.
        let (first, c) = self.channels.unwrap_or((0, shape.c));
        let (first, c) = (first * format.bytes(), c * format.bytes());
        Operand {
            space: *space,
            offset: offset + first as u32,
            shape: [shape.h as u32, shape.w as u32, c as u32],
            stride: *stride,
        }
    }
    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        let Operand { space, offset, shape, stride } = self.bind(b);
        let shape = shape.tokens(b);
        let (offset, stride) = (Literal::u32_unsuffixed(offset), Literal::u32_unsuffixed(stride));
        match space {
            Space::Arena => quote!(Operand::arena(#offset, #shape, #stride)),
            Space::Input(i) => {
                let i = Literal::u8_unsuffixed(i);
                quote!(Operand { space: Space::Input(#i), offset: #offset, shape: #shape, stride: #stride })
            }
            Space::Output(i) => {
                let i = Literal::u8_unsuffixed(i);
                quote!(Operand { space: Space::Output(#i), offset: #offset, shape: #shape, stride: #stride })
            }
        }
    }
}

impl<T: Pod> Field for Const<T> {
    type Bound<'p> = &'p [T];
    fn bind<'p>(&'p self, b: &Bindings<'p>) -> &'p [T] {
        b.blob.get(*self)
    }
    fn tokens(&self, _: &Bindings<'_>) -> TokenStream {
        let accessor = format_ident!("{}", T::ACCESSOR);
        let (offset, len) = (Literal::usize_unsuffixed(self.offset), Literal::usize_unsuffixed(self.len));
        quote!(constants::#accessor(&WEIGHTS, #offset, #len))
    }
}

/// The step's scratch region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scratch;

impl Field for Scratch {
    type Bound<'p> = Region;
    fn bind<'p>(&'p self, b: &Bindings<'p>) -> Region {
        b.scratch
    }
    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        let (offset, len) =
            (Literal::u32_unsuffixed(b.scratch.offset), Literal::u32_unsuffixed(b.scratch.len));
        quote!(Region { offset: #offset, len: #len })
    }
}

/// Parameters that are the same before and after binding.
macro_rules! plain {
    ($($t:ty: |$v:ident, $b:ident| $tokens:expr;)*) => {$(
        impl Field for $t {
            type Bound<'p> = $t;
            fn bind<'p>(&'p self, _: &Bindings<'p>) -> $t {
                *self
            }
            fn tokens(&self, $b: &Bindings<'_>) -> TokenStream {
                let $v = *self;
                $tokens
            }
        }
    )*};
}

plain! {
    u32: |v, _b| { let v = Literal::u32_unsuffixed(v); quote!(#v) };
    i32: |v, _b| { let v = Literal::i32_unsuffixed(v); quote!(#v) };
    Width: |v, _b| { let v = format_ident!("{v:?}"); quote!(Width::#v) };
    [Width; 2]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    [Width; 3]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    [i32; 2]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    Bounds: |v, b| {
        let [zero_point, min, max] = [v.zero_point, v.min, v.max].map(|x| x.tokens(b));
        quote!(Bounds { zero_point: #zero_point, min: #min, max: #max })
    };
    Float: |v, _b| { let v = format_ident!("{v:?}"); quote!(Float::#v) };
    [Float; 2]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    [Float; 4]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    Function: |v, b| match v {
        Function::Sigmoid => quote!(Function::Sigmoid),
        Function::Tanh => quote!(Function::Tanh),
        Function::Silu => quote!(Function::Silu),
        Function::HardSwish => quote!(Function::HardSwish),
        Function::Elu(alpha) => { let alpha = alpha.tokens(b); quote!(Function::Elu(#alpha)) }
        Function::LeakyRelu(slope) => { let slope = slope.tokens(b); quote!(Function::LeakyRelu(#slope)) }
    };
    [Float; 3]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    f32: |v, _b| {
        if v.is_nan() || v.is_infinite() {
            let name = format_ident!("{}", if v.is_nan() { "NAN" } else if v > 0.0 { "INFINITY" } else { "NEG_INFINITY" });
            quote!(f32::#name)
        } else {
            let magnitude = Literal::f32_unsuffixed(v.abs());
            if v.is_sign_negative() { quote!(-#magnitude) } else { quote!(#magnitude) }
        }
    };
    FloatBounds: |v, b| {
        let (least, most) = (v.least.tokens(b), v.most.tokens(b));
        quote!(FloatBounds { least: #least, most: #most })
    };
    i8: |v, _b| { let v = Literal::i8_unsuffixed(v); quote!(#v) };
    bool: |v, _b| quote!(#v);
    [u32; 2]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    [u32; 3]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    Rounding: |v, _b| { let v = format_ident!("{v:?}"); quote!(Rounding::#v) };
    Gather: |v, _b| { let v = format_ident!("{v:?}"); quote!(Gather::#v) };
    Corners: |v, _b| { let v = format_ident!("{v:?}"); quote!(Corners::#v) };
    Multiplier: |v, b| {
        let (mantissa, shift) = (v.mantissa.tokens(b), v.shift.tokens(b));
        quote!(Multiplier { mantissa: #mantissa, shift: #shift })
    };
    OutputParams: |v, b| {
        let (zero_point, min, max) = (v.zero_point.tokens(b), v.min.tokens(b), v.max.tokens(b));
        let rounding = v.rounding.tokens(b);
        quote!(OutputParams { zero_point: #zero_point, min: #min, max: #max, rounding: #rounding })
    };
    Layout: |v, _b| {
        let [nr, kr, offset] = [v.nr, v.kr, v.activation_offset].map(Literal::u8_unsuffixed);
        let pairs = v.pairs;
        quote!(Layout { nr: #nr, kr: #kr, activation_offset: #offset, pairs: #pairs })
    };
}

/// Declares the build-time mirror of a kernel: the same fields, operands as [`In`] or [`Out`] and constants by reference. What a step reads and
/// writes follows from it. Kernels that compute some rows alone are declared `by rows`. Methods of [`Call`] that differ from their defaults
/// follow in `with { … }`.
///
/// A kernel is one of `niello-kernels`, by its name; or one of another crate, by its path from outside (`my_kernels::Gain`), which implements
/// [`niello_kernels::Kernel`], the struct and its fields public. Generated code names that crate:
/// [`Networks::kernel_crates`](crate::import::network::Networks::kernel_crates) says how its `Cargo.toml` finds it.
///
/// ```
/// use niello_codegen::{Op, Result, Shape, Tensor, kernel_call, lower::Lowering, ops, program::{Const, In, Out}};
///
/// /// `|x|`.
/// #[derive(Debug)]
/// struct Abs;
///
/// kernel_call! {
///     /// A look-up per element.
///     AbsCall for Lut by rows {
///         input: In,
///         output: Out,
///         table: Const<i8>,
///     }
/// }
///
/// impl Op for Abs {
///     fn kind(&self) -> &'static str { "Abs" }
///     fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> { Ok(inputs.to_vec()) }
///     fn eval_f32(&self, inputs: &[&Tensor<f32>]) -> Vec<Tensor<f32>> { vec![inputs[0].map(f32::abs)] }
///     fn eval_f64(&self, inputs: &[&Tensor<f64>]) -> Vec<Tensor<f64>> { vec![inputs[0].map(f64::abs)] }
///     fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
///         let (input, output) = (cx.node().inputs[0], cx.node().output());
///         let table = ops::lut(f64::abs, cx.qparams(input)?, cx.qparams(output)?);
///         let call = AbsCall { input: In::new(input), output: Out::new(output), table: cx.constant(&table) };
///         cx.push(call).constant_bytes(256).in_place(&[input]);
///         Ok(())
///     }
/// }
/// ```
#[macro_export]
macro_rules! kernel_call {
    (
        $(#[$meta:meta])* $name:ident for $kernel:ident by rows { $($field:ident: $ty:ty),* $(,)? }
        $(with { $($method:item)* })?
    ) => {
        $crate::kernel_call! {
            @declare [
                fn by_rows<'p>(
                    &'p self,
                    b: &$crate::program::Bindings<'p>,
                ) -> Option<Box<dyn $crate::program::RowKernel + Sync + 'p>> {
                    Some(Box::new($crate::program::kernels::$kernel {
                        $($field: $crate::program::Field::bind(&self.$field, b),)*
                    }))
                }
                $($($method)*)?
            ]
            $(#[$meta])* $name for [stringify!($kernel)] [$crate::program::kernels::$kernel] { $($field: $ty),* }
        }
    };
    (
        $(#[$meta:meta])* $name:ident for $kernel:ident { $($field:ident: $ty:ty),* $(,)? }
        $(with { $($method:item)* })?
    ) => {
        $crate::kernel_call! {
            @declare [$($($method)*)?]
            $(#[$meta])* $name for [stringify!($kernel)] [$crate::program::kernels::$kernel] { $($field: $ty),* }
        }
    };
    (
        $(#[$meta:meta])* $name:ident for $home:ident $(:: $kernel:ident)+ { $($field:ident: $ty:ty),* $(,)? }
        $(with { $($method:item)* })?
    ) => {
        $crate::kernel_call! {
            @declare [$($($method)*)?]
            $(#[$meta])* $name for [concat!(stringify!($home) $(, "::", stringify!($kernel))+)] [$home $(:: $kernel)+]
            { $($field: $ty),* }
        }
    };
    (
        @declare [$($method:item)*]
        $(#[$meta:meta])* $name:ident for [$text:expr] [$($kernel:tt)+] { $($field:ident: $ty:ty),* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: $ty,)*
        }

        const _: () = assert!(
            $(<$ty as $crate::program::Field>::WRITTEN as usize +)* 0 == 1,
            "a call has one field of type `Out`"
        );

        impl $name {
            /// The kernel, bound, for a call that makes it part of its own.
            #[allow(dead_code, reason = "few kernels are part of others")]
            pub(crate) fn with<R>(
                &self,
                b: &$crate::program::Bindings<'_>,
                f: impl FnOnce($($kernel)+) -> R,
            ) -> R {
                f($($kernel)+ {
                    $($field: $crate::program::Field::bind(&self.$field, b),)*
                })
            }
        }

        impl $crate::program::Call for $name {
            fn kernel(&self) -> &'static str {
                $text
            }

            fn operands(&self) -> Vec<$crate::program::Access> {
                [$($crate::program::Field::access(&self.$field)),*].into_iter().flatten().collect()
            }

            fn bound(
                &self,
                b: &$crate::program::Bindings<'_>,
                show: &mut dyn FnMut(&dyn $crate::program::kernels::Kernel),
            ) {
                self.with(b, |kernel| show(&kernel));
            }

            fn tokens(&self, b: &$crate::program::Bindings<'_>) -> $crate::program::TokenStream {
                $crate::program::literal(
                    $text,
                    &[$((stringify!($field), $crate::program::Field::tokens(&self.$field, b))),*],
                )
            }

            $($method)*
        }
    };
}
