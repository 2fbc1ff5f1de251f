//! The class of each pixel.

use crate::{
    Memory, Operand,
    base::memory::{Channels, Codes, Encoding, In, Out},
};

/// `out[y, x] = argmax over c of in[y, x, c]`; the first of equal ones wins. 1 to 128 channels, labels 0 to 127.
#[derive(Clone, Copy, Debug)]
pub struct ArgMax {
    /// Scores, `[h, w, classes]`.
    pub input: Operand,
    /// Labels, `[h, w, 1]`.
    pub output: Operand,
}

crate::schedule::kernel!(ArgMax, |argmax| {
    check: |mem| argmax.views(mem),
    run: |(input, out), _| {
        let [h, w, _] = out.shape();
        for y in 0..h {
            for x in 0..w {
                let scores = input.pixel(y, x);
                let label = largest(Codes::<i8>::default(), scores, scores.len());
                out.pixel(y, x).iter().for_each(|cell| cell.set(label as i8));
            }
        }
    },
});

impl ArgMax {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let [h, w, classes] = input.shape();
        (out.shape() == [h, w, 1] && (1..=128).contains(&classes)).then_some((input, out))
    }
}

/// Which of so many scores is the largest: one wins that is greater than the one before it that won.
#[inline(always)]
pub(crate) fn largest<E: Encoding>(encoding: E, scores: Channels<'_>, count: usize) -> usize {
    let ([mut best], mut label) = (encoding.block::<1>(scores, 0), 0);
    for class in 1..count {
        let [score] = encoding.block::<1>(scores, class);
        if score > best {
            (best, label) = (score, class);
        }
    }
    label
}
