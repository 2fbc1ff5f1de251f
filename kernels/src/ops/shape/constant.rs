//! A tensor that does not depend on inputs.

use crate::{
    Memory, Operand,
    base::memory::{Out, in_blocks, put},
};

/// `out = data`, byte by byte.
#[derive(Clone, Copy, Debug)]
pub struct Constant<'a> {
    /// Result.
    pub output: Operand,
    /// As many bytes, in the order height, width, channel.
    pub data: &'a [i8],
}

impl Constant<'_> {
    fn out<'m>(&self, mem: &Memory<'m>) -> Option<Out<'m>> {
        let out = mem.write(&self.output)?;
        // `Memory` checked that the product fits.
        (out.shape().iter().product::<usize>() == self.data.len()).then_some(out)
    }
}

crate::schedule::kernel!(Constant<'a>, |constant| {
    check: |mem| constant.out(mem),
    run: |out, _| {
        let out = out.joined().unwrap_or(out);
        let [h, w, c] = out.shape();
        let mut rest = constant.data;
        for i in 0..h * w {
            let Some((values, behind)) = rest.split_at_checked(c) else { return };
            let cells = out.nth(i);
            in_blocks!(first in c, N => {
                if let Some(block) = values.get(first..).and_then(|rest| rest.first_chunk::<N>()) {
                    put(cells, first, *block);
                }
            });
            rest = behind;
        }
    },
});
