//! The class of each pixel.

use super::Float;
use crate::{
    Memory, Operand,
    base::memory::{Encoding as _, In, Out},
    ops::argmax::largest,
};

/// `out[y, x] = argmax over c of in[y, x, c]`, a byte. 1 to 128 channels, labels 0 to 127.
///
/// From the first channel on, a number wins that is greater than the one before it that won: the first of equal ones, zeros of both signs
/// among them. A NaN is chosen only if it is the first element: comparisons with it are false.
#[derive(Clone, Copy, Debug)]
pub struct ArgMaxFloat {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Labels, `[h, w, 1]`, bytes.
    pub output: Operand,
    /// Type of `input`.
    pub float: Float,
}

crate::schedule::kernel!(ArgMaxFloat, |argmax| {
    check: |mem| argmax.views(mem),
    run: |(input, out, classes), _| {
        let [h, w, _] = out.shape();
        for i in 0..h * w {
            let label = largest(argmax.float, input.nth(i), classes);
            out.nth(i).iter().for_each(|cell| cell.set(label as i8));
        }
    },
});

impl ArgMaxFloat {
    /// Input, output, and how many classes there are.
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>, usize)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let [h, w, bytes] = input.shape();
        let classes = self.float.count(bytes)?;
        (out.shape() == [h, w, 1] && (1..=128).contains(&classes)).then_some((input, out, classes))
    }
}
