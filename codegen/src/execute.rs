//! Runs a program in process: the same kernels, the same constants, the same bytes as the generated crate.

use crate::{
    error::{Error, Result},
    graph::ValueId,
    program::{Field, In, Out, Program},
};
use niello_kernels::{Isa, Memory};
use std::cell::Cell;

/// A program with its arena.
pub struct Executor<'p> {
    program: &'p Program,
    arena: Vec<Line>,
    isa: Isa,
    /// Whether every kernel has said that it computes: that does not change from run to run.
    fits: bool,
}

#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([i8; 64]);

/// An arena for a program.
fn arena(program: &Program) -> Vec<Line> {
    vec![Line([0; 64]); program.plan.arena_bytes.div_ceil(64)]
}

/// Its bytes.
fn cells<'a>(arena: &'a mut [Line], program: &Program) -> &'a [Cell<i8>] {
    let bytes: &mut [i8] = bytemuck::cast_slice_mut(arena);
    Cell::from_mut(&mut bytes[..program.plan.arena_bytes]).as_slice_of_cells()
}

/// The memory of outputs.
fn output_cells(outputs: &mut [Vec<i8>]) -> Vec<&[Cell<i8>]> {
    outputs.iter_mut().map(|o| Cell::from_mut(&mut o[..]).as_slice_of_cells()).collect()
}

impl<'p> Executor<'p> {
    /// With the best instructions of this machine.
    pub fn new(program: &'p Program) -> Self {
        Self::with_isa(program, Isa::detect())
    }

    /// With given instructions; the results are the same.
    pub fn with_isa(program: &'p Program, isa: Isa) -> Self {
        Self { program, arena: arena(program), isa, fits: false }
    }

    /// The instructions in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Outputs for `inputs`, dense NHWC each: a byte per code, or the little-endian bytes of numbers.
    ///
    /// # Errors
    /// Inputs of the wrong number or length; a step whose kernel refuses its operands, which would compute nothing on a device.
    pub fn run(&mut self, inputs: &[&[i8]]) -> Result<Vec<Vec<i8>>> {
        self.run_observed(inputs, |_, _| {})
    }

    /// As [`Executor::run`]; `observe` is called after each step with its index and the memory.
    pub fn run_observed(
        &mut self,
        inputs: &[&[i8]],
        mut observe: impl FnMut(usize, &View<'_>),
    ) -> Result<Vec<Vec<i8>>> {
        let all = |run: &mut Stepper<'_>| {
            while let Some(i) = run.step() {
                observe(i, &run.view);
            }
            Ok(())
        };
        self.run_stepwise(inputs, all)
    }

    /// As [`Executor::run`]; `body` says when which step runs. Those that it leaves do not run.
    ///
    /// # Errors
    /// As of [`Executor::run`], and those of `body`.
    pub fn run_stepwise(
        &mut self,
        inputs: &[&[i8]],
        body: impl FnOnce(&mut Stepper<'_>) -> Result<()>,
    ) -> Result<Vec<Vec<i8>>> {
        let program = self.program;
        let lengths: Vec<usize> = program.inputs.iter().map(|id| program.tensor(*id).bytes()).collect();
        if inputs.iter().map(|i| i.len()).ne(lengths.iter().copied()) {
            let got: Vec<usize> = inputs.iter().map(|i| i.len()).collect();
            return Err(Error::Invalid(format!(
                "{}: expected inputs of {lengths:?} bytes, got {got:?}",
                program.name
            )));
        }
        let mut outputs: Vec<Vec<i8>> =
            program.outputs.iter().map(|id| vec![0; program.tensor(*id).bytes()]).collect();
        {
            let outputs = output_cells(&mut outputs);
            let memory = Memory::new(cells(&mut self.arena, program), inputs, &outputs);
            if !self.fits {
                program.check_fits(&memory)?;
                self.fits = true;
            }
            body(&mut Stepper { view: View { program, memory }, isa: self.isa, next: 0 })?;
        }
        Ok(outputs)
    }
}

/// A run that goes on step by step.
pub struct Stepper<'a> {
    view: View<'a>,
    isa: Isa,
    next: usize,
}

impl<'a> Stepper<'a> {
    /// Runs the next step, and returns its index; `None` behind the last.
    fn step(&mut self) -> Option<usize> {
        let View { program, memory } = &self.view;
        let i = self.next;
        program.steps.get(i)?.call.run(&program.bindings(i), memory, self.isa);
        self.next += 1;
        Some(i)
    }

    /// Runs all steps up to the last one that writes `id`; `false` if none is left that does.
    pub fn run_to(&mut self, id: ValueId) -> bool {
        let steps = &self.view.program.steps[self.next..];
        let Some(ahead) = steps.iter().rposition(|step| step.writes == id) else { return false };
        for _ in 0..=ahead {
            self.step();
        }
        true
    }

    /// The memory.
    pub fn view(&self) -> &View<'a> {
        &self.view
    }

    /// Replaces a tensor: the steps to come read these bytes, dense NHWC.
    ///
    /// # Panics
    /// On fewer bytes than the tensor has.
    pub fn replace(&mut self, id: ValueId, bytes: &[i8]) {
        let operand = Out::new(id).bind(&self.view.program.bindings(0));
        let Some(output) = self.view.memory.write(&operand) else { return };
        let [h, w, c] = output.shape();
        for p in 0..h * w {
            let pixel = &bytes[p * c..(p + 1) * c];
            output.pixel(p / w, p % w).iter().zip(pixel).for_each(|(cell, byte)| cell.set(*byte));
        }
    }
}

/// The memory of a running program, for observers.
pub struct View<'a> {
    program: &'a Program,
    memory: Memory<'a>,
}

impl View<'_> {
    /// The current bytes of a tensor, dense NHWC.
    pub fn tensor(&self, id: ValueId) -> Vec<i8> {
        let operand = In::new(id).bind(&self.program.bindings(0));
        let Some(input) = self.memory.read(&operand) else { return vec![] };
        let [h, w, _] = input.shape();
        (0..h * w).flat_map(|p| input.pixel(p / w, p % w).iter()).collect()
    }
}

impl Program {
    /// Whether every kernel would compute in such memory, on a device too, where one that does not returns without a word.
    ///
    /// # Errors
    /// The first step whose kernel refuses its operands or parameters.
    pub(crate) fn check_fits(&self, memory: &Memory<'_>) -> Result<()> {
        let refused = (0..).zip(&self.steps).find(|(i, step)| !step.call.fits(&self.bindings(*i), memory));
        refused.map_or(Ok(()), |(_, step)| {
            let message = format!("the kernel `{}` refuses its operands", step.call.kernel());
            Err(Error::Layer { layer: step.name.clone(), kind: step.kind, message })
        })
    }

    /// As [`Program::check_fits`], for memory of the sizes that the program was planned for.
    pub(crate) fn check_fits_its_memory(&self) -> Result<()> {
        let of = |ids: &[ValueId]| -> Vec<Vec<i8>> {
            ids.iter().map(|id| vec![0; self.tensor(*id).bytes()]).collect()
        };
        let (inputs, mut outputs) = (of(&self.inputs), of(&self.outputs));
        let inputs: Vec<&[i8]> = inputs.iter().map(|input| &input[..]).collect();
        let mut arena = arena(self);
        self.check_fits(&Memory::new(cells(&mut arena, self), &inputs, &output_cells(&mut outputs)))
    }
}
