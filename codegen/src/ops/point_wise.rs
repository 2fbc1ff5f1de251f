//! Functions of one value, lowered to 256-entry tables.

use super::{Backward, Function, Op, RangeRule, forward_eval, function::OnDevice, given};
use crate::{
    error::Result,
    format::{Codes, Mode, QParams},
    lower::Lowering,
    program::{Const, In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Float, Width, int16::ENTRIES};

/// One function applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointWise(pub Function);

impl PointWise {
    /// `1 / (1 + exp(-x))`.
    pub const fn sigmoid() -> Self {
        Self(Function::Sigmoid)
    }

    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| T::from_f64(self.0.eval(x.to_f64())))
    }
}

/// The table of `f` between two number formats, for the codes from -128 on: dequantise, evaluate, round half away from zero, clamp.
///
/// TensorFlow Lite's `LUTPopulate`: scales are `f32`, and so are the products.
pub fn lut(f: impl Fn(f64) -> f64, from: QParams, to: QParams) -> [i8; 256] {
    std::array::from_fn(|i| {
        let x = from.scale * (i as i32 - 128 - from.zero_point as i32) as f32;
        let y = (f(x as f64) as f32 * (1.0 / to.scale)).round();
        (y + to.zero_point as f32).clamp(-128.0, 127.0) as i8
    })
}

kernel_call! {
    /// A look-up per element.
    TableCall for Lut by rows {
        input: In,
        output: Out,
        table: Const<i8>,
    }
}

kernel_call! {
    /// A function of one value in floating point.
    PointWiseFloatCall for PointWiseFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        function: niello_kernels::float::Function,
    }
}

kernel_call! {
    /// Another one.
    ElementaryFloatCall for ElementaryFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        function: niello_kernels::float::Elementary,
    }
}

kernel_call! {
    /// A function of one value of either width.
    TableInt16Call for LutInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        table: Const<i16>,
    }
}

impl Op for PointWise {
    fn kind(&self) -> &'static str {
        self.0.name()
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        self.0.check()?;
        Ok(vec![super::only(inputs)?])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        Some(at.by_slope(|x| self.0.derivative(x)))
    }

    fn gives_probabilities(&self) -> bool {
        matches!(self.0, Function::Sigmoid | Function::HardSigmoid(..))
    }

    fn range_rule(&self) -> RangeRule {
        match self.0 {
            Function::Sigmoid => RangeRule::Fixed(QParams { scale: 1.0 / 256.0, zero_point: -128 }),
            Function::Tanh => RangeRule::Fixed(QParams { scale: 1.0 / 128.0, zero_point: 0 }),
            _ => RangeRule::Calibrated,
        }
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        lower(cx, |x| self.0.saturated(x))
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        match cx.codes(cx.node().output())?.given {
            true => given::lower(cx, self.0),
            false => lower_int16(cx, |x| self.0.saturated(x)),
        }
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let types = [cx.float(input)?, cx.float(output)?];
        let (from, to) = (In::new(input), Out::new(output));
        match self.0.in_single_precision().map_err(|message| cx.error(message))? {
            OnDevice::Plain(function) => {
                cx.push(PointWiseFloatCall { input: from, output: to, types, function }).in_place(&[input]);
            }
            OnDevice::More(function) => {
                cx.push(ElementaryFloatCall { input: from, output: to, types, function }).in_place(&[input]);
            }
        }
        Ok(())
    }
}

/// Lowers a node that applies `function` to every element.
pub(super) fn lower(cx: &mut Lowering<'_>, function: impl Fn(f64) -> f64) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let table = lut(function, cx.qparams(input)?, cx.qparams(output)?);
    let table = cx.constant(&table);
    let call = TableCall { input: In::new(input), output: Out::new(output), table };
    cx.push(call).constant_bytes(256).in_place(&[input]);
    Ok(())
}

/// The same, where operand or result has 16 bits.
pub(super) fn lower_int16(cx: &mut Lowering<'_>, function: impl Fn(f64) -> f64) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let entries = entries(function, from, to);
    let call = TableInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        table: cx.constant(&entries),
    };
    cx.push(call).constant_bytes(2 * entries.len()).in_place(&[input]);
    Ok(())
}

/// The table of `f` where operand or result has 16 bits. From 16 bits, each entry is moved by half of what the line misses halfway to the next one: TensorFlow Lite's
/// `LUTPopulate`.
fn entries(f: impl Fn(f64) -> f64, from: Codes, to: Codes) -> Vec<i16> {
    let (from_scale, to_scale) = (from.scale as f64, to.scale as f64);
    // An entry: a code of 16 bits, or one of 8 bits with eight more behind the point.
    let code = |y: f64| match to.width {
        Width::Int16 => y / to_scale,
        Width::Int8 => 256.0 * (y / to_scale + to.zero_point as f64),
    };
    let least = match to.width {
        Width::Int16 => -32767.0,
        Width::Int8 => -32768.0,
    };
    let entry = |y: f64| y.round().clamp(least, 32767.0) as i16;
    match from.width {
        Width::Int8 => {
            (0..256).map(|i| entry(code(f(from_scale * (i - 128 - from.zero_point) as f64)))).collect()
        }
        Width::Int16 => (0..ENTRIES as i32)
            .map(|i| {
                let at = |steps: f64| code(f(from_scale * 128.0 * (i as f64 - 256.0 + steps)));
                let here = at(0.0).round();
                if i + 1 == ENTRIES as i32 {
                    return entry(here);
                }
                let line = ((at(1.0) + here) / 2.0).round();
                entry(here - ((line - at(0.5).round()) / 2.0).round())
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ops::testing::{assert_refused, eval, tensor},
        weights::seeded_values,
    };
    use niello_kernels::{Multiplier, arith::rounding_shift_right};

    #[test]
    fn functions_at_known_points() {
        let e = std::f64::consts::E;
        for (function, x, y) in [
            (Function::Sigmoid, 0.0, 0.5),
            (Function::Sigmoid, 1.0, e / (1.0 + e)),
            (Function::Tanh, -0.5, (1.0 - e) / (1.0 + e)),
            (Function::Silu, 1.0, e / (1.0 + e)),
            (Function::HardSwish, -4.0, 0.0),
            (Function::HardSwish, 1.5, 1.125),
            (Function::HardSwish, 7.0, 7.0),
            (Function::Elu(2.0), -1.0, 2.0 / e - 2.0),
            (Function::Elu(2.0), 3.0, 3.0),
            (Function::LeakyRelu(0.1), -5.0, -0.5),
            (Function::LeakyRelu(0.1), 5.0, 5.0),
        ] {
            let found = eval(&PointWise(function), &[&tensor([1, 1, 1], &[x])]).data[0];
            assert!((found - y).abs() < 1e-15, "{function:?} of {x}: {found}, expected {y}");
        }
        assert_refused(&PointWise::sigmoid(), &[(&[], "expected one input, got 0")]);
        for function in [Function::Elu(f64::NAN), Function::LeakyRelu(f64::INFINITY)] {
            assert_refused(&PointWise(function), &[(&[[1, 1, 1]], "expected finite parameters")]);
        }
    }

    #[test]
    fn table_entries_are_the_nearest_codes() {
        // Input codes are multiples of 1/2 from -64 to 63.5; output codes are 1/256 from 0.
        let (from, to) =
            (QParams { scale: 0.5, zero_point: 0 }, QParams { scale: 1.0 / 256.0, zero_point: -128 });
        let table = lut(|x| Function::Sigmoid.eval(x), from, to);
        assert_eq!((table[0], table[128], table[255]), (-128, 0, 127));
        // 256 * sigmoid(0.5) = 159.35
        assert_eq!(table[129], 31);
    }
    /// `HARD_SWISH` of LiteRT's reference, in its fixed-point arithmetic: products of 16 bits.
    fn hard_swish_of_litert(from: QParams, to: QParams) -> [i8; 256] {
        let factor = |real: f64| {
            let m = Multiplier::from_real(real).expect("a factor of scales");
            let rounded = if m.mantissa >= 0x7fff_0000 { 0x7fff } else { (m.mantissa + (1 << 15)) >> 16 };
            (rounded, m.shift)
        };
        // round(a b / 2^15), ties towards plus infinity
        let product = |a: i32, b: i32| ((a * b + (1 << 14)) >> 15).clamp(-32768, 32767);
        let input = from.scale / 128.0;
        let (output, output_shift) = factor((input / to.scale) as f64);
        let (reluish, reluish_shift) = factor((input / (3.0 / 32768.0)) as f64);
        std::array::from_fn(|i| {
            let hires = (i as i32 - 128 - from.zero_point as i32) << 7;
            let before_shift = product(hires, output);
            let saturating = |x: i32, shift: i32| ((x as i64) << shift).clamp(-32768, 32767) as i32;
            let mut y = if reluish_shift > 0 { saturating(hires, reluish_shift - 1) } else { hires };
            y = product(y, reluish);
            y = if reluish_shift > 0 { saturating(y, 1) } else { rounding_shift_right(y, -reluish_shift) };
            y = (y + (1 << 15)) >> 1;
            // Truncated.
            let y = y * before_shift / (1 << 15);
            let y = rounding_shift_right(y, -output_shift);
            (y + to.zero_point as i32).clamp(-128, 127) as i8
        })
    }

    #[test]
    fn hard_swish_is_the_nearest_code_and_within_one_of_litert() {
        let (mut differ, mut all) = (0, 0);
        let mut numbers = seeded_values("hard swish").map(|x| x as f32);
        let mut draw =
            |low: f32, high: f32| low + (high - low) * (numbers.next().expect("endless") + 1.0) / 2.0;
        for _ in 0..300 {
            let from = QParams::from_range(-draw(0.5, 12.0), draw(0.5, 12.0));
            let largest = Function::HardSwish.eval(from.range().1 as f64) as f32;
            let to = QParams::from_range(-0.375, largest);
            let mine = lut(|x| Function::HardSwish.eval(x), from, to);
            for (code, (mine, theirs)) in mine.into_iter().zip(hard_swish_of_litert(from, to)).enumerate() {
                let exact = Function::HardSwish.eval(from.dequantize((code as i32 - 128) as i8) as f64);
                let exact = exact / to.scale as f64 + to.zero_point as f64;
                let error = |code: i8| (code as f64 - exact.clamp(-128.0, 127.0)).abs();
                assert!(error(mine) <= 0.501, "{from:?} {to:?} {code}: {mine}, exactly {exact}");
                assert!((mine as i32 - theirs as i32).abs() <= 1, "{from:?} {to:?} {code}: {mine} {theirs}");
                all += 1;
                differ += (mine != theirs) as u32;
            }
        }
        assert!(differ > 0 && differ * 50 < all, "{differ} of {all}");
    }
}
