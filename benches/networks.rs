//! Whole networks, int8, one thread, seeded weights: `cargo bench --bench networks`.
//!
//! Nothing here asserts a time: machines differ. `niello bench` prints the same layer by layer.

#[allow(dead_code, reason = "shared with the tests, which need more of it")]
#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use niello::self_test::Codes;
use niello_codegen::execute::Executor;
use niello_kernels::{Isa, Rounding};
use std::{hint::black_box, time::Duration};

/// Network and side of its square input.
const NETWORKS: &[(&str, usize)] = &[("squeezenet1_0", 224), ("anam_net", 128), ("anam_net", 512)];

fn networks(c: &mut Criterion) {
    let mut group = c.benchmark_group("networks");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for (name, side) in NETWORKS {
        let q = common::quantized(common::network(name, *side), Rounding::TfliteDouble);
        let program = common::program(&q, "host");
        let mut input = vec![0; program.tensor(program.inputs[0]).shape.len()];
        Codes::new(1).fill(&mut input);
        let mut executor = Executor::new(&program);
        group.throughput(Throughput::Elements(program.macs()));
        group.bench_function(format!("{name}/{side}/{}", Isa::detect().name()), |b| {
            b.iter(|| executor.run(black_box(&[&input])).expect("an input of the right length"));
        });
    }
    group.finish();
}

criterion_group!(benches, networks);
criterion_main!(benches);
