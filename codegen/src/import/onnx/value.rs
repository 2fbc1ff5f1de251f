//! What a name of the file stands for while the graph is built.

use super::{
    array::{Array, Type},
    layout::Layout,
};
use crate::graph::ValueId;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A constant, or what follows from constants and shapes.
    Known(Array),
    /// A tensor that the network computes.
    Live(Live),
    /// Positions of the largest values, for max unpooling.
    Places(Places),
    /// The result of a node that cannot be imported: what reads it says nothing more.
    Broken,
}

/// A tensor that the network computes.
#[derive(Clone, Debug)]
pub(super) struct Live {
    /// The map.
    pub id: ValueId,
    /// Where the tensor is in it.
    pub at: Layout,
    /// What the file has as elements.
    pub of: Elements,
}

/// What the file has as elements, where the network has numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Elements {
    /// Real numbers of any precision.
    Real,
    /// Integers or truth values, which are real numbers without a fraction here: exact up to 2^24.
    Whole(Type),
    /// Integers that are class labels.
    Labels,
}

impl Elements {
    /// Of a constant of that type.
    pub(super) fn of(of: Type) -> Self {
        if of.is_float() { Self::Real } else { Self::Whole(of) }
    }

    /// The type of a constant of these.
    pub(super) fn stored(self) -> Type {
        match self {
            Self::Real => Type::F32,
            Self::Whole(of) => of,
            Self::Labels => Type::I64,
        }
    }

    /// In words.
    pub(super) fn name(self) -> String {
        match self {
            Self::Real => "real numbers".into(),
            Self::Whole(of) => format!("elements of type {}", of.name()),
            Self::Labels => "class labels".into(),
        }
    }
}

impl Live {
    /// The same map, seen otherwise.
    pub(super) fn seen(&self, at: Layout) -> Self {
        Self { at, ..self.clone() }
    }

    /// Sizes of the tensor's axes.
    pub(super) fn dims(&self) -> &[usize] {
        self.at.dims()
    }
}

/// Where in a tensor of `[1, C, H, W]` the largest value of each window is, as the number of the element, plus a constant.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Positions in their windows.
    pub positions: Live,
    /// Rows, columns of a window; as many from one window to the next.
    pub kernel: [usize; 2],
    /// Sizes of the pool's input.
    pub pooled: Vec<usize>,
    /// Sizes of the pool's result.
    pub result: Vec<usize>,
    /// What was added to each, in the order of the result; none for zeros.
    pub added: Option<Array>,
    /// The sizes as which it is seen now.
    pub dims: Vec<usize>,
}

impl Value {
    /// Sizes of its axes.
    pub(super) fn dims(&self) -> &[usize] {
        match self {
            Self::Known(array) => &array.dims,
            Self::Live(live) => live.dims(),
            Self::Places(places) => &places.dims,
            Self::Broken => &[],
        }
    }
}
