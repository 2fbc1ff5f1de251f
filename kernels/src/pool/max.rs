use super::window;
use crate::{
    Isa, Kernel, Memory, Operand,
    isa::Vectorize,
    memory::{In, Out, in_blocks, put},
};

/// Largest value of each window: TensorFlow Lite's int8 `MAX_POOL_2D`. Input and output share scale and zero point.
///
/// Windows are clipped to the image, so padding never wins and a window may end outside (ceil mode). A window without
/// any cell of the image gives `min`.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Smallest value to store.
    pub min: i8,
    /// Largest value to store.
    pub max: i8,
}

impl Kernel for MaxPool2d {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        if input.shape()[2] != out.shape()[2] {
            debug_assert!(false, "numbers of channels differ");
            return;
        }
        isa.vectorize(Walk { pool: self, input, out });
    }
}

struct Walk<'k, 'm> {
    pool: &'k MaxPool2d,
    input: In<'m>,
    out: Out<'m>,
}

impl Vectorize for Walk<'_, '_> {
    #[inline(always)]
    fn run(self) {
        let Self { pool, input, out } = self;
        let ([h, w, _], [oh, ow, channels]) = (input.shape(), out.shape());
        let [kh, kw] = pool.kernel.map(|d| d as usize);
        let [sh, sw] = pool.stride.map(|d| d as usize);
        let [ph, pw] = pool.padding.map(|d| d as usize);
        for oy in 0..oh {
            let rows = window(oy, kh, sh, ph, h);
            for ox in 0..ow {
                let columns = window(ox, kw, sw, pw, w);
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    // Starting from the clamp's lower end gives the same result as clamping afterwards.
                    let mut largest = [pool.min; N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = input.pixel(y, x).block::<N>(first);
                            for (l, v) in largest.iter_mut().zip(values) {
                                *l = (*l).max(v);
                            }
                        }
                    }
                    for l in &mut largest {
                        *l = (*l).min(pool.max);
                    }
                    put(cells, first, largest);
                });
            }
        }
    }
}
