//! What a handler of an operator sees of its node, and what it can add to the graph.

use super::{
    array::{Array, Data, Type},
    codes::Codes,
    graph::Builder,
    proto::{AttributeProto, NodeProto, TensorProto, attribute},
    tensors,
    value::{Elements, Live, Value},
};
use crate::{graph::ValueId, ops::GivenRounding};
use std::{cell::RefCell, path::Path, rc::Rc};

/// What a handler makes of a node: its outputs, or what is wrong, without the node's name.
pub(super) type Made = Result<Vec<Value>, String>;

/// A node while it is imported.
pub(super) struct Cx<'c, 'w> {
    /// The graph.
    pub graph: &'c mut Builder<'w>,
    /// The node.
    pub node: &'c NodeProto,
    /// Version of the operator's set.
    pub version: i64,
    /// Its inputs; `None` for those left out.
    pub inputs: Vec<Option<Value>>,
    /// The name of the layer.
    pub name: String,
    /// Where the model lies.
    pub folder: Option<&'c Path>,
    /// The integers of its weights, if it has some.
    pub given: Option<Given>,
    /// How codes are added or multiplied.
    pub pair: Option<Pair>,
    seen: RefCell<Vec<&'static str>>,
}

/// Weights and biases as a quantised file has them.
#[derive(Clone)]
pub(super) struct Given {
    /// One for all output channels, or one for each.
    pub scale: Vec<f32>,
    /// At the scales of input and weights.
    pub bias: Option<Vec<i64>>,
    /// How sums are rounded.
    pub rounding: GivenRounding,
    /// What the results are.
    pub to: Codes,
}

/// A sum or a product of codes.
#[derive(Clone, Copy)]
pub(super) struct Pair {
    /// What the results are.
    pub to: Codes,
    /// See [`crate::ops::LinearPair`].
    pub of_codes: bool,
}

impl<'c, 'w> Cx<'c, 'w> {
    pub(super) fn new(
        graph: &'c mut Builder<'w>,
        node: &'c NodeProto,
        version: i64,
        inputs: Vec<Option<Value>>,
        name: String,
        folder: Option<&'c Path>,
    ) -> Self {
        Self { graph, node, version, inputs, name, folder, given: None, pair: None, seen: RefCell::default() }
    }

    /// The first attribute that nobody asked for.
    pub(super) fn unread(&self) -> Option<&str> {
        let seen = self.seen.borrow();
        self.node.attribute.iter().filter_map(|a| a.name.as_deref()).find(|name| !seen.contains(name))
    }

    /// Attributes that change nothing here.
    pub(super) fn ignore(&self, names: &[&'static str]) {
        self.seen.borrow_mut().extend(names);
    }

    fn attribute(
        &self,
        name: &'static str,
        kind: i32,
        what: &str,
    ) -> Result<Option<&'c AttributeProto>, String> {
        self.ignore(&[name]);
        let found = self.node.attribute.iter().find(|a| a.name.as_deref() == Some(name));
        match found {
            Some(a) if a.r#type.is_some_and(|found| found != 0 && found != kind) => {
                Err(format!("attribute `{name}`: expected {what}"))
            }
            other => Ok(other),
        }
    }

    /// An attribute with an integer.
    pub(super) fn int(&self, name: &'static str) -> Result<Option<i64>, String> {
        Ok(self.attribute(name, attribute::INT, "an integer")?.map(|a| a.i.unwrap_or_default()))
    }

    /// An attribute with 0 or 1.
    pub(super) fn flag(&self, name: &'static str, default: bool) -> Result<bool, String> {
        Ok(self.int(name)?.map_or(default, |value| value != 0))
    }

    /// An attribute with a number.
    pub(super) fn float(&self, name: &'static str, default: f32) -> Result<f32, String> {
        let found = self.attribute(name, attribute::FLOAT, "a number")?;
        let value = found.map_or(default, |a| a.f.unwrap_or_default());
        if value.is_nan() {
            Err(format!("attribute `{name}`: expected a number, got NaN"))
        } else {
            Ok(value)
        }
    }

    /// An attribute with integers.
    pub(super) fn ints(&self, name: &'static str) -> Result<Option<&'c [i64]>, String> {
        Ok(self.attribute(name, attribute::INTS, "integers")?.map(|a| &a.ints[..]))
    }

    /// An attribute with numbers.
    pub(super) fn floats(&self, name: &'static str) -> Result<Option<&'c [f32]>, String> {
        Ok(self.attribute(name, attribute::FLOATS, "numbers")?.map(|a| &a.floats[..]))
    }

    /// An attribute with a text.
    pub(super) fn text(&self, name: &'static str, default: &'c str) -> Result<&'c str, String> {
        match self.attribute(name, attribute::STRING, "a text")?.map(|a| a.s.as_deref().unwrap_or_default()) {
            None => Ok(default),
            Some(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| format!("attribute `{name}`: expected a text"))
            }
        }
    }

    /// An attribute with a tensor.
    pub(super) fn tensor(&self, name: &'static str) -> Result<Option<Array>, String> {
        let found = self.attribute(name, attribute::TENSOR, "a tensor")?;
        let read =
            |t: &TensorProto| tensors::read(t, self.folder).map_err(|e| format!("attribute `{name}`: {e}"));
        found.and_then(|a| a.t.as_ref()).map(read).transpose()
    }

    /// The name of an input, quoted.
    pub(super) fn input_name(&self, i: usize) -> String {
        format!("`{}`", self.node.input.get(i).map_or("", |name| name))
    }

    /// An input that may be left out.
    pub(super) fn given(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(|value| value.as_ref())
    }

    /// An input.
    pub(super) fn value(&self, i: usize) -> Result<&Value, String> {
        self.given(i).ok_or_else(|| format!("input {i} is missing"))
    }

    /// Sizes of an input.
    pub(super) fn dims(&self, i: usize) -> Result<Vec<usize>, String> {
        Ok(self.value(i)?.dims().to_vec())
    }

    /// A constant input that may be left out.
    pub(super) fn given_known(&self, i: usize) -> Result<Option<Array>, String> {
        match self.given(i) {
            None => Ok(None),
            Some(Value::Known(array)) => Ok(Some(array.clone())),
            Some(_) => {
                Err(format!("{} must be a constant, and depends on the network's input", self.input_name(i)))
            }
        }
    }

    /// A constant input.
    pub(super) fn known(&self, i: usize) -> Result<Array, String> {
        self.given_known(i)?.ok_or_else(|| format!("input {i} is missing"))
    }

    /// A constant input of integers that may be left out.
    pub(super) fn given_ints(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        let ints = |array: Array| {
            array.as_ints().map(|v| v.to_vec()).map_err(|e| format!("{}: {e}", self.input_name(i)))
        };
        self.given_known(i)?.map(ints).transpose()
    }

    /// Integers that older versions have as an attribute, newer ones as an input.
    pub(super) fn ints_at(&self, name: &'static str, i: usize) -> Result<Option<Vec<i64>>, String> {
        match self.ints(name)? {
            Some(ints) => Ok(Some(ints.to_vec())),
            None => self.given_ints(i),
        }
    }

    /// A constant input of finite numbers, for weights.
    pub(super) fn weights(&self, i: usize) -> Result<Array, String> {
        let array = self.known(i)?;
        let values = array.as_floats().map_err(|e| format!("{}: {e}", self.input_name(i)))?.clone();
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let value = values[at];
            return Err(format!("{} holds {value} at {at}, expected finite numbers", self.input_name(i)));
        }
        if values.is_empty() {
            return Err(format!("{} has a size of {:?}: no elements", self.input_name(i), array.dims));
        }
        Ok(array)
    }

    /// As [`Cx::weights`], of as many elements; `None` if it is left out.
    pub(super) fn vector(&self, i: usize, len: usize) -> Result<Option<Rc<[f32]>>, String> {
        if self.given(i).is_none() {
            return Ok(None);
        }
        let array = self.weights(i)?;
        if array.len() != len {
            return Err(format!("{} has {} elements, expected {len}", self.input_name(i), array.len()));
        }
        Ok(Some(array.as_floats()?.clone()))
    }

    /// An input as a tensor of the network, a constant too; it may repeat along axes ([`super::layout::Layout::repeats`]).
    pub(super) fn lazy(&mut self, i: usize) -> Result<Live, String> {
        match self.value(i)?.clone() {
            Value::Live(live) => Ok(live),
            Value::Known(array) => {
                let name = self.node.input.get(i).cloned().unwrap_or_default();
                self.graph.constant(&name, &array)
            }
            Value::Places(_) => Err(format!(
                "{} holds positions in a tensor, which only max unpooling takes",
                self.input_name(i)
            )),
            Value::Broken => Err("an input that is not there".into()),
        }
    }

    /// An input as a tensor of real numbers.
    pub(super) fn live(&mut self, i: usize) -> Result<Live, String> {
        let live = self.numbers(i)?;
        match live.of {
            Elements::Real => Ok(live),
            of => Err(format!("{} holds {}, expected real numbers", self.input_name(i), of.name())),
        }
    }

    /// An input as a tensor of real numbers, integers or truth values.
    pub(super) fn numbers(&mut self, i: usize) -> Result<Live, String> {
        let live = self.any(i)?;
        match live.of {
            Elements::Labels => Err(format!("{} holds class labels, expected numbers", self.input_name(i))),
            _ => Ok(live),
        }
    }

    /// An input as a tensor of whatever it holds.
    pub(super) fn any(&mut self, i: usize) -> Result<Live, String> {
        let live = self.lazy(i)?;
        let name = self.name.clone();
        self.graph.unrepeated(&name, live)
    }

    /// Inputs that are codes as numbers.
    pub(super) fn real_inputs(&mut self) -> Result<(), String> {
        let name = self.name.clone();
        for i in 0..self.inputs.len() {
            if let Some(Value::Live(live)) = self.inputs[i].clone() {
                self.inputs[i] = Some(Value::Live(self.graph.real(&name, &live)?));
            }
        }
        Ok(())
    }

    /// The value that a layer has made of the integers of a file is what it says.
    pub(super) fn note_given(&mut self, made: ValueId) {
        let to = self.given.as_ref().map(|given| (made, given.to));
        self.graph.quantization.of.extend(to);
    }

    /// The sizes that input `i` holds; if they depend on the network's input, those that the file declares for the result.
    pub(super) fn sizes_at(&self, i: usize) -> Result<Option<Vec<i64>>, String> {
        let declared = self.node.output.first().and_then(|name| self.graph.declared.get(name));
        match (self.given(i), declared) {
            (Some(Value::Live(_)), Some(dims)) => Ok(Some(dims.clone())),
            _ => self.given_ints(i),
        }
    }

    /// Whether all inputs that are given are constants.
    pub(super) fn is_known(&self) -> bool {
        self.inputs.iter().flatten().all(|value| matches!(value, Value::Known(_)))
    }

    /// Whether an output has a reader.
    pub(super) fn wants(&self, output: usize) -> bool {
        self.node.output.get(output).is_some_and(|name| self.graph.is_read(name))
    }

    /// Refuses constants that would be larger than what a file of this size needs ([`Builder::spend`]).
    pub(super) fn check_size(&self, dims: &[usize]) -> Result<usize, String> {
        self.graph.spend(super::array::count(dims).unwrap_or(usize::MAX))
    }
}

/// One output.
pub(super) fn one(value: Value) -> Made {
    Ok(vec![value])
}

/// One output that the network computes.
pub(super) fn live(live: Live) -> Made {
    one(Value::Live(live))
}

/// One constant output.
pub(super) fn known(array: Array) -> Made {
    one(Value::Known(array))
}

/// Sizes, from integers of the file.
///
/// # Errors
/// A negative one.
pub(super) fn sizes(what: &str, ints: &[i64]) -> Result<Vec<usize>, String> {
    let size = |i: &i64| usize::try_from(*i).map_err(|_| format!("{what}: expected sizes, got {ints:?}"));
    ints.iter().map(size).collect()
}

/// The real numbers of an array, which may be integers.
pub(super) fn as_float(array: &Array) -> Array {
    match array.data {
        Data::Float(_) => array.clone(),
        _ => array.cast(Type::F32),
    }
}
