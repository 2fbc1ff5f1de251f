//! Helpers of the operators' inline tests: small tensors by hand, and evaluation that compares both precisions and the shape
//! rule to each other.

use super::Op;
use crate::{
    GraphBuilder, ValueId,
    execute::Executor,
    format::Format,
    lower::{TARGETS, lower},
    program::Metadata,
    quantize::{QuantizeOptions, calibrate::calibrate, quantize},
    tensor::{Shape, Tensor},
    weights::{Seeded, seeded_values},
};

/// `[h, w, c]` values, channels innermost.
pub(super) fn tensor([h, w, c]: [usize; 3], data: &[f64]) -> Tensor<f64> {
    Tensor::new(Shape::new(h, w, c), data.to_vec()).expect("as many values as the shape has")
}

/// The operator's only output in double precision; single precision must be near, and the shape as announced.
pub(super) fn eval(op: &dyn Op, inputs: &[&Tensor<f64>]) -> Tensor<f64> {
    let shapes: Vec<Shape> = inputs.iter().map(|t| t.shape).collect();
    let announced = op.output_shapes(&shapes).expect("inputs of the right shape");
    let single: Vec<Tensor<f32>> = inputs.iter().map(|t| t.map(|v| v as f32)).collect();
    let single = op.eval_f32(&single.iter().collect::<Vec<_>>());
    let mut double = op.eval_f64(inputs);
    assert_eq!(double.iter().map(|t| t.shape).collect::<Vec<_>>(), announced, "{op:?}");
    assert_eq!(double.len(), 1, "{op:?}");
    for (s, d) in single[0].data.iter().zip(&double[0].data) {
        assert!((*s as f64 - d).abs() <= 1e-5 * d.abs().max(1.0), "{op:?}: {s} in f32, {d} in f64");
    }
    double.remove(0)
}

/// Both tensors have one shape, and values within `1e-12`.
#[track_caller]
pub(super) fn assert_near(found: &Tensor<f64>, expected: &Tensor<f64>) {
    assert_eq!(found.shape, expected.shape);
    let near = found.data.iter().zip(&expected.data).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(near, "{:?}, expected {:?}", found.data, expected.data);
}

/// The largest error of an operator with one input on seeded values in `[-2, 2)`: int8 against float, in steps of the
/// output's scale. Goes all the way, for every target.
pub(super) fn lowered_error(op: impl Op + Clone, shape: Shape) -> f32 {
    lowered_error_of(op, &[[shape.h, shape.w, shape.c]])
}

/// As [`lowered_error`], for an operator with several inputs.
pub(super) fn lowered_error_of(op: impl Op + Clone, shapes: &[[usize; 3]]) -> f32 {
    let seeded = |(i, [h, w, c]): (usize, &[usize; 3])| {
        let name = if i == 0 { "input".into() } else { format!("input{i}") };
        seeded_tensor(&name, Shape::new(*h, *w, *c))
    };
    let inputs: Vec<_> = shapes.iter().enumerate().map(seeded).collect();
    built_error(&inputs, |b, inputs| b.add_op("op", op.clone(), inputs))
}

/// Seeded values in `[-2, 2)`.
pub(super) fn seeded_tensor(seed: &str, shape: Shape) -> Tensor<f32> {
    let values = seeded_values(seed).take(shape.len()).map(|v| 2.0 * v as f32).collect();
    Tensor::new(shape, values).expect("as many values as elements")
}

/// As [`lowered_error`], for what `build` appends and inputs of the test's own.
pub(super) fn built_error(
    inputs: &[Tensor<f32>],
    build: impl Fn(&mut GraphBuilder<'_>, &[ValueId]) -> ValueId,
) -> f32 {
    let mut worst = 0f32;
    for target in TARGETS {
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new("one operator", &mut weights);
        let numbered = inputs.iter().enumerate();
        let x: Vec<_> = numbered.map(|(i, input)| b.input(&format!("input{i}"), input.shape)).collect();
        let y = build(&mut b, &x);
        let graph = b.finish(&[y]).expect("an operator that takes the shape");
        let float = graph.eval_f32(inputs).expect("the input fits").remove(0);
        let calibration = calibrate(&graph, [Ok(inputs.to_vec())], |_| {}).expect("finite values");
        let q = quantize(graph, &calibration, &QuantizeOptions::default()).expect("all were seen");
        let program = lower(&q, target, Metadata::default()).expect("nothing overflows");
        let codes: Vec<_> = (program.inputs.iter().zip(inputs))
            .map(|(id, input)| program.tensor(*id).quantize(&input.data))
            .collect();
        let codes: Vec<&[i8]> = codes.iter().map(Vec::as_slice).collect();
        let output = Executor::new(&program).run(&codes).expect("the input fits").remove(0);
        let info = program.tensor(program.outputs[0]);
        let Format::Int8(format) = info.format else { panic!("the output is labels") };
        for (f, c) in float.data.iter().zip(&info.dequantize(&output).data) {
            worst = worst.max((f - c).abs() / format.scale);
        }
    }
    worst
}

/// `docs/adding-an-operator.md` shows the example as it was compiled and tested.
#[test]
fn the_documentation_shows_the_worked_example() {
    let page = include_str!("../../../docs/adding-an-operator.md");
    assert!(page.contains(include_str!("hard_sigmoid.rs")), "the page and ops/hard_sigmoid.rs differ");
}

/// Each list of `[h, w, c]` inputs is refused with a message that contains the text beside it.
#[track_caller]
pub(super) fn assert_refused(op: &dyn Op, cases: &[(&[[usize; 3]], &str)]) {
    for (inputs, text) in cases {
        let shapes: Vec<Shape> = inputs.iter().map(|[h, w, c]| Shape::new(*h, *w, *c)).collect();
        match op.output_shapes(&shapes) {
            Err(message) => assert!(message.contains(text), "{op:?} on {shapes:?}: {message}"),
            Ok(made) => panic!("{op:?} on {shapes:?}: made {made:?}, expected an error with `{text}`"),
        }
    }
}
