//! An operator of our own, and a network that has it.

use niello_codegen::{
    Graph, GraphBuilder, Op, Result, Shape, Tensor,
    format::RangeRule,
    import::network::{Network, NetworkOptions, Networks},
    kernel_call,
    lower::Lowering,
    ops::{ConvParams, forward_eval},
    program::{In, Out},
    tensor::Real,
    weights::WeightSource,
};

/// `torch.nn.Hardshrink`: 0 where `|x|` is at most `lambda`, else `x`.
#[derive(Clone, Copy, Debug)]
pub struct HardShrink {
    /// The largest magnitude that becomes 0; at least 0.
    pub lambda: f32,
}

impl HardShrink {
    fn eval<T: Real>(&self, inputs: &[&Tensor<T>]) -> Tensor<T> {
        inputs[0].map(|x| if x.to_f64().abs() <= f64::from(self.lambda) { T::default() } else { x })
    }
}

kernel_call! {
    /// The kernel with operands by reference.
    HardShrinkCall for own_kernels::HardShrink {
        input: In,
        output: Out,
        low: i8,
        high: i8,
        zero_point: i8,
    }
}

impl Op for HardShrink {
    fn kind(&self) -> &'static str {
        "HardShrink"
    }

    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        match inputs {
            [shape] if self.lambda >= 0.0 => Ok(vec![*shape]),
            [_] => Err(format!("expected a lambda of at least 0, got {}", self.lambda)),
            _ => Err(format!("expected one input, got {}", inputs.len())),
        }
    }

    forward_eval!();

    fn range_rule(&self) -> RangeRule {
        RangeRule::SameAsInputs
    }

    fn lower(&self, cx: &mut Lowering<'_>) -> Result<()> {
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let q = cx.qparams(input)?;
        let call = HardShrinkCall {
            input: In::new(input),
            output: Out::new(output),
            low: q.quantize(-self.lambda),
            high: q.quantize(self.lambda),
            zero_point: q.zero_point,
        };
        cx.push(call).in_place(&[input]);
        Ok(())
    }
}

/// A denoiser: image in, image out.
#[derive(Debug)]
pub struct Denoiser;

impl Network for Denoiser {
    fn name(&self) -> &'static str {
        "denoiser"
    }

    fn summary(&self) -> &'static str {
        "two convolutions with a hard shrinkage between them"
    }

    fn source(&self) -> &'static str {
        "none: an example"
    }

    fn default_input(&self) -> Shape {
        Shape::new(32, 32, 1)
    }

    fn default_classes(&self) -> &'static [&'static str] {
        &["residual"]
    }

    fn build(&self, options: &NetworkOptions, weights: &mut dyn WeightSource) -> Result<Graph> {
        let [h, w] = options.input_size.unwrap_or([32, 32]);
        let mut b = GraphBuilder::new(self.name(), weights);
        let x = b.input("input", Shape::new(h, w, 1));
        let x = b.conv2d("analysis", x, ConvParams::new(8, 3).padding(1));
        let x = b.add_op("shrink", HardShrink { lambda: 0.1 }, &[x]);
        let x = b.conv2d("synthesis", x, ConvParams::new(1, 3).padding(1));
        b.finish(&[x])
    }
}

/// The networks of this project.
#[derive(Clone, Copy, Debug)]
pub struct Own;

impl Networks for Own {
    fn all(&self) -> Vec<&'static dyn Network> {
        vec![&Denoiser]
    }

    fn kernel_crates(&self) -> Vec<(String, String)> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../kernels");
        vec![("own-kernels".into(), format!("{{ path = {path:?} }}"))]
    }
}
