//! The samples of a scan (T.87, annex A).

use super::Bits;

/// The order of a scan of several components. One component alone comes line by line too.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Interleave {
    Line,
    Sample,
}

/// Logarithms of the lengths of runs.
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Constants of a scan.
pub(super) struct Parameters {
    most: i32,
    near: i32,
    range: i32,
    /// Bits of an error.
    bits: u32,
    /// The longest code.
    limit: u32,
    thresholds: [i32; 3],
    reset: i32,
}

/// What has been learnt of one kind of surroundings.
#[derive(Clone, Copy)]
struct Context {
    /// Sum of the errors' sizes.
    a: i32,
    /// Sum of the errors; of runs the number of negative ones.
    b: i32,
    /// Correction of the prediction.
    c: i32,
    /// Number of samples.
    n: i32,
}

impl Context {
    /// The Golomb parameter: the smallest power of two that `sum` is on average.
    fn golomb(&self, sum: i32) -> u32 {
        let length = |v: i32| 32 - v.leading_zeros();
        let k = length(sum).saturating_sub(length(self.n)).min(16);
        k + u32::from(self.n << k < sum && k < 16)
    }
}

/// The state of a scan.
struct State {
    contexts: [Context; 365],
    runs: [Context; 2],
    /// Places in `RUN_BITS`, for each component.
    run_index: [usize; 4],
}

impl Parameters {
    pub(super) fn new(bits: u8, near: u8, preset: [u16; 5]) -> Result<Self, String> {
        let [most, t1, t2, t3, reset] = preset.map(i32::from);
        let (near, whole) = (i32::from(near), (1 << bits) - 1);
        let most = if most == 0 { whole } else { most };
        if most > whole || most < 1 || near > 255.min(most / 2) {
            return Err(format!("samples of {bits} bits, at most {most}, with errors of {near}"));
        }
        let clamp = |value: i32, least: i32| if value > most || value < least { least } else { value };
        let [d1, d2, d3] = if most >= 128 {
            let factor = (most.min(4095) + 128) / 256;
            [factor + 2, 4 * factor + 3, 17 * factor + 4]
        } else {
            let factor = 256 / (most + 1);
            [3 / factor, 7 / factor, 21 / factor]
        };
        // Small ranges add the error before the least value is looked at.
        let low = |value: i32, least: i32, near: i32| {
            if most >= 128 { value + near } else { least.max(value + near) }
        };
        let or = |own: i32, default: i32| if own == 0 { default } else { own };
        let t1 = or(t1, clamp(low(d1, 2, 3 * near), near + 1));
        let t2 = or(t2, clamp(low(d2, 3, 5 * near), t1));
        let t3 = or(t3, clamp(low(d3, 4, 7 * near), t2));
        if !(near < t1 && t1 <= t2 && t2 <= t3 && t3 <= most) {
            return Err(format!("the thresholds {t1}, {t2} and {t3}"));
        }
        let reset = or(reset, 64);
        let range = (most + 2 * near) / (2 * near + 1) + 1;
        let log = |n: i32| 32 - (n - 1).leading_zeros();
        let sample_bits = log(most + 1).max(2);
        let limit = 2 * (sample_bits + sample_bits.max(8));
        if reset < 3 || range < 2 {
            return Err(format!("a reset after {reset} samples"));
        }
        Ok(Self { most, near, range, bits: log(range), limit, thresholds: [t1, t2, t3], reset })
    }

    /// Decodes the `chosen` components into samples of all `c` components by pixel.
    pub(super) fn decode(
        &self,
        bits: &mut Bits<'_>,
        samples: &mut [u16],
        [h, w, c]: [usize; 3],
        chosen: &[usize],
        interleave: Interleave,
    ) -> Result<(), String> {
        let a = ((self.range + 32) / 64).max(2);
        let context = Context { a, b: 0, c: 0, n: 1 };
        let mut state = State { contexts: [context; 365], runs: [context; 2], run_index: [0; 4] };
        // Lines with a sample to the left and one to the right, for each component.
        let (groups, width) = match interleave {
            Interleave::Line => (chosen.len(), 1),
            Interleave::Sample => (1, chosen.len()),
        };
        let mut lines = vec![[vec![0i32; (w + 2) * width], vec![0i32; (w + 2) * width]]; groups];
        for y in 0..h {
            for (group, lines) in lines.iter_mut().enumerate() {
                let [above, line] = lines;
                for i in 0..width {
                    above[(w + 1) * width + i] = above[w * width + i];
                    line[i] = above[width + i];
                }
                self.line(bits, &mut state, group, above, line, width)?;
                for (i, component) in chosen[group * width..][..width].iter().enumerate() {
                    for x in 0..w {
                        samples[(y * w + x) * c + component] = line[(x + 1) * width + i] as u16;
                    }
                }
                lines.swap(0, 1);
            }
        }
        Ok(())
    }

    /// One line of `width` components by sample.
    fn line(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        group: usize,
        above: &[i32],
        line: &mut [i32],
        width: usize,
    ) -> Result<(), String> {
        let end = line.len() / width - 1;
        let mut x = 1;
        while x < end {
            let near = |i: usize, line: &[i32]| {
                let at = x * width + i;
                [line[at - width], above[at], above[at - width], above[at + width]]
            };
            let quantised = |[a, b, c, d]: [i32; 4]| [d - b, b - c, c - a].map(|v| self.quantise(v));
            let around = near(0, line);
            let kinds = quantised(around);
            if kinds == [0; 3] && (1..width).all(|i| quantised(near(i, line)) == [0; 3]) {
                x = self.run(bits, state, group, above, line, width, x)?;
                continue;
            }
            line[x * width] = self.regular(bits, state, around, kinds)?;
            for i in 1..width {
                let around = near(i, line);
                line[x * width + i] = self.regular(bits, state, around, quantised(around))?;
            }
            x += 1;
        }
        Ok(())
    }

    fn quantise(&self, difference: i32) -> i32 {
        let [t1, t2, t3] = self.thresholds;
        let size = match difference.abs() {
            d if d <= self.near => 0,
            d if d < t1 => 1,
            d if d < t2 => 2,
            d if d < t3 => 3,
            _ => 4,
        };
        size * difference.signum()
    }

    /// A sample from its surroundings (A.4 to A.6).
    fn regular(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        [a, b, c, _]: [i32; 4],
        [q1, q2, q3]: [i32; 3],
    ) -> Result<i32, String> {
        let place = 81 * q1 + 9 * q2 + q3;
        let sign = if place < 0 { -1 } else { 1 };
        let context = &mut state.contexts[place.unsigned_abs() as usize];
        let predicted = match c {
            c if c >= a.max(b) => a.min(b),
            c if c <= a.min(b) => a.max(b),
            c => a + b - c,
        };
        let predicted = (predicted + sign * context.c).clamp(0, self.most);
        let k = context.golomb(context.a);
        let code = self.golomb(bits, k, self.limit)?;
        let half = code >> 1;
        // A negative mean turns the order of the signs around.
        let turned = self.near == 0 && k == 0 && 2 * context.b <= -context.n;
        let error = if (code & 1 == 1) != turned { -half - 1 } else { half };
        context.b += error * (2 * self.near + 1);
        context.a += error.abs();
        if context.n == self.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        if context.b <= -context.n {
            context.b = (context.b + context.n).max(1 - context.n);
            context.c = (context.c - 1).max(-128);
        } else if context.b > 0 {
            context.b = (context.b - context.n).min(0);
            context.c = (context.c + 1).min(127);
        }
        Ok(self.reconstruct(predicted, sign * error))
    }

    /// A run of equal samples, and the sample that ends it (A.7); the place behind.
    #[allow(clippy::too_many_arguments, reason = "the state of one line")]
    fn run(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        group: usize,
        above: &[i32],
        line: &mut [i32],
        width: usize,
        from: usize,
    ) -> Result<usize, String> {
        let end = line.len() / width - 1;
        let mut x = from;
        let mut fill = |x: &mut usize, count: usize| {
            for at in *x..*x + count {
                line.copy_within((from - 1) * width..from * width, at * width);
            }
            *x += count;
        };
        loop {
            let index = &mut state.run_index[group];
            let length = 1 << RUN_BITS[*index];
            if bits.take(1)? == 0 {
                break;
            }
            let count = length.min(end - x);
            fill(&mut x, count);
            if count == length {
                *index = (*index + 1).min(31);
            }
            if x == end {
                return Ok(end);
            }
        }
        let index = state.run_index[group];
        let count = bits.take(RUN_BITS[index])? as usize;
        if count >= end - x {
            return Err("a run beyond the end of its line".into());
        }
        fill(&mut x, count);
        for i in 0..width {
            let at = x * width + i;
            let (a, b) = (line[at - width], above[at]);
            // By sample, every component is taken as changed.
            let same = width == 1 && (a - b).abs() <= self.near;
            let error = self.interruption(bits, state, same, index)?;
            let sign = if !same && a > b { -1 } else { 1 };
            line[at] = self.reconstruct(if same { a } else { b }, sign * error);
        }
        state.run_index[group] = index.saturating_sub(1);
        Ok(x + 1)
    }

    fn interruption(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        same: bool,
        index: usize,
    ) -> Result<i32, String> {
        let kind = i32::from(same);
        let context = &mut state.runs[usize::from(same)];
        let k = context.golomb(context.a + if same { context.n >> 1 } else { 0 });
        let code = self.golomb(bits, k, self.limit - RUN_BITS[index] - 1)?;
        let shifted = code + kind;
        let size = (shifted + (shifted & 1)) / 2;
        let negative = (k != 0 || 2 * context.b >= context.n) == (shifted & 1 == 1);
        context.b += i32::from(negative);
        context.a += (code + 1 - kind) >> 1;
        if context.n == self.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        Ok(if negative { -size } else { size })
    }

    /// A number in a Golomb code of limited length (A.5.3).
    fn golomb(&self, bits: &mut Bits<'_>, k: u32, limit: u32) -> Result<i32, String> {
        let escape = limit.saturating_sub(self.bits + 1);
        let high = bits.zeros(escape)?;
        let value = if high < escape { high << k | bits.take(k)? } else { bits.take(self.bits)? + 1 };
        // No error is larger than the range.
        match i32::try_from(value) {
            Ok(value) if value <= 2 * self.range + 1 => Ok(value),
            _ => Err("an error beyond the range".into()),
        }
    }

    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let value = predicted + error * step;
        let value = match value {
            v if v < -self.near => v + self.range * step,
            v if v > self.most + self.near => v - self.range * step,
            v => v,
        };
        value.clamp(0, self.most)
    }
}
