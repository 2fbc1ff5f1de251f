//! The fields of kernel calls: operands, constants, scratch, parameters.

use super::{Access, Bindings, Const, Location, Pod, TensorInfo};
use crate::graph::ValueId;
use niello_kernels::{
    Bounds, Float, FloatBounds, Gather, Layout, Multiplier, Operand, OutputParams, Reduction, Region,
    Rounding, Space, Width,
    float::{Elementary, Function},
    resize::Corners,
};
use proc_macro2::{Literal, TokenStream};
use quote::{format_ident, quote};

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
    Elementary: |v, _b| {
        // Parameters are finite: they are printed as literals.
        let v: TokenStream = format!("{v:?}").parse().expect("a variant and its numbers");
        quote!(Elementary::#v)
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
    [u32; 6]: |v, b| { let v = v.map(|x| x.tokens(b)); quote!([#(#v),*]) };
    Rounding: |v, _b| { let v = format_ident!("{v:?}"); quote!(Rounding::#v) };
    Gather: |v, _b| { let v = format_ident!("{v:?}"); quote!(Gather::#v) };
    Reduction: |v, _b| { let v = format_ident!("{v:?}"); quote!(Reduction::#v) };
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
