//! The kernels of a chain.

use crate::{
    Isa, Memory, Operand, Region,
    schedule::by_rows::{Reach, RowStage, Views},
};

/// A kernel of a chain.
#[derive(Clone, Copy, Debug)]
pub struct Stage<K> {
    /// The kernel. Its operands are whole maps, or some channels of them.
    pub kernel: K,
    /// Indices of the maps that it reads.
    pub reads: [u8; 2],
    /// Index of the map that it writes.
    pub writes: u8,
}

/// A [`Stage`] without what it computes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Indices of the maps that it reads.
    pub reads: [u8; 2],
    /// Index of the map that it writes.
    pub writes: u8,
    /// Which rows it reads.
    pub reach: Reach,
    /// What it reads of these maps.
    pub operands: [Operand; 2],
    /// What it writes.
    pub output: Operand,
    /// Its scratch.
    pub scratch: Region,
    /// Multiply-accumulates, or what takes as long.
    pub work: usize,
}

impl Link {
    fn new(kernel: &(impl RowStage + ?Sized), reads: [u8; 2], writes: u8) -> Self {
        Self {
            reads,
            writes,
            reach: kernel.reach(),
            operands: kernel.reads(),
            output: kernel.output(),
            scratch: kernel.scratch(),
            work: kernel.work(),
        }
    }
}

/// Kernels in order of execution: `(Stage, (Stage, ()))` where their types are known, a slice where they are not. Nothing else is one.
pub trait Stages: Copy + Sync + sealed::Stages {
    /// How many there are.
    fn count(&self) -> usize;

    /// The one of that index.
    fn link(&self, index: usize) -> Option<Link>;

    /// Runs the one of that index, see [`RowStage::compute`].
    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa);

    /// Whether it computes anything, see [`RowStage::fits`].
    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool;
}

/// What only this crate can implement.
mod sealed {
    /// See [`super::Stages`].
    pub trait Stages {}
}

impl sealed::Stages for () {}

impl Stages for () {
    fn count(&self) -> usize {
        0
    }

    fn link(&self, _: usize) -> Option<Link> {
        None
    }

    fn compute(&self, _: usize, _: usize, _: Views, _: &Memory<'_>, _: Isa) {}

    fn fits(&self, _: usize, _: usize, _: Views, _: &Memory<'_>) -> bool {
        false
    }
}

impl<K: RowStage + Copy + Sync, S: Stages> sealed::Stages for (Stage<K>, S) {}

impl<K: RowStage + Copy + Sync, S: Stages> Stages for (Stage<K>, S) {
    fn count(&self) -> usize {
        1 + self.1.count()
    }

    fn link(&self, index: usize) -> Option<Link> {
        match index.checked_sub(1) {
            None => Some(Link::new(&self.0.kernel, self.0.reads, self.0.writes)),
            Some(index) => self.1.link(index),
        }
    }

    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        match index.checked_sub(1) {
            None => self.0.kernel.compute(row, views, mem, isa),
            Some(index) => self.1.compute(index, row, views, mem, isa),
        }
    }

    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        match index.checked_sub(1) {
            None => self.0.kernel.fits(row, views, mem),
            Some(index) => self.1.fits(index, row, views, mem),
        }
    }
}

impl sealed::Stages for &[Stage<&(dyn RowStage + Sync)>] {}

impl Stages for &[Stage<&(dyn RowStage + Sync)>] {
    fn count(&self) -> usize {
        self.len()
    }

    fn link(&self, index: usize) -> Option<Link> {
        self.get(index).map(|stage| Link::new(stage.kernel, stage.reads, stage.writes))
    }

    fn compute(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>, isa: Isa) {
        if let Some(stage) = self.get(index) {
            stage.kernel.compute(row, views, mem, isa);
        }
    }

    fn fits(&self, index: usize, row: usize, views: Views, mem: &Memory<'_>) -> bool {
        self.get(index).is_some_and(|stage| stage.kernel.fits(row, views, mem))
    }
}
