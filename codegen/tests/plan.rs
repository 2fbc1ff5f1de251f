//! The independent check of a memory plan finds every plan that lets two live tensors share a byte.
//!
//! Programs are changed after lowering, one offset at a time; a slow count of bytes, written here, says which changes
//! are wrong.

mod common;

use niello_codegen::{
    Graph, Shape, ValueId,
    ops::{ConvParams, GlobalAveragePool, Sub},
    program::{Access, Bindings, Call, Field, In, Inside, Program, verify},
};
use niello_kernels::{Kernel, Operand, Region, Space};
use proc_macro2::TokenStream;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// A name and a network.
type Case = (&'static str, fn() -> Graph);

/// Networks whose plans are tried.
const CASES: [Case; 3] =
    [("anam_like", common::anam_like), ("branching", common::branching), ("parts", parts)];

/// Steps that read a concatenation and a part of it, which may be the last to read either.
fn parts() -> Graph {
    common::graph(|b| {
        let x = b.input("input", Shape::new(5, 4, 3));
        let [one, two] = ["one", "two"].map(|name| b.conv2d(name, x, ConvParams::new(4, 1)));
        let whole = b.concat("whole", &[one, two]);
        let product = b.mul("product", whole, two);
        let again = b.concat("again", &[product, one]);
        let gate = b.conv2d("gate", again, ConvParams::new(1, 1));
        let gated = b.concat("gated", &[gate, again]);
        let difference = b.add_op("difference", Sub::default(), &[gated, gate]);
        let mean = b.add_op("mean", GlobalAveragePool, &[difference]);
        let scaled = b.mul("scaled", difference, mean);
        vec![b.conv2d("last", scaled, ConvParams::new(2, 1))]
    })
}

/// Layers whose activations are larger than anything before and behind them, so that they are fused.
fn wide() -> Graph {
    common::graph(|b| {
        let x = b.input("input", Shape::new(40, 36, 2));
        let x = b.conv2d("expand", x, ConvParams::new(24, 3).padding(1));
        let x = b.conv2d("depthwise", x, ConvParams::new(24, 3).padding(1).groups(24));
        let [one, two] = ["one", "two"].map(|name| b.conv2d(name, x, ConvParams::new(8, 1)));
        let x = b.concat("both", &[one, two]);
        let x = b.conv2d("squeeze", x, ConvParams::new(2, 1));
        vec![x]
    })
}

/// A convolution that is fused with the pooling behind it.
fn pooled() -> Graph {
    common::graph(|b| {
        let x = b.input("input", Shape::new(64, 64, 3));
        let x = b.conv2d("conv", x, ConvParams::new(16, 3));
        vec![b.max_pool("pool", x, 3, 2, false)]
    })
}

fn operand(program: &Program, id: ValueId) -> Operand {
    let (tensors, blob) = (&program.tensors, &program.blob);
    In::new(id).bind(&Bindings { tensors, blob, scratch: Region::EMPTY })
}

/// `part` is `whole` or a slice of it, however deep.
fn is_part(program: &Program, part: ValueId, whole: ValueId) -> bool {
    part == whole || program.plan.slice_of[part.0].is_some_and(|parent| is_part(program, parent, whole))
}

/// First step that writes a tensor or a slice of it, last step that reads or writes it.
fn life(program: &Program, id: ValueId) -> Option<(usize, usize)> {
    let writes = |s: &niello_codegen::program::Step| is_part(program, s.writes(), id);
    let first = program.steps.iter().position(writes)?;
    let last = program.steps.iter().rposition(|s| writes(s) || s.reads().contains(&id))?;
    Some((first, last))
}

/// Whether some byte of the arena belongs to two unrelated tensors (or scratch) in one step.
fn bytes_are_shared(program: &Program) -> bool {
    let arena = |id: &ValueId| program.tensor(*id).location.space == Space::Arena;
    let ids: Vec<ValueId> = (0..program.tensors.len()).map(ValueId).filter(arena).collect();
    for (index, step) in program.steps.iter().enumerate() {
        let mut owners: HashMap<u32, ValueId> = HashMap::new();
        for id in &ids {
            let Some((first, last)) = life(program, *id) else { continue };
            if !(first..=last).contains(&index) {
                continue;
            }
            let Operand { offset, shape: [h, w, c], stride, .. } = operand(program, *id);
            for byte in (0..h * w).flat_map(|p| (0..c).map(move |ch| offset + p * stride + ch)) {
                if byte >= step.scratch.offset && byte - step.scratch.offset < step.scratch.len {
                    return true;
                }
                let Some(owner) = owners.insert(byte, *id) else { continue };
                let related = is_part(program, owner, *id) || is_part(program, *id, owner);
                // A step that may work in place, from its input to its output at the same place.
                let takes_over = |new: ValueId, old: ValueId| {
                    step.writes() == new
                        && step.in_place.contains(&old)
                        && life(program, old).is_some_and(|(_, last)| last == index)
                        && life(program, new).is_some_and(|(first, _)| first == index)
                        && operand(program, old) == operand(program, new)
                };
                if !related && !takes_over(owner, *id) && !takes_over(*id, owner) {
                    return true;
                }
            }
        }
    }
    false
}

#[test]
fn programs_as_lowered_are_right() {
    for (name, graph) in CASES {
        for target in ["portable", "x86-vnni", "cortex-m-dsp"] {
            let program = common::program(graph(), target);
            verify(&program).unwrap_or_else(|e| panic!("{name} for {target}: {e}"));
            assert!(!bytes_are_shared(&program), "{name} for {target}");
            assert!(program.plan.arena_bytes >= program.plan.lower_bound_bytes);
        }
    }
}

#[test]
fn every_shifted_tensor_that_meets_a_live_one_is_found() {
    for (name, graph) in CASES {
        let mut program = common::program(graph(), "portable");
        let arena = program.plan.arena_bytes as u32;
        for id in 0..program.tensors.len() {
            if program.tensors[id].location.space != Space::Arena || life(&program, ValueId(id)).is_none() {
                continue;
            }
            let right = program.tensors[id].location.offset;
            let mut wrong = 0;
            // Offsets of every other tensor, and steps through the whole arena.
            let others: Vec<u32> = program.tensors.iter().map(|t| t.location.offset).collect();
            let shifts = (0..arena).step_by(48).chain(others).chain([right + 1, right.saturating_sub(1)]);
            for offset in shifts.filter(|o| *o != right) {
                program.tensors[id].location.offset = offset;
                let inside = operand(&program, ValueId(id)).extent().is_some_and(|end| end <= arena as usize);
                if !inside || bytes_are_shared(&program) {
                    wrong += 1;
                    let layer = &program.tensors[id].name;
                    assert!(verify(&program).is_err(), "{name}: `{layer}` at {offset} instead of {right}");
                }
            }
            program.tensors[id].location.offset = right;
            assert!(wrong > 0, "{name}: no place of `{}` was wrong", program.tensors[id].name);
        }
    }
}

#[test]
fn scratch_that_meets_a_live_tensor_is_found() {
    for (name, graph) in CASES {
        let mut program = common::program(graph(), "portable");
        let mut wrong = 0;
        for step in 0..program.steps.len() {
            let right = program.steps[step].scratch;
            if right.len == 0 {
                continue;
            }
            for offset in (0..program.plan.arena_bytes as u32 + 64).step_by(16) {
                program.steps[step].scratch.offset = offset;
                let inside = (offset + right.len) as usize <= program.plan.arena_bytes;
                if !inside || bytes_are_shared(&program) {
                    wrong += 1;
                    let layer = &program.steps[step].name;
                    assert!(verify(&program).is_err(), "{name}: scratch of `{layer}` at {offset}");
                }
            }
            program.steps[step].scratch = right;
        }
        assert!(wrong > 0, "{name}");
    }
}

#[test]
fn memory_that_a_kernel_may_not_overwrite_in_place_is_found() {
    for (name, graph) in CASES {
        let mut program = common::program(graph(), "portable");
        let shares = |p: &Program, i: usize| {
            let step = &p.steps[i];
            step.in_place.iter().any(|old| operand(p, *old) == operand(p, step.writes()))
        };
        let in_place: Vec<usize> = (0..program.steps.len()).filter(|i| shares(&program, *i)).collect();
        assert!(!in_place.is_empty(), "{name} has no step in place");
        for step in in_place {
            let allowed = std::mem::take(&mut program.steps[step].in_place);
            let message = verify(&program).unwrap_err().to_string();
            assert!(message.contains("share bytes while both are live"), "{name}: {message}");
            program.steps[step].in_place = allowed;
        }
    }
}

#[test]
fn a_slice_outside_its_concatenation_is_found() {
    let mut program = common::program(common::branching(), "portable");
    let slices: Vec<usize> =
        (0..program.tensors.len()).filter(|i| program.plan.slice_of[*i].is_some()).collect();
    assert!(!slices.is_empty());
    for id in slices {
        let right = program.tensors[id].location;
        program.tensors[id].location.offset += right.stride;
        assert!(verify(&program).is_err(), "`{}` a pixel too far", program.tensors[id].name);
        program.tensors[id].location = right;
        program.tensors[id].location.stride += 1;
        assert!(verify(&program).is_err(), "`{}` with pixels too far apart", program.tensors[id].name);
        program.tensors[id].location = right;
    }
}

#[test]
fn an_arena_that_is_too_small_is_found() {
    for (name, graph) in CASES {
        let mut program = common::program(graph(), "portable");
        program.plan.arena_bytes = program.plan.lower_bound_bytes - 17;
        assert!(verify(&program).is_err(), "{name}");
    }
}

/// A call of several kernels whose order, or whose scratch, is another.
#[derive(Debug)]
struct Planted {
    call: Arc<dyn Call>,
    defect: Defect,
}

#[derive(Clone, Copy, Debug)]
enum Defect {
    /// The first kernel comes last.
    Order,
    /// Two regions of the scratch begin at the same byte.
    Overlap,
    /// The scratch ends before the last region.
    Short,
    /// One operand is not stated.
    Operand,
}

impl Call for Planted {
    fn kernel(&self) -> &'static str {
        self.call.kernel()
    }

    fn operands(&self) -> Vec<Access> {
        let mut operands = self.call.operands();
        if let Defect::Operand = self.defect {
            operands.remove(0);
        }
        operands
    }

    fn inside<'p>(&'p self, b: &Bindings<'p>) -> Option<Inside<'p>> {
        let mut inside = self.call.inside(b)?;
        match self.defect {
            Defect::Order => inside.calls.rotate_left(1),
            Defect::Overlap => inside.own.push(inside.buffers[0].1),
            Defect::Short => inside.own.push(Region { offset: b.scratch.offset + b.scratch.len, len: 1 }),
            Defect::Operand => {}
        }
        Some(inside)
    }

    fn bound(&self, b: &Bindings<'_>, show: &mut dyn FnMut(&dyn Kernel)) {
        self.call.bound(b, show);
    }

    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        self.call.tokens(b)
    }
}

#[test]
fn kernels_within_a_call_pass_on_what_was_written() {
    let mut kinds = BTreeSet::new();
    for (name, graph) in [("wide", wide as fn() -> Graph), ("pooled", pooled)].into_iter().chain(CASES) {
        let mut program = common::program(graph(), "portable");
        for step in 0..program.steps.len() {
            let call = program.steps[step].call.clone();
            if call.inside(&program.bindings(step)).is_none() {
                continue;
            }
            for (defect, message) in [
                (Defect::Order, "before they are written"),
                (Defect::Overlap, "two tensors in the same bytes"),
                (Defect::Short, "outside its scratch"),
                (Defect::Operand, "which is none of its operands"),
            ] {
                program.steps[step].call = Arc::new(Planted { call: call.clone(), defect });
                let error =
                    verify(&program).expect_err(&format!("{name}: {defect:?} at step {step}")).to_string();
                assert!(error.contains(message), "{name}: {error}, expected {message}");
                kinds.insert(call.kernel());
            }
            program.steps[step].call = call;
        }
        assert!(verify(&program).is_ok(), "{name}");
    }
    assert_eq!(kinds, BTreeSet::from(["ConvMaxPool2d", "FusedRows"]), "which calls have kernels within");
}
