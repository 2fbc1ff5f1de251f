//! Resizing: nearest neighbour and bilinear.

use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, map1},
    },
};
use core::marker::PhantomData;

/// How output positions map to input positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corners {
    /// Pixel centres lie at half positions (PyTorch's `align_corners=False`).
    HalfPixel,
    /// The corners' centres coincide (`align_corners=True`).
    Aligned,
    /// The first corners coincide, and steps are the quotient of the sizes: TensorFlow Lite's with neither `align_corners` nor
    /// `half_pixel_centers`.
    Asymmetric,
}

/// Nearest neighbour: TensorFlow Lite's `RESIZE_NEAREST_NEIGHBOR` without corner options, which is PyTorch's
/// `nearest`: input index `floor(o * (size / out_size))`, quotient and product rounded to single precision as both of
/// them do. Input and output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
}

crate::schedule::kernel!(ResizeNearest, |resize| {
    check: |mem| operands(mem, [&resize.input, &resize.output]),
    run: |(input, out), _| {
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        let (scale_y, scale_x) = (h as f32 / oh as f32, w as f32 / ow as f32);
        for oy in 0..oh {
            let y = nearest(oy, scale_y, h);
            for ox in 0..ow {
                map1(out.pixel(oy, ox), input.pixel(y, nearest(ox, scale_x, w)), |v| v);
            }
        }
    },
});

/// Input position of output position `o`.
#[inline(always)]
fn nearest(o: usize, scale: f32, size: usize) -> usize {
    // Positive, so that truncation is the floor.
    ((o as f32 * scale) as usize).min(size.saturating_sub(1))
}

/// Whether there is a pixel to resize, or none to compute.
pub(crate) fn has_source(input: &In<'_>, out: &Out<'_>) -> bool {
    let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
    h * w > 0 || oh * ow == 0
}

/// The views of a kernel whose input and output have the same channels, and any sides.
fn operands<'m>(mem: &Memory<'m>, [input, output]: [&Operand; 2]) -> Option<(In<'m>, Out<'m>)> {
    let (input, out) = (mem.read(input)?, mem.write(output)?);
    (input.shape()[2] == out.shape()[2] && has_source(&input, &out)).then_some((input, out))
}

/// Bilinear interpolation with 10-bit positions: TensorFlow Lite's integer `RESIZE_BILINEAR`. Input and output share
/// scale and zero point.
///
/// ```text
/// step  = (2^10 * size + out / 2) / out                   half-pixel centres, asymmetric
///       = (2^10 * (size - 1) + (out - 1) / 2) / (out - 1)    aligned corners, out > 1
/// pos   = o * step + step / 2 - 2^9                       half-pixel centres
///       = o * step                                        aligned corners, asymmetric
/// low   = clamp(pos / 2^10, 0, size - 1)                 truncating division
/// high  = min((pos + 2^10 - 1) / 2^10, size - 1)         so that before the first centre, low = high = 0
/// fraction = pos - 2^10 * low
/// value = sum of the four neighbours times (2^10 - fraction) or fraction for each axis
/// out   = value / 2^20 to nearest, ties away from zero
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinear {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// How positions map.
    pub corners: Corners,
}

/// One axis of an output position: lower and upper neighbour, and the 10-bit fraction between them.
#[inline(always)]
fn position(o: usize, size: usize, out: usize, corners: Corners) -> (usize, usize, i32) {
    let (size, out) = (size as i64, out as i64);
    let pos = match corners {
        Corners::Aligned if out > 1 => {
            let step = (((size - 1) << 10) + (out - 1) / 2).checked_div(out - 1).unwrap_or(0);
            o as i64 * step
        }
        _ => {
            let step = ((size << 10) + out / 2).checked_div(out).unwrap_or(0);
            let start = if corners == Corners::HalfPixel { step / 2 - (1 << 9) } else { 0 };
            o as i64 * step + start
        }
    };
    let low = (pos / (1 << 10)).min(size - 1).max(0);
    let high = ((pos + (1 << 10) - 1) / (1 << 10)).min(size - 1).max(0);
    (low as usize, high as usize, (pos - (low << 10)) as i32)
}

crate::schedule::kernel!(ResizeBilinear, |resize| {
    check: |mem| Bilinear::<i8>::new(mem, [&resize.input, &resize.output], resize.corners),
    run: |bilinear, isa| isa.vectorize(bilinear),
});

/// Codes that can be mixed.
pub(crate) trait Mix: Code {
    /// The sum of products over `2^20` to nearest, ties away from zero, for weights whose sum is `2^20`.
    fn mix(values: [Self; 4], weights: [i32; 4]) -> Self;
}

impl Mix for i8 {
    // 32 bits are enough: sums modulo 2^32 end at a value below 2^28.
    #[inline(always)]
    fn mix(values: [Self; 4], weights: [i32; 4]) -> Self {
        let [a, b, c, d] = values.map(i32::from);
        let sum = a
            .wrapping_mul(weights[0])
            .wrapping_add(b.wrapping_mul(weights[1]))
            .wrapping_add(c.wrapping_mul(weights[2]))
            .wrapping_add(d.wrapping_mul(weights[3]));
        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
        (sum.wrapping_add(half) / (1 << 20)) as Self
    }
}

impl Mix for i16 {
    #[inline(always)]
    fn mix(values: [Self; 4], weights: [i32; 4]) -> Self {
        let [a, b, c, d] = values.map(i64::from);
        let [wa, wb, wc, wd] = weights.map(i64::from);
        let sum = a
            .wrapping_mul(wa)
            .wrapping_add(b.wrapping_mul(wb))
            .wrapping_add(c.wrapping_mul(wc))
            .wrapping_add(d.wrapping_mul(wd));
        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
        (sum.wrapping_add(half) / (1 << 20)) as Self
    }
}

/// The loop over codes of either width.
pub(crate) struct Bilinear<'m, T> {
    corners: Corners,
    input: In<'m>,
    out: Out<'m>,
    channels: usize,
    code: PhantomData<T>,
}

impl<'m, T: Code> Bilinear<'m, T> {
    /// `None` if operands lie outside memory, channel counts differ, or there are no pixels.
    pub(crate) fn new(mem: &Memory<'m>, views: [&Operand; 2], corners: Corners) -> Option<Self> {
        let (input, out) = operands(mem, views)?;
        Some(Self { corners, input, out, channels: T::count(out.shape()[2])?, code: PhantomData })
    }
}

impl<T: Mix> Vectorize for Bilinear<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { corners, input, out, channels, .. } = self;
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        for oy in 0..oh {
            let (y0, y1, fy) = position(oy, h, oh, corners);
            for ox in 0..ow {
                let (x0, x1, fx) = position(ox, w, ow, corners);
                let weight = |y: i32, x: i32| y.wrapping_mul(x);
                let weights = [
                    weight(1024 - fy, 1024 - fx),
                    weight(fy, 1024 - fx),
                    weight(1024 - fy, fx),
                    weight(fy, fx),
                ];
                let pixels = [(y0, x0), (y1, x0), (y0, x1), (y1, x1)].map(|(y, x)| input.pixel(y, x));
                let cells = out.pixel(oy, ox);
                in_blocks!(first in channels, N => {
                    let [v00, v10, v01, v11] = [
                        T::block::<N>(pixels[0], first),
                        T::block::<N>(pixels[1], first),
                        T::block::<N>(pixels[2], first),
                        T::block::<N>(pixels[3], first),
                    ];
                    let mut values = v00;
                    for i in 0..N {
                        values[i] = T::mix([v00[i], v10[i], v01[i], v11[i]], weights);
                    }
                    T::put(cells, first, values);
                });
            }
        }
    }
}
