//! Functions of one value, lowered to 256-entry tables.

use super::{Op, RangeRule, forward_eval, int16};
use crate::{
    error::Result,
    float::Mode,
    graph::Shape,
    lower::Lowering,
    program::{Const, Ref, kernel_call},
    quantize::QParams,
    tensor::{Real, Tensor},
};
use niello_kernels::Float;

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * clamp(x + 3, 0, 6) / 6`.
    HardSwish,
    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    Elu(f64),
    /// `x` where positive, else `slope * x`.
    LeakyRelu(f64),
}

impl Function {
    /// The function in double precision.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            Function::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
            Function::Tanh => libm::tanh(x),
            Function::Silu => x / (1.0 + libm::exp(-x)),
            Function::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Function::Elu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    alpha * libm::expm1(x)
                }
            }
            Function::LeakyRelu(slope) => {
                if x > 0.0 {
                    x
                } else {
                    slope * x
                }
            }
        }
    }
}

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

/// The table of `f` between two number formats: dequantise, evaluate, round half away from zero, clamp.
///
/// TensorFlow Lite's `LUTPopulate`: scales are `f32`, and so are the products.
pub(crate) fn table(f: impl Fn(f64) -> f64, from: QParams, to: QParams) -> [i8; 256] {
    std::array::from_fn(|i| {
        let x = from.scale * (i as i32 - 128 - from.zero_point as i32) as f32;
        let y = (f(x as f64) as f32 * (1.0 / to.scale)).round();
        (y + to.zero_point as f32).clamp(-128.0, 127.0) as i8
    })
}

kernel_call! {
    /// A look-up per element.
    TableCall for Table by rows {
        input: Ref,
        output: Ref,
        table: Const<i8>,
    }
}

kernel_call! {
    /// A function of one value in floating point.
    PointWiseFloatCall for PointWiseFloat by rows {
        input: Ref,
        output: Ref,
        types: [Float; 2],
        function: niello_kernels::float::Function,
    }
}

impl Op for PointWise {
    fn kind(&self) -> &'static str {
        match self.0 {
            Function::Sigmoid => "Sigmoid",
            Function::Tanh => "Tanh",
            Function::Silu => "Silu",
            Function::HardSwish => "HardSwish",
            Function::Elu(_) => "Elu",
            Function::LeakyRelu(_) => "LeakyRelu",
        }
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![super::only(inputs)?])
    }

    forward_eval!();

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
        if cx.has_int16() {
            return int16::point_wise(cx, self.0);
        }
        lower(cx, self.0)
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        use niello_kernels::float;
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let function = match self.0 {
            Function::Sigmoid => float::Function::Sigmoid,
            Function::Tanh => float::Function::Tanh,
            Function::Silu => float::Function::Silu,
            Function::HardSwish => float::Function::HardSwish,
            Function::Elu(alpha) => float::Function::Elu(alpha as f32),
            Function::LeakyRelu(slope) => float::Function::LeakyRelu(slope as f32),
        };
        let types = [cx.float(input)?, cx.float(output)?];
        let call = PointWiseFloatCall { input: Ref::new(input), output: Ref::new(output), types, function };
        cx.push(call, &[input], output).in_place(&[input]);
        Ok(())
    }
}

/// Lowers a node that applies `function` to every element.
pub(super) fn lower(cx: &mut Lowering<'_>, function: Function) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let table = table(|x| function.eval(x), cx.qparams(input)?, cx.qparams(output)?);
    let table = cx.constant(&table);
    let call = TableCall { input: Ref::new(input), output: Ref::new(output), table };
    cx.push(call, &[input], output).constant_bytes(256).in_place(&[input]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

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
    }

    #[test]
    fn table_entries_are_the_nearest_codes() {
        // Input codes are halves from -64 to 63.5; output codes are 1/256 from 0.
        let (from, to) =
            (QParams { scale: 0.5, zero_point: 0 }, QParams { scale: 1.0 / 256.0, zero_point: -128 });
        let table = table(|x| Function::Sigmoid.eval(x), from, to);
        assert_eq!((table[0], table[128], table[255]), (-128, 0, 127));
        // 256 * sigmoid(0.5) = 159.35
        assert_eq!(table[129], 31);
    }
}
