//! Running a program in process: what it takes, what observers see, and that only the input matters.

mod common;

use common::{branching, chaining, graph, pooling, program, quantized};
use niello_codegen::{
    Shape,
    execute::Executor,
    lower::{TARGETS, Target, lower, lower_apart},
    ops::{Clamp, Concat, ConvParams, MaxPool2d, MaxPosition2d, MaxUnpool2d},
    program::Metadata,
};
use niello_kernels::Isa;

fn codes(len: usize, seed: u64) -> Vec<i8> {
    let mut codes = vec![0; len];
    niello_runtime::self_test::Codes::new(seed).fill(&mut codes);
    codes
}

#[test]
fn inputs_of_the_wrong_number_or_length_are_refused() {
    let program = program(branching(), "portable");
    let len = 9 * 7 * 3;
    let (right, long) = (codes(len, 1), codes(len + 1, 1));
    for inputs in [&[][..], &[&right[1..]], &[&long], &[&right, &right]] {
        let message = Executor::new(&program).run(inputs).unwrap_err().to_string();
        let got: Vec<usize> = inputs.iter().map(|i| i.len()).collect();
        assert_eq!(message, format!("test: expected inputs of [{len}] bytes, got {got:?}"));
    }
    assert!(Executor::new(&program).run(&[&right]).is_ok());
}

#[test]
fn neither_instructions_nor_packing_nor_what_ran_before_change_the_result() {
    let input = codes(9 * 7 * 3, 7);
    let mut results = vec![];
    for target in ["portable", "x86-vnni", "cortex-m-dsp"] {
        let program = program(branching(), target);
        for isa in Isa::available() {
            let mut executor = Executor::with_isa(&program, isa);
            results.push(executor.run(&[&input]).unwrap());
            executor.run(&[&codes(input.len(), 8)]).unwrap();
            results.push(executor.run(&[&input]).unwrap());
        }
    }
    assert!(results.iter().all(|r| *r == results[0]));
    let other = Executor::new(&program(branching(), "portable")).run(&[&codes(input.len(), 8)]).unwrap();
    assert_ne!(results[0], other, "the input must matter");
}

#[test]
fn steps_of_several_layers_return_the_bytes_of_one_step_per_layer_in_a_smaller_arena() {
    let q = quantized(pooling());
    let input = codes(64 * 48 * 3, 5);
    for target in TARGETS {
        let apart = lower_apart(&q, target, Metadata::default()).unwrap();
        let expected = Executor::with_isa(&apart, Isa::scalar()).run(&[&input]).unwrap();
        let together = lower(&q, target, Metadata::default()).unwrap();
        let bytes = [&together, &apart].map(|p| p.plan.arena_bytes);
        assert!(2 * bytes[0] < bytes[1], "{}: {bytes:?}", target.name);
        let fused: Vec<&str> = together.steps.iter().map(|s| &*s.name).filter(|n| n.contains('+')).collect();
        assert_eq!(fused, ["first+overlap", "wide+all"], "{}: `twice` has another reader", target.name);
        assert_eq!(together.macs(), apart.macs());
        for isa in Isa::available() {
            let mut executor = Executor::with_isa(&together, isa);
            assert_eq!(executor.run(&[&input]).unwrap(), expected, "{} on {}", target.name, isa.name());
        }
    }
}

#[test]
fn chains_return_the_bytes_of_one_step_per_layer_in_a_smaller_arena() {
    let q = quantized(chaining());
    let input = codes(57 * 41 * 3, 6);
    for known in TARGETS {
        let apart = lower_apart(&q, known, Metadata::default()).unwrap();
        let expected = Executor::with_isa(&apart, Isa::scalar()).run(&[&input]).unwrap();
        for threads in [1, 3] {
            let target = Target { threads, ..known.clone() };
            let together = lower(&q, &target, Metadata::default()).unwrap();
            let bytes = [&together, &apart].map(|p| p.plan.arena_bytes);
            let chains: Vec<&str> =
                together.steps.iter().filter(|s| s.kind == "RowChain").map(|s| &*s.name).collect();
            // Each thread has scratch of its own, which in so small a network may be more than is gained.
            if threads == 1 {
                assert!((bytes[0] as f64) < 0.9 * bytes[1] as f64, "{}: {bytes:?}", target.name);
                assert!(chains.iter().any(|name| name.contains("three+pool")), "{}: {chains:?}", target.name);
            }
            assert!(!chains.is_empty() || target.name != "portable", "{threads} threads");
            assert_eq!(together.macs(), apart.macs());
            niello_kernels::threads::set(threads).unwrap();
            for isa in Isa::available() {
                let mut executor = Executor::with_isa(&together, isa);
                assert_eq!(executor.run(&[&input]).unwrap(), expected, "{} on {}", target.name, isa.name());
            }
        }
    }
}

#[test]
fn observers_see_every_step_once_and_the_outputs_in_the_end() {
    let program = program(branching(), "portable");
    let input = codes(9 * 7 * 3, 3);
    let (mut steps, mut last) = (vec![], vec![vec![]; program.tensors.len()]);
    let outputs = Executor::new(&program)
        .run_observed(&[&input], |i, view| {
            steps.push(i);
            let id = program.steps[i].writes();
            last[id.0] = view.tensor(id);
            assert_eq!(last[id.0].len(), program.tensor(id).shape.len());
        })
        .unwrap();
    assert_eq!(steps, (0..program.steps.len()).collect::<Vec<_>>());
    for (id, output) in program.outputs.iter().zip(&outputs) {
        assert_eq!(&last[id.0], output);
    }
}

/// Rows of a result that lie in the padding alone, or below the last window, read no row of the map before.
#[test]
fn chains_take_rows_that_read_nothing() {
    let at_top = |kernel: usize, padding: usize| ConvParams {
        padding: [padding, 0, 0, 0],
        ..ConvParams::new(8, kernel).stride(if kernel == 1 { 3 } else { 1 })
    };
    let padded = |size: Shape, padding: usize| {
        graph(|b| {
            let x = b.input("input", size);
            let x = b.conv2d("first", x, ConvParams::new(8, 3).padding(1));
            let x = b.conv2d("second", x, at_top(2, padding));
            vec![b.conv2d("third", x, at_top(1, 1))]
        })
    };
    let unpooled = graph(|b| {
        let x = b.input("input", Shape::new(7, 4, 8));
        let x = b.add_op("active", Clamp::RELU, &[x]);
        let pool = MaxPool2d::new(2, 2);
        let values = b.add_op("values", pool, &[x]);
        let positions = b.add_op("positions", MaxPosition2d { pool }, &[x]);
        let back = b.add_op("back", MaxUnpool2d::new(2, [7, 4]), &[values, positions]);
        let other = b.conv2d("other", values, ConvParams::new(8, 3).padding(1));
        let both = b.add_op("both", Concat, &[other, values]);
        vec![b.conv2d("scores", back, ConvParams::new(8, 3).padding(1)), both]
    });
    let mut chains = 0;
    for graph in [padded(Shape::new(2, 6, 3), 2), padded(Shape::new(9, 3, 3), 6), unpooled] {
        let (q, shape) = (quantized(graph.clone()), graph.shape(graph.inputs[0]));
        let input = codes(shape.len(), 4);
        for target in TARGETS {
            let apart = lower_apart(&q, target, Metadata::default()).unwrap();
            let expected = Executor::with_isa(&apart, Isa::scalar()).run(&[&input]).unwrap();
            for (threads, chunk) in [(1, 1), (1, target.chunk), (3, 4)] {
                let target = Target { threads, chunk, ..target.clone() };
                let program = lower(&q, &target, Metadata::default()).unwrap();
                chains += program.steps.iter().filter(|step| step.kind == "RowChain").count();
                assert_eq!(Executor::new(&program).run(&[&input]).unwrap(), expected, "{target:?}");
            }
        }
    }
    assert!(chains > 5, "{chains} chains prove nothing");
}
