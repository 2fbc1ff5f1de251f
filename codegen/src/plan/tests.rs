//! The memory plan of a small network, by number.

use super::*;
use crate::{
    GraphBuilder,
    format::{Format, QParams},
    ops::ConvParams,
    tensor::Shape,
    weights::Seeded,
};
use niello_kernels::Rounding;
use std::collections::{BTreeMap, BTreeSet};

/// A graph of 4x4 pixels whose values have 8 bits, but for those with a name in `wide`: they have 16.
fn quantized(build: impl FnOnce(&mut GraphBuilder<'_>) -> Vec<ValueId>, wide: &[&str]) -> QGraph {
    let mut weights = Seeded::new();
    let mut b = GraphBuilder::new("test", &mut weights);
    let outputs = build(&mut b);
    let graph = b.finish(&outputs).expect("the graph is well formed");
    let format = |name: &str| match wide.contains(&name) {
        true => Format::Int16 { scale: 1.0, given: false },
        false => Format::Int8(QParams::from_range(-1.0, 1.0)),
    };
    QGraph {
        formats: graph.values.iter().map(|v| format(&v.name)).collect(),
        rounding: Rounding::Single,
        channel_means: vec![None; graph.values.len()],
        corrections: BTreeMap::new(),
        wide_weights: BTreeSet::new(),
        modes: BTreeMap::new(),
        graph,
    }
}

fn find(q: &QGraph, name: &str) -> ValueId {
    q.graph.find(name).unwrap_or_else(|| panic!("no value `{name}`"))
}

/// `out` reads `outer`: five channels of `e`, and `inner`, which has three of `c` and four of `d`.
fn nested() -> QGraph {
    let build = |b: &mut GraphBuilder<'_>| {
        let x = b.input("x", Shape::new(4, 4, 2));
        let a = b.conv2d("a", x, ConvParams::new(8, 1));
        let active = b.relu("b", a);
        let c = b.conv2d("c", active, ConvParams::new(3, 1));
        let d = b.conv2d("d", active, ConvParams::new(4, 1));
        let e = b.conv2d("e", x, ConvParams::new(5, 1));
        let inner = b.concat("inner", &[c, d]);
        let outer = b.concat("outer", &[e, inner]);
        vec![b.conv2d("out", outer, ConvParams::new(2, 1))]
    };
    quantized(build, &["c", "d", "e", "inner", "outer"])
}

/// Runs `with` for the steps of [`nested`].
fn with_steps<T>(q: &QGraph, with: impl FnOnce(&[Use<'_>]) -> T) -> T {
    let [x, a, b, c, d, e, outer, out] =
        ["x", "a", "b", "c", "d", "e", "outer", "out"].map(|name| [find(q, name)]);
    let step =
        |reads, writes: [ValueId; 1], scratch| Use { reads, writes: writes[0], scratch, in_place: &[] };
    with(&[
        step(&x, a, 10),
        Use { in_place: &a, ..step(&a, b, 0) },
        step(&b, c, 33),
        step(&b, d, 0),
        step(&x, e, 0),
        step(&outer, out, 5),
    ])
}

#[test]
fn operands_lie_in_the_outermost_result() {
    let q = nested();
    let mut placement = Placement::all(&q);
    let [c, d, e, inner, outer] = ["c", "d", "e", "inner", "outer"].map(|name| find(&q, name));
    assert_eq!(placement.placed(), [c, d, e, inner]);
    assert_eq!(
        [c, d, inner].map(|id| placement.parent(id)),
        [Some((inner, 0)), Some((inner, 3)), Some((outer, 5))]
    );
    assert_eq!([c, d, e, inner, outer].map(|id| placement.root(id).1), [5, 8, 0, 5, 0]);
    assert!([c, d, e, inner, outer].iter().all(|id| placement.root(*id).0 == outer));
    placement.remove(d);
    assert_eq!((placement.parent(d), placement.root(d)), (None, (d, 0)));
    assert_eq!(placement.placed(), [c, e, inner]);
}

#[test]
fn what_the_caller_has_or_another_concatenation_or_another_format_is_copied() {
    let build = |b: &mut GraphBuilder<'_>| {
        let x = b.input("x", Shape::new(4, 4, 2));
        let [out, wide, twice, plain] =
            ["out", "wide", "twice", "plain"].map(|name| b.conv2d(name, x, ConvParams::new(3, 1)));
        let first = b.concat("first", &[x, out, wide, twice, twice, plain]);
        let second = b.concat("second", &[x, plain]);
        vec![out, first, second]
    };
    let q = quantized(build, &["wide"]);
    let placement = Placement::all(&q);
    let plain = find(&q, "plain");
    assert_eq!(placement.placed(), [plain]);
    assert_eq!(placement.parent(plain), Some((find(&q, "first"), 2 + 4 * 3)));
}

#[test]
fn live_bytes_are_those_of_tensors_and_scratch() {
    let q = nested();
    let placement = Placement::all(&q);
    let load = with_steps(&q, |steps| Load::new(&q, steps, &placement));
    // `b` takes over from `a`, 128 bytes, until step 3; `outer`, 384 bytes, is written in parts from step 2 on.
    assert_eq!(load.bytes, [138, 128, 545, 512, 384, 389]);
    assert_eq!(load.lower_bound(), 545);
    assert_eq!(load.steps_of(389.0), [2, 3, 5]);
    assert_eq!(load.steps_of(545.5), [0; 0]);
    for (name, live) in [
        ("a", [true, true, true, true, false, false]),
        ("b", [true, true, true, true, false, false]),
        ("outer", [false, false, true, true, true, true]),
        ("x", [false; 6]),
        ("out", [false; 6]),
    ] {
        assert_eq!([0, 1, 2, 3, 4, 5].map(|step| load.is_live(find(&q, name), step)), live, "{name}");
    }
}

#[test]
fn offsets_are_in_bytes_of_the_format() {
    let q = nested();
    let placement = Placement::all(&q);
    let plan = with_steps(&q, |steps| plan(&q, steps, &placement, Effort::Whole)).unwrap();
    assert_eq!((plan.arena_bytes, plan.lower_bound_bytes, plan.strategy), (560, 545, "largest first"));
    for (name, space, offset, stride) in [
        ("x", Space::Input(0), 0, 2),
        ("a", Space::Arena, 384, 8),
        ("b", Space::Arena, 384, 8),
        ("outer", Space::Arena, 0, 24),
        ("e", Space::Arena, 0, 24),
        ("inner", Space::Arena, 10, 24),
        ("c", Space::Arena, 10, 24),
        ("d", Space::Arena, 16, 24),
        ("out", Space::Output(0), 0, 2),
    ] {
        assert_eq!(plan.locations[find(&q, name).0], Some(Location { space, offset, stride }), "{name}");
    }
    let scratch = |offset, len| Region { offset, len };
    let none = Region::EMPTY;
    assert_eq!(plan.scratch, [scratch(0, 10), none, scratch(512, 33), none, none, scratch(384, 5)]);
    let parent = |name| plan.slice_of[find(&q, name).0];
    assert_eq!(["d", "inner", "b"].map(parent), [Some(find(&q, "inner")), Some(find(&q, "outer")), None]);
}

#[test]
fn an_arena_has_less_than_2_gib() {
    let q = nested();
    let placement = Placement::all(&q);
    let planned = |scratch| {
        let [x, a] = ["x", "a"].map(|name| [find(&q, name)]);
        plan(&q, &[Use { reads: &x, writes: a[0], scratch, in_place: &[] }], &placement, Effort::Whole)
    };
    // `a` has 128 bytes, and the arena ends at a multiple of 16.
    assert_eq!(planned((1 << 31) - 128 - 16).unwrap().arena_bytes, (1 << 31) - 16);
    let error = planned((1 << 31) - 128).unwrap_err().to_string();
    assert_eq!(error, "test: the arena would need 2147483648 bytes; a network may use at most 2 GiB");
}
