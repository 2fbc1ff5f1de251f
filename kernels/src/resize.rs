//! Resizing: nearest neighbour and bilinear.

use crate::{
    Isa, Kernel, Memory, Operand,
    memory::{Channels, map1},
};

/// How output positions map to input positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Corners {
    /// Pixel centres lie at half positions (PyTorch's `align_corners=False`).
    HalfPixel,
    /// The corners' centres coincide (`align_corners=True`).
    Aligned,
}

/// Nearest neighbour: TensorFlow Lite's `RESIZE_NEAREST_NEIGHBOR` without corner options, which is PyTorch's
/// `nearest`: input index `floor(o * size / out_size)`. Input and output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
}

impl Kernel for ResizeNearest {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = input.shape();
        let [oh, ow, _] = out.shape();
        for oy in 0..oh {
            for ox in 0..ow {
                map1(out.pixel(oy, ox), input.pixel(oy * h / oh, ox * w / ow), |v| v);
            }
        }
    }
}

/// Bilinear interpolation with 10-bit positions: TensorFlow Lite's integer `RESIZE_BILINEAR`. Input and output share
/// scale and zero point.
///
/// ```text
/// step  = (2^10 * size + out / 2) / out                   half-pixel centres
///       = (2^10 * (size - 1) + (out - 1) / 2) / (out - 1)    aligned corners, out > 1
/// pos   = o * step + step / 2 - 2^9                       half-pixel centres
///       = o * step                                        aligned corners
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
fn position(o: usize, size: usize, out: usize, corners: Corners) -> (usize, usize, i64) {
    let (size, out) = (size as i64, out as i64);
    let pos = match corners {
        Corners::HalfPixel => {
            let step = ((size << 10) + out / 2).wrapping_div(out.max(1));
            o as i64 * step + step / 2 - (1 << 9)
        }
        Corners::Aligned if out > 1 => {
            o as i64 * (((size - 1) << 10) + (out - 1) / 2).wrapping_div((out - 1).max(1))
        }
        Corners::Aligned => o as i64 * (((size << 10) + out / 2).wrapping_div(out.max(1))),
    };
    let low = (pos / (1 << 10)).max(0).min(size - 1);
    let high = ((pos + (1 << 10) - 1) / (1 << 10)).min(size - 1);
    (low as usize, high as usize, pos - (low << 10))
}

impl Kernel for ResizeBilinear {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = input.shape();
        let [oh, ow, _] = out.shape();
        for oy in 0..oh {
            let (y0, y1, fy) = position(oy, h, oh, self.corners);
            for ox in 0..ow {
                let (x0, x1, fx) = position(ox, w, ow, self.corners);
                let corners: [(Channels<'_>, i64); 4] = [
                    (input.pixel(y0, x0), (1024 - fy) * (1024 - fx)),
                    (input.pixel(y1, x0), fy * (1024 - fx)),
                    (input.pixel(y0, x1), (1024 - fy) * fx),
                    (input.pixel(y1, x1), fy * fx),
                ];
                for (c, cell) in out.pixel(oy, ox).iter().enumerate() {
                    let value: i64 = corners.iter().map(|(v, weight)| v.get(c) as i64 * weight).sum();
                    let half = if value > 0 { 1 << 19 } else { -(1 << 19) };
                    cell.set(((value + half) / (1 << 20)) as i8);
                }
            }
        }
    }
}
