//! What the function of an operator sees of the file, and what it can add to the graph.

use super::{
    fold::Known,
    importer::{Importer, Seen, format_of, is_quantized, params_of},
    reader::{Operator, TensorDef},
};
use crate::{
    format::{Format, QParams},
    graph::{Op, ValueId},
    import::network::Reference,
    ops::{Index, Reshape, check_shape},
    tensor::Shape,
};
use std::sync::Arc;

/// An operator of the file while it is imported.
pub(super) struct Cx<'a, 'm> {
    pub(super) importer: &'a mut Importer<'m>,
    pub(super) operator: &'m Operator,
}

impl<'m> Cx<'_, 'm> {
    pub(super) fn reference(&self) -> Reference {
        self.importer.reference
    }

    /// Has every build print something of the operator, with the name of its first result.
    pub(super) fn warn(&mut self, what: String) -> Result<(), String> {
        let layer = self.result(0)?.name.clone();
        self.importer.warnings.push((layer, what));
        Ok(())
    }

    /// The tensor that is operand `i`.
    pub(super) fn tensor(&self, i: usize) -> Result<&'m TensorDef, String> {
        self.at(i).map(|at| self.importer.tensor(at))
    }

    fn at(&self, i: usize) -> Result<usize, String> {
        self.operator.inputs.get(i).copied().flatten().ok_or_else(|| format!("has no operand {i}"))
    }

    /// Whether operand `i` is there.
    pub(super) fn has(&self, i: usize) -> bool {
        self.at(i).is_ok()
    }

    /// The tensor that result `i` is.
    pub(super) fn result(&self, i: usize) -> Result<&'m TensorDef, String> {
        let at = self.operator.outputs.get(i).ok_or_else(|| format!("has no result {i}"))?;
        Ok(self.importer.tensor(*at))
    }

    /// The shape of result `i` as a value of the graph.
    pub(super) fn result_shape(&self, i: usize) -> Result<Shape, String> {
        self.importer.shape_of(*self.operator.outputs.get(i).ok_or_else(|| format!("has no result {i}"))?)
    }

    /// Rows and columns of the blocks that maps of operand `i` are parts of; 1 where it is a map.
    pub(super) fn blocks(&self, i: usize) -> Result<[usize; 2], String> {
        Ok(self.importer.blocks[self.at(i)?].unwrap_or([1; 2]))
    }

    /// The blocks of the first result.
    pub(super) fn set_blocks(&mut self, blocks: Option<[usize; 2]>) {
        self.importer.blocks[self.operator.outputs[0]] = blocks;
    }

    /// Operand `i`, a map of batch 1, as a value of the graph.
    pub(super) fn map(&mut self, i: usize) -> Result<ValueId, String> {
        match self.tensor(i)? {
            TensorDef { shape, .. } if shape.len() == 4 && self.importer.blocks[self.at(i)?].is_some() => {
                self.value(i)
            }
            TensorDef { shape, .. } if matches!(shape[..], [1, _, _, _]) => self.value(i),
            TensorDef { shape, name, .. } => Err(format!(
                "`{name}` has shape {shape:?}, expected a map of batch 1: [1, height, width, channels]"
            )),
        }
    }

    /// Operand `i` as a value of the graph.
    pub(super) fn value(&mut self, i: usize) -> Result<ValueId, String> {
        let at = self.at(i)?;
        self.importer.value(at)
    }

    /// Operand `i`, if it is known without running the network.
    pub(super) fn known(&self, i: usize) -> Result<&Known, String> {
        let at = self.at(i)?;
        self.importer.known(at).ok_or_else(|| {
            let name = &self.importer.tensor(at).name;
            format!("operand {i}, `{name}`, must be a constant: only then is its result known at build time")
        })
    }

    /// Whether its result is quantised.
    pub(super) fn is_quantized(&self) -> Result<bool, String> {
        Ok(is_quantized(self.result(0)?))
    }

    /// Shape of a value made so far.
    pub(super) fn shape(&self, id: ValueId) -> Shape {
        self.importer.graph.shape(id)
    }

    /// Shape of what an operator makes of values.
    fn made_by(&self, op: &impl Op, inputs: &[ValueId]) -> Result<Shape, String> {
        let shapes: Vec<Shape> = inputs.iter().map(|id| self.shape(*id)).collect();
        Ok(op.output_shapes(&shapes)?[0])
    }

    /// Number format of a value made so far.
    pub(super) fn format(&self, id: ValueId) -> Format {
        self.importer.formats[id.0]
    }

    /// Scale and zero point of the first result.
    pub(super) fn result_params(&self) -> Result<QParams, String> {
        params_of(self.result(0)?)
    }

    /// The node that makes the first result.
    pub(super) fn finish(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<(), String> {
        self.finish_result(0, op, inputs)
    }

    /// The node that makes result `i`.
    pub(super) fn finish_result(&mut self, i: usize, op: impl Op, inputs: &[ValueId]) -> Result<(), String> {
        let made = self.made_by(&op, inputs)?;
        let at = *self.operator.outputs.get(i).ok_or_else(|| format!("has no result {i}"))?;
        let declared = self.importer.shape_of(at)?;
        if made != declared {
            // Axes of one element may stand elsewhere.
            let axes = |s: Shape| [s.h, s.w, s.c].into_iter().filter(|size| *size != 1);
            if !axes(made).eq(axes(declared)) {
                let TensorDef { name, shape, .. } = self.importer.tensor(at);
                return Err(format!("makes {made}, the file declares {shape:?} for `{name}`"));
            }
            return self.reshaped_result(i, op, inputs);
        }
        let id = self.importer.declare(at)?;
        self.importer.push_node(Arc::new(op), inputs.to_vec(), id);
        self.importer.seen[at] = Seen::Value(id);
        Ok(())
    }

    /// Nodes that make the first result, which has the elements of `op`'s result in another shape.
    pub(super) fn finish_reshaped(&mut self, op: impl Op, inputs: &[ValueId]) -> Result<(), String> {
        match self.made_by(&op, inputs)? == self.result_shape(0)? {
            true => self.finish_result(0, op, inputs),
            false => self.reshaped_result(0, op, inputs),
        }
    }

    fn reshaped_result(&mut self, i: usize, op: impl Op, inputs: &[ValueId]) -> Result<(), String> {
        let tensor = self.result(i)?;
        let (to, format) = (self.result_shape(i)?, format_of(tensor)?);
        let inner = self.node("unshaped", op, inputs, format)?;
        self.finish_result(i, Reshape { to }, &[inner])
    }

    /// The first result is a value that is there already.
    pub(super) fn alias(&mut self, id: ValueId) {
        self.importer.seen[self.operator.outputs[0]] = Seen::Value(id);
    }

    /// A node in between, whose result the file does not have.
    pub(super) fn node(
        &mut self,
        what: &str,
        op: impl Op,
        inputs: &[ValueId],
        format: Format,
    ) -> Result<ValueId, String> {
        let shape = self.made_by(&op, inputs)?;
        check_shape(shape)?;
        let id = self.importer.new_value(format!("{}.{what}", self.result(0)?.name), shape, format);
        self.importer.push_node(Arc::new(op), inputs.to_vec(), id);
        Ok(id)
    }

    /// Operand `i` with `to` elements along each axis of size 1 that has another there.
    pub(super) fn broadcast(&mut self, id: ValueId, to: Shape) -> Result<ValueId, String> {
        let from = self.shape(id);
        if from == to {
            return Ok(id);
        }
        let axis = |from: usize, to: usize| match from {
            _ if from == to => Ok(None),
            1 => Ok(Some(vec![0; to].into())),
            _ => Err(format!("operands of {from} and {to} elements along one axis cannot be combined")),
        };
        let (rows, columns, channels) = (axis(from.h, to.h)?, axis(from.w, to.w)?, axis(from.c, to.c)?);
        let format = self.format(id);
        self.node("broadcast", Index { rows, columns, channels, pad: 0.0 }, &[id], format)
    }
}
