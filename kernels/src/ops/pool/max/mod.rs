//! Largest value of each window.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(niello_mve)]
mod mve;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod rectangle;
mod swar;

use super::window;
use crate::{
    Isa, Memory, Operand,
    base::memory::{In, Out, in_blocks, put},
    schedule::by_rows::{ReceptiveField, elements, positive},
};
use core::{cell::Cell, ops::Range};
use rectangle::Rectangle;

/// A comparison takes about as long as so many multiply-accumulates of a convolution.
const COMPARISON: u32 = 4;

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

crate::schedule::kernel!(MaxPool2d, |pool| {
    check: |mem| pool.views(mem),
    run: |(input, out), isa| pool.compute(isa, input, out),
    reads: [input],
    rows: ReceptiveField::window(pool.kernel, [1; 2], pool.stride, pool.padding), above: padding[0],
    cost: elements([pool.kernel[0], pool.kernel[1], COMPARISON]),
});

impl MaxPool2d {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let fits = input.shape()[2] == out.shape()[2] && positive(&[self.kernel, self.stride]);
        fits.then_some((input, out))
    }

    #[inline(always)]
    fn compute(&self, isa: Isa, input: In<'_>, out: Out<'_>) {
        #[cfg_attr(
            not(target_arch = "aarch64"),
            allow(unused_variables, reason = "rows have no kernel of their own")
        )]
        let ([h, w, channels], [oh, ow, _]) = (input.shape(), out.shape());
        let [kh, kw] = self.kernel.map(|d| d as usize);
        let [sh, sw] = self.stride.map(|d| d as usize);
        let [ph, pw] = self.padding.map(|d| d as usize);
        for oy in 0..oh {
            let rows = window(oy, kh, sh, ph, h);
            #[cfg(target_arch = "aarch64")]
            if let Some(tile) = neon::Neon::new(isa) {
                let pixel = input.stride();
                let first = input.as_ptr().wrapping_add(rows.start * w * pixel);
                let rows = Rectangle { first, rows: rows.len(), columns: w, row: w * pixel, pixel };
                let first = out.as_ptr().wrapping_add(oy * ow * out.stride());
                let row = neon::Outputs { first, pixels: ow, pixel: out.stride() };
                let columns = neon::Columns { kernel: kw, stride: sw, padding: pw, size: w };
                // SAFETY: rows and columns are clipped to the input; the outputs are a row of `out`, which has as many channels.
                unsafe { tile.largest::<neon::Codes>(&rows, columns, channels, [self.min, self.max], row) };
                continue;
            }
            for ox in 0..ow {
                let columns = window(ox, kw, sw, pw, w);
                self.largest(isa, input, rows.clone(), columns, out.pixel(oy, ox));
            }
        }
    }

    /// The largest value of each channel over `rows` and `columns`, which lie within the image.
    #[inline(always)]
    fn largest(
        &self,
        isa: Isa,
        input: In<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
        cells: &[Cell<i8>],
    ) {
        #[cfg(target_arch = "x86_64")]
        let tile = avx512::Avx512::new(isa);
        let ([_, w, channels], pixel) = (input.shape(), input.stride());
        let rectangle = Rectangle {
            first: input.as_ptr().wrapping_add((rows.start * w + columns.start) * pixel),
            rows: rows.len(),
            columns: columns.len(),
            row: w * pixel,
            pixel,
        };
        let out = cells.as_ptr().cast::<i8>().cast_mut();
        #[cfg(target_arch = "x86_64")]
        if let Some(tile) = tile {
            if cells.len() == channels {
                // SAFETY: `window` clips the rectangle to the input; `cells` are as many as the channels.
                unsafe { tile.largest(&rectangle, channels, [self.min, self.max], out) };
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(tile) = avx2::Avx2::new(isa) {
            if cells.len() == channels {
                // SAFETY: as above.
                unsafe { tile.largest(&rectangle, channels, [self.min, self.max], out) };
            }
            return;
        }
        #[cfg(niello_mve)]
        if let (Some(tile), true) = (mve::Mve::new(isa), cells.len() == channels) {
            // SAFETY: as above.
            unsafe { tile.largest(&rectangle, channels, [self.min, self.max], out) };
            return;
        }
        if isa.has_no_vectors() && channels >= 4 && cells.len() == channels {
            // SAFETY: as above.
            unsafe { swar::largest(&rectangle, channels, [self.min, self.max], out) };
            return;
        }
        in_blocks!(first in cells.len(), N => {
            // Starting from the clamp's lower end gives the same result as clamping afterwards.
            let mut largest = [self.min; N];
            for y in rows.clone() {
                for x in columns.clone() {
                    let values = input.pixel(y, x).block::<N>(first);
                    for (l, v) in largest.iter_mut().zip(values) {
                        *l = (*l).max(v);
                    }
                }
            }
            for l in &mut largest {
                *l = (*l).min(self.max);
            }
            put(cells, first, largest);
        });
    }
}
