//! Single kernels on every instruction set of this machine: `cargo bench --bench kernels`.
//!
//! Each is a network of one operator, so that weights are packed and parameters derived as in a real one.
//! Nothing here asserts a time: machines differ.

#[allow(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use niello::self_test::Codes;
use niello_codegen::{
    GraphBuilder, Shape, ValueId,
    execute::Executor,
    ops::{
        ArgMax, AveragePool2d, Clamp, ConvParams, Function, GlobalAveragePool, MaxPool2d, PointWise, Resize,
        ResizeMode, Softmax, TransposedConvParams,
    },
    weights::Seeded,
};
use niello_kernels::{Isa, Rounding};
use std::{hint::black_box, time::Duration};

/// Adds the operator to a graph with one input.
type Build = fn(&mut GraphBuilder<'_>, ValueId) -> ValueId;

/// Name, input `[h, w, c]`, operator.
const KERNELS: &[(&str, [usize; 3], Build)] = &[
    ("conv 7x7 stride 2, 3 to 96", [224, 224, 3], |b, x| b.conv2d("op", x, ConvParams::new(96, 7).stride(2))),
    ("conv 3x3, 64 to 64", [56, 56, 64], |b, x| b.conv2d("op", x, ConvParams::new(64, 3).padding(1))),
    ("conv 1x1, 512 to 64", [14, 14, 512], |b, x| b.conv2d("op", x, ConvParams::new(64, 1))),
    ("conv 1x1, 64 to 3", [128, 128, 64], |b, x| b.conv2d("op", x, ConvParams::new(3, 1))),
    ("conv 3x3, 4 groups, 64 to 64", [56, 56, 64], |b, x| {
        b.conv2d("op", x, ConvParams::new(64, 3).padding(1).groups(4))
    }),
    ("depthwise 3x3, 128", [56, 56, 128], |b, x| {
        b.conv2d("op", x, ConvParams::new(128, 3).padding(1).groups(128))
    }),
    ("transposed 2x2 stride 2, 64 to 32", [64, 64, 64], |b, x| {
        b.transposed_conv2d("op", x, TransposedConvParams::new(32, 2, 2))
    }),
    ("linear, 1024 to 1000", [1, 1, 1024], |b, x| b.linear("op", x, 1000)),
    ("max pool 3x3 stride 2, 96", [109, 109, 96], |b, x| b.add_op("op", MaxPool2d::new(3, 2), &[x])),
    ("average pool 2x2, 64", [112, 112, 64], |b, x| b.add_op("op", AveragePool2d::new(2, 2), &[x])),
    ("global average pool, 512", [13, 13, 512], |b, x| b.add_op("op", GlobalAveragePool, &[x])),
    ("add, 64", [112, 112, 64], |b, x| b.add("op", x, x)),
    ("requantize, 64", [112, 112, 64], |b, x| b.add_op("op", Clamp::RELU6, &[x])),
    ("table, 64", [112, 112, 64], |b, x| b.add_op("op", PointWise(Function::Silu), &[x])),
    ("softmax, 4", [64, 64, 4], |b, x| b.add_op("op", Softmax, &[x])),
    ("arg max, 4", [256, 256, 4], |b, x| b.add_op("op", ArgMax, &[x])),
    ("nearest resize to double, 32", [64, 64, 32], |b, x| {
        b.add_op("op", Resize { size: [128, 128], mode: ResizeMode::Nearest }, &[x])
    }),
    ("bilinear resize to double, 32", [64, 64, 32], |b, x| {
        b.add_op("op", Resize { size: [128, 128], mode: ResizeMode::Bilinear }, &[x])
    }),
];

fn kernels(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (name, [h, w, channels], build) in KERNELS {
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new("kernel", &mut weights);
        let input = b.input("input", Shape::new(*h, *w, *channels));
        let output = build(&mut b, input);
        let graph = b.finish(&[output]).expect("the graph is well formed");
        let q = common::quantized(graph, Rounding::TfliteDouble);
        let program = common::program(&q, "host");
        let elements = program.tensor(program.outputs[0]).shape.len() as u64;
        group.throughput(Throughput::Elements(program.macs().max(elements)));
        let mut codes = vec![0; h * w * channels];
        Codes::new(1).fill(&mut codes);
        for isa in Isa::available() {
            let mut executor = Executor::with_isa(&program, isa);
            group.bench_function(format!("{name}/{}", isa.name()), |b| {
                b.iter(|| executor.run(black_box(&[&codes])).expect("an input of the right length"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
