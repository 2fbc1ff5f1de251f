//! The context that an operator is lowered in.

use super::{
    draft::{Draft, Pushed},
    target::Target,
};
use crate::{
    error::{Error, Result},
    format::{Codes, Format, QParams},
    graph::{Graph, Node, ValueId},
    plan::Placement,
    program::{BlobBuilder, Call, Choices, Const, Pod},
    quantize::QGraph,
};
use niello_kernels::{Float, Multiplier, OutputParams, Rounding, Width, conv::scratch_per_thread};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Integers that are multiplied by a factor between scales.
#[derive(Clone, Copy, Debug)]
pub struct Sums {
    /// The largest magnitude.
    pub largest: i64,
    /// Magnitudes below it follow from the rounding of operands to their codes alone; at least 1.
    pub noise: i64,
    /// Bits of the register that a left shift fills, without its sign.
    pub bits: u32,
    /// How many codes the result has.
    pub codes: i64,
}

impl Sums {
    /// In 32 bits, for a result of 8.
    pub const fn narrow(largest: i64, noise: i64) -> Self {
        Self { largest, noise, bits: 31, codes: 1 << 8 }
    }

    /// In 32 bits, for a result of 16.
    pub const fn of_int16(largest: i64, noise: i64) -> Self {
        Self { largest, noise, bits: 31, codes: 1 << 16 }
    }

    /// In 64 bits, as `niello_kernels::int16::rescale` takes them: sums below `2^47`, factors below `2^15`.
    pub const fn wide(noise: i64) -> Self {
        Self { largest: (1 << 47) - 1, noise, bits: 61, codes: 1 << 16 }
    }

    /// Differences between a code of 8 bits and a zero point.
    pub const CODES: Self = Self::narrow(255, 1);
}

/// The context that an operator is lowered in.
pub struct Lowering<'a> {
    q: &'a QGraph,
    target: &'a Target,
    placement: &'a Placement,
    /// Values that are never whole in memory: their reader takes their rows.
    fused: &'a BTreeSet<ValueId>,
    pub(super) blob: BlobBuilder,
    pub(crate) drafts: Vec<Draft>,
    pub(super) node: usize,
    pub(super) choices: Choices,
    pub(super) corrections: BTreeMap<ValueId, Vec<i32>>,
}

impl<'a> Lowering<'a> {
    /// With nothing lowered yet.
    pub(super) fn new(
        q: &'a QGraph,
        target: &'a Target,
        placement: &'a Placement,
        fused: &'a BTreeSet<ValueId>,
    ) -> Self {
        let (blob, choices, corrections) = (BlobBuilder::default(), Choices::new(), BTreeMap::new());
        Self { q, target, placement, fused, blob, drafts: vec![], node: 0, choices, corrections }
    }
}

impl Lowering<'_> {
    /// The graph being lowered.
    pub fn graph(&self) -> &Graph {
        &self.q.graph
    }

    /// The node being lowered.
    pub fn node(&self) -> &Node {
        &self.q.graph.nodes[self.node]
    }

    /// The target.
    pub fn target(&self) -> &Target {
        self.target
    }

    /// Output pixels that the node processes per pass: `default`, unless it is tuned; at most `most`, a multiple of `unit`.
    pub(crate) fn pixels_per_pass(&mut self, default: usize, unit: usize, most: usize) -> usize {
        let name = &self.q.graph.nodes[self.node].name;
        let wanted = self.target.tuning.choices.get(name).and_then(|c| c.pixels).unwrap_or(default);
        let pixels = wanted.clamp(1, most.max(1)).next_multiple_of(unit);
        self.choices.entry(name.clone()).or_default().pixels = Some(pixels);
        pixels
    }

    /// Whether the node, which can do either, takes Winograd's algorithm: `default`, unless it is tuned.
    pub(crate) fn takes_winograd(&mut self, default: bool) -> bool {
        let name = &self.q.graph.nodes[self.node].name;
        let winograd = self.target.tuning.choices.get(name).and_then(|c| c.winograd).unwrap_or(default);
        self.choices.entry(name.clone()).or_default().winograd = Some(winograd);
        winograd
    }

    /// Scratch for every thread, from that for one.
    pub fn scratch_of_threads(&self, one: usize) -> usize {
        match self.target.threads {
            0 | 1 => one,
            threads => scratch_per_thread(one) * threads,
        }
    }

    /// The rounding of the program.
    pub fn rounding(&self) -> Rounding {
        self.q.rounding
    }

    /// Scale and zero point of a value.
    pub fn qparams(&self, value: ValueId) -> Result<QParams> {
        match self.q.formats[value.0] {
            Format::Int8(q) => Ok(q),
            Format::Int16 { .. } => {
                Err(self.error(format!("`{}` has 16 bits", self.graph().values[value.0].name)))
            }
            Format::Label => Err(self.error(format!("`{}` holds labels", self.graph().values[value.0].name))),
            Format::Float(_) => {
                Err(self.error(format!("`{}` is in floating point", self.graph().values[value.0].name)))
            }
        }
    }

    /// The type of a value in floating point.
    pub fn float(&self, value: ValueId) -> Result<Float> {
        match self.q.formats[value.0] {
            Format::Float(float) => Ok(float),
            other => {
                let name = &self.graph().values[value.0].name;
                Err(self.error(format!("`{name}` is {}, expected floating point", other.name())))
            }
        }
    }

    /// The format of a value.
    pub fn format(&self, value: ValueId) -> Format {
        self.q.formats[value.0]
    }

    /// Width, scale and zero point of a value of either width.
    pub fn codes(&self, value: ValueId) -> Result<Codes> {
        match self.q.formats[value.0] {
            Format::Int16 { scale, given } => Ok(Codes { width: Width::Int16, scale, zero_point: 0, given }),
            _ => self.qparams(value).map(Codes::int8),
        }
    }

    /// Whether the node reads or writes a value of 16 bits.
    pub fn has_int16(&self) -> bool {
        let node = self.node();
        let is_wide = |id: &ValueId| matches!(self.q.formats[id.0], Format::Int16 { .. });
        node.inputs.iter().chain(&node.outputs).any(is_wide)
    }

    /// Whether the node's weights have 16 bits.
    pub fn has_wide_weights(&self) -> bool {
        self.q.wide_weights.contains(&self.node().output())
    }

    /// Mean of each channel of a value over the calibration set, where bias correction is on.
    pub fn channel_means(&self, value: ValueId) -> Option<&[f64]> {
        self.q.channel_means.get(value.0).and_then(|m| m.as_deref())
    }

    /// The steps that a lock adds to the biases of the node's `channels`, if it has some.
    ///
    /// # Errors
    /// Another number of channels.
    pub(crate) fn correction(&self, channels: usize) -> Result<Option<Vec<i32>>> {
        match self.q.corrections.get(&self.node().output()) {
            Some(steps) if steps.len() != channels => {
                let found = steps.len();
                Err(self
                    .error(format!("the lock corrects {found} biases, expected {channels}; calibrate again")))
            }
            steps => Ok(steps.cloned()),
        }
    }

    /// Keeps what has been added to the biases of the node.
    pub(crate) fn note_correction(&mut self, steps: Vec<i32>) {
        self.corrections.insert(self.node().output(), steps);
    }

    /// Whether the producer of `value` writes straight into its slice of the concatenation that `node` makes.
    pub fn is_placed(&self, value: ValueId) -> bool {
        self.placement.parent(value).is_some_and(|(parent, _)| self.node().outputs.contains(&parent))
    }

    /// Whether the node takes its input row by row from the node that makes it (see [`crate::graph::Op::can_take_rows_of`]).
    pub fn takes_rows(&self) -> bool {
        self.node().inputs.first().is_some_and(|input| self.fused.contains(input))
    }

    /// Takes back the draft that makes `value`, if its call is a `C`, to make it part of another.
    pub(crate) fn take_draft<C: Call>(&mut self, value: ValueId) -> Option<Draft> {
        let makes = |draft: &Draft| draft.writes == value && (&*draft.call as &dyn Any).is::<C>();
        let at = self.drafts.iter().position(makes)?;
        Some(self.drafts.remove(at))
    }

    /// Adds a constant.
    pub fn constant<T: Pod>(&mut self, data: &[T]) -> Const<T> {
        self.blob.add(data)
    }

    /// A factor between scales, or an error that names the layer.
    pub fn multiplier(&self, real: f64) -> Result<Multiplier> {
        Multiplier::from_real(real).ok_or_else(|| self.error(format!("scale factor {real} is out of range")))
    }

    /// The factor of sums, which no left shift carries out of their register. Where the result's scale is so fine that one would, anything but
    /// rounding noise of the operands lies beyond the result's codes: then that is the largest factor that does not.
    ///
    /// # Errors
    /// Sums that do not fit, a factor that is out of range without that; the error names the layer.
    pub fn multiplier_for(&self, real: f64, sums: Sums) -> Result<Multiplier> {
        self.fitting(Multiplier::from_real(real), real, sums)
    }

    /// As [`Lowering::multiplier_for`], where `real` has been rounded to `multiplier`, if it has.
    pub fn fitting(&self, multiplier: Option<Multiplier>, real: f64, sums: Sums) -> Result<Multiplier> {
        let Sums { largest, noise, bits, codes } = sums;
        let room = bits as i32 - (i64::BITS - largest.leading_zeros()) as i32;
        if room < 0 {
            return Err(
                self.error(format!("accumulator can reach {largest}, which does not fit {} bits", bits + 1))
            );
        }
        // The largest shift of a multiplier.
        let most = room.min(30);
        match multiplier {
            Some(multiplier) if multiplier.shift <= most => Ok(multiplier),
            _ if real > 0.0 && noise << most >= codes => Ok(Multiplier { mantissa: i32::MAX, shift: most }),
            _ => Err(self.error(format!(
                "scale factor {real} is out of range: the result's scale is too fine for sums of up to {largest}"
            ))),
        }
    }

    /// Zero point, rounding and clamp of an output with a fused activation of range `[min, max]`.
    pub fn stage(&self, q: QParams, min: f32, max: f32) -> OutputParams {
        let clamp = |x: f32, otherwise: i8| if x.is_finite() { q.quantize(x) } else { otherwise };
        OutputParams {
            zero_point: q.zero_point,
            min: clamp(min, i8::MIN),
            max: clamp(max, i8::MAX),
            rounding: self.rounding(),
        }
    }

    /// An error that names the layer.
    pub fn error(&self, message: impl Into<String>) -> Error {
        let node = self.node();
        Error::Layer { layer: node.name.clone(), kind: node.op.kind(), message: message.into() }
    }

    /// Appends the kernel calls of the current node.
    pub(super) fn lower_node(&mut self) -> Result<()> {
        let node = &self.q.graph.nodes[self.node];
        match self.q.modes.get(&node.output()) {
            Some(mode) => node.op.lower_float(self, *mode),
            None if self.has_int16() || self.has_wide_weights() => node.op.lower_int16(self),
            None => node.op.lower(self),
        }
    }

    /// Appends a kernel call, which has one operand that it writes.
    pub fn push(&mut self, call: impl Call + 'static) -> Pushed<'_> {
        let node = &self.q.graph.nodes[self.node];
        let call: Arc<dyn Call> = Arc::new(call);
        let writes = call.writes()[0];
        self.drafts.push(Draft {
            node: self.node,
            layers: vec![node.name.clone()],
            kind: node.op.kind(),
            reads: call.reads(),
            writes,
            call,
            joins_operands: node.op.places_inputs(),
            scratch: 0,
            macs: self.q.graph.node_macs(node),
            constant_bytes: 0,
            in_place: vec![],
        });
        Pushed(self.drafts.last_mut().expect("just pushed"))
    }
}
