//! Builds graphs layer by layer, as PyTorch modules are written.

use crate::{
    error::{Error, Result},
    graph::{Graph, Node, Op, Value, ValueId},
    ops::{self, BatchNormParams, ConvParams, TransposedConvParams},
    tensor::Shape,
    weights::{Kind, Request, WeightSource},
};
use std::sync::Arc;

/// Builds a [`Graph`]; problems are collected and reported together by [`GraphBuilder::finish`].
///
/// ```
/// # use niello_codegen::{GraphBuilder, Shape, ops::ConvParams, weights::{Request, WeightSource}};
/// # struct Ones;
/// # impl WeightSource for Ones {
/// #     fn describe(&self) -> String { "ones".into() }
/// #     fn load(&mut self, r: &Request<'_>) -> Result<Vec<f32>, String> { Ok(vec![1.0; r.shape.iter().product()]) }
/// # }
/// let mut weights = Ones;
/// let mut b = GraphBuilder::new("tiny", &mut weights);
/// let x = b.input("input", Shape::new(8, 8, 1));
/// let x = b.conv2d("conv1", x, ConvParams::new(4, 3).padding(1));
/// let x = b.relu("relu1", x);
/// let graph = b.finish(&[x])?;
/// assert_eq!(graph.parameters(), 4 * 9 + 4);
/// # Ok::<(), niello_codegen::Error>(())
/// ```
pub struct GraphBuilder<'w> {
    graph: Graph,
    weights: &'w mut dyn WeightSource,
    problems: Vec<String>,
    first_error: Option<Error>,
    ignored: Vec<String>,
}

impl<'w> GraphBuilder<'w> {
    /// An empty graph that takes its tensors from `weights`.
    pub fn new(name: impl Into<String>, weights: &'w mut dyn WeightSource) -> Self {
        let graph =
            Graph { name: name.into(), inputs: vec![], outputs: vec![], values: vec![], nodes: vec![] };
        Self { graph, weights, problems: vec![], first_error: None, ignored: vec![] }
    }

    /// A tensor that the caller gives.
    pub fn input(&mut self, name: &str, shape: Shape) -> ValueId {
        if let Err(message) = ops::check_shape(shape) {
            self.fail(Error::Layer { layer: name.into(), kind: "Input", message });
        }
        let id = self.value(name, shape);
        self.graph.inputs.push(id);
        id
    }

    /// Shape of a value made so far.
    pub fn shape(&self, id: ValueId) -> Shape {
        self.graph.shape(id)
    }

    /// Any operator with one output.
    pub fn add_op(&mut self, name: &str, op: impl Op, inputs: &[ValueId]) -> ValueId {
        let shapes = match self.first_error {
            // Shapes may be those of other layers, after a mistake.
            Some(_) => Ok(vec![Shape::new(1, 1, 1)]),
            None => op.output_shapes(&self.graph.shapes(inputs)),
        };
        let shape = match shapes.and_then(|shapes| ops::check_shape(shapes[0]).map(|()| shapes[0])) {
            Ok(shape) => shape,
            Err(message) => {
                self.fail(Error::Layer { layer: name.into(), kind: op.kind(), message });
                Shape::new(1, 1, 1)
            }
        };
        let output = self.value(name, shape);
        self.graph.nodes.push(Node {
            name: name.into(),
            op: Arc::new(op),
            inputs: inputs.to_vec(),
            outputs: vec![output],
        });
        output
    }

    /// The node that makes a value.
    pub(crate) fn maker(&self, id: ValueId) -> Option<&Node> {
        self.graph.nodes.iter().rfind(|node| node.outputs.contains(&id))
    }

    /// Whether a value is an input.
    pub(crate) fn is_input(&self, id: ValueId) -> bool {
        self.graph.inputs.contains(&id)
    }

    /// The name of a value.
    pub(crate) fn name(&self, id: ValueId) -> &str {
        &self.graph.values[id.0].name
    }

    /// `NAME.weight` (`[out, in / groups, kh, kw]`) and `NAME.bias`.
    pub fn conv2d(&mut self, name: &str, input: ValueId, p: ConvParams) -> ValueId {
        let c = self.shape(input).c;
        if p.groups == 0 || !c.is_multiple_of(p.groups) || !p.out.is_multiple_of(p.groups) {
            let message =
                format!("{} groups do not divide {c} input and {} output channels", p.groups, p.out);
            self.fail(Error::Layer { layer: name.into(), kind: "Conv2d", message });
            return input;
        }
        let shape = [p.out, c / p.groups, p.kernel[0], p.kernel[1]];
        let weight = self.tensor(&format!("{name}.weight"), &shape, Kind::ConvWeight);
        let bias = if p.bias {
            self.tensor(&format!("{name}.bias"), &[p.out], Kind::Bias)
        } else {
            vec![0.0; p.out].into()
        };
        self.add_op(name, ops::Conv2d::new(p, c, weight, bias), &[input])
    }

    /// `NAME.weight` (`[in, out, kh, kw]`) and `NAME.bias`.
    pub fn transposed_conv2d(&mut self, name: &str, input: ValueId, p: TransposedConvParams) -> ValueId {
        let c = self.shape(input).c;
        let shape = [c, p.out, p.kernel[0], p.kernel[1]];
        let weight = self.tensor(&format!("{name}.weight"), &shape, Kind::ConvTransposeWeight);
        let bias = if p.bias {
            self.tensor(&format!("{name}.bias"), &[p.out], Kind::Bias)
        } else {
            vec![0.0; p.out].into()
        };
        self.add_op(name, ops::TransposedConv2d::new(p, c, weight, bias), &[input])
    }

    /// `NAME.weight` (`[out, in]`) and `NAME.bias`; a fully connected layer on a `1 x 1 x c` value.
    pub fn linear(&mut self, name: &str, input: ValueId, out: usize) -> ValueId {
        let shape = self.shape(input);
        if shape.area() != 1 {
            let message = format!("expected a vector, got {shape}");
            self.fail(Error::Layer { layer: name.into(), kind: "Linear", message });
        }
        let weight = self.tensor(&format!("{name}.weight"), &[out, shape.c], Kind::LinearWeight);
        let bias = self.tensor(&format!("{name}.bias"), &[out], Kind::Bias);
        self.add_op(name, ops::Conv2d::new(ConvParams::new(out, 1), shape.c, weight, bias), &[input])
    }

    /// `NAME.weight` (`[rows, width]`); a row for each label of an `h x w x 1` value.
    pub fn embedding(&mut self, name: &str, labels: ValueId, rows: usize, width: usize) -> ValueId {
        let table = self.tensor(&format!("{name}.weight"), &[rows, width], Kind::Embedding);
        self.add_op(name, ops::Embedding::new(width, table), &[labels])
    }

    /// The same elements, in the order height, width, channel, in another shape.
    pub fn reshape(&mut self, name: &str, input: ValueId, to: Shape) -> ValueId {
        self.add_op(name, ops::Reshape { to }, &[input])
    }

    /// `NAME.{weight, bias, running_mean, running_var}`.
    pub fn batch_norm(&mut self, name: &str, input: ValueId, p: BatchNormParams) -> ValueId {
        let c = self.shape(input).c;
        let weight = self.tensor(&format!("{name}.weight"), &[c], Kind::BatchNormWeight);
        let bias = self.tensor(&format!("{name}.bias"), &[c], Kind::BatchNormBias);
        let mean = self.tensor(&format!("{name}.running_mean"), &[c], Kind::BatchNormMean);
        let variance = self.tensor(&format!("{name}.running_var"), &[c], Kind::BatchNormVariance);
        self.ignored.push(format!("{name}.num_batches_tracked"));
        let positive = |v: &f32| *v >= 0.0 && *v as f64 + p.epsilon > 0.0;
        if let Some((channel, bad)) = variance.iter().enumerate().find(|(_, v)| !positive(v)) {
            let problem = format!("`{name}.running_var`: holds {bad} for channel {channel}");
            self.problems.push(format!("{problem}, expected variances of 0 or more"));
        }
        let norm = ops::BatchNorm::new(&weight, &bias, &mean, &variance, p.epsilon);
        let numbers = [("weight", &norm.factor), ("bias", &norm.offset)];
        for (what, of_channels) in numbers.into_iter().filter(|_| variance.iter().all(positive)) {
            if let Some(channel) = of_channels.iter().position(|x| !(*x as f32).is_finite()) {
                let problem = format!("`{name}.{what}`: beyond single precision for channel {channel}");
                self.problems.push(format!("{problem}, where `{name}.running_var` is {}", variance[channel]));
            }
        }
        self.add_op(name, norm, &[input])
    }

    /// `NAME.weight`: one slope for all channels, or one per channel, as `torch.nn.PReLU` has them.
    pub fn prelu(&mut self, name: &str, input: ValueId, slopes: usize) -> ValueId {
        let slopes = self.tensor(&format!("{name}.weight"), &[slopes], Kind::PReluSlope);
        self.add_op(name, ops::PRelu::new(slopes), &[input])
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, name: &str, input: ValueId) -> ValueId {
        self.add_op(name, ops::Clamp::RELU, &[input])
    }

    /// `a + b`.
    pub fn add(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.add_op(name, ops::Add::default(), &[a, b])
    }

    /// Operands as operators of two take them ([`ops::Add`], [`ops::Sub`], [`ops::Mul`], [`ops::Div`], [`ops::Extremum`]), of any two whose axes are
    /// of one size or of one element, as NumPy broadcasts them: as they are, or [repeated](ops::Index::broadcast) by layers `NAME.a` and `NAME.b`,
    /// the second one only as far as kernels do not. Where operands may change places, the larger one first is cheaper.
    pub fn broadcast(&mut self, name: &str, a: ValueId, b: ValueId) -> (ValueId, ValueId) {
        let [of_a, of_b] = [a, b].map(|id| self.shape(id));
        let axes = [(of_a.h, of_b.h), (of_a.w, of_b.w), (of_a.c, of_b.c)];
        if axes.iter().any(|(a, b)| a != b && *a != 1 && *b != 1) {
            let message = format!("expected axes of one size or of one element, got {of_a} and {of_b}");
            self.fail(Error::Layer { layer: name.into(), kind: "Broadcast", message });
            return (a, b);
        }
        let [h, w, c] = axes.map(|(a, b)| a.max(b));
        let to = Shape::new(h, w, c);
        // Kernels repeat one pixel, or one channel of each pixel.
        let repeated = match of_b {
            Shape { c: 1, .. } if (of_b.h, of_b.w) == (h, w) => of_b,
            _ if of_b.area() == 1 => Shape::new(1, 1, c),
            _ => Shape::new(h, w, of_b.c),
        };
        let mut operand = |letter: &str, id: ValueId, to: Shape| match self.shape(id) {
            same if same == to => id,
            from => self.add_op(&format!("{name}.{letter}"), ops::Index::broadcast(from, to), &[id]),
        };
        (operand("a", a, to), operand("b", b, repeated))
    }

    /// `a * b`; `b` may have one pixel or one channel.
    pub fn mul(&mut self, name: &str, a: ValueId, b: ValueId) -> ValueId {
        self.add_op(name, ops::Mul::default(), &[a, b])
    }

    /// Channels of all inputs, one after the other.
    pub fn concat(&mut self, name: &str, inputs: &[ValueId]) -> ValueId {
        self.add_op(name, ops::Concat, inputs)
    }

    /// Max pooling with a square window, no padding.
    pub fn max_pool(
        &mut self,
        name: &str,
        input: ValueId,
        kernel: usize,
        stride: usize,
        ceil: bool,
    ) -> ValueId {
        self.add_op(name, ops::MaxPool2d::new(kernel, stride).ceil_mode(ceil), &[input])
    }

    /// A trained tensor; zeros (and a problem on the list) if it cannot be had.
    pub fn tensor(&mut self, name: &str, shape: &[usize], kind: Kind) -> Arc<[f32]> {
        let len = shape.iter().try_fold(1usize, |product, d| product.checked_mul(*d));
        let Some(len) = len.filter(|len| *len <= ops::MAX_ELEMENTS) else {
            return self.problem(format!("`{name}`: {shape:?} is too large"), 0);
        };
        if self.first_error.is_some() {
            // Behind a layer that cannot be, sizes mean nothing.
            return vec![0.0; len].into();
        }
        match self.weights.load(&Request { name, shape, kind }) {
            Ok(data) if data.len() == len => match data.iter().find(|v| !v.is_finite()) {
                Some(bad) => self.problem(format!("`{name}`: holds {bad}, expected finite numbers"), len),
                None => data.into(),
            },
            Ok(data) => self.problem(format!("`{name}`: {} values for shape {shape:?}", data.len()), len),
            Err(message) => self.problem(format!("`{name}`: {message}"), len),
        }
    }

    /// Checkpoint tensors that this network does not use (names starting with one of `prefixes`).
    pub fn ignore(&mut self, prefixes: &[&str]) {
        self.ignored.extend(prefixes.iter().map(|p| p.to_string()));
    }

    /// The graph, if nothing went wrong and the source had no tensor too many. An output that is an input too, or another output, is a copy.
    pub fn finish(mut self, outputs: &[ValueId]) -> Result<Graph> {
        // After a mistake not all tensors have been asked for.
        let unused = if self.first_error.is_none() { self.weights.unused() } else { vec![] };
        for name in unused {
            if !self.ignored.iter().any(|prefix| name.starts_with(prefix.as_str())) {
                self.problems.push(format!("`{name}`: not a tensor of this network"));
            }
        }
        if !self.problems.is_empty() {
            return Err(Error::Weights {
                source_name: self.weights.describe(),
                network: self.graph.name,
                problems: self.problems,
            });
        }
        outputs.iter().for_each(|id| self.graph.push_output(*id));
        match self.first_error {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    fn problem(&mut self, problem: String, len: usize) -> Arc<[f32]> {
        self.problems.push(problem);
        vec![0.0; len].into()
    }

    fn fail(&mut self, error: Error) {
        self.first_error.get_or_insert(error);
    }

    fn value(&mut self, name: &str, shape: Shape) -> ValueId {
        self.graph.values.push(Value { name: name.into(), shape });
        ValueId(self.graph.values.len() - 1)
    }
}
