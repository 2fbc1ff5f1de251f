//! Max unpooling: values go back to where they were the largest.

use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks},
    },
};

/// To choose a value or zero takes about as long as so many multiply-accumulates of a convolution.
pub(crate) const CHOICE: usize = 8;

/// Each value goes to its position in its window, everything else is 0: what [`MaxPool2d`](crate::MaxPool2d) and
/// [`MaxPosition2d`](crate::MaxPosition2d) made of windows without padding, next to each other, undone.
///
/// Output pixel `[y, x]` belongs to the window of value `[y / kernel rows, x / kernel columns]`; where there is none, the output is 0. Values and
/// output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct MaxUnpool2d {
    /// `[h, w, c]`.
    pub values: Operand,
    /// `[h, w, c]`, positions in windows: `row * kernel columns + column`. Any other code is no position.
    pub positions: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns; as many from one window to the next.
    pub kernel: [u32; 2],
    /// Rows of the first window that lie above the output.
    pub cropped: u32,
    /// Zero point of values and output.
    pub zero_point: i8,
}

/// Implements the kernel of a type with these fields; `check` finds its [`Unpool`].
macro_rules! unpool {
    ($kernel:ident, |$unpool:ident, $mem:ident| $check:expr) => {
        $crate::schedule::kernel!($kernel, |$unpool| {
            check: |$mem| $check,
            run: |unpool, isa| isa.vectorize(unpool),
            reads: [values, positions],
            rows: $crate::schedule::by_rows::ReceptiveField::spread($unpool.kernel, $unpool.kernel, [$unpool.cropped, 0]), above: cropped,
            cost: $crate::ops::pool::unpool::CHOICE,
        });

        impl $kernel {
            fn unpool<'m, T: $crate::base::memory::Code>(
                &self,
                mem: &$crate::Memory<'m>,
                zero: T,
            ) -> Option<$crate::ops::pool::unpool::Unpool<'m, T>> {
                $crate::ops::pool::unpool::Unpool::new(mem, [&self.values, &self.positions, &self.output], self.kernel, self.cropped, zero)
            }
        }
    };
}
pub(crate) use unpool;

unpool!(MaxUnpool2d, |unpool, mem| unpool.unpool(mem, unpool.zero_point));

/// The loop over values of any width.
pub(crate) struct Unpool<'m, T> {
    values: In<'m>,
    positions: In<'m>,
    out: Out<'m>,
    kernel: [usize; 2],
    cropped: usize,
    /// The code of 0.
    zero: T,
}

impl<'m, T: Code> Unpool<'m, T> {
    /// `None` if operands lie outside memory, shapes differ, or a window has no cells.
    pub(crate) fn new(
        mem: &Memory<'m>,
        [values, positions, output]: [&Operand; 3],
        kernel: [u32; 2],
        cropped: u32,
        zero: T,
    ) -> Option<Self> {
        let (values, positions, out) = (mem.read(values)?, mem.read(positions)?, mem.write(output)?);
        let [h, w, bytes] = values.shape();
        let fits = [h, w, T::count(bytes)?] == positions.shape() && bytes == out.shape()[2];
        let (kernel, cropped) = (kernel.map(|d| d as usize), cropped as usize);
        (fits && !kernel.contains(&0)).then_some(Self { values, positions, out, kernel, cropped, zero })
    }
}

impl<T: Code> Vectorize for Unpool<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { values, positions, out, kernel: [kh, kw], cropped, zero } = self;
        let ([h, w, channels], [oh, ow, _]) = (positions.shape(), out.shape());
        let (mut y, mut ky) = split(cropped, kh);
        for oy in 0..oh {
            let (mut x, mut kx) = (0, 0);
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                // Outside all windows nothing has this position.
                let at = ky.wrapping_mul(kw).wrapping_add(kx);
                let at = if y < h && x < w && at < 128 { at as i8 } else { -1 };
                let (values, positions) = (values.pixel(y, x), positions.pixel(y, x));
                in_blocks!(first in channels, N => {
                    let mut block = T::block::<N>(values, first);
                    let chosen = positions.block::<N>(first);
                    for (v, p) in block.iter_mut().zip(chosen) {
                        *v = if p == at && at >= 0 { *v } else { zero };
                    }
                    T::put(cells, first, block);
                });
                kx += 1;
                if kx == kw {
                    (x, kx) = (x + 1, 0);
                }
            }
            ky += 1;
            if ky == kh {
                (y, ky) = (y + 1, 0);
            }
        }
    }
}

/// Quotient and remainder; all zero for a divisor of 0.
fn split(n: usize, by: usize) -> (usize, usize) {
    (n.checked_div(by).unwrap_or(0), n.checked_rem(by).unwrap_or(0))
}
