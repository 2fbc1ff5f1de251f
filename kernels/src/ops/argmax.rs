//! The class of each pixel.

use crate::{
    Memory, Operand,
    base::memory::{In, Out},
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
                let (mut best, mut label) = (i8::MIN, 0);
                for (i, score) in scores.iter().enumerate() {
                    if score > best {
                        (best, label) = (score, i);
                    }
                }
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
