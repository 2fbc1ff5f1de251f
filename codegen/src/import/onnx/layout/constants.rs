//! Constants in the order in which a tensor's elements lie.

use super::{
    super::array::{Array, Data, places, strides},
    Layout,
};
use crate::tensor::{Shape, Tensor};

impl Layout {
    /// A constant of sizes that broadcast to this tensor's, as a map that broadcasts to this one: a size of 1 where it does not vary.
    pub(in super::super) fn lay(&self, array: &Array) -> Result<Tensor<f32>, String> {
        let values = array.as_floats()?;
        let steps = array.broadcast_steps(&self.dims);
        // The step along each atom.
        let mut of_atom = vec![0isize; self.atoms.len()];
        for (axis, step) in self.axes.iter().zip(&steps) {
            let mut step = *step;
            for atom in axis.iter().rev() {
                of_atom[*atom] = step;
                step *= self.atoms[*atom] as isize;
            }
        }
        let varies = [0, 1, 2].map(|g| self.group(g).any(|atom| of_atom[atom] != 0));
        let used: Vec<usize> = (0..self.atoms.len()).filter(|atom| varies[self.group_of(*atom)]).collect();
        let sizes: Vec<usize> = used.iter().map(|atom| self.atoms[*atom]).collect();
        let steps: Vec<isize> = used.iter().map(|atom| of_atom[*atom]).collect();
        let Shape { h, w, c } = self.shape();
        let shape = Shape::new(
            if varies[0] { h } else { 1 },
            if varies[1] { w } else { 1 },
            if varies[2] { c } else { 1 },
        );
        let data = places(&sizes, &steps, 0).map(|i| values[i]).collect();
        Tensor::new(shape, data).ok_or_else(|| "a constant of another size".into())
    }

    /// For each element of axis `of` in the order of memory, its number along the axis: which column of a matrix meets it.
    pub(in super::super) fn order_of(&self, of: usize) -> Vec<usize> {
        self.order_of_all(&[of])
    }

    /// The same of several axes as one, the last of them being the innermost.
    pub(in super::super) fn order_of_all(&self, of: &[usize]) -> Vec<usize> {
        let axis: Vec<usize> = of.iter().flat_map(|axis| &self.axes[*axis]).copied().collect();
        let sizes: Vec<usize> = axis.iter().map(|atom| self.atoms[*atom]).collect();
        let steps = strides(&sizes);
        let mut by_memory: Vec<usize> = (0..axis.len()).collect();
        by_memory.sort_unstable_by_key(|i| axis[*i]);
        let sizes: Vec<usize> = by_memory.iter().map(|i| sizes[*i]).collect();
        let steps: Vec<isize> = by_memory.iter().map(|i| steps[*i]).collect();
        places(&sizes, &steps, 0).collect()
    }
}

/// A constant as a dense map in the usual layout.
pub(in super::super) fn as_map(array: &Array) -> Result<(Layout, Tensor<f32>), String> {
    let layout = Layout::usual(&array.dims);
    let floats = match &array.data {
        Data::Float(_) => array.clone(),
        _ => Array::floats(array.dims.clone(), array.to_f64().into_iter().map(|x| x as f32).collect()),
    };
    let shape = layout.shape();
    let tensor = layout.lay(&floats)?;
    // All of it, also along axes along which `lay` saw nothing vary: there are none of more than one element.
    Tensor::new(shape, tensor.data)
        .map(|tensor| (layout, tensor))
        .ok_or_else(|| "a constant of another size".into())
}
