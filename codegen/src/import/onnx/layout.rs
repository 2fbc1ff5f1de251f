//! How a tensor of any number of axes lies in a map of height, width and channels.
//!
//! A map's memory is a row of *atoms*: sizes above 1, the outermost first, some of which make up its height, the next its width, the rest its
//! channels. Each axis of the tensor is a list of atoms. So a transpose is another order of lists, a reshape cuts atoms or joins lists, and neither
//! moves an element: only an operator that needs another order in memory does ([`Layout::arranged`]).

mod constants;

pub(super) use constants::as_map;

use super::array::count;
use crate::tensor::Shape;

/// Where the axes of a tensor are in a map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    /// Sizes, the outermost first; none is 1.
    atoms: Vec<usize>,
    /// How many of them are height, and how many are height or width.
    cuts: [usize; 2],
    /// The atoms of each axis, the outermost first. An axis of size 1 has none.
    axes: Vec<Vec<usize>>,
    /// The size of each axis: the product of its atoms, or, if it has none, how often the tensor repeats along it.
    dims: Vec<usize>,
}

/// What takes a map from one layout to another: see [`crate::ops::Permute`].
#[derive(Debug, PartialEq)]
pub(super) struct Move {
    /// The map seen as a dense tensor.
    pub sizes: Vec<usize>,
    /// Its axes in another order.
    pub order: Vec<usize>,
}

impl Layout {
    /// A dense tensor whose axes `groups` are height, width and channels. Axes that are in none of them must have size 1.
    pub(super) fn of(dims: &[usize], groups: [&[usize]; 3]) -> Self {
        let mut layout =
            Self { atoms: vec![], cuts: [0; 2], axes: vec![vec![]; dims.len()], dims: dims.to_vec() };
        for (g, group) in groups.into_iter().enumerate() {
            for axis in group.iter().copied().filter(|axis| dims[*axis] != 1) {
                layout.axes[axis].push(layout.atoms.len());
                layout.atoms.push(dims[axis]);
            }
            if g < 2 {
                layout.cuts[g] = layout.atoms.len();
            }
        }
        layout
    }

    /// The usual one: `[1, C, H, W]`, `[1, C, L]` (a width) and `[1, C]`; other tensors as they are, the last axes being width and channels.
    pub(super) fn usual(dims: &[usize]) -> Self {
        let [h, w, c] = Self::usual_groups(dims);
        Self::of(dims, [&h, &w, &c])
    }

    /// The axes that are height, width and channels in the usual layout.
    pub(super) fn usual_groups(dims: &[usize]) -> [Vec<usize>; 3] {
        let of = |axes: &[usize]| axes.to_vec();
        match dims {
            [1, _, _, _] => [of(&[2]), of(&[3]), of(&[1])],
            [1, _, _] => [of(&[]), of(&[2]), of(&[1])],
            [1, _] => [of(&[]), of(&[]), of(&[1])],
            _ => {
                let mut axes: Vec<usize> = (0..dims.len()).filter(|axis| dims[*axis] != 1).collect();
                let (c, w) = (axes.pop(), axes.pop());
                [axes, w.into_iter().collect(), c.into_iter().collect()]
            }
        }
    }

    /// Sizes of the tensor's axes.
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Height, width and channels.
    pub(super) fn shape(&self) -> Shape {
        let [h, w] = self.cuts;
        let size = |atoms: &[usize]| atoms.iter().fold(1usize, |product, a| product.saturating_mul(*a));
        Shape::new(size(&self.atoms[..h]), size(&self.atoms[h..w]), size(&self.atoms[w..]))
    }

    /// The atoms of height, width and channels.
    fn group(&self, g: usize) -> std::ops::Range<usize> {
        let [h, w] = self.cuts;
        [0..h, h..w, w..self.atoms.len()][g].clone()
    }

    fn group_of(&self, atom: usize) -> usize {
        self.cuts.iter().filter(|cut| atom >= **cut).count()
    }

    /// Whether axes `of` are exactly height, width or channels (`g` is 0, 1 or 2).
    pub(super) fn is_group(&self, g: usize, of: &[usize]) -> bool {
        let mut atoms: Vec<usize> = of.iter().flat_map(|axis| &self.axes[*axis]).copied().collect();
        atoms.sort_unstable();
        atoms == Vec::from_iter(self.group(g))
    }

    /// Whether the tensor repeats along some axis.
    pub(super) fn repeats(&self) -> bool {
        self.axes.iter().zip(&self.dims).any(|(atoms, size)| atoms.is_empty() && *size != 1)
    }

    /// Repeats the tensor along axes of size 1.
    pub(super) fn repeated(&self, dims: &[usize]) -> Self {
        let missing = dims.len() - self.dims.len();
        let axes = vec![vec![]; missing].into_iter().chain(self.axes.iter().cloned()).collect();
        Self { axes, dims: dims.to_vec(), ..self.clone() }
    }

    /// The tensor as it was before it was repeated.
    pub(super) fn unrepeated(&self) -> Self {
        let size = |(atoms, size): (&Vec<usize>, &usize)| if atoms.is_empty() { 1 } else { *size };
        Self { dims: self.axes.iter().zip(&self.dims).map(size).collect(), ..self.clone() }
    }

    /// Axes in another order.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        Self {
            axes: order.iter().map(|axis| self.axes[*axis].clone()).collect(),
            dims: order.iter().map(|axis| self.dims[*axis]).collect(),
            ..self.clone()
        }
    }

    /// The same elements in row-major order with other sizes, of as many elements; `None` if that cuts an atom where it has no boundary.
    pub(super) fn reshaped(&self, dims: &[usize]) -> Option<Self> {
        let mut parts: Vec<Vec<usize>> = vec![vec![]; self.atoms.len()];
        let mut left = self.axes.iter().flatten().copied();
        // The atom that is being cut, and what is left of it.
        let mut rest: Option<(usize, usize)> = None;
        let mut axes: Vec<Vec<(usize, usize)>> = vec![];
        for &size in dims {
            let (mut need, mut axis) = (size, vec![]);
            while need > 1 {
                let (atom, of) = match rest.take() {
                    Some(rest) => rest,
                    None => left.next().map(|atom| (atom, self.atoms[atom]))?,
                };
                let taken = if need.is_multiple_of(of) {
                    of
                } else if of.is_multiple_of(need) {
                    rest = Some((atom, of / need));
                    need
                } else {
                    return None;
                };
                axis.push((atom, parts[atom].len()));
                parts[atom].push(taken);
                need /= taken;
            }
            axes.push(axis);
        }
        if rest.is_some() || left.next().is_some() {
            return None;
        }
        let mut first = vec![0; parts.len() + 1];
        (0..parts.len()).for_each(|i| first[i + 1] = first[i] + parts[i].len());
        let axes =
            axes.into_iter().map(|axis| axis.into_iter().map(|(atom, part)| first[atom] + part).collect());
        Some(
            Self {
                atoms: parts.concat(),
                cuts: self.cuts.map(|cut| first[cut]),
                axes: axes.collect(),
                dims: dims.to_vec(),
            }
            .joined(),
        )
    }

    /// Atoms that follow each other in memory and in one axis as one.
    fn joined(self) -> Self {
        let mut follows = vec![false; self.atoms.len()];
        for pair in self.axes.iter().flat_map(|axis| axis.windows(2)) {
            follows[pair[1]] = pair[1] == pair[0] + 1 && !self.cuts.contains(&pair[1]);
        }
        let mut new = vec![0; self.atoms.len() + 1];
        let mut atoms: Vec<usize> = vec![];
        for (i, size) in self.atoms.iter().enumerate() {
            match atoms.last_mut().filter(|_| follows[i]) {
                Some(last) => *last *= size,
                None => atoms.push(*size),
            }
            new[i] = atoms.len() - 1;
            new[i + 1] = atoms.len();
        }
        let axis = |axis: Vec<usize>| {
            axis.into_iter().filter(|atom| !follows[*atom]).map(|atom| new[atom]).collect()
        };
        Self {
            atoms,
            cuts: self.cuts.map(|cut| new[cut]),
            axes: self.axes.into_iter().map(axis).collect(),
            dims: self.dims,
        }
    }

    /// The layout in which `groups` of axes are height, width and channels (each axis whole, in the order given; axes of size 1 may be left out), and
    /// the move there from this one: `None` if no element moves.
    pub(super) fn arranged(&self, groups: [&[usize]; 3]) -> (Self, Option<Move>) {
        let groups = groups.map(|group| group.iter().flat_map(|axis| &self.axes[*axis]).copied().collect());
        self.with_atoms(groups)
    }

    /// The layout with these atoms as height, width and channels, and the move there. Others stay in their group, behind those.
    fn with_atoms(&self, mut groups: [Vec<usize>; 3]) -> (Self, Option<Move>) {
        for atom in 0..self.atoms.len() {
            if !groups.iter().flatten().any(|listed| *listed == atom) {
                groups[self.group_of(atom)].push(atom);
            }
        }
        let cuts = [groups[0].len(), groups[0].len() + groups[1].len()];
        let order = groups.concat();
        let mut new = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, from)| new[*from] = to);
        let to = Self {
            atoms: order.iter().map(|atom| self.atoms[*atom]).collect(),
            cuts,
            axes: self.axes.iter().map(|axis| axis.iter().map(|atom| new[*atom]).collect()).collect(),
            dims: self.dims.clone(),
        };
        let moves = order.iter().enumerate().any(|(to, from)| to != *from);
        (to.joined(), moves.then(|| self.moved(&order)))
    }

    /// The move that puts atoms in that order; atoms that stay together are one axis of it.
    fn moved(&self, order: &[usize]) -> Move {
        let mut runs: Vec<(usize, usize)> = vec![];
        for atom in order {
            match runs.last_mut().filter(|run| run.1 == *atom) {
                Some(run) => run.1 += 1,
                None => runs.push((*atom, atom + 1)),
            }
        }
        let mut sorted = runs.clone();
        sorted.sort_unstable();
        let sizes = sorted.iter().map(|(first, end)| self.atoms[*first..*end].iter().product()).collect();
        let place = |run: &(usize, usize)| sorted.binary_search(run).unwrap_or_default();
        Move { sizes, order: runs.iter().map(place).collect() }
    }

    /// With axes `of` as the channels and the others as height and width, each in its order in memory; and the move there.
    pub(super) fn with_channels(&self, of: &[usize]) -> (Self, Option<Move>) {
        let mut groups: [Vec<usize>; 3] = Default::default();
        for atom in 0..self.atoms.len() {
            let is_in = of.iter().any(|axis| self.axes[*axis].contains(&atom));
            groups[if is_in { 2 } else { self.group_of(atom).min(1) }].push(atom);
        }
        self.with_atoms(groups)
    }

    /// With everything in memory from axis `of` on as the channels, what is before it as height: no element moves. `None` if the axis is not
    /// one atom.
    pub(super) fn split_before(&self, of: usize) -> Option<Self> {
        let [atom] = self.axes[of][..] else { return None };
        Some(Self { cuts: [atom; 2], ..self.clone() })
    }

    /// Whether axis `of` is one atom, the outermost of the channels.
    pub(super) fn starts_channels(&self, of: usize) -> bool {
        self.axes[of] == [self.cuts[1]]
    }

    /// The layout where axis `of` has another size.
    pub(super) fn resized(&self, of: usize, size: usize) -> Option<Self> {
        let [atom] = self.axes[of][..] else { return None };
        let mut to = self.clone();
        to.atoms[atom] = size;
        to.dims[of] = size;
        Some(to)
    }

    /// The layout that one axis has with this one's other atoms: an axis of size 1 becomes an atom of its own behind the last one of height, width
    /// or channels (`g`).
    pub(super) fn with_atom(&self, of: usize, g: usize) -> Self {
        let at = self.group(g).end;
        let mut to = self.clone();
        to.atoms.insert(at, 1);
        to.axes.iter_mut().flatten().filter(|atom| **atom >= at).for_each(|atom| *atom += 1);
        to.axes[of] = vec![at];
        to.cuts.iter_mut().skip(g).for_each(|cut| *cut += 1);
        to
    }

    /// Drops atoms of size 1, and joins what follows each other.
    pub(super) fn tidied(mut self) -> Self {
        while let Some(at) = self.atoms.iter().position(|size| *size == 1) {
            self.atoms.remove(at);
            self.axes.iter_mut().for_each(|axis| axis.retain(|atom| *atom != at));
            self.axes.iter_mut().flatten().filter(|atom| **atom > at).for_each(|atom| *atom -= 1);
            self.cuts.iter_mut().filter(|cut| **cut > at).for_each(|cut| *cut -= 1);
        }
        self.joined()
    }

    /// For each of height, width and channels, where its elements come from if along each axis of `picks` those elements are taken (`-1` for
    /// none), and the layout then. `None` if one of these axes is not one atom, or a list would be longer than `longest`.
    pub(super) fn picked(
        &self,
        picks: &[(usize, Vec<i32>)],
        longest: usize,
    ) -> Option<(Self, [Option<Vec<i32>>; 3])> {
        let mut to = self.clone();
        let mut of_atom: Vec<Option<&[i32]>> = vec![None; self.atoms.len()];
        for (axis, pick) in picks {
            let [atom] = self.axes[*axis][..] else { return None };
            of_atom[atom] = Some(pick);
            to.atoms[atom] = pick.len();
            to.dims[*axis] = pick.len();
        }
        let Shape { h, w, c } = to.shape();
        let is_listed = [0, 1, 2].map(|g| self.group(g).any(|atom| of_atom[atom].is_some()));
        if [h, w, c].iter().zip(is_listed).any(|(size, is_listed)| is_listed && *size > longest) {
            return None;
        }
        let lists = [0, 1, 2].map(|g| {
            let group = self.group(g);
            if !is_listed[g] {
                return None;
            }
            let mut list = vec![0i32];
            for atom in group {
                let size = self.atoms[atom] as i32;
                let next = |base: i32, i: i32| if base < 0 || i < 0 { -1 } else { base * size + i };
                list = list
                    .into_iter()
                    .flat_map(|base| {
                        let all: Vec<i32> = match of_atom[atom] {
                            Some(pick) => pick.iter().map(|i| next(base, *i)).collect(),
                            None => (0..size).map(|i| next(base, i)).collect(),
                        };
                        all
                    })
                    .collect();
            }
            Some(list)
        });
        Some((to, lists))
    }

    /// Axis `of` as one atom, if it lies in one piece and in order.
    pub(super) fn is_whole(&self, of: usize) -> bool {
        self.axes[of].len() == 1
    }

    /// The layout without axes `of`, over which was reduced; `keep` says whether they stay with a size of 1.
    pub(super) fn reduced(&self, of: &[usize], keep: bool) -> Self {
        let mut to = self.clone();
        for axis in of {
            to.axes[*axis].clone().into_iter().for_each(|atom| to.atoms[atom] = 1);
            to.dims[*axis] = 1;
        }
        let mut to = to.tidied();
        if !keep {
            let left: Vec<usize> = (0..to.dims.len()).filter(|axis| !of.contains(axis)).collect();
            to = to.transposed(&left);
        }
        to
    }

    /// Which of height, width and channels are all of axes `of` and nothing else; `None` if that is not so of any.
    pub(super) fn groups_of(&self, of: &[usize]) -> Option<[bool; 3]> {
        let is_in = |atom: usize| of.iter().any(|axis| self.axes[*axis].contains(&atom));
        let mut whole = [false; 3];
        for (g, whole) in whole.iter_mut().enumerate() {
            let (inside, outside): (Vec<usize>, Vec<usize>) = self.group(g).partition(|atom| is_in(*atom));
            if !inside.is_empty() && !outside.is_empty() {
                return None;
            }
            *whole = !inside.is_empty();
        }
        Some(whole)
    }

    /// The axis that is height, the one that is width and the one that is channels, where each of them is one axis or none.
    pub(super) fn plain(&self) -> Option<[Option<usize>; 3]> {
        let mut found = [None; 3];
        for (axis, atoms) in self.axes.iter().enumerate() {
            match atoms[..] {
                [] => {}
                [atom] => {
                    let g = self.group_of(atom);
                    if found[g].replace(axis).is_some() {
                        return None;
                    }
                }
                _ => return None,
            }
        }
        Some(found)
    }

    /// The axes of more than one element in their order in memory, if each of them lies there in one piece.
    pub(super) fn order(&self) -> Option<Vec<usize>> {
        let mut axes: Vec<usize> = (0..self.axes.len()).filter(|axis| !self.axes[*axis].is_empty()).collect();
        axes.sort_by_key(|axis| self.axes[*axis][0]);
        let in_order = axes.iter().flat_map(|axis| &self.axes[*axis]).enumerate().all(|(i, atom)| i == *atom);
        in_order.then_some(axes)
    }

    /// Number of elements of the map.
    pub(super) fn len(&self) -> Option<usize> {
        count(&self.atoms)
    }
}

#[cfg(test)]
mod tests;
