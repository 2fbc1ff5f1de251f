//! Bilinear resizing.

use super::{Float, by_types::by_types, fused, number};
use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Encoding as _, In, Out, in_lanes},
    },
    formats::elements::views,
    ops::shape::resize::{Corners, has_source},
};

/// Bilinear interpolation, PyTorch's `bilinear`.
///
/// Positions and weights have double precision; a weight is rounded to single precision once.
///
/// ```text
/// at = max((o + 0.5) * size / out - 0.5, 0)         with half-pixel centres
/// at = o * (size - 1) / (out - 1), 0 if out is 1    with aligned corners
/// at = min(o * size / out, size - 1)                asymmetric
/// low = min(floor(at), size - 1), high = min(low + 1, size - 1), f = at - low
///
/// w00 = (1 - fy) * (1 - fx), w01 = (1 - fy) * fx, w10 = fy * (1 - fx), w11 = fy * fx
/// out = fused(w11, x11, fused(w10, x10, fused(w01, x01, w00 * x00)))
/// ```
///
/// `x01` is at `low` of the rows and `high` of the columns. NaN becomes [`number`]'s.
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinearFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// How positions map.
    pub corners: Corners,
}

/// Lower and upper neighbour of output index `o`, and the weight of the upper one.
#[inline(always)]
fn position(o: usize, size: usize, out: usize, corners: Corners) -> (usize, usize, f64) {
    let last = size.saturating_sub(1);
    let at = match corners {
        Corners::HalfPixel => (o as f64 + 0.5) * size as f64 / out as f64 - 0.5,
        Corners::Aligned if out == 1 => 0.0,
        Corners::Aligned => o as f64 * last as f64 / (out as f64 - 1.0),
        Corners::Asymmetric => {
            let (at, last) = (o as f64 * size as f64 / out as f64, last as f64);
            if at < last { at } else { last }
        }
    };
    let at = if at > 0.0 { at } else { 0.0 };
    // Not negative, so that truncation is the floor.
    let low = (at as usize).min(last);
    (low, low.saturating_add(1).min(last), at - low as f64)
}

struct Bilinear<'m> {
    resize: ResizeBilinearFloat,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
}

impl Bilinear<'_> {
    #[inline(always)]
    fn each(&self, [from, to]: [Float; 2]) {
        let Self { resize, input, out, channels } = *self;
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        for oy in 0..oh {
            let (y0, y1, fy) = position(oy, h, oh, resize.corners);
            for ox in 0..ow {
                let (x0, x1, fx) = position(ox, w, ow, resize.corners);
                let [w00, w01, w10, w11] =
                    [(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx].map(|w| w as f32);
                let [p00, p01, p10, p11] =
                    [(y0, x0), (y0, x1), (y1, x0), (y1, x1)].map(|(y, x)| input.pixel(y, x));
                let cells = out.pixel(oy, ox);
                in_lanes!(first in channels, N => {
                    let mut mixed = from.block::<N>(p00, first);
                    let (x01, x10, x11) = (
                        from.block::<N>(p01, first),
                        from.block::<N>(p10, first),
                        from.block::<N>(p11, first),
                    );
                    for i in 0..N {
                        let upper = fused(w01, x01[i], w00 * mixed[i]);
                        mixed[i] = number(fused(w11, x11[i], fused(w10, x10[i], upper)));
                    }
                    to.put(cells, first, mixed);
                });
            }
        }
    }
}

impl Vectorize for Bilinear<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        let types = self.resize.types;
        by_types!(types => self.each(types));
    }
}

crate::schedule::kernel!(ResizeBilinearFloat, |resize| {
    check: |mem| resize.bilinear(mem),
    run: |bilinear, isa| isa.vectorize(bilinear),
});

impl ResizeBilinearFloat {
    fn bilinear<'m>(&self, mem: &Memory<'m>) -> Option<Bilinear<'m>> {
        let [from, to] = self.types;
        let (input, out, channels) = views(mem, [&self.input, &self.output], from, to)?;
        has_source(&input, &out).then_some(Bilinear { resize: *self, input, out, channels })
    }
}
