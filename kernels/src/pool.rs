//! Pooling: largest value and mean over windows, mean over the whole image.

use crate::{
    Isa, Kernel, Memory, Multiplier, Operand, OutputStage,
    memory::{In, map1},
};

/// The part of axis `0..size` that window `index` covers.
#[inline(always)]
fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> core::ops::Range<usize> {
    let start = index * stride;
    start.saturating_sub(padding).min(size)..(start + kernel).saturating_sub(padding).min(size)
}

/// Largest value of each window: TensorFlow Lite's int8 `MAX_POOL_2D`. Input and output share scale and zero point.
///
/// Windows are clipped to the image, so padding never wins and a window may end outside (ceil mode).
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
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = input.shape();
        let [oh, ow, _] = out.shape();
        let [kh, kw] = self.kernel.map(|d| d as usize);
        let [sh, sw] = self.stride.map(|d| d as usize);
        let [ph, pw] = self.padding.map(|d| d as usize);
        for oy in 0..oh {
            for ox in 0..ow {
                let cells = out.pixel(oy, ox);
                let mut first = true;
                for y in window(oy, kh, sh, ph, h) {
                    for x in window(ox, kw, sw, pw, w) {
                        let values = input.pixel(y, x);
                        if first {
                            map1(cells, values, |v| v);
                            first = false;
                        } else {
                            for (i, cell) in cells.iter().enumerate().take(values.len()) {
                                cell.set(cell.get().max(values.get(i)));
                            }
                        }
                    }
                }
                for cell in cells {
                    cell.set(if first { self.min } else { cell.get().max(self.min).min(self.max) });
                }
            }
        }
    }
}

/// Mean of each window: TensorFlow Lite's int8 `AVERAGE_POOL_2D`. Input and output share scale and zero point.
///
/// The sum of the stored values is divided by the number of cells, to nearest, ties away from zero. With
/// `count_padding`, cells in the padding count as zero points (PyTorch's `count_include_pad`).
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
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
    /// Below, to the right: only to count cells with `count_padding`.
    pub padding_end: [u32; 2],
    /// Whether cells in the padding take part.
    pub count_padding: bool,
    /// Zero point of input and output.
    pub zero_point: i8,
    /// Smallest value to store.
    pub min: i8,
    /// Largest value to store.
    pub max: i8,
}

impl Kernel for AveragePool2d {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        let [h, w, _] = input.shape();
        let [oh, ow, _] = out.shape();
        let [kh, kw] = self.kernel.map(|d| d as usize);
        let [sh, sw] = self.stride.map(|d| d as usize);
        let [ph, pw] = self.padding.map(|d| d as usize);
        let [eh, ew] = self.padding_end.map(|d| d as usize);
        for oy in 0..oh {
            for ox in 0..ow {
                let (rows, columns) = (window(oy, kh, sh, ph, h), window(ox, kw, sw, pw, w));
                let inside = (rows.len() * columns.len()) as i32;
                // Cells of the window within the padded image: PyTorch counts no further (ceil mode).
                let padded = ((oy * sh + kh).min(h + ph + eh) - (oy * sh).min(h + ph + eh))
                    * ((ox * sw + kw).min(w + pw + ew) - (ox * sw).min(w + pw + ew));
                let count = if self.count_padding { padded as i32 } else { inside };
                let base = (count - inside) * self.zero_point as i32;
                for (c, cell) in out.pixel(oy, ox).iter().enumerate() {
                    let mut sum = base;
                    for y in rows.clone() {
                        for x in columns.clone() {
                            sum += input.pixel(y, x).get(c) as i32;
                        }
                    }
                    let mean = if count == 0 { self.zero_point as i32 } else { rounded_quotient(sum, count) };
                    cell.set((mean as i8).max(self.min).min(self.max));
                }
            }
        }
    }
}

/// `sum / count` to nearest, ties away from zero; `count > 0`.
#[inline(always)]
const fn rounded_quotient(sum: i32, count: i32) -> i32 {
    let half = if sum > 0 { count / 2 } else { -(count / 2) };
    (sum + half).wrapping_div(count)
}

/// Mean over the image, to another scale: TensorFlow Lite's int8 `MEAN` over height and width.
///
/// `out = stage(multiplier(sum over pixels of (in - input_zero_point)))`, where `multiplier` holds
/// `s_in / (s_out * pixels)`. For at most `2^23` pixels, so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePool {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[1, 1, c]`.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / (s_out * h * w)`.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputStage,
}

impl Kernel for GlobalAveragePool {
    fn run(&self, mem: &Memory<'_>, _: Isa) {
        let (Some(input), Some(out)) = (mem.read(&self.input), mem.write(&self.output)) else {
            debug_assert!(false, "operands outside memory");
            return;
        };
        for (c, cell) in out.pixel(0, 0).iter().enumerate() {
            cell.set(self.stage.store(self.sum(&input, c), self.multiplier));
        }
    }
}

impl GlobalAveragePool {
    /// The multiplier for scales `s_in` and `s_out` and a mean over `pixels`, as TensorFlow Lite's
    /// `QuantizedMeanOrSum` derives it: `s_in / s_out` is rounded to 31 bits first, then divided by the number of
    /// pixels in integers, truncating. Its mantissa may lie below `2^30`.
    ///
    /// ```text
    /// shift = min(floor(log2 pixels), 32, 31 + e)        with s_in / s_out ~ m / 2^31 * 2^e
    /// m' = floor(m * 2^shift / pixels), e' = e - shift
    /// ```
    ///
    /// Returns `None` for no pixels and where [`Multiplier::from_real`] does for `s_in / s_out`.
    pub const fn multiplier(s_in: f64, s_out: f64, pixels: u32) -> Option<Multiplier> {
        let Some(m) = Multiplier::from_real(s_in / s_out) else { return None };
        if pixels == 0 {
            return None;
        }
        let log2 = pixels.ilog2() as i32;
        // `e` is at least -31, so the shift is not negative.
        let shift = if log2 < 31 + m.shift { log2 } else { 31 + m.shift };
        let mantissa = ((m.mantissa as i64) << shift) / pixels as i64;
        Some(Multiplier { mantissa: mantissa as i32, shift: m.shift - shift })
    }

    fn sum(&self, input: &In<'_>, c: usize) -> i32 {
        let [h, w, _] = input.shape();
        let mut sum = 0i32;
        for y in 0..h {
            for x in 0..w {
                sum = sum.wrapping_add(input.pixel(y, x).get(c) as i32 - self.input_zero_point as i32);
            }
        }
        sum
    }
}
