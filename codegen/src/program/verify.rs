//! An independent check of a finished program's memory.
//!
//! It looks only at the program's calls and the operands that they are bound to, not at how the plan was made: for each tensor the bytes that it
//! occupies and the steps between its first write and its last read; no byte may belong to two tensors at the same step, unless one is a slice of
//! the other, or takes over from it in a step whose kernel may work in place. A slice of a concatenation must lie within it. Kernels that pass
//! rows on within one call read what was written before, and its line buffers share no byte.

use super::{Access, Bindings, Call, Field, In, Inside, Program, Step};
use crate::{
    error::{Error, Result},
    graph::ValueId,
};
use niello_kernels::{Operand, Region, Space};

/// Checks that no two tensors that are live together share a byte, scratch included, and that all lie in the arena.
pub fn verify(program: &Program) -> Result<()> {
    let fail = |message: String| {
        Err(Error::Invalid(format!("{}: memory plan is wrong (a bug in niello): {message}", program.name)))
    };
    let mut accesses = vec![];
    for (i, s) in program.steps.iter().enumerate() {
        let (reads, writes) = (s.call.reads(), s.call.writes());
        let [writes] = writes[..] else {
            return fail(format!("step `{}` does not write one tensor", s.name));
        };
        if !s.in_place.iter().all(|id| reads.contains(id)) {
            return fail(format!(
                "step `{}` takes over the memory of a tensor that it does not read",
                s.name
            ));
        }
        let of_call = Accesses { reads, writes };
        let inside = s.call.inside(&program.bindings(i));
        if let Some(Err(what)) = inside.map(|inside| passes_rows(program, s, &of_call, &inside)) {
            return fail(format!("step `{}` {what}", s.name));
        }
        accesses.push(of_call);
    }
    for id in &program.outputs {
        if !accesses.iter().any(|a| a.writes == *id || is_slice(program, a.writes, *id)) {
            return fail(format!("nothing writes the output `{}`", program.tensor(*id).name));
        }
    }
    let lives = lives(program, &accesses);
    for (i, a) in lives.iter().enumerate() {
        if a.operand.space == Space::Arena
            && a.operand.extent().is_none_or(|end| end > program.plan.arena_bytes)
        {
            return fail(format!("`{}` lies outside the arena", a.name));
        }
        if let Some(whole) = program.plan.slice_of[a.id.0].map(|id| operand(program, id))
            && !is_within(&a.operand, &whole)
        {
            return fail(format!("`{}` lies outside the concatenation that it is part of", a.name));
        }
        for b in &lives[..i] {
            let together = a.first <= b.last && b.first <= a.last;
            let in_place = takes_over(program, a, b) || takes_over(program, b, a);
            if together && !in_place && !related(program, a.id, b.id) && intersect(&a.operand, &b.operand) {
                return fail(format!("`{}` and `{}` share bytes while both are live", a.name, b.name));
            }
        }
    }
    for (step, s) in program.steps.iter().enumerate() {
        let Region { offset, len } = s.scratch;
        if len == 0 {
            continue;
        }
        if end(&s.scratch) > program.plan.arena_bytes {
            return fail(format!("scratch of `{}` lies outside the arena", s.name));
        }
        let region = Operand::arena(offset, [1, 1, len], len);
        for a in lives.iter().filter(|a| a.first <= step && step <= a.last) {
            if intersect(&region, &a.operand) {
                return fail(format!("scratch of `{}` overlaps `{}`", s.name, a.name));
            }
        }
    }
    Ok(())
}

/// The operands of a call.
struct Accesses {
    reads: Vec<ValueId>,
    writes: ValueId,
}

/// Whether each kernel within a call reads operands of the call, or rows that one before it writes, and whether no two of the buffers share a byte.
fn passes_rows(
    program: &Program,
    step: &Step,
    of_call: &Accesses,
    inside: &Inside<'_>,
) -> Result<(), String> {
    let is_part = |part: ValueId, whole: ValueId| part == whole || is_slice(program, part, whole);
    let buffer =
        |id: ValueId| inside.buffers.iter().map(|(whole, _)| *whole).find(|whole| is_part(id, *whole));
    // For each buffer, the kernels that write it.
    let writers = |whole: ValueId| {
        let writes = move |call: &&dyn Call| call.writes().iter().any(|id| is_part(*id, whole));
        inside.calls.iter().enumerate().filter(move |(_, call)| writes(call)).map(|(i, _)| i)
    };
    for (i, call) in inside.calls.iter().enumerate() {
        for access in call.operands() {
            let id = access.value();
            let name = &program.tensor(id).name;
            let (operands, verb) = match access {
                Access::Read(_) => (&of_call.reads[..], "reads"),
                Access::Write(_) => (std::slice::from_ref(&of_call.writes), "writes"),
            };
            match (buffer(id), access) {
                (Some(_), Access::Write(_)) => {}
                (Some(whole), Access::Read(_)) => {
                    if writers(whole).max().is_none_or(|last| last >= i) {
                        return Err(format!("reads rows of `{name}` before they are written"));
                    }
                }
                (None, _) if operands.iter().any(|whole| is_part(id, *whole)) => {}
                (None, _) => return Err(format!("{verb} `{name}`, which is none of its operands")),
            }
        }
    }
    let within = |r: &Region| r.offset >= step.scratch.offset && end(r) <= end(&step.scratch);
    let regions: Vec<Region> = inside
        .buffers
        .iter()
        .map(|(_, region)| *region)
        .chain(inside.own.iter().copied())
        .filter(|r| r.len > 0)
        .collect();
    for (i, a) in regions.iter().enumerate() {
        if !within(a) {
            return Err("has rows outside its scratch".into());
        }
        if regions[..i].iter().any(|b| (a.offset as usize) < end(b) && (b.offset as usize) < end(a)) {
            return Err("has rows of two tensors in the same bytes".into());
        }
    }
    Ok(())
}

/// The first byte behind a region.
fn end(region: &Region) -> usize {
    region.offset as usize + region.len as usize
}

struct Life<'p> {
    id: ValueId,
    name: &'p str,
    operand: Operand,
    first: usize,
    last: usize,
}

fn lives<'p>(program: &'p Program, accesses: &[Accesses]) -> Vec<Life<'p>> {
    let slices_of = |id: ValueId| {
        (0..program.tensors.len()).map(ValueId).filter(move |v| *v == id || is_slice(program, *v, id))
    };
    let mut lives = vec![];
    for id in (0..program.tensors.len()).map(ValueId) {
        // A concatenation lives from the first write of any of its slices.
        let writes = |a: &Accesses| slices_of(id).any(|v| v == a.writes);
        let first = accesses.iter().position(writes);
        let reads = accesses.iter().rposition(|a| a.reads.contains(&id));
        let last_write = accesses.iter().rposition(writes);
        let given = program.inputs.contains(&id);
        let wanted = program.outputs.contains(&id);
        let Some(first) = first.or(given.then_some(0)) else { continue };
        let last = if wanted { program.steps.len() } else { reads.max(last_write).unwrap_or(first) };
        lives.push(Life { id, name: &program.tensor(id).name, operand: operand(program, id), first, last });
    }
    lives
}

/// Where a whole tensor lies.
fn operand(program: &Program, id: ValueId) -> Operand {
    let (tensors, blob) = (&program.tensors, &program.blob);
    In::new(id).bind(&Bindings { tensors, blob, scratch: Region::EMPTY })
}

/// Whether `new` is written over exactly the bytes of `old` by a kernel that may do so, in the last step that reads `old`.
fn takes_over(program: &Program, new: &Life<'_>, old: &Life<'_>) -> bool {
    let may = |s: &Step| s.call.writes() == [new.id] && s.in_place.contains(&old.id);
    same_bytes(&new.operand, &old.operand)
        && new.first == old.last
        && program.steps.get(new.first).is_some_and(may)
}

/// Whether both are one view, or views of all bytes of the same memory in different shapes.
fn same_bytes(a: &Operand, b: &Operand) -> bool {
    let dense = |o: &Operand| o.stride == o.shape[2] || o.shape[..2] == [1, 1];
    let place = |o: &Operand| (o.space, o.offset, o.extent());
    a == b || dense(a) && dense(b) && place(a) == place(b)
}

/// Whether a slice lies between the first and last channel of `whole`, pixel by pixel.
fn is_within(slice: &Operand, whole: &Operand) -> bool {
    let ends = |o: &Operand| (o.offset as u64, o.offset as u64 + o.shape[2] as u64);
    let ((first, last), (start, end)) = (ends(slice), ends(whole));
    (slice.space, slice.stride, slice.shape[..2] == whole.shape[..2]) == (whole.space, whole.stride, true)
        && start <= first
        && last <= end
}

/// Whether `part` is a slice of `whole`, directly or through another concatenation.
fn is_slice(program: &Program, part: ValueId, whole: ValueId) -> bool {
    let mut at = part;
    while let Some(parent) = program.plan.slice_of[at.0] {
        if parent == whole {
            return true;
        }
        at = parent;
    }
    false
}

fn related(program: &Program, a: ValueId, b: ValueId) -> bool {
    is_slice(program, a, b) || is_slice(program, b, a)
}

/// Whether two views have a byte in common; exact for equal strides, else by their extents.
fn intersect(a: &Operand, b: &Operand) -> bool {
    let (Some(a_end), Some(b_end)) = (a.extent(), b.extent()) else { return true };
    if a.space != b.space || a_end <= b.offset as usize || b_end <= a.offset as usize {
        return false;
    }
    if a.stride != b.stride || a.stride == 0 {
        return true;
    }
    // Same stride: pixel rows of both repeat every `stride` bytes.
    let stride = a.stride as i64;
    let shift = (b.offset as i64 - a.offset as i64).rem_euclid(stride);
    shift < a.shape[2] as i64 || shift + b.shape[2] as i64 > stride
}
