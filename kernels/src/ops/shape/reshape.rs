//! Reading a tensor in another shape.

use crate::{
    Memory, Operand,
    base::memory::{In, Out, in_blocks, put},
};

/// Element `i` of `out` is element `i` of `in`, both in the order height, width, channel.
///
/// `output` may lie over `input`, if neither has gaps between its pixels: then there is nothing to do.
#[derive(Clone, Copy, Debug)]
pub struct Reshape {
    /// Input.
    pub input: Operand,
    /// Result, with as many elements.
    pub output: Operand,
}

crate::schedule::kernel!(Reshape, |reshape| {
    check: |mem| reshape.views(mem),
    run: |(input, out), _| {
        if core::ptr::eq(input.as_ptr(), out.as_ptr()) {
            return;
        }
        let ([_, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        let (mut y, mut x, mut at) = (0, 0, 0);
        for oy in 0..oh {
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                let mut done = 0;
                while done < oc {
                    let pixel = input.pixel(y, x);
                    let n = (c - at).min(oc - done);
                    in_blocks!(first in n, N => {
                        put(cells, done + first, pixel.block::<N>(at + first));
                    });
                    (done, at) = (done + n, at + n);
                    if at == c {
                        (at, x) = (0, x + 1);
                        if x == w {
                            (x, y) = (0, y + 1);
                        }
                    }
                }
            }
        }
    },
});

impl Reshape {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        let elsewhere = || !core::ptr::eq(input.as_ptr(), out.as_ptr());
        // `Memory` checked that both products fit.
        (h * w * c == oh * ow * oc && (elsewhere() || self.is_dense())).then_some((input, out))
    }

    /// Whether neither operand has gaps: all its elements lie one behind the other.
    fn is_dense(&self) -> bool {
        let dense = |o: &Operand| o.stride == o.shape[2] || o.shape[0] == 1 && o.shape[1] == 1;
        dense(&self.input) && dense(&self.output)
    }
}
