//! Element by element: sum, difference, product.

use super::{
    Float, Range,
    rows::{by_types, in_lanes},
};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{In, Out},
    },
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
    pub range: Range,
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
    pub range: Range,
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
    pub range: Range,
}

/// A function of two numbers. `of` must be `#[inline(always)]`.
trait OfTwo {
    fn of(&self, a: f32, b: f32) -> f32;
}

/// Two operands and a function of one element of each.
struct Walk<'m, F> {
    a: In<'m>,
    b: In<'m>,
    out: Out<'m>,
    types: [Float; 3],
    /// Numbers of a pixel of the result, and of the second operand.
    channels: [usize; 2],
    function: F,
}

impl<'m, F: OfTwo> Walk<'m, F> {
    /// `None` where an operand lies outside memory, or something does not fit together.
    fn new(mem: &Memory<'m>, operands: [&Operand; 3], types: [Float; 3], function: F) -> Option<Self> {
        let (a, b, out) = (mem.read(operands[0])?, mem.read(operands[1])?, mem.write(operands[2])?);
        let ([ah, aw, a_bytes], [bh, bw, b_bytes], [h, w, bytes]) = (a.shape(), b.shape(), out.shape());
        let channels @ [c, numbers] = [types[2].count(bytes)?, types[1].count(b_bytes)?];
        let whole = [bh, bw, numbers] == [h, w, c];
        let repeats =
            [bh, bw, numbers] == [1, 1, c] || [bh, bw] == [h, w] && c.checked_rem(numbers) == Some(0);
        if !(whole || repeats) || [ah, aw, types[0].count(a_bytes)?] != [h, w, c] {
            return None;
        }
        let mut walk = Self { a, b, out, types, channels, function };
        if let (true, Some(a), Some(b), Some(out)) = (whole, a.joined(), b.joined(), out.joined()) {
            walk = Self { a, b, out, channels: [h * w * c; 2], ..walk };
        }
        Some(walk)
    }

    #[inline(always)]
    fn each(&self, [of_a, of_b, to]: [Float; 3]) {
        let ([h, w, _], [channels, numbers]) = (self.out.shape(), self.channels);
        let is_pixel = self.b.shape()[..2] == [1, 1];
        // Channels that share a number of the second operand.
        let group = channels.checked_div(numbers).unwrap_or(0);
        for i in 0..h * w {
            let (cells, left) = (self.out.nth(i), self.a.nth(i));
            let right = self.b.nth(if is_pixel { 0 } else { i });
            if group == 1 {
                in_lanes!(first in channels, N => {
                    let mut block = of_a.block::<N>(left, first);
                    for (a, b) in block.iter_mut().zip(of_b.block::<N>(right, first)) {
                        *a = self.function.of(*a, b);
                    }
                    to.put(cells, first, block);
                });
                continue;
            }
            for n in 0..numbers {
                let [b] = of_b.block::<1>(right, n);
                in_lanes!(offset in group, N => {
                    let first = n * group + offset;
                    let mut block = of_a.block::<N>(left, first);
                    for a in &mut block {
                        *a = self.function.of(*a, b);
                    }
                    to.put(cells, first, block);
                });
            }
        }
    }
}

impl<F: OfTwo> Vectorize for Walk<'_, F> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let types = self.types;
        by_types!(types => self.each(types));
    }
}

/// A kernel of two operands: its function of one element of each.
macro_rules! of_two {
    ($kernel:ident, $function:ident, $operator:tt) => {
        struct $function(Range);

        impl OfTwo for $function {
            #[inline(always)]
            fn of(&self, a: f32, b: f32) -> f32 {
                self.0.clamp(a $operator b)
            }
        }

        $crate::schedule::kernel!($kernel, |kernel| {
            check: |mem| Walk::new(mem, [&kernel.a, &kernel.b, &kernel.output], kernel.types, $function(kernel.range)),
            run: |walk, isa| isa.vectorize(walk),
            reads: [a, b],
            one pixel: b,
            in place: true,
            cost: ELEMENT,
        });
    };
}

of_two!(AddFloat, Sum, +);
of_two!(SubFloat, Difference, -);
of_two!(MulFloat, Product, *);
