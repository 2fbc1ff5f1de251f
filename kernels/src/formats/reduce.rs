//! Sums, largest and smallest elements along axes; largest elements of windows with holes.

use super::{
    elements::views,
    float::{Float, number},
    int16::{Bounds, Width},
};
use crate::{
    Memory, Multiplier, Operand, OutputParams, Rounding,
    base::{
        isa::Vectorize,
        memory::{ByEncoding, Codes, Encoding, In, Out, in_elements},
    },
    schedule::by_rows::positive,
};

/// `out = stage(multiplier(sum of (in - input_zero_point)))`: TensorFlow Lite's int8 `MEAN` and `SUM` along any axes.
///
/// The sum is along the axes of which the result has one element. For a mean over `n` elements, `multiplier` is
/// [`GlobalAveragePool::multiplier`](crate::GlobalAveragePool::multiplier) of `n`. For 1 to `2^23` elements, so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct ReduceSum {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Each side that of `input`, or 1.
    pub output: Operand,
    /// Zero point of `input`.
    pub input_zero_point: i8,
    /// `s_in / s_out`, of a mean over `n` elements `s_in / (s_out * n)`.
    pub multiplier: Multiplier,
    /// Zero point, clamp and rounding of the output.
    pub stage: OutputParams,
}

/// The same of either width: TensorFlow Lite's int16 `MEAN`. For 1 to `2^16 - 1` elements, so that the sum fits.
#[derive(Clone, Copy, Debug)]
pub struct ReduceSumInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Each side that of `input`, or 1.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// Zero point of `input`; 0 at 16 bits.
    pub input_zero_point: i32,
    /// As that of [`ReduceSum`].
    pub multiplier: Multiplier,
    /// Zero point and clamp of the output.
    pub bounds: Bounds,
    /// The rounding.
    pub rounding: Rounding,
}

/// The largest or the smallest code along axes: TensorFlow Lite's int8 `REDUCE_MAX` and `REDUCE_MIN`. Input and output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct ReduceExtremum {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Each side that of `input`, or 1.
    pub output: Operand,
    /// Whether the largest one is taken.
    pub largest: bool,
}

/// What becomes of numbers along axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// `s / divisor`, with `s` from +0 on: `s = s + x`.
    Sum,
    /// From minus infinity on: `m = x if x > m else m`.
    Largest,
    /// From infinity on: `m = x if x < m else m`.
    Smallest,
}

/// Sum, mean, largest or smallest number along axes, row by row, then by columns, then by channels. NaN becomes [`number`]'s.
#[derive(Clone, Copy, Debug)]
pub struct ReduceFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Each side that of `input`, or 1.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// What is done.
    pub reduction: Reduction,
    /// By which a sum is divided: the number of elements of a mean, else 1.
    pub divisor: f32,
}

/// The largest code of each window, whose cells are `dilation` rows and columns apart. A window without any cell of the image gives -128.
/// Input and output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct DilatedMaxPool2d {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows, columns.
    pub dilation: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
}

/// The largest number of each window with holes, as [`Reduction::Largest`].
#[derive(Clone, Copy, Debug)]
pub struct DilatedMaxPool2dFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// Types of `input`, `output`.
    pub types: [Float; 2],
    /// Rows, columns.
    pub kernel: [u32; 2],
    /// Rows, columns.
    pub stride: [u32; 2],
    /// Rows, columns.
    pub dilation: [u32; 2],
    /// Above, to the left.
    pub padding: [u32; 2],
}

/// Elements that become one. Methods must be `#[inline(always)]`: they stand in loops that are to vectorise.
trait Folding<V>: Copy {
    type Sum: Copy;

    fn start(&self) -> Self::Sum;
    fn add(&self, sum: Self::Sum, value: V) -> Self::Sum;
    fn result(&self, sum: Self::Sum) -> V;
}

impl Folding<i8> for ReduceSum {
    type Sum = i32;

    #[inline(always)]
    fn start(&self) -> i32 {
        0
    }

    #[inline(always)]
    fn add(&self, sum: i32, value: i8) -> i32 {
        sum.wrapping_add(value as i32 - self.input_zero_point as i32)
    }

    #[inline(always)]
    fn result(&self, sum: i32) -> i8 {
        self.stage.store(sum, self.multiplier)
    }
}

impl Folding<i32> for ReduceSumInt16 {
    type Sum = i32;

    #[inline(always)]
    fn start(&self) -> i32 {
        0
    }

    #[inline(always)]
    fn add(&self, sum: i32, value: i32) -> i32 {
        sum.wrapping_add(value.wrapping_sub(self.input_zero_point))
    }

    #[inline(always)]
    fn result(&self, sum: i32) -> i32 {
        self.bounds.clamp(self.multiplier.apply(sum, self.rounding))
    }
}

/// Whether the largest code is taken.
#[derive(Clone, Copy)]
struct Extreme(bool);

impl Folding<i8> for Extreme {
    type Sum = i8;

    #[inline(always)]
    fn start(&self) -> i8 {
        if self.0 { i8::MIN } else { i8::MAX }
    }

    #[inline(always)]
    fn add(&self, sum: i8, value: i8) -> i8 {
        if self.0 { sum.max(value) } else { sum.min(value) }
    }

    #[inline(always)]
    fn result(&self, sum: i8) -> i8 {
        sum
    }
}

/// A reduction, and by what a sum is divided.
#[derive(Clone, Copy)]
struct Numbers(Reduction, f32);

impl Folding<f32> for Numbers {
    type Sum = f32;

    #[inline(always)]
    fn start(&self) -> f32 {
        match self.0 {
            Reduction::Sum => 0.0,
            Reduction::Largest => f32::NEG_INFINITY,
            Reduction::Smallest => f32::INFINITY,
        }
    }

    #[inline(always)]
    fn add(&self, sum: f32, value: f32) -> f32 {
        match self.0 {
            Reduction::Sum => sum + value,
            Reduction::Largest if value > sum => value,
            Reduction::Smallest if value < sum => value,
            _ => sum,
        }
    }

    #[inline(always)]
    fn result(&self, sum: f32) -> f32 {
        number(if self.0 == Reduction::Sum { sum / self.1 } else { sum })
    }
}

/// Which rows, or columns, become one.
#[derive(Clone, Copy)]
enum Axis {
    /// Each stays.
    Whole,
    /// All of them.
    All,
    /// Those of a window.
    Window { kernel: usize, stride: usize, dilation: usize, padding: usize },
}

impl Axis {
    /// Of so many, those that become row or column `o`.
    #[inline(always)]
    fn cells(self, o: usize, size: usize) -> impl Iterator<Item = usize> + Clone {
        let (first, step, count) = match self {
            Self::Whole => (o, 1, 1),
            Self::All => (0, 1, size),
            Self::Window { kernel, stride, dilation, padding } => {
                let start = o.saturating_mul(stride);
                // Those of the window that lie in the padding.
                let outside = padding.saturating_sub(start).div_ceil(dilation.max(1));
                let first = start.saturating_add(outside.saturating_mul(dilation)).saturating_sub(padding);
                let count = size.saturating_sub(first).div_ceil(dilation.max(1));
                (first, dilation, count.min(kernel.saturating_sub(outside)))
            }
        };
        (0..count).map(move |i| first.wrapping_add(i.wrapping_mul(step)))
    }
}

/// The loop of all of them.
struct Folded<'m, E, F> {
    input: In<'m>,
    out: Out<'m>,
    encodings: [E; 2],
    /// Rows, columns.
    axes: [Axis; 2],
    /// Elements of a pixel of the input, and of the result.
    channels: [usize; 2],
    folding: F,
}

impl<'m, E: Encoding, F: Folding<E::Value>> Folded<'m, E, F> {
    /// Along the axes of which the result has one element.
    fn along(mem: &Memory<'m>, operands: [&Operand; 2], encodings: [E; 2], folding: F) -> Option<Self> {
        let (input, out) = (mem.read(operands[0])?, mem.write(operands[1])?);
        let ([h, w, bytes], [oh, ow, out_bytes]) = (input.shape(), out.shape());
        let channels @ [c, oc] = [encodings[0].count(bytes)?, encodings[1].count(out_bytes)?];
        let axis = |size, out| match out {
            _ if size == out => Some(Axis::Whole),
            1 => Some(Axis::All),
            _ => None,
        };
        let elements = h.checked_mul(w)?.checked_mul(c)?;
        let fits = elements > 0 && (c == oc || oc == 1) && elements.checked_div(oh * ow * oc)? <= 1 << 23;
        let axes = [axis(h, oh)?, axis(w, ow)?];
        fits.then_some(Self { input, out, encodings, axes, channels, folding })
    }

    /// In windows: kernel, stride, dilation, padding.
    fn in_windows(
        mem: &Memory<'m>,
        operands: [&Operand; 2],
        encodings: [E; 2],
        windows: [[u32; 2]; 4],
        folding: F,
    ) -> Option<Self> {
        let (input, out, channels) = views(mem, operands, encodings[0], encodings[1])?;
        let axes = [0, 1].map(|axis| {
            let [kernel, stride, dilation, padding] = windows.map(|pair| pair[axis] as usize);
            Axis::Window { kernel, stride, dilation, padding }
        });
        positive(&windows[..3]).then_some(Self {
            input,
            out,
            encodings,
            axes,
            channels: [channels; 2],
            folding,
        })
    }
}

impl<E: Encoding, F: Folding<E::Value>> ByEncoding<E, 2> for Folded<'_, E, F> {
    #[inline(always)]
    fn each(&self, [from, to]: [E; 2]) {
        let Self { input, out, axes, channels: [channels, results], folding, .. } = self;
        let ([h, w, _], [oh, ow, _]) = (input.shape(), out.shape());
        for oy in 0..oh {
            let rows = axes[0].cells(oy, h);
            for ox in 0..ow {
                let (columns, cells) = (axes[1].cells(ox, w), out.pixel(oy, ox));
                if channels != results {
                    let mut sum = folding.start();
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let pixel = input.pixel(y, x);
                            for channel in 0..*channels {
                                let [value] = from.block::<1>(pixel, channel);
                                sum = folding.add(sum, value);
                            }
                        }
                    }
                    to.put(cells, 0, [folding.result(sum)]);
                    continue;
                }
                in_elements!(E::IS_FLOAT, first in *channels, N => {
                    let mut sums = [folding.start(); N];
                    for y in rows.clone() {
                        for x in columns.clone() {
                            let values = from.block::<N>(input.pixel(y, x), first);
                            for (sum, value) in sums.iter_mut().zip(values) {
                                *sum = folding.add(*sum, value);
                            }
                        }
                    }
                    let mut values = [E::Value::default(); N];
                    for (value, sum) in values.iter_mut().zip(sums) {
                        *value = folding.result(sum);
                    }
                    to.put(cells, first, values);
                });
            }
        }
    }
}

impl<E: Encoding, F: Folding<E::Value>> Vectorize for Folded<'_, E, F> {
    const WIDE: bool = !E::IS_FLOAT;

    #[inline(always)]
    fn run(self) {
        E::specialize(self.encodings, &self);
    }
}

const CODES: [Codes<i8>; 2] = [Codes(core::marker::PhantomData); 2];

crate::schedule::kernel!(ReduceSum, |reduce| {
    check: |mem| Folded::along(mem, [&reduce.input, &reduce.output], CODES, *reduce),
    run: |sums, isa| isa.vectorize(sums),
});

crate::schedule::kernel!(ReduceSumInt16, |reduce| {
    check: |mem| Folded::along(mem, [&reduce.input, &reduce.output], reduce.widths, *reduce)
        .filter(|_| reduce.bounds.fits(reduce.widths[1])),
    run: |sums, isa| isa.vectorize(sums),
});

crate::schedule::kernel!(ReduceExtremum, |reduce| {
    check: |mem| Folded::along(mem, [&reduce.input, &reduce.output], CODES, Extreme(reduce.largest)),
    run: |extremes, isa| isa.vectorize(extremes),
});

crate::schedule::kernel!(ReduceFloat, |reduce| {
    check: |mem| Folded::along(
        mem,
        [&reduce.input, &reduce.output],
        reduce.types,
        Numbers(reduce.reduction, reduce.divisor),
    ),
    run: |numbers, isa| isa.vectorize(numbers),
});

crate::schedule::kernel!(DilatedMaxPool2d, |pool| {
    check: |mem| Folded::in_windows(
        mem,
        [&pool.input, &pool.output],
        CODES,
        [pool.kernel, pool.stride, pool.dilation, pool.padding],
        Extreme(true),
    ),
    run: |largest, isa| isa.vectorize(largest),
});

crate::schedule::kernel!(DilatedMaxPool2dFloat, |pool| {
    check: |mem| Folded::in_windows(
        mem,
        [&pool.input, &pool.output],
        pool.types,
        [pool.kernel, pool.stride, pool.dilation, pool.padding],
        Numbers(Reduction::Largest, 1.0),
    ),
    run: |largest, isa| isa.vectorize(largest),
});
