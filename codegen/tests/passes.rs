//! Passes keep what a graph computes, merge what can be merged, and leave alone what somebody still needs.

mod common;

use common::{anam_like, graph, sample};
use niello_codegen::{
    Graph, Shape, Tensor,
    ops::{BatchNormParams, Clamp, ConvParams, Softmax},
    passes::optimize,
};

/// The first output in double precision, for a seeded input.
fn output(graph: &Graph) -> Tensor<f64> {
    let inputs: Vec<Tensor<f64>> = sample(graph, "passes").iter().map(|t| t.map(f64::from)).collect();
    graph.eval_f64(&inputs).expect("inputs of the right shape").remove(0)
}

fn names(graph: &Graph) -> Vec<&str> {
    graph.nodes.iter().map(|n| n.name.as_str()).collect()
}

#[test]
fn an_anam_net_block_computes_the_same_afterwards() {
    let before = output(&anam_like());
    let optimized = optimize(anam_like());
    let after = output(&optimized);
    assert_eq!(before.shape, after.shape);
    let largest = before.data.iter().fold(0f64, |m, x| m.max(x.abs()));
    assert!(largest > 0.1, "a trivial output proves nothing");
    for (b, a) in before.data.iter().zip(&after.data) {
        // Folded weights are rounded to single precision again, and nothing else is.
        assert!((b - a).abs() < 1e-6 * largest, "{b} before, {a} after");
    }
    assert_eq!(
        names(&optimized),
        ["down", "pool", "ext1", "ext2", "ext3", "block", "up.norm", "concat", "merge", "logits"],
        "batch norms and ReLUs are absorbed, and the merged layer has the last one's name"
    );
    assert_eq!(optimized.values.len(), optimized.nodes.len() + 1, "no value is left over");
}

#[test]
fn passes_are_idempotent() {
    let once = optimize(anam_like());
    let (first, result) = (names(&once).join(" "), output(&once));
    let twice = optimize(once);
    assert_eq!((names(&twice).join(" "), output(&twice)), (first, result));
}

#[test]
fn what_does_nothing_goes_and_takes_no_output_with_it() {
    let middle = graph(|b| {
        let x = b.input("input", Shape::new(2, 2, 1));
        let x = b.add_op("softmax", Softmax, &[x]);
        let x = b.add_op("nothing", Clamp::NONE, &[x]);
        let x = b.add_op("still nothing", Clamp::NONE, &[x]);
        vec![x]
    });
    assert_eq!(names(&optimize(middle)), ["softmax"]);
    // From the caller's input straight to the caller's output: somebody has to move the bytes.
    let direct = graph(|b| {
        let x = b.input("input", Shape::new(2, 2, 1));
        vec![b.add_op("nothing", Clamp::NONE, &[x])]
    });
    assert_eq!(names(&optimize(direct)), ["nothing"]);
}

#[test]
fn branches_that_serve_nobody_go() {
    let dead = graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 2));
        let used = b.conv2d("used", x, ConvParams::new(3, 1));
        let unused = b.conv2d("unused", x, ConvParams::new(5, 1));
        b.add_op("unused too", Softmax, &[unused]);
        vec![used]
    });
    let optimized = optimize(dead);
    assert_eq!(names(&optimized), ["used"]);
    assert_eq!(optimized.values.len(), 2);
}

#[test]
fn a_value_that_somebody_else_reads_is_kept() {
    // The convolution's own result is added to its ReLU.
    let read_twice = graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 2));
        let conv = b.conv2d("conv", x, ConvParams::new(3, 1));
        let relu = b.relu("relu", conv);
        vec![b.add("add", conv, relu)]
    });
    assert_eq!(names(&optimize(read_twice)), ["conv", "relu", "add"]);
    // It is an output.
    let output = graph(|b| {
        let x = b.input("input", Shape::new(4, 4, 2));
        let conv = b.conv2d("conv", x, ConvParams::new(3, 1));
        vec![conv, b.relu("relu", conv)]
    });
    assert_eq!(names(&optimize(output)), ["conv", "relu"]);
}

#[test]
fn a_batch_norm_behind_an_activation_is_not_folded_into_the_convolution() {
    let made = || {
        graph(|b| {
            let x = b.input("input", Shape::new(4, 4, 2));
            let x = b.conv2d("conv", x, ConvParams::new(3, 1));
            let x = b.relu("relu", x);
            vec![b.batch_norm("norm", x, BatchNormParams::default())]
        })
    };
    let optimized = optimize(made());
    assert_eq!(names(&optimized), ["relu", "norm"]);
    assert_eq!(output(&optimized), output(&made()));
}
