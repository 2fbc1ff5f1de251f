//! Element by element: sum, difference, product, quotient.

use super::{Float, FloatBounds};
use crate::{
    Operand,
    formats::elements::{BinaryOp, Broadcast},
};

/// An element takes about as long as so many multiply-accumulates of a convolution.
const ELEMENT: usize = 8;

/// `out = range.clamp(a + b)`: one rounding, another one where the result is stored with 16 bits.
///
/// `b` has the shape of `a`, or one pixel (a number for each channel), or fewer channels (a number for each group of channels of each
/// pixel). `output` may be the same view as an operand of its shape and type.
#[derive(Clone, Copy, Debug)]
pub struct AddFloat {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Types of `a`, `b`, `output`.
    pub types: [Float; 3],
    /// Fused activation.
    pub range: FloatBounds,
}

/// `out = range.clamp(a - b)`, with operands as in [`AddFloat`].
#[derive(Clone, Copy, Debug)]
pub struct SubFloat {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Types of `a`, `b`, `output`.
    pub types: [Float; 3],
    /// Fused activation.
    pub range: FloatBounds,
}

/// `out = range.clamp(a * b)`, with operands as in [`AddFloat`].
#[derive(Clone, Copy, Debug)]
pub struct MulFloat {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Types of `a`, `b`, `output`.
    pub types: [Float; 3],
    /// Fused activation.
    pub range: FloatBounds,
}

/// `out = range.clamp(a / b)`, with operands as in [`AddFloat`].
#[derive(Clone, Copy, Debug)]
pub struct DivFloat {
    /// First operand.
    pub a: Operand,
    /// Second operand.
    pub b: Operand,
    /// Result, of the height, width and channels of `a`.
    pub output: Operand,
    /// Types of `a`, `b`, `output`.
    pub types: [Float; 3],
    /// Fused activation.
    pub range: FloatBounds,
}

/// A kernel of two operands: its function of one element of each.
macro_rules! binary {
    ($kernel:ident, $function:ident, $operator:tt) => {
        struct $function(FloatBounds);

        impl BinaryOp<f32> for $function {
            #[inline(always)]
            fn of(&self, a: f32, b: f32) -> f32 {
                self.0.clamp(a $operator b)
            }
        }

        $crate::schedule::kernel!($kernel, |kernel| {
            check: |mem| Broadcast::new(mem, [&kernel.a, &kernel.b, &kernel.output], kernel.types, $function(kernel.range)),
            run: |pairs, isa| isa.vectorize(pairs),
            reads: [a, b],
            one pixel: b,
            in place: true,
            cost: ELEMENT,
        });
    };
}

binary!(AddFloat, Sum, +);
binary!(SubFloat, Difference, -);
binary!(MulFloat, Product, *);
binary!(DivFloat, Quotient, /);
