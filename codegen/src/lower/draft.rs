//! Steps before the memory plan.

use crate::{graph::ValueId, plan, program::Call};
use std::sync::Arc;

/// A step before the memory plan.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Index of the node that it belongs to.
    pub(crate) node: usize,
    pub(crate) layers: Vec<String>,
    pub(crate) kind: &'static str,
    pub(crate) call: Arc<dyn Call>,
    pub(crate) reads: Vec<ValueId>,
    pub(crate) writes: ValueId,
    pub(crate) joins_operands: bool,
    pub(crate) scratch: usize,
    pub(crate) macs: u64,
    pub(crate) constant_bytes: usize,
    /// Inputs whose memory the output may take over.
    pub(crate) in_place: Vec<ValueId>,
}

impl Draft {
    /// Its tensors, for the memory plan.
    pub(crate) fn uses(&self) -> plan::Use<'_> {
        let Self { reads, writes, scratch, in_place, .. } = self;
        plan::Use { reads, writes: *writes, scratch: *scratch, in_place }
    }
}

/// More about the call that was just appended.
pub struct Pushed<'a>(pub(super) &'a mut Draft);

impl Pushed<'_> {
    /// Scratch bytes.
    pub fn scratch(self, bytes: usize) -> Self {
        self.0.scratch = bytes;
        self
    }

    /// Bytes of its constants.
    pub fn constant_bytes(self, bytes: usize) -> Self {
        self.0.constant_bytes = bytes;
        self
    }

    /// More layers than the node's, another kind than the operator's.
    pub(crate) fn named(self, layers: Vec<String>, kind: &'static str) -> Self {
        (self.0.layers, self.0.kind) = (layers, kind);
        self
    }

    /// More multiply-accumulates than the node's.
    pub(crate) fn macs(self, more: u64) -> Self {
        self.0.macs += more;
        self
    }

    /// The output may take over the memory of any of `values` that nobody reads afterwards.
    pub fn in_place(self, values: &[ValueId]) -> Self {
        self.0.in_place = values.to_vec();
        self
    }
}
