//! From quantised graph to program: each operator appends its kernel calls.

mod auto;

use crate::{
    chains,
    error::{Error, Result},
    format::{Codes, Format, QParams},
    graph::{Graph, Node, ValueId},
    plan::{self, Placement},
    program::{
        self, Blob, BlobBuilder, Call, Choices, Const, Location, MemoryPlan, Metadata, Pod, Program, Step,
        TensorInfo, names,
    },
    quantize::QGraph,
    tuning::Tuning,
};
use niello_kernels::{Float, Layout, Multiplier, OutputStage, Rounding, Space, Width, conv::part_of_scratch};
use std::{
    any::Any,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What to lower for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name, as in recipes.
    pub name: &'static str,
    /// One line of explanation.
    pub summary: &'static str,
    /// How convolution weights are packed.
    pub layout: Layout,
    /// Output pixels that a convolution processes per pass: scratch against speed.
    pub chunk: usize,
    /// Output channels that lie together in the weights of convolutions in floating point.
    pub float_panel: usize,
    /// Whether 3x3 convolutions may be lowered to Winograd's algorithm: fewer products, more constants.
    pub winograd: bool,
    /// Threads that a layer may be shared out among: scratch for each.
    pub threads: usize,
    /// Layers that are lowered otherwise.
    pub tuning: Tuning,
}

/// Known targets. The bits do not depend on the choice, only speed and scratch do.
pub const TARGETS: &[Target] = &[
    Target {
        name: "x86-vnni",
        summary: "x86-64: AVX-512 VNNI, or AVX2",
        layout: Layout::VNNI,
        chunk: 192,
        float_panel: 16,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "aarch64-dotprod",
        summary: "64-bit Arm with dot products (Cortex-A55, A76, A78), or without",
        layout: Layout::NEON,
        chunk: 60,
        float_panel: 16,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "aarch64-neon",
        summary: "64-bit Arm without dot products (Cortex-A53, A57, A72), or with",
        layout: Layout::NEON,
        chunk: 60,
        float_panel: 16,
        winograd: true,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "cortex-m-dsp",
        summary: "Cortex-M4, M7, M33, M55 (DSP)",
        layout: Layout::DSP,
        chunk: 12,
        float_panel: 4,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "portable",
        summary: "any core, plain Rust",
        layout: Layout::SCALAR,
        chunk: 4,
        float_panel: 4,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
];

/// The name that stands for the target of the machine that is built for: see [`Target::find`].
pub const AUTO: &str = "auto";

impl Target {
    /// The target of that name. `host` is the best one for this machine. `auto` is the one of the machine that a build script builds
    /// for, whatever machine it runs on, and `host` outside a build script.
    ///
    /// | in a build script, `auto` is | for |
    /// |---|---|
    /// | `cortex-m-dsp` | `thumbv7em`; `thumbv8m.main` with a `-C target-cpu` that has DSP instructions |
    /// | `aarch64-neon` | `aarch64`; `aarch64-dotprod` with `-C target-feature=+dotprod` or a `target-cpu` that has it |
    /// | `x86-vnni` | `x86_64` |
    /// | `portable` | any other |
    ///
    /// # Errors
    /// Another name.
    pub fn find(name: &str) -> Result<&'static Target> {
        let host_is = |names: &[&str]| names.contains(&niello_kernels::Isa::detect().name());
        let built_for = || auto::target(|name| std::env::var(name).ok()).unwrap_or("host");
        let wanted = match if name == AUTO { built_for() } else { name } {
            "host" if host_is(&["avx512vnni", "avx2"]) => "x86-vnni",
            "host" if host_is(&["dotprod", "i8mm", "dotprod-fp16", "i8mm-fp16"]) => "aarch64-dotprod",
            "host" if cfg!(target_arch = "aarch64") => "aarch64-neon",
            "host" => "portable",
            other => other,
        };
        TARGETS.iter().find(|t| t.name == wanted).ok_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
            Error::Invalid(format!("no target `{name}`; known: auto, host, {}", names.join(", ")))
        })
    }
}

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
    pub(crate) scratch: usize,
    pub(crate) macs: u64,
    pub(crate) constant_bytes: usize,
    /// Inputs whose memory the output may take over.
    pub(crate) in_place: Vec<ValueId>,
}

impl Draft {
    /// What the memory plan must know of it.
    pub(crate) fn uses(&self) -> plan::Use<'_> {
        let Self { reads, writes, scratch, in_place, .. } = self;
        plan::Use { reads, writes: *writes, scratch: *scratch, in_place }
    }
}

/// Integers that are multiplied by a factor between scales.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    /// The largest magnitude.
    pub(crate) largest: i64,
    /// Magnitudes below it follow from the rounding of operands to their codes alone; at least 1.
    pub(crate) noise: i64,
    /// Bits of the register that a left shift fills, without its sign.
    pub(crate) bits: u32,
    /// How many codes the result has.
    pub(crate) codes: i64,
}

impl Sums {
    /// In 32 bits, for a result of 8.
    pub(crate) const fn narrow(largest: i64, noise: i64) -> Self {
        Self { largest, noise, bits: 31, codes: 1 << 8 }
    }

    /// In 32 bits, for a result of 16.
    pub(crate) const fn of_int16(largest: i64, noise: i64) -> Self {
        Self { largest, noise, bits: 31, codes: 1 << 16 }
    }

    /// In 64 bits, as `niello_kernels::int16::rescale` takes them: sums below `2^47`, factors below `2^15`.
    pub(crate) const fn wide(noise: i64) -> Self {
        Self { largest: (1 << 47) - 1, noise, bits: 61, codes: 1 << 16 }
    }

    /// Differences between a code of 8 bits and a zero point.
    pub(crate) const CODES: Self = Self::narrow(255, 1);
}

/// What an operator sees while it is lowered.
pub struct Lowering<'a> {
    q: &'a QGraph,
    target: &'a Target,
    placement: &'a Placement,
    /// Values that are never whole in memory: their reader takes their rows.
    fused: &'a BTreeSet<ValueId>,
    blob: BlobBuilder,
    pub(crate) drafts: Vec<Draft>,
    node: usize,
    choices: Choices,
    corrections: BTreeMap<ValueId, Vec<i32>>,
}

impl<'a> Lowering<'a> {
    /// With nothing lowered yet.
    fn new(
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

    /// What to lower for.
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
    pub(crate) fn scratch_of_threads(&self, one: usize) -> usize {
        match self.target.threads {
            0 | 1 => one,
            threads => part_of_scratch(one) * threads,
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

    /// What the codes or numbers of a value mean.
    pub fn format(&self, value: ValueId) -> Format {
        self.q.formats[value.0]
    }

    /// Width, scale and zero point of a value of either width.
    pub fn codes(&self, value: ValueId) -> Result<Codes> {
        match self.q.formats[value.0] {
            Format::Int16 { scale } => Ok(Codes { width: Width::Int16, scale, zero_point: 0 }),
            _ => {
                let q = self.qparams(value)?;
                Ok(Codes { width: Width::Int8, scale: q.scale, zero_point: q.zero_point.into() })
            }
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

    /// Whether the node takes its input row by row from the node that makes it (see [`crate::ops::Op::can_take_rows_of`]).
    pub fn takes_rows(&self) -> bool {
        self.fused.contains(&self.node().inputs[0])
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
    pub(crate) fn multiplier_for(&self, real: f64, sums: Sums) -> Result<Multiplier> {
        self.fitting(Multiplier::from_real(real), real, sums)
    }

    /// As [`Lowering::multiplier_for`], where `real` has been rounded to `multiplier`, if it has.
    pub(crate) fn fitting(
        &self,
        multiplier: Option<Multiplier>,
        real: f64,
        sums: Sums,
    ) -> Result<Multiplier> {
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
    pub fn stage(&self, q: QParams, min: f32, max: f32) -> OutputStage {
        let clamp = |x: f32, otherwise: i8| if x.is_finite() { q.quantize(x) } else { otherwise };
        OutputStage {
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
    fn lower_node(&mut self) -> Result<()> {
        let node = &self.q.graph.nodes[self.node];
        match self.q.modes.get(&node.output()) {
            Some(mode) => node.op.lower_float(self, *mode),
            None => node.op.lower(self),
        }
    }

    /// Appends a kernel call that reads `reads` and writes `writes`.
    pub fn push(&mut self, call: impl Call + 'static, reads: &[ValueId], writes: ValueId) -> Pushed<'_> {
        let node = &self.q.graph.nodes[self.node];
        self.drafts.push(Draft {
            node: self.node,
            layers: vec![node.name.clone()],
            kind: node.op.kind(),
            call: Arc::new(call),
            reads: reads.to_vec(),
            writes,
            scratch: 0,
            macs: self.q.graph.node_macs(node),
            constant_bytes: 0,
            in_place: vec![],
        });
        Pushed(self.drafts.last_mut().expect("just pushed"))
    }
}

/// More about the call that was just appended.
pub struct Pushed<'a>(&'a mut Draft);

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

/// Lowers a quantised graph for `target`, with the memory plan that needs the smallest arena.
///
/// # Errors
/// A layer whose accumulator could overflow, whose scales cannot be represented, or whose tensors exceed 2 GiB.
pub fn lower(q: &QGraph, target: &Target, metadata: Metadata) -> Result<Program> {
    lower_with(q, target, metadata, true)
}

/// As [`lower`], with a step for every node: each layer's result can be seen, at the price of a larger arena.
///
/// # Errors
/// As [`lower`].
pub fn lower_apart(q: &QGraph, target: &Target, metadata: Metadata) -> Result<Program> {
    lower_with(q, target, metadata, false)
}

/// An arena must shrink by this much for a less simple program.
const WORTH: f64 = 0.98;

/// As [`lower_apart`], without looking for a smaller arena: for programs that are run once or twice. The results are the same bytes.
///
/// # Errors
/// As [`lower`].
pub(crate) fn lower_quickly(q: &QGraph, target: &Target) -> Result<Program> {
    let placement = Placement::all(q);
    let base = Base::new(q, target, &placement)?;
    let planned = base.planned(&placement, &BTreeSet::new())?;
    base.finish(planned, Metadata::default())
}

/// Steps with their memory plan.
struct Planned {
    drafts: Vec<Draft>,
    plan: MemoryPlan,
}

impl Planned {
    /// Whether its arena is so much smaller than the other's.
    fn is_worth(&self, other: &Self) -> bool {
        (self.plan.arena_bytes as f64) < WORTH * other.plan.arena_bytes as f64
    }
}

/// Every node lowered, each for itself: constants, and the steps from which those of every placement follow.
struct Base<'a> {
    q: &'a QGraph,
    target: &'a Target,
    drafts: Vec<Draft>,
    blob: Blob,
    choices: Choices,
    corrections: BTreeMap<ValueId, Vec<i32>>,
}

impl<'a> Base<'a> {
    fn new(q: &'a QGraph, target: &'a Target, placement: &Placement) -> Result<Self> {
        let fused = BTreeSet::new();
        let mut cx = Lowering::new(q, target, placement, &fused);
        for i in 0..q.graph.nodes.len() {
            cx.node = i;
            cx.lower_node()?;
        }
        let Lowering { drafts, blob, choices, corrections, .. } = cx;
        Ok(Self { q, target, drafts, blob: blob.finish(), choices, corrections })
    }

    /// The steps for a placement and for values whose rows their reader takes. Only nodes that this concerns are lowered again; they have no
    /// constants.
    fn planned(&self, placement: &Placement, fused: &BTreeSet<ValueId>) -> Result<Planned> {
        let Self { q, target, .. } = *self;
        let mut cx = Lowering::new(q, target, placement, fused);
        let mut base = self.drafts.iter().peekable();
        for (i, node) in q.graph.nodes.iter().enumerate() {
            cx.node = i;
            let own = std::iter::from_fn(|| base.next_if(|draft| draft.node == i));
            if node.op.places_inputs() || node.inputs.iter().any(|id| fused.contains(id)) {
                own.for_each(drop);
                cx.lower_node()?;
            } else {
                cx.drafts.extend(own.cloned());
            }
        }
        if !cx.blob.is_empty() {
            let message = "an operator that is lowered again has constants: `places_inputs` and `can_take_rows_of` are for those without";
            return Err(Error::Invalid(format!("{}: {message}", q.graph.name)));
        }
        let uses: Vec<plan::Use<'_>> = cx.drafts.iter().map(Draft::uses).collect();
        let plan = plan::plan(q, &uses, placement, plan::Effort::Whole)?;
        Ok(Planned { drafts: cx.drafts, plan })
    }

    /// The same with chains.
    fn chained(&self, planned: Planned, placement: &Placement) -> Result<Planned> {
        let Self { q, target, blob, .. } = self;
        let tensors = chains::unplaced(q, placement);
        let (threads, pixels) = (target.threads, target.chunk);
        let steps = (planned.drafts, planned.plan);
        let (drafts, plan) = chains::form(q, placement, &tensors, blob, threads, pixels, steps)?;
        Ok(Planned { drafts, plan })
    }

    /// The program.
    fn finish(self, planned: Planned, metadata: Metadata) -> Result<Program> {
        let Self { q, target, blob, choices, corrections, .. } = self;
        let Planned { drafts, plan } = planned;
        let tensors = q
            .graph
            .values
            .iter()
            .enumerate()
            .map(|(i, value)| TensorInfo {
                name: value.name.clone(),
                shape: value.shape,
                format: q.formats[i],
                location: plan.locations[i].unwrap_or(Location { space: Space::Arena, offset: 0, stride: 0 }),
            })
            .collect();
        let steps: Vec<Step> = drafts
            .into_iter()
            .zip(&plan.scratch)
            .map(|(d, scratch)| Step {
                name: names::step_name(&d.layers),
                layers: d.layers,
                kind: d.kind,
                call: d.call,
                reads: d.reads,
                writes: d.writes,
                in_place: d.in_place,
                scratch: *scratch,
                macs: d.macs,
                constant_bytes: d.constant_bytes,
            })
            .collect();
        let program = Program {
            name: names::identifier(&q.graph.name),
            metadata,
            target: target.name.into(),
            mode: q.mode(),
            rounding: q.rounding,
            tensors,
            inputs: q.graph.inputs.clone(),
            outputs: q.graph.outputs.clone(),
            steps,
            blob,
            plan,
            choices,
            corrections,
            tuned: target.tuning.choices.clone(),
        };
        program::verify(&program)?;
        program.check_fits_its_memory()?;
        Ok(program)
    }
}

fn lower_with(q: &QGraph, target: &Target, metadata: Metadata, fuse: bool) -> Result<Program> {
    let mut placement = Placement::all(q);
    let mut fused = BTreeSet::new();
    let base = Base::new(q, target, &placement)?;
    let mut best = base.planned(&placement, &fused)?;
    let candidates = if fuse { fusible(q, &placement) } else { BTreeSet::new() };
    if !candidates.is_empty() {
        // One after the other would not do where two maps are of a size. Those that do not matter stay apart.
        let all = base.planned(&placement, &candidates)?;
        if all.is_worth(&best) {
            (best, fused) = (all, candidates);
            for value in fused.clone() {
                let fewer: BTreeSet<ValueId> = fused.iter().copied().filter(|v| *v != value).collect();
                let other = base.planned(&placement, &fewer)?;
                if other.plan.arena_bytes <= best.plan.arena_bytes {
                    (best, fused) = (other, fewer);
                }
            }
        }
    }
    let chained = |planned: Planned, placement: &Placement| {
        if fuse { base.chained(planned, placement) } else { Ok(planned) }
    };
    best = chained(best, &placement)?;
    // A zero-copy concatenation reserves the whole result from its first producer on. Where that costs arena, an
    // operand is better kept apart and copied in: row by row, if that makes a chain.
    loop {
        let mut improved = false;
        for value in placement.placed() {
            let mut candidate = placement.clone();
            candidate.remove(value);
            let other = chained(base.planned(&candidate, &fused)?, &candidate)?;
            if other.is_worth(&best) {
                (best, placement, improved) = (other, candidate, true);
                break;
            }
        }
        if !improved {
            break;
        }
    }
    target
        .tuning
        .check(&q.graph, &base.choices)
        .map_err(|message| Error::file(&target.tuning.source, message))?;
    base.finish(best, metadata)
}

/// Values that one reader can take row by row.
fn fusible(q: &QGraph, placement: &Placement) -> BTreeSet<ValueId> {
    let graph = &q.graph;
    let reader = |value: ValueId| {
        let mut readers = graph.nodes.iter().filter(|n| n.inputs.contains(&value));
        readers.next().filter(|n| n.inputs.len() == 1 && readers.next().is_none())
    };
    let made = graph.nodes.iter().filter(|n| n.outputs.len() == 1 && !graph.outputs.contains(&n.output()));
    let narrow = |n: &&Node| {
        let mut values = n.inputs.iter().chain(&n.outputs);
        values.all(|id| q.formats[id.0].bytes() == 1) && !q.wide_weights.contains(&n.output())
    };
    made.filter(narrow)
        .filter(|n| placement.parent(n.output()).is_none())
        .filter(|n| reader(n.output()).is_some_and(|r| r.op.can_take_rows_of(&*n.op)))
        .map(Node::output)
        .collect()
}
