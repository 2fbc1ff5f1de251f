//! Programs in floating point beside PyTorch's golden vectors.

use super::{CASES, LARGE, build, open};
use crate::common::{from_torch, relative_error, sweep};
use niello_codegen::{
    Graph, Tensor, ValueId,
    execute::Executor,
    format::Mode,
    graph::Node,
    lower::{Target, lower_apart},
    ops::{Attention, MaxPosition2d},
    passes::optimize,
    precision::float::{everywhere, layers},
    program::Metadata,
};
use std::{any::Any, collections::BTreeMap};

/// The largest error of an output over its largest magnitude, in each mode.
const MODES: [(Mode, f64); 4] =
    [(Mode::F32, 1e-4), (Mode::F16, 2e-2), (Mode::F16Native, 5e-2), (Mode::F16Winograd, 5e-2)];

/// The golden's output from the program's.
fn as_golden(graph: &Graph, output: &Tensor<f32>) -> Tensor<f64> {
    let output = output.map(f64::from);
    if graph.name == "w251_baseline_cnn" {
        // The original ends in log-softmax.
        let sum: f64 = output.data.iter().map(|x| x.exp()).sum();
        return output.map(|x| x - sum.ln());
    }
    output
}

/// Positions of maxima, and hashes: results that depend on the larger one of two nearly equal values. Rounding may change it, and then the
/// positions of unpooling, or the tokens that attention compares.
fn decides(node: &Node) -> bool {
    let op: &dyn Any = &*node.op;
    op.is::<MaxPosition2d>() || op.downcast_ref::<Attention>().is_some_and(|op| op.hashing.is_some())
}

/// The layers that a decision follows from, deciding ones included: in half precision they stay in single precision, as
/// `format.f32` lets them.
fn in_single_precision(graph: &Graph) -> BTreeMap<String, Mode> {
    let mut needed: Vec<ValueId> = vec![];
    let mut names = BTreeMap::new();
    for node in graph.nodes.iter().rev() {
        if decides(node) || needed.contains(&node.output()) {
            needed.extend(&node.inputs);
            names.insert(node.name.clone(), Mode::F32);
        }
    }
    names
}

fn check((mode, tolerance): (Mode, f64)) {
    let mut beyond = vec![];
    let large = |case: &str| !sweep() && mode != Mode::F16 && LARGE.contains(&case);
    for (case, network) in CASES.iter().copied().filter(|(case, _)| !large(case)) {
        let golden = open(case);
        let inputs = golden.inputs();
        let mut q = everywhere(optimize(build(network, &golden, &inputs[0])), mode);
        if mode != Mode::F32 {
            let single = in_single_precision(&q.graph);
            layers(&mut q, &single).unwrap();
        }
        let program = lower_apart(&q, Target::find("host").unwrap(), Metadata::default())
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        let codes: Vec<_> = (program.inputs.iter().zip(&inputs))
            .map(|(id, input)| program.tensor(*id).quantize(&input.data))
            .collect();
        let codes: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let outputs = Executor::new(&program).run(&codes).unwrap();
        let output = program.tensor(program.outputs[0]).dequantize(&outputs[0]);
        let error = relative_error(&as_golden(&q.graph, &output), &from_torch(&golden.tensors["output"]));
        println!("{case} {}: {error:.1e}", mode.name());
        if error > tolerance {
            beyond.push((case, error));
        }
    }
    assert!(beyond.is_empty(), "{}: {beyond:?}", mode.name());
}

#[test]
fn programs_in_f32_agree_with_pytorch() {
    check(MODES[0]);
}

#[test]
fn programs_in_f16_agree_with_pytorch() {
    check(MODES[1]);
}

#[test]
fn programs_in_f16_native_agree_with_pytorch() {
    check(MODES[2]);
}

#[test]
fn programs_in_f16_winograd_agree_with_pytorch() {
    check(MODES[3]);
}
