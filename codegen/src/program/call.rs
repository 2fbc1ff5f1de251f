//! Kernel calls that can be run and printed.

use super::{Blob, TensorInfo};
use crate::graph::ValueId;
use niello_kernels::{Isa, Kernel, Memory, Region, by_rows::RowKernel};
use proc_macro2::TokenStream;
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

/// Declares the build-time mirror of a kernel: the same fields, operands as [`In`](super::In) or [`Out`](super::Out) and constants by reference.
/// The tensors that a step reads and writes follow from it. Kernels that compute some rows alone are declared `by rows`. Methods of [`Call`] that
/// differ from their defaults follow in `with { … }`.
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
