//! Inputs and outputs of a build, as the model's file has them or as PyTorch does.

use super::Build;
use crate::{
    graph::ValueId,
    import::{End, ModelFile},
    recipe::Head,
};

/// Inputs, outputs and layers as a model's file declares them; all empty for networks that are no file.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    /// Inputs, in the order of the program's.
    pub inputs: Vec<End>,
    /// Outputs of the file, in the order of the program's; a recipe may have another operator behind the first.
    pub outputs: Vec<End>,
    /// Results of the file's operators, each with the name that its value has in the graph.
    pub layers: Vec<(String, End)>,
}

impl From<&ModelFile> for Ends {
    fn from(file: &ModelFile) -> Self {
        let (inputs, outputs) = (file.inputs().to_vec(), file.outputs().to_vec());
        Self { inputs, outputs, layers: file.layers().to_vec() }
    }
}

impl Build {
    /// Whether the scales are those of a quantised file.
    pub fn has_scales_of_file(&self) -> bool {
        self.calibrated.is_none() && self.quantized.mode().is_none()
    }

    /// Every input of the program as the file declares it, or as PyTorch has it (`[1, c, h, w]`) where there is no file.
    pub fn inputs(&self) -> Vec<End> {
        let declared = |i| self.ends.inputs.get(i);
        self.program.inputs.iter().enumerate().map(|(i, id)| self.end(declared(i), *id)).collect()
    }

    /// Every output of the program, likewise.
    pub fn outputs(&self) -> Vec<End> {
        let is_of_file = |i: &usize| *i > 0 || self.recipe.output.head == Head::Logits;
        let declared = |i| Some(i).filter(is_of_file).and_then(|i| self.ends.outputs.get(i));
        self.program.outputs.iter().enumerate().map(|(i, id)| self.end(declared(i), *id)).collect()
    }

    /// The results of the file's operators that a value of the program is; of other networks, and of values that only niello has, the value itself. None,
    /// if another value is what the file calls so.
    pub fn layers_of(&self, id: ValueId) -> Vec<End> {
        let name = &self.program.tensor(id).name;
        let declared = self.ends.layers.iter().filter(|(value, _)| value == name);
        let found: Vec<End> = declared.map(|(_, end)| self.end(Some(end), id)).collect();
        let is_taken = self.ends.layers.iter().any(|(_, end)| end.name == *name);
        if found.is_empty() && !is_taken { vec![self.end(None, id)] } else { found }
    }

    /// Whether a value is the result of an operator of the file: an input may be, of one that changes no bits.
    pub fn is_layer(&self, id: ValueId) -> bool {
        let name = &self.program.tensor(id).name;
        self.ends.layers.iter().any(|(value, _)| value == name)
    }

    /// What is declared, if it is of that size, or of none, for which a number stands.
    fn end(&self, declared: Option<&End>, id: ValueId) -> End {
        let info = self.program.tensor(id);
        let declared = declared.filter(|end| [0, info.shape.len()].contains(&end.elements())).cloned();
        declared.unwrap_or_else(|| End::usual(&info.name, info.shape, info.format))
    }
}
