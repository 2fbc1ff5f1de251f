//! Single layers as one network of many inputs and outputs: the cases of `docs/performance.md`.

use niello_codegen::{
    GraphBuilder, Result, Shape, Tensor,
    lower::{Target, lower},
    ops::ConvParams,
    passes::optimize,
    program::{Metadata, Program},
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
    weights::{Seeded, seeded_values},
};

/// Name, input `[h, w, c]`, convolution. Sizes are those that CMSIS-NN was measured on.
fn cases() -> [(&'static str, [usize; 3], ConvParams); 9] {
    [
        ("fire2.squeeze1x1", [55, 55, 64], ConvParams::new(16, 1)),
        ("fire2.expand3x3", [55, 55, 16], ConvParams::new(64, 3).padding(1)),
        ("fire5.expand3x3", [27, 27, 32], ConvParams::new(128, 3).padding(1)),
        ("fire9.squeeze1x1", [13, 13, 512], ConvParams::new(64, 1)),
        ("fire9.expand3x3", [13, 13, 64], ConvParams::new(256, 3).padding(1)),
        ("ad.3x3", [64, 64, 16], ConvParams::new(16, 3).padding(1)),
        ("ad.1x1", [64, 64, 64], ConvParams::new(16, 1)),
        ("stem.7x7", [224, 224, 1], ConvParams::new(64, 7).stride(2).padding(3)),
        ("depthwise3x3", [32, 32, 64], ConvParams::new(64, 3).padding(1).groups(64)),
    ]
}

/// All cases, each with a ReLU behind it, packed for `target`.
pub(crate) fn program(target: &str) -> Result<Program> {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("kernels", &mut weights);
    let outputs = cases().map(|(name, [h, w, c], params)| {
        let input = b.input(&format!("{name}.input"), Shape::new(h, w, c));
        let x = b.conv2d(&format!("{name}.conv"), input, params);
        b.relu(name, x)
    });
    let graph = optimize(b.finish(&outputs)?);
    let inputs = graph.inputs.iter().map(|id| {
        let shape = graph.shape(*id);
        let values = seeded_values("kernels").take(shape.len()).map(|v| 2.0 * v as f32);
        Ok(Tensor { shape, data: values.collect() })
    });
    let calibration = calibrate(&graph, [inputs.collect()], |_| {})?;
    let quantized = quantize(graph, &calibration, &QuantizeOptions::default())?;
    let metadata = Metadata { network: "kernels".into(), ..Metadata::default() };
    lower(&quantized, Target::find(target)?, metadata)
}
