//! Mean over the image.

use super::{Backward, Clamp, Op, forward_eval};
use crate::{
    error::Result,
    format::Mode,
    lower::{Lowering, Sums},
    program::{In, Out, kernel_call},
    tensor::{Real, Shape, Tensor},
};
use niello_kernels::{Bounds, Float, FloatBounds, Multiplier, OutputParams, Width};

/// `h x w x c` to `1 x 1 x c`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalAveragePool;

impl GlobalAveragePool {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        let shape = inputs[0].shape;
        let mut out = Tensor::filled(Shape::new(1, 1, shape.c), T::default());
        for pixel in inputs[0].data.chunks(shape.c) {
            out.data.iter_mut().zip(pixel).for_each(|(m, v)| *m += *v);
        }
        out.data.iter_mut().for_each(|m| *m = *m / T::from_f64(shape.area() as f64));
        out
    }
}

kernel_call! {
    /// Mean over the image.
    GlobalAveragePoolCall for GlobalAveragePool {
        input: In,
        output: Out,
        input_zero_point: i8,
        multiplier: Multiplier,
        stage: OutputParams,
    }
}

kernel_call! {
    /// Mean over the image in floating point.
    GlobalAveragePoolFloatCall for GlobalAveragePoolFloat {
        input: In,
        output: Out,
        types: [Float; 2],
        range: FloatBounds,
    }
}

kernel_call! {
    /// Mean over the image, of either width.
    GlobalAveragePoolInt16Call for GlobalAveragePoolInt16 {
        input: In,
        output: Out,
        widths: [Width; 2],
        input_zero_point: i32,
        multiplier: Multiplier,
        bounds: Bounds,
    }
}

impl Op for GlobalAveragePool {
    fn kind(&self) -> &'static str {
        "GlobalAveragePool"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::only(inputs)?;
        // 2^23 pixels of a difference of at most 255 fit 31 bits.
        if s.area() == 0 || s.area() > 1 << 23 {
            return Err(format!("expected 1 to 2^23 pixels, got {s}"));
        }
        Ok(vec![Shape::new(1, 1, s.c)])
    }

    forward_eval!();

    fn gradient(&self, at: &Backward<'_>) -> Option<Tensor<f64>> {
        let shape = at.input().shape;
        let of_pixel = at.gradient.data.iter().map(|gradient| gradient / shape.area() as f64);
        Some(Tensor { shape, data: of_pixel.cycle().take(shape.len()).collect() })
    }

    fn is_mean_of(&self, _: Shape) -> bool {
        true
    }

    fn takes_int16(&self) -> bool {
        true
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        // The shape rule keeps the pixels below 2^23.
        let pixels = cx.graph().shape(input).area() as u32;
        let (s_in, s_out) = (from.scale as f64, to.scale as f64);
        let sums = Sums::narrow(255 * pixels as i64, (pixels as i64 / 2).max(1));
        let multiplier = niello_kernels::GlobalAveragePool::multiplier(s_in, s_out, pixels);
        let multiplier = cx.fitting(multiplier, s_in / s_out / pixels as f64, sums)?;
        let call = GlobalAveragePoolCall {
            input: In::new(input),
            output: Out::new(output),
            input_zero_point: from.zero_point,
            multiplier,
            stage: cx.stage(to, Clamp::NONE.min, Clamp::NONE.max),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_int16(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.codes(input)?, cx.codes(output)?);
        let pixels = cx.graph().shape(input).area() as f64;
        let real = from.scale as f64 / (to.scale as f64 * pixels);
        let multiplier = cx.multiplier_for(real, Sums::wide((pixels as i64 / 2).max(1)))?;
        let call = GlobalAveragePoolInt16Call {
            input: In::new(input),
            output: Out::new(output),
            widths: [from.width, to.width],
            input_zero_point: from.zero_point,
            multiplier,
            bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
        };
        cx.push(call);
        Ok(())
    }

    fn lower_float(&self, cx: &mut Lowering<'_>, _: Mode) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (types, range) = ([cx.float(input)?, cx.float(output)?], FloatBounds::ALL);
        let call =
            GlobalAveragePoolFloatCall { input: In::new(input), output: Out::new(output), types, range };
        cx.push(call);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_refused, eval, tensor};

    #[test]
    fn mean_of_each_channel() {
        let x = tensor([2, 2, 2], &[1., -1., 2., -2., 3., -3., 4., -4.]);
        assert_eq!(eval(&GlobalAveragePool, &[&x]), tensor([1, 1, 2], &[2.5, -2.5]));
    }

    #[test]
    fn sums_must_fit_32_bits() {
        assert!(GlobalAveragePool.output_shapes(&[Shape::new(1 << 12, 1 << 11, 3)]).is_ok());
        assert_refused(
            &GlobalAveragePool,
            &[(&[[1 << 12, (1 << 11) + 1, 3]], "1 to 2^23 pixels"), (&[[0, 4, 3]], "1 to 2^23 pixels")],
        );
    }
}
