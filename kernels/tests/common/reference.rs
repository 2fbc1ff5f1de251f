//! Naive definitions of the operators, in 64 bits on dense tensors. Written from the definitions, not from the kernels.

use crate::common::{Conv, Tensor};
use niello_kernels::{Multiplier, OutputParams, Rounding};

/// `acc * m / 2^31 * 2^e` with the rounding's own ties, from its definition as one or two exact quotients, or in single precision.
pub(crate) fn requantize(acc: i64, multiplier: Multiplier, rounding: Rounding) -> i64 {
    let (m, e) = (multiplier.mantissa as i128, multiplier.shift);
    match rounding {
        Rounding::TfliteDouble => {
            // To nearest, ties up, of a * m / 2^31.
            let a = (acc as i128) << e.max(0);
            let high = (2 * a * m + (1 << 31)).div_euclid(1 << 32);
            // To nearest, ties away from zero.
            let divisor = 1i128 << (-e).max(0);
            let y = (2 * high.abs() + divisor) / (2 * divisor);
            (if high < 0 { -y } else { y }) as i64
        }
        Rounding::Single => {
            let divisor = 1i128 << (31 - e);
            (2 * acc as i128 * m + divisor).div_euclid(2 * divisor) as i64
        }
        Rounding::FloatEven => {
            let factor = multiplier.mantissa as f32 * 2f32.powi(e - 31);
            ((acc as f32 * factor).round_ties_even() as i64).clamp(i32::MIN.into(), i32::MAX.into())
        }
    }
}

pub(crate) fn store(acc: i64, multiplier: Multiplier, stage: &OutputParams) -> i8 {
    let y = requantize(acc, multiplier, stage.rounding) + stage.zero_point as i64;
    if y < stage.min as i64 {
        stage.min
    } else if y > stage.max as i64 {
        stage.max
    } else {
        y as i8
    }
}

pub(crate) fn conv2d(conv: &Conv, image: &Tensor, [oh, ow]: [usize; 2]) -> Tensor {
    let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
    let z = conv.input_zero_point as i64;
    Tensor::from_fn([oh, ow, conv.cout], |oy, ox, n| {
        let mut acc = conv.bias[n] as i64;
        for ky in 0..conv.kernel[0] {
            for kx in 0..conv.kernel[1] {
                let y = (oy * conv.stride[0] + ky * conv.dilation[0]) as i64 - conv.padding[0] as i64;
                let x = (ox * conv.stride[1] + kx * conv.dilation[1]) as i64 - conv.padding[1] as i64;
                for c in 0..cin {
                    let w = conv.weights[((n * conv.kernel[0] + ky) * conv.kernel[1] + kx) * cin + c] as i64;
                    acc += w * (image.get(y, x, n / cout * cin + c, z) - z);
                }
            }
        }
        store(acc, conv.multipliers[n], &conv.stage)
    })
}

/// By scattering: each input pixel adds its products to the outputs that it reaches.
pub(crate) fn transposed_conv2d(conv: &Conv, image: &Tensor, [oh, ow]: [usize; 2]) -> Tensor {
    let mut acc: Vec<i64> = (0..oh * ow * conv.cout).map(|i| conv.bias[i % conv.cout] as i64).collect();
    for y in 0..image.shape[0] {
        for x in 0..image.shape[1] {
            for ky in 0..conv.kernel[0] {
                for kx in 0..conv.kernel[1] {
                    let Some(oy) = (y * conv.stride[0] + ky).checked_sub(conv.padding[0]) else { continue };
                    let Some(ox) = (x * conv.stride[1] + kx).checked_sub(conv.padding[1]) else { continue };
                    if oy >= oh || ox >= ow {
                        continue;
                    }
                    for n in 0..conv.cout {
                        let tap = ((n * conv.kernel[0] + ky) * conv.kernel[1] + kx) * conv.cin;
                        for c in 0..conv.cin {
                            let v = image.at(y, x, c) as i64 - conv.input_zero_point as i64;
                            acc[(oy * ow + ox) * conv.cout + n] += v * conv.weights[tap + c] as i64;
                        }
                    }
                }
            }
        }
    }
    Tensor::from_fn([oh, ow, conv.cout], |y, x, n| {
        store(acc[(y * ow + x) * conv.cout + n], conv.multipliers[n], &conv.stage)
    })
}

pub(crate) fn map(a: &Tensor, f: impl Fn(i8) -> i8) -> Tensor {
    Tensor::new(a.shape, a.data.iter().map(|v| f(*v)).collect())
}

pub(crate) fn add(
    a: &Tensor,
    b: &Tensor,
    zero_points: [i8; 2],
    [ma, mb, m]: [Multiplier; 3],
    stage: &OutputParams,
) -> Tensor {
    let [common_a, common_b] = [(zero_points[0], ma), (zero_points[1], mb)].map(|(zero_point, m)| {
        move |v: i8| requantize((v as i64 - zero_point as i64) << 20, m, stage.rounding)
    });
    of_pairs(a, b, |a, b| store(common_a(a) + common_b(b), m, stage))
}

pub(crate) fn sub(
    a: &Tensor,
    b: &Tensor,
    zero_points: [i8; 2],
    [ma, mb, m]: [Multiplier; 3],
    stage: &OutputParams,
) -> Tensor {
    let [common_a, common_b] = [(zero_points[0], ma), (zero_points[1], mb)].map(|(zero_point, m)| {
        move |v: i8| requantize((v as i64 - zero_point as i64) << 20, m, stage.rounding)
    });
    of_pairs(a, b, |a, b| store(common_a(a) - common_b(b), m, stage))
}

/// What `f` makes of every pair; `b` has the shape of `a`, one pixel or fewer channels, each for a group.
fn of_pairs(a: &Tensor, b: &Tensor, f: impl Fn(i8, i8) -> i8) -> Tensor {
    Tensor::from_fn(a.shape, |y, x, c| {
        let [by, bx] = [(y, 0), (x, 1)].map(|(i, axis)| if b.shape[axis] == 1 { 0 } else { i });
        f(a.at(y, x, c), b.at(by, bx, c / (a.shape[2] / b.shape[2])))
    })
}

pub(crate) fn mul(
    a: &Tensor,
    b: &Tensor,
    zero_points: [i8; 2],
    multiplier: Multiplier,
    stage: &OutputParams,
) -> Tensor {
    let [za, zb] = zero_points.map(i64::from);
    of_pairs(a, b, |a, b| store((a as i64 - za) * (b as i64 - zb), multiplier, stage))
}

/// A pooling window and the size of the result.
pub(crate) struct Window {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) end: [usize; 2],
    pub(crate) out: [usize; 2],
}

impl Window {
    /// Values under the window of output `[oy, ox]`, `None` for a cell in the padding; cells beyond it are left out.
    fn cells(&self, image: &Tensor, oy: usize, ox: usize, c: usize) -> Vec<Option<i8>> {
        let mut cells = Vec::new();
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let (y, x) = (oy * self.stride[0] + ky, ox * self.stride[1] + kx);
                let within =
                    |v: usize, axis: usize| v < self.padding[axis] + image.shape[axis] + self.end[axis];
                let inside = |v: usize, axis: usize| {
                    v >= self.padding[axis] && v < self.padding[axis] + image.shape[axis]
                };
                if inside(y, 0) && inside(x, 1) {
                    cells.push(Some(image.at(y - self.padding[0], x - self.padding[1], c)));
                } else if within(y, 0) && within(x, 1) {
                    cells.push(None);
                }
            }
        }
        cells
    }
}

pub(crate) fn max_pool(image: &Tensor, window: &Window, min: i8, max: i8) -> Tensor {
    Tensor::from_fn([window.out[0], window.out[1], image.shape[2]], |oy, ox, c| {
        let values = window.cells(image, oy, ox, c).into_iter().flatten();
        values.max().unwrap_or(min).clamp(min, max)
    })
}

/// The first position of the largest value in each window, 0 where no cell is inside.
pub(crate) fn max_position(image: &Tensor, window: &Window) -> Tensor {
    let [h, w, c] = image.shape;
    Tensor::from_fn([window.out[0], window.out[1], c], |oy, ox, c| {
        let mut best: Option<(i8, usize)> = None;
        for position in 0..window.kernel[0] * window.kernel[1] {
            let y = (oy * window.stride[0] + position / window.kernel[1]).checked_sub(window.padding[0]);
            let x = (ox * window.stride[1] + position % window.kernel[1]).checked_sub(window.padding[1]);
            let (Some(y), Some(x)) = (y.filter(|y| *y < h), x.filter(|x| *x < w)) else { continue };
            let value = image.at(y, x, c);
            if best.is_none_or(|(largest, _)| value > largest) {
                best = Some((value, position));
            }
        }
        best.map_or(0, |(_, position)| position as i8)
    })
}

/// By scattering: each value is written where its position says.
pub(crate) fn max_unpool(
    values: &Tensor,
    positions: &Tensor,
    kernel: [usize; 2],
    out: [usize; 2],
    zero_point: i8,
) -> Tensor {
    let [h, w, channels] = values.shape;
    let mut data = vec![zero_point; out[0] * out[1] * channels];
    for (y, x, c) in (0..h).flat_map(|y| (0..w).flat_map(move |x| (0..channels).map(move |c| (y, x, c)))) {
        let Ok(position) = usize::try_from(positions.at(y, x, c)) else { continue };
        let (oy, ox) = (y * kernel[0] + position / kernel[1], x * kernel[1] + position % kernel[1]);
        if position < kernel[0] * kernel[1] && oy < out[0] && ox < out[1] {
            data[(oy * out[1] + ox) * channels + c] = values.at(y, x, c);
        }
    }
    Tensor::new([out[0], out[1], channels], data)
}

/// `slopes` are codes of their scale, which is part of `negative`.
pub(crate) fn prelu(
    a: &Tensor,
    slopes: &[i8],
    zero_point: i8,
    [positive, negative]: [Multiplier; 2],
    stage: &OutputParams,
) -> Tensor {
    let [h, w, c] = a.shape;
    Tensor::from_fn([h, w, c], |y, x, c| {
        let v = a.at(y, x, c) as i64 - zero_point as i64;
        if v >= 0 { store(v, positive, stage) } else { store(v * slopes[c] as i64, negative, stage) }
    })
}

/// As a transposition of the matrix `[groups, channels / groups]`.
pub(crate) fn channel_shuffle(image: &Tensor, groups: usize) -> Tensor {
    let in_group = image.shape[2] / groups;
    Tensor::from_fn(image.shape, |y, x, c| image.at(y, x, c % groups * in_group + c / groups))
}

pub(crate) fn pad_channels(image: &Tensor, more: usize, zero_point: i8) -> Tensor {
    let [h, w, channels] = image.shape;
    Tensor::from_fn(
        [h, w, channels + more],
        |y, x, c| {
            if c < channels { image.at(y, x, c) } else { zero_point }
        },
    )
}

pub(crate) fn average_pool(
    image: &Tensor,
    window: &Window,
    count_padding: bool,
    zero_point: i8,
    min: i8,
    max: i8,
) -> Tensor {
    Tensor::from_fn([window.out[0], window.out[1], image.shape[2]], |oy, ox, c| {
        let cells = window.cells(image, oy, ox, c);
        let cells: Vec<i64> = if count_padding {
            cells.into_iter().map(|v| v.unwrap_or(zero_point) as i64).collect()
        } else {
            cells.into_iter().flatten().map(|v| v as i64).collect()
        };
        let mean = match cells.len() as i64 {
            0 => zero_point as i64,
            n => {
                let sum: i64 = cells.iter().sum();
                sum.signum() * ((2 * sum.abs() + n) / (2 * n))
            }
        };
        mean.clamp(min as i64, max as i64) as i8
    })
}

pub(crate) fn global_mean(
    image: &Tensor,
    zero_point: i8,
    multiplier: Multiplier,
    stage: &OutputParams,
) -> Tensor {
    let [h, w, c] = image.shape;
    Tensor::from_fn([1, 1, c], |_, _, c| {
        let values = (0..h * w).map(|p| image.at(p / w, p % w, c) as i64 - zero_point as i64);
        store(values.sum(), multiplier, stage)
    })
}

pub(crate) fn nearest(image: &Tensor, [oh, ow]: [usize; 2]) -> Tensor {
    let [h, w, c] = image.shape;
    let at = |o: usize, size: usize, out: usize| (o as f32 * (size as f32 / out as f32)).floor() as usize;
    Tensor::from_fn([oh, ow, c], |y, x, c| image.at(at(y, h, oh), at(x, w, ow), c))
}

pub(crate) fn bilinear(image: &Tensor, [oh, ow]: [usize; 2], half_pixel: bool) -> Tensor {
    let [h, w, c] = image.shape;
    // Position in 1/1024 of a pixel, lower and upper neighbour.
    let axis = |o: usize, size: usize, out: usize| {
        let (o, size, out) = (o as i64, size as i64, out as i64);
        let step = if !half_pixel && out > 1 {
            ((size - 1) * 1024 + (out - 1) / 2) / (out - 1)
        } else {
            (size * 1024 + out / 2) / out
        };
        let at = if half_pixel { o * step + step / 2 - 512 } else { o * step };
        let low = (at / 1024).max(0);
        (at - low * 1024, low, ((at + 1023) / 1024).min(size - 1))
    };
    Tensor::from_fn([oh, ow, c], |oy, ox, c| {
        let ((fy, y0, y1), (fx, x0, x1)) = (axis(oy, h, oh), axis(ox, w, ow));
        let v = |y, x| image.get(y, x, c, 0);
        let sum = v(y0, x0) * (1024 - fy) * (1024 - fx)
            + v(y1, x0) * fy * (1024 - fx)
            + v(y0, x1) * (1024 - fy) * fx
            + v(y1, x1) * fy * fx;
        (sum.signum() * ((sum.abs() + (1 << 19)) >> 20)) as i8
    })
}

pub(crate) fn arg_max(image: &Tensor) -> Tensor {
    Tensor::from_fn([image.shape[0], image.shape[1], 1], |y, x, _| {
        let scores: Vec<i8> = (0..image.shape[2]).map(|c| image.at(y, x, c)).collect();
        let best = scores.iter().max().unwrap();
        scores.iter().position(|s| s == best).unwrap() as i8
    })
}

/// The row of `table` for each label, an unsigned byte; the last row for labels beyond it.
pub(crate) fn rows_of(labels: &Tensor, table: &[i8], width: usize) -> Tensor {
    let [h, w, _] = labels.shape;
    let rows: Vec<&[i8]> = table.chunks(width).collect();
    Tensor::from_fn([h, w, width], |y, x, c| {
        let label = labels.at(y, x, 0) as u8 as usize;
        rows.get(label).unwrap_or(rows.last().unwrap())[c]
    })
}

/// Attention over `[tokens, heads * width]`, from the text of `docs/arithmetic.md`.
pub(crate) struct Attend<'a> {
    pub(crate) heads: usize,
    pub(crate) zero_points: [i8; 3],
    pub(crate) shared: bool,
    pub(crate) scale: Multiplier,
    pub(crate) min_difference: i64,
    /// Rounds, chunk size, rotations by round and column.
    pub(crate) hashing: Option<(usize, usize, &'a [i16])>,
    pub(crate) multiplier: Multiplier,
    pub(crate) stage: OutputParams,
}

impl Attend<'_> {
    pub(crate) fn run(&self, [query, key, value]: [&Tensor; 3]) -> Tensor {
        let [h, w, c] = query.shape;
        let (tokens, width) = (h * w, c / self.heads);
        let mut out = vec![0i8; tokens * c];
        for head in 0..self.heads {
            let rows = |tensor: &Tensor, zero: i8| -> Vec<Vec<i64>> {
                let row = |t: usize| (0..width).map(move |f| t * c + head * width + f);
                (0..tokens).map(|t| row(t).map(|i| tensor.data[i] as i64 - zero as i64).collect()).collect()
            };
            let [zq, zk, zv] = self.zero_points;
            let (q, k, v) = (rows(query, zq), rows(key, zk), rows(value, zv));
            let product = |a: &[i64], b: &[i64]| -> i64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
            let seen = self.seen(&q);
            for t in 0..tokens {
                let mut weights: Vec<i64> = vec![];
                let others = seen[t].iter().any(|s| *s != t);
                let logits: Vec<Option<i64>> = seen[t]
                    .iter()
                    .map(|s| {
                        let dot = product(&q[t], &k[*s]);
                        match self.shared {
                            true if *s == t && others => None,
                            true => Some((dot * root(product(&k[*s], &k[*s])) + (1 << 13)) >> 14),
                            false => Some(dot),
                        }
                    })
                    .collect();
                let largest = logits.iter().flatten().max().unwrap();
                for logit in &logits {
                    weights.push(match logit {
                        Some(logit) if logit - largest >= self.min_difference => {
                            exponential(requantize(logit - largest, self.scale, Rounding::Single))
                        }
                        _ => 0,
                    });
                }
                let sum: i64 = weights.iter().sum();
                for f in 0..width {
                    let weighted = weights.iter().zip(&seen[t]).map(|(weight, s)| {
                        let weight = (2 * (*weight as i128) * (1 << 22) + sum as i128) / (2 * sum as i128);
                        weight as i64 * v[*s][f]
                    });
                    out[t * c + head * width + f] = store(weighted.sum(), self.multiplier, &self.stage);
                }
            }
        }
        Tensor::new(query.shape, out)
    }

    fn seen(&self, queries: &[Vec<i64>]) -> Vec<Vec<usize>> {
        let tokens = queries.len();
        let Some((rounds, size, rotations)) = self.hashing else {
            return vec![(0..tokens).collect(); tokens];
        };
        let (columns, width) = (tokens / size / 2, queries[0].len());
        let mut sequence = vec![];
        for round in 0..rounds {
            let mut tagged: Vec<(usize, usize)> = (0..tokens)
                .map(|t| {
                    let turned: Vec<i64> = (0..columns)
                        .map(|b| {
                            let column = &rotations[(round * columns + b) * width..][..width];
                            column.iter().zip(&queries[t]).map(|(r, x)| *r as i64 * x).sum()
                        })
                        .collect();
                    let both: Vec<i64> = turned.iter().copied().chain(turned.iter().map(|x| -x)).collect();
                    let best = both.iter().max().unwrap();
                    (both.iter().position(|x| x == best).unwrap(), t)
                })
                .collect();
            tagged.sort();
            sequence.extend(tagged.into_iter().map(|(_, t)| t));
        }
        let n = sequence.len();
        (0..tokens)
            .map(|t| {
                let places = (0..n).filter(|at| sequence[*at] == t);
                let windows = places
                    .map(|at| at / size * size)
                    .flat_map(|own| (own..own + size).chain((own + n - size..own + n).map(move |at| at % n)));
                windows.map(|at| sequence[at]).collect()
            })
            .collect()
    }
}

/// The largest `r` with `r^2 n <= 2^60`, by bisection; 0 for 0.
fn root(n: i64) -> i64 {
    let (mut low, mut high) = (0i128, (1i128 << 30) + 1);
    while n > 0 && high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle * n as i128 <= 1 << 60 { low = middle } else { high = middle }
    }
    low as i64
}

/// gemmlowp's `exp_on_negative_values` from Q5.26 to Q0.31.
fn exponential(a: i64) -> i64 {
    let high = |a: i64, b: i64| (2 * a as i128 * b as i128 + (1 << 31)).div_euclid(1 << 32) as i64;
    let away = |x: i64, bits: u32| x.signum() * ((2 * x.abs() + (1 << bits)) >> (bits + 1));
    if a == 0 {
        return i32::MAX as i64;
    }
    let within = a.rem_euclid(1 << 24) - (1 << 24);
    let quarters = (within - a) >> 24;
    let x = (within << 5) + (1 << 28);
    let (x2, x3, x4) = (high(x, x), high(high(x, x), x), high(high(x, x), high(x, x)));
    let tail = away(high(away(x4, 2) + x3, 715_827_883) + x2, 1);
    let eighth = (2f64.powi(31) * (-0.125f64).exp()).round() as i64;
    let mut result = eighth + high(eighth, x + tail);
    for bit in 0..7 {
        if quarters >> bit & 1 == 1 {
            let factor = 2f64.powi(31) * (-(2f64.powi(bit - 2))).exp();
            result = high(result, factor.round() as i64);
        }
    }
    result
}
