//! Mean over the image.

use super::{Clamp, Op, forward_eval};
use crate::{
    error::Result,
    graph::Shape,
    lower::Lowering,
    program::{Ref, kernel_call},
    tensor::{Real, Tensor},
};
use niello_kernels::{Multiplier, OutputStage};

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
        input: Ref,
        output: Ref,
        input_zero_point: i8,
        multiplier: Multiplier,
        stage: OutputStage,
    }
}

impl Op for GlobalAveragePool {
    fn kind(&self) -> &'static str {
        "GlobalAveragePool"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        let s = super::same_shape(inputs)?;
        // 2^23 pixels of a difference of at most 255 fit 31 bits.
        if s.area() == 0 || s.area() > 1 << 23 {
            return Err(format!("expected 1 to 2^23 pixels, got {s}"));
        }
        Ok(vec![Shape::new(1, 1, s.c)])
    }

    forward_eval!();

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
        let pixels = cx.graph().shape(input).area();
        let call = GlobalAveragePoolCall {
            input: Ref::new(input),
            output: Ref::new(output),
            input_zero_point: from.zero_point,
            multiplier: cx.multiplier(from.scale as f64 / (to.scale as f64 * pixels as f64))?,
            stage: cx.stage(to, Clamp::NONE.min, Clamp::NONE.max),
        };
        cx.push(call, &[input], output);
        Ok(())
    }
}
