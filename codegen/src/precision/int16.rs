//! Mixed precision: 16 bits where 8 are too coarse.
//!
//! [`widen`] gives named layers 16 bits, their results or their weights. What must share a scale with a result
//! ([`crate::format::RangeRule::SameAsInputs`]) gets 16 bits too; where an operator reads one and cannot ([`crate::graph::Op::takes_int16`]), a
//! [`crate::ops::Rescale`] goes in between, and also where a network's input, which keeps 8 bits, is concatenated with one. [`choose`] finds the layers by itself: what 8 bits are coarsest for comes first, as much as an error
//! budget needs.

use crate::{
    check::compare::Comparison,
    error::{Error, Result},
    execute::Executor,
    format::Format,
    graph::{Graph, Node, ValueId},
    lower::{Target, lower_quickly},
    quantize::{Groups, QGraph, calibrate::Calibration, given_format, ranges::Seen},
    tensor::Tensor,
};
use std::collections::{BTreeMap, BTreeSet};

/// The results and weights with 16 bits, by the names of layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wide {
    /// Results.
    pub activations: BTreeSet<String>,
    /// Weights.
    pub weights: BTreeSet<String>,
}

/// Gives results and weights 16 bits.
///
/// # Errors
/// A name that is no layer's; a result that is an input or output of the network or holds labels, or that an operator makes (or
/// shares a scale with) that knows 8 bits only; weights of an operator that has none, or of 8 bits only.
pub fn widen(q: &mut QGraph, calibration: &impl Seen, wide: &Wide) -> Result<()> {
    let groups = Groups::apart_from_inputs(&q.graph).members().collect::<Vec<_>>();
    let find = |name: &String| {
        q.graph.find(name).ok_or_else(|| {
            let near = crate::text::near_matches(name, q.graph.values.iter().map(|v| v.name.as_str()));
            Error::Invalid(format!("int16: no layer `{name}`; near: {}", near.join(", ")))
        })
    };
    let refuse = |name: &str, why: String| Err(Error::Invalid(format!("int16: `{name}` {why}")));
    let mut chosen = BTreeSet::new();
    for name in &wide.activations {
        let id = find(name)?;
        let group = groups.iter().find(|g| g.contains(&id)).expect("every value is in a group");
        if let Some(why) = narrow_because(q, group) {
            return refuse(name, format!("cannot have 16 bits: {why}"));
        }
        chosen.extend(group.iter().copied());
    }
    let mut weights = BTreeSet::new();
    for name in &wide.weights {
        let id = find(name)?;
        let node = q.graph.producer(id).map(|at| &q.graph.nodes[at]);
        if node.is_none_or(|node| node.op.weight_noise().is_none()) {
            return refuse(name, "has no weights that could have 16 bits".into());
        }
        weights.insert(id);
    }
    apply(q, calibration, &groups, &chosen, weights);
    Ok(())
}

/// Why the tensors of a group must have 8 bits, if they must.
fn narrow_because(q: &QGraph, group: &[ValueId]) -> Option<String> {
    let graph = &q.graph;
    for id in group {
        let name = &graph.values[id.0].name;
        if graph.inputs.contains(id) {
            return Some(format!("`{name}` is an input of the network"));
        }
        if graph.outputs.contains(id) {
            return Some(format!("`{name}` is an output of the network"));
        }
        match q.formats[id.0] {
            Format::Label => return Some(format!("`{name}` holds labels")),
            Format::Float(_) => return Some(format!("`{name}` is in floating point")),
            Format::Int16 { .. } => return Some(format!("`{name}` has them already")),
            Format::Int8(_) => {}
        }
    }
    let knows_8_bits =
        |node: &&Node| node.outputs.iter().any(|id| group.contains(id)) && !node.op.takes_int16();
    let node = graph.nodes.iter().find(knows_8_bits)?;
    Some(format!("`{}` makes it, and {} knows 8 bits only", node.name, node.op.kind()))
}

fn apply(
    q: &mut QGraph,
    calibration: &impl Seen,
    groups: &[Vec<ValueId>],
    wide: &BTreeSet<ValueId>,
    weights: BTreeSet<ValueId>,
) {
    q.wide_weights.extend(weights);
    let narrow: BTreeMap<ValueId, Format> = wide.iter().map(|id| (*id, q.formats[id.0])).collect();
    for group in groups.iter().filter(|g| wide.contains(&g[0])) {
        let largest = match given_format(&q.graph, group) {
            // What an operator defines, with the end that no code reaches: a lock knows no more.
            Some(Format::Int8(format)) => {
                let zero_point = f32::from(format.zero_point);
                format.scale * (128.0 + zero_point).max(128.0 - zero_point)
            }
            _ => {
                let seen = group.iter().filter_map(|id| calibration.seen(*id));
                seen.map(|(min, max)| min.abs().max(max.abs())).fold(0f32, f32::max)
            }
        };
        let scale = largest / 32767.0;
        let scale = if scale >= f32::MIN_POSITIVE { scale } else { 1.0 / 32767.0 };
        group.iter().for_each(|id| q.formats[id.0] = Format::Int16 { scale, given: false });
    }
    // Readers that know 8 bits only read a copy.
    for (id, format) in narrow {
        let reads = |node: &Node| node.inputs.contains(&id) && !node.op.takes_int16();
        if !q.graph.nodes.iter().any(reads) {
            continue;
        }
        let name = format!("{}.int8", q.graph.values[id.0].name);
        let copy = ValueId(q.graph.values.len());
        for node in q.graph.nodes.iter_mut().filter(|node| reads(node)) {
            node.inputs.iter_mut().filter(|input| **input == id).for_each(|input| *input = copy);
        }
        let made = q.graph.producer(id).expect("inputs stay narrow");
        q.insert_copy(made + 1, name, id, format);
    }
    // A wide concatenation reads copies of operands that are not of its group.
    for at in (0..q.graph.nodes.len()).rev() {
        let node = &q.graph.nodes[at];
        if !node.op.places_inputs() || !wide.contains(&node.output()) {
            continue;
        }
        let apart = node.inputs.iter().filter(|id| !wide.contains(id)).copied().collect();
        q.concatenate_copies(at, apart);
    }
}

/// A choice of layers, and what it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The results and weights with 16 bits.
    pub wide: Wide,
    /// Signal to noise at the first output, in decibels; infinite without noise.
    pub sqnr_db: f64,
}

/// Something that can have 16 bits.
enum Candidate {
    /// The results of a group, by its index.
    Activations(usize),
    /// The weights of the layer that makes a value.
    Weights(ValueId),
}

/// The least, in the order of how coarse 8 bits are for it, with which the signal of the first output is `budget_db` above its noise on
/// `samples`; `q` gets it.
///
/// # Errors
/// A budget that cannot be met: the error says how far 16 bits wherever possible go.
pub fn choose(
    q: &mut QGraph,
    calibration: &Calibration,
    samples: &[Vec<Tensor<f32>>],
    budget_db: f64,
) -> Result<Choice> {
    let groups = Groups::apart_from_inputs(&q.graph).members().collect::<Vec<_>>();
    let candidates = by_coarseness(q, calibration, &groups);
    let reference = FloatReference::new(&q.graph, samples)?;
    let with = |count: usize| {
        let (mut wide, mut weights, mut trial) = (BTreeSet::new(), BTreeSet::new(), q.clone());
        for candidate in &candidates[..count] {
            match candidate {
                Candidate::Activations(group) => wide.extend(groups[*group].iter().copied()),
                Candidate::Weights(id) => drop(weights.insert(*id)),
            }
        }
        let name = |id: &ValueId| q.graph.values[id.0].name.clone();
        let names = Wide {
            activations: wide.iter().map(name).collect(),
            weights: weights.iter().map(name).collect(),
        };
        apply(&mut trial, calibration, &groups, &wide, weights);
        let sqnr_db = reference.sqnr_db(&trial)?;
        Ok::<_, Error>((trial, Choice { wide: names, sqnr_db }))
    };
    let mut best = with(0)?;
    if best.1.sqnr_db < budget_db {
        let all = with(candidates.len())?;
        if all.1.sqnr_db < budget_db {
            return Err(Error::Invalid(format!(
                "{}: asked for {budget_db} dB above the noise of quantisation; 8 bits give {:.1} dB, 16 bits wherever \
                 possible {:.1} dB",
                q.graph.name, best.1.sqnr_db, all.1.sqnr_db
            )));
        }
        let (mut low, mut high) = (0, candidates.len());
        best = all;
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let found = with(middle)?;
            if found.1.sqnr_db >= budget_db {
                (best, high) = (found, middle);
            } else {
                low = middle;
            }
        }
    }
    let (trial, choice) = best;
    *q = trial;
    Ok(choice)
}

/// Candidates for 16 bits, by the noise of 8 bits over the signal, largest first.
fn by_coarseness(q: &QGraph, calibration: &Calibration, groups: &[Vec<ValueId>]) -> Vec<Candidate> {
    let noise = |group: &[ValueId]| {
        let of = |id: &ValueId| {
            let (seen, (min, max)) = (calibration.statistics(*id)?, q.formats[id.0].range()?);
            let energy = seen.energy();
            (energy > 0.0).then(|| seen.squared_error(min, max) / energy)
        };
        group.iter().filter_map(of).fold(0.0, f64::max)
    };
    let activations = (0..groups.len())
        .filter(|g| narrow_because(q, &groups[*g]).is_none())
        .map(|g| (noise(&groups[g]), Candidate::Activations(g)));
    let weights = q
        .graph
        .nodes
        .iter()
        .filter(|node| !q.wide_weights.contains(&node.output()))
        .filter_map(|node| Some((node.op.weight_noise()?, Candidate::Weights(node.output()))));
    let mut order: Vec<(f64, Candidate)> = activations.chain(weights).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    order.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The float network's answers to samples.
struct FloatReference<'s> {
    samples: &'s [Vec<Tensor<f32>>],
    /// The first output for each.
    float: Vec<Tensor<f32>>,
}

impl<'s> FloatReference<'s> {
    fn new(graph: &Graph, samples: &'s [Vec<Tensor<f32>>]) -> Result<Self> {
        let float = samples.iter().map(|sample| Ok(graph.eval_f32(sample)?.swap_remove(0)));
        Ok(Self { samples, float: float.collect::<Result<_>>()? })
    }

    /// Signal to noise of the first output of `q`, which differs from the graph in its formats only. What a recipe cuts off by a narrow range of
    /// the output is no noise.
    fn sqnr_db(&self, q: &QGraph) -> Result<f64> {
        let program = lower_quickly(q, Target::find("host")?)?;
        let mut executor = Executor::new(&program);
        let mut output = Comparison::default();
        for (sample, float) in self.samples.iter().zip(&self.float) {
            let inputs = program.inputs.iter().zip(sample);
            let codes: Vec<Vec<i8>> = inputs.map(|(id, t)| program.tensor(*id).quantize(&t.data)).collect();
            let views: Vec<&[i8]> = codes.iter().map(|c| &c[..]).collect();
            let info = program.tensor(program.outputs[0]);
            let coded = info.dequantize(&executor.run(&views)?[0]);
            if let Some(range) = info.format.range() {
                let half = info.format.step().map_or(0.0, |step| step / 2.0);
                let within: Vec<f32> =
                    float.data.iter().map(|x| x.clamp(range.0 - half, range.1 + half)).collect();
                output.add(&within, &coded.data, info.format.step(), range);
            }
        }
        Ok(output.sqnr_db().unwrap_or(f64::INFINITY))
    }
}
