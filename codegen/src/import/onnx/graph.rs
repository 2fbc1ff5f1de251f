//! Adds to a graph what operators of the file come down to: layers, and moves between layouts.

use super::{
    array::Array,
    codes::Quantization,
    layout::{Layout, Move, as_map},
    value::{Elements, Live},
};
use crate::{
    format::RangeRule,
    graph::{Graph, Node, Op, ValueId},
    import::GraphBuilder,
    ops::{self, Clamp, Constant, Function, Index, Permute, PointWise, Rescale, Reshape, SliceChannels},
    tensor::{Shape, Tensor},
    weights::Zeros,
};
use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    rc::Rc,
};

/// The longest axis along which elements are listed.
const LONGEST: usize = 1 << 24;

/// The most layers of a graph.
const LAYERS: usize = 10_000;

/// A graph that is being built.
pub(super) struct Builder<'w> {
    builder: GraphBuilder<'w>,
    /// Names of layers, each with what it would be called if that were free.
    names: HashMap<String, String>,
    read: HashSet<String>,
    limit: usize,
    spent: Cell<usize>,
    layers: usize,
    curves: HashMap<ValueId, Curve>,
    pads: HashMap<ValueId, (Live, [usize; 4])>,
    clamps: HashMap<ValueId, Clamp>,
    /// Values of 8 bits.
    pub quantization: Quantization,
    /// Sizes that the file declares for values, where it knows all of them.
    pub declared: HashMap<String, Vec<i64>>,
}

/// A value as a function of each element of another one: samples of it.
#[derive(Clone)]
pub(super) struct Curve {
    base: ValueId,
    samples: Rc<[f64]>,
}

impl<'w> Builder<'w> {
    /// An empty graph; `read` are the names that have readers, `limit` the most elements of a computed constant.
    pub(super) fn new(name: &str, zeros: &'w mut Zeros, read: HashSet<String>, limit: usize) -> Self {
        let builder = GraphBuilder::new(name, zeros);
        let (names, curves, pads, clamps) = Default::default();
        let (quantization, declared) = Default::default();
        Self {
            builder,
            names,
            read,
            limit,
            spent: Cell::new(0),
            layers: 0,
            curves,
            pads,
            clamps,
            quantization,
            declared,
        }
    }

    /// The graph of these outputs: layers that none of them needs are left out, and a name that one of those had is free for another.
    pub(super) fn finish(self, outputs: &[ValueId]) -> Result<(Graph, Quantization), String> {
        let mut graph = self.builder.finish(outputs).map_err(|error| error.to_string())?;
        let mut is_needed = vec![false; graph.values.len()];
        graph.outputs.iter().chain(&graph.inputs).for_each(|id| is_needed[id.0] = true);
        for node in graph.nodes.iter().rev().filter(|node| node.outputs.len() == 1) {
            if is_needed[node.output().0] {
                node.inputs.iter().for_each(|id| is_needed[id.0] = true);
            }
        }
        graph.nodes.retain(|node| is_needed[node.output().0]);
        for (value, _) in graph.values.iter_mut().zip(&is_needed).filter(|(_, is_needed)| !**is_needed) {
            value.name += " (not needed)";
        }
        let mut names: HashSet<String> = graph.values.iter().map(|value| value.name.clone()).collect();
        for node in &mut graph.nodes {
            let Some(base) = self.names.get(&node.name).filter(|base| names.insert((*base).clone())) else {
                continue;
            };
            names.remove(&node.name);
            node.name.clone_from(base);
            graph.values[node.output().0].name.clone_from(base);
        }
        Ok((graph, self.quantization))
    }

    pub(super) fn is_read(&self, name: &str) -> bool {
        self.read.contains(name)
    }

    /// Counts a constant of so many elements; none is made of more than a file of this size needs, nor all of them together of many times that.
    pub(super) fn spend(&self, len: usize) -> Result<usize, String> {
        let spent = self.spent.get().saturating_add(len);
        self.spent.set(spent);
        match (len <= self.limit, spent / 16 <= self.limit) {
            (true, true) => Ok(len),
            (false, _) => {
                Err(format!("a constant of {len} elements; more than {} are not computed", self.limit))
            }
            (true, false) => Err(format!("constants of {spent} elements in all are not computed")),
        }
    }

    /// The name, or with a number behind it if it is taken.
    fn fresh(&mut self, name: &str) -> String {
        let base = if name.is_empty() { "value" } else { name };
        let mut fresh = base.to_string();
        let mut number = 2;
        while self.names.contains_key(&fresh) {
            fresh = format!("{base}_{number}");
            number += 1;
        }
        self.names.insert(fresh.clone(), base.to_string());
        fresh
    }

    /// A tensor that the caller gives.
    pub(super) fn input(&mut self, name: &str, at: Layout, of: Elements) -> Result<Live, String> {
        ops::check_shape(at.shape())?;
        let name = self.fresh(name);
        Ok(Live { id: self.builder.input(&name, at.shape()), at, of })
    }

    /// An operator of one output.
    pub(super) fn op(&mut self, name: &str, op: impl Op, inputs: &[ValueId]) -> Result<ValueId, String> {
        let shapes: Vec<Shape> = inputs.iter().map(|id| self.builder.shape(*id)).collect();
        ops::check_shape(op.output_shapes(&shapes)?[0])?;
        self.layers += 1;
        if self.layers > LAYERS {
            return Err(format!("more than {LAYERS} layers"));
        }
        let name = self.fresh(name);
        // What only moves or chooses codes.
        let codes =
            (op.range_rule() == RangeRule::SameAsInputs).then(|| self.quantization.common(inputs)).flatten();
        let made = self.builder.add_op(&name, op, inputs);
        self.quantization.of.extend(codes.map(|codes| (made, codes)));
        Ok(made)
    }

    /// Operands of an operator of two, repeated where its kernels do not repeat them.
    pub(super) fn broadcast(&mut self, name: &str, [a, b]: [ValueId; 2]) -> [ValueId; 2] {
        let shapes = [a, b].map(|id| self.builder.shape(id));
        if shapes[0] == shapes[1] {
            return [a, b];
        }
        let name = self.fresh(&format!("{name}.operands"));
        let (to_a, to_b) = self.builder.broadcast(&name, a, b);
        for (from, to) in [(a, to_a), (b, to_b)] {
            let codes = self.quantization.of.get(&from).copied();
            self.quantization.of.extend(codes.map(|codes| (to, codes)));
        }
        [to_a, to_b]
    }

    /// A value as numbers: of codes, a copy.
    pub(super) fn real(&mut self, name: &str, live: &Live) -> Result<Live, String> {
        if !self.quantization.of.contains_key(&live.id) {
            return Ok(live.clone());
        }
        let id = match self.quantization.reals.get(&live.id) {
            Some(id) => *id,
            None => self.op(&format!("{name}.real"), Rescale, &[live.id])?,
        };
        self.quantization.reals.insert(live.id, id);
        Ok(Live { id, ..live.clone() })
    }

    /// Height, width and channels of a value.
    pub(super) fn shape(&self, id: ValueId) -> Shape {
        self.builder.shape(id)
    }

    /// The node that makes a value.
    pub(super) fn maker(&self, id: ValueId) -> Option<&Node> {
        self.builder.maker(id)
    }

    /// Whether a value is an input of the network.
    pub(super) fn is_input(&self, id: ValueId) -> bool {
        self.builder.is_input(id)
    }

    /// Whether a value is what the file calls so.
    pub(super) fn is_named(&self, id: ValueId, name: &str) -> bool {
        self.names.get(self.builder.name(id)).is_some_and(|base| base == name)
    }

    /// An operator whose result has the layout of its only input.
    pub(super) fn same(&mut self, name: &str, op: impl Op, input: &Live) -> Result<Live, String> {
        Ok(Live { id: self.op(name, op, &[input.id])?, ..input.clone() })
    }

    /// The constant as a tensor of the network.
    pub(super) fn constant(&mut self, name: &str, array: &Array) -> Result<Live, String> {
        let (at, value) = as_map(array)?;
        Ok(Live { id: self.op(name, Constant { value }, &[])?, at, of: Elements::of(array.of) })
    }

    /// A constant map.
    pub(super) fn map(&mut self, name: &str, value: Tensor<f32>) -> Result<ValueId, String> {
        self.op(name, Constant { value }, &[])
    }

    /// The value in another layout.
    pub(super) fn moved(
        &mut self,
        name: &str,
        live: &Live,
        (at, by): (Layout, Option<Move>),
    ) -> Result<Live, String> {
        let to = at.shape();
        let id = match by {
            None if to == self.builder.shape(live.id) => live.id,
            None => self.op(&format!("{name}.reshaped"), Reshape { to }, &[live.id])?,
            Some(Move { sizes, .. }) if sizes.len() > 6 => {
                return Err(format!("a transpose of {} axes", sizes.len()));
            }
            Some(Move { sizes, order }) => {
                self.op(&format!("{name}.permuted"), Permute { sizes, order, to }, &[live.id])?
            }
        };
        Ok(Live { id, at, of: live.of })
    }

    /// The value with axes `groups` as height, width and channels.
    pub(super) fn arranged(
        &mut self,
        name: &str,
        live: &Live,
        groups: [&[usize]; 3],
    ) -> Result<Live, String> {
        self.moved(name, live, live.at.arranged(groups))
    }

    /// The value in the usual layout of its sizes.
    pub(super) fn usual(&mut self, name: &str, live: &Live) -> Result<Live, String> {
        let [h, w, c] = Layout::usual_groups(live.dims());
        self.arranged(name, live, [&h, &w, &c])
    }

    /// The value with axes `of` as channels.
    pub(super) fn with_channels(&mut self, name: &str, live: &Live, of: &[usize]) -> Result<Live, String> {
        if live.at.is_group(2, of) {
            return Ok(live.clone());
        }
        self.moved(name, live, live.at.with_channels(of))
    }

    /// The same elements in row-major order as a tensor of other sizes, of as many elements.
    pub(super) fn reshaped(&mut self, name: &str, live: &Live, dims: &[usize]) -> Result<Live, String> {
        if let Some(at) = live.at.reshaped(dims) {
            return Ok(live.seen(at));
        }
        let all: Vec<usize> = (0..live.dims().len()).collect();
        let flat = self.arranged(name, live, [&[], &[], &all])?;
        // One row of memory in order can be cut anywhere.
        let at = Layout::of(&[flat.at.len().unwrap_or_default()], [&[], &[], &[0]]);
        let at = at.reshaped(dims).ok_or_else(|| format!("{:?} as {dims:?}", live.dims()))?;
        Ok(flat.seen(at))
    }

    /// An axis of size 1 as an atom of its own, which operators can make longer.
    pub(super) fn with_atom(&self, live: &Live, axis: usize) -> Live {
        // Where it would be if it had more elements.
        let mut dims = vec![2; live.dims().len()];
        if let Some(batch) = dims.first_mut() {
            *batch = 1;
        }
        let g = Layout::usual_groups(&dims).iter().position(|group| group.contains(&axis)).unwrap_or(0);
        live.seen(live.at.with_atom(axis, g))
    }

    /// The value with an axis in one piece.
    pub(super) fn with_whole(&mut self, name: &str, live: &Live, axis: usize) -> Result<Live, String> {
        match live.at.is_whole(axis) {
            true => Ok(live.clone()),
            false if live.dims()[axis] == 1 => Ok(self.with_atom(live, axis)),
            false => self.usual(name, live),
        }
    }

    /// Elements along axes by their numbers, `pad` for -1.
    pub(super) fn picked(
        &mut self,
        name: &str,
        live: &Live,
        picks: &[(usize, Vec<i32>)],
        pad: f32,
    ) -> Result<Live, String> {
        let mut from = live.clone();
        for (axis, _) in picks {
            from = self.with_whole(name, &from, *axis)?;
        }
        let (to, [rows, columns, channels]) = from
            .at
            .picked(picks, LONGEST)
            .ok_or("elements along an axis that is not in one piece, or too long")?;
        ops::check_shape(to.shape())?;
        let all = [(&rows, from.at.shape().h), (&columns, from.at.shape().w), (&channels, from.at.shape().c)];
        let is_same = |(list, size): (&Option<Vec<i32>>, usize)| {
            list.as_ref().is_none_or(|list| {
                list.len() == size && list.iter().enumerate().all(|(i, at)| i as i32 == *at)
            })
        };
        let kept = all.map(is_same);
        let id = if kept == [true; 3] {
            from.id
        } else if let (true, true, Some((first, count))) =
            (kept[0], kept[1], channels.as_deref().and_then(run))
        {
            self.op(name, SliceChannels { first, count }, &[from.id])?
        } else {
            let list = |i: usize, list: Option<Vec<i32>>| list.filter(|_| !kept[i]).map(|list| list.into());
            let (rows, columns, channels) = (list(0, rows), list(1, columns), list(2, channels));
            self.op(name, Index { rows, columns, channels, pad }, &[from.id])?
        };
        Ok(Live { id, at: to.tidied(), of: live.of })
    }

    /// The value with every axis as long as it says.
    pub(super) fn unrepeated(&mut self, name: &str, live: Live) -> Result<Live, String> {
        if !live.at.repeats() {
            return Ok(live);
        }
        let from = live.seen(live.at.unrepeated());
        let picks: Vec<(usize, Vec<i32>)> = (0..live.dims().len())
            .filter(|axis| from.dims()[*axis] != live.dims()[*axis])
            .map(|axis| Ok((axis, vec![0; checked(live.dims()[axis])?])))
            .collect::<Result<_, String>>()?;
        self.picked(name, &from, &picks, 0.0)
    }

    /// Between two numbers; nothing, where a clamp before it sees to that.
    pub(super) fn clamped(&mut self, name: &str, live: &Live, clamp: Clamp) -> Result<Live, String> {
        if clamp == Clamp::NONE
            || self.clamps.get(&live.id).is_some_and(|before| before.then(clamp) == *before)
        {
            return Ok(live.clone());
        }
        let made = self.same(name, clamp, live)?;
        self.clamps.insert(made.id, clamp);
        self.follow(live.id, made.id, |x| clamp.apply(x));
        self.recognised(name, made)
    }

    /// A function of every element.
    pub(super) fn function(&mut self, name: &str, live: &Live, function: Function) -> Result<Live, String> {
        let made = self.same(name, PointWise(function), live)?;
        self.follow(live.id, made.id, |x| function.eval(x));
        Ok(made)
    }

    /// Notes that `made` is `of` each element of `from`.
    pub(super) fn follow(&mut self, from: ValueId, made: ValueId, of: impl Fn(f64) -> f64) {
        let curve = self.curve(from);
        let samples = curve.samples.iter().map(|x| of(*x)).collect();
        self.curves.insert(made, Curve { base: curve.base, samples });
    }

    /// The value as a function of another one, or of itself.
    fn curve(&self, id: ValueId) -> Curve {
        self.curves.get(&id).cloned().unwrap_or_else(|| Curve { base: id, samples: samples().collect() })
    }

    /// Notes that `made` is `of` the elements of `a` and `b`, if both are functions of one value.
    pub(super) fn follow_two(&mut self, [a, b]: [ValueId; 2], made: ValueId, of: impl Fn(f64, f64) -> f64) {
        let (a, b) = (self.curve(a), self.curve(b));
        if a.base == b.base {
            let samples = a.samples.iter().zip(&b.samples[..]).map(|(a, b)| of(*a, *b)).collect();
            self.curves.insert(made, Curve { base: a.base, samples });
        }
    }

    /// The value as one function of another one, where several layers come down to that: exporters write `x * sigmoid(x)` in many ways.
    pub(super) fn recognised(&mut self, name: &str, live: Live) -> Result<Live, String> {
        let Some(Curve { base, samples: found }) = self.curves.get(&live.id).cloned() else {
            return Ok(live);
        };
        // Where intermediate results are infinite, so would be the file's.
        let finite = || samples().zip(&found[..]).filter(|(_, y)| y.is_finite());
        if finite().count() < found.len() / 2 {
            return Ok(live);
        }
        let is_it = |f: &&Function| finite().all(|(x, y)| (f.eval(x) - y).abs() <= 2e-6 * y.abs().max(1.0));
        match COMPOSITE.iter().find(is_it) {
            None => Ok(live),
            Some(function) => {
                let made = Live { id: self.op(name, PointWise(*function), &[base])?, ..live };
                self.curves.insert(made.id, Curve { base, samples: found });
                Ok(made)
            }
        }
    }

    /// Notes that `made` is `from` with rows and columns of zeros around it: top, bottom, left, right.
    pub(super) fn note_pad(&mut self, made: &Live, from: &Live, padding: [usize; 4]) {
        self.pads.insert(made.id, (from.clone(), padding));
    }

    /// What the value is without the zeros around it.
    pub(super) fn without_pad(&self, live: &Live) -> Option<(Live, [usize; 4])> {
        self.pads.get(&live.id).cloned()
    }
}

/// First and number of elements that follow each other.
fn run(list: &[i32]) -> Option<(usize, usize)> {
    let first = usize::try_from(*list.first()?).ok()?;
    list.iter().enumerate().all(|(i, at)| *at as usize == first + i).then_some((first, list.len()))
}

/// A number of elements that a tensor can have.
pub(super) fn counted(dims: &[usize]) -> Result<usize, String> {
    let len = super::array::count(dims).filter(|len| *len <= ops::MAX_ELEMENTS);
    len.ok_or_else(|| format!("{dims:?} are too many elements"))
}

/// The length of an axis along which elements are listed.
pub(super) fn checked(size: usize) -> Result<usize, String> {
    if size <= LONGEST { Ok(size) } else { Err(format!("an axis of {size} elements")) }
}

/// Functions that exporters write as several operators.
const COMPOSITE: [Function; 8] = [
    Function::Silu,
    Function::HardSwish,
    Function::Gelu,
    Function::GeluTanh,
    Function::Mish,
    Function::Softplus,
    Function::Softsign,
    Function::HardSigmoid(1.0 / 6.0, 0.5),
];

/// Where functions are compared.
fn samples() -> impl Iterator<Item = f64> {
    let near = (-240..=240).map(|i| i as f64 * 0.05 + 0.003);
    near.chain([15.0, 20.0, 35.0, 70.0, 1e3, 1e5].into_iter().flat_map(|x| [-x, x]))
}
