//! Loops that several formats share: how elements are stored, and how many are handled at once.

use super::{Channels, Code};
use core::{cell::Cell, marker::PhantomData};

/// How the elements of a tensor are stored. Methods must be `#[inline(always)]`: they stand in loops that are to vectorise.
pub(crate) trait Encoding: Copy {
    /// An element as kernels compute with it.
    type Value: Copy + Default + PartialOrd;

    /// Whether values are numbers in floating point, of which fewer make a vector.
    const IS_FLOAT: bool;

    /// How many elements there are in `bytes`; `None` if one would be cut.
    fn count(self, bytes: usize) -> Option<usize>;

    /// Elements `first..first + N`, or zeros if they are not all there.
    fn block<const N: usize>(self, channels: Channels<'_>, first: usize) -> [Self::Value; N];

    /// Stores elements, if there is room for all of them.
    fn put<const N: usize>(self, cells: &[Cell<i8>], first: usize, values: [Self::Value; N]);

    /// Does `work` for these encodings, as constants where that pays.
    #[inline(always)]
    fn specialize<const K: usize>(all: [Self; K], work: &impl ByEncoding<Self, K>) {
        work.each(all);
    }
}

/// The loop of a kernel whose operands have encodings of one kind. `each` must be `#[inline(always)]`.
pub(crate) trait ByEncoding<E, const K: usize> {
    /// Does it.
    fn each(&self, all: [E; K]);
}

/// Codes of a width that is known to the compiler.
#[derive(Clone, Copy, Default)]
pub(crate) struct Codes<T>(pub(crate) PhantomData<T>);

impl<T: Code + Default> Encoding for Codes<T> {
    type Value = T;

    const IS_FLOAT: bool = false;

    #[inline(always)]
    fn count(self, bytes: usize) -> Option<usize> {
        T::count(bytes)
    }

    #[inline(always)]
    fn block<const N: usize>(self, channels: Channels<'_>, first: usize) -> [T; N] {
        T::block::<N>(channels, first)
    }

    #[inline(always)]
    fn put<const N: usize>(self, cells: &[Cell<i8>], first: usize, values: [T; N]) {
        T::put(cells, first, values);
    }
}

/// As [`in_blocks`](super::in_blocks), for numbers in floating point: blocks of 16 and single ones; where there are no vectors, single ones.
macro_rules! in_lanes {
    ($first:ident in $len:expr, $N:ident => $body:block) => {{
        let len: usize = $len;
        let mut next = 0usize;
        if cfg!(target_pointer_width = "64") {
            const $N: usize = 16;
            while len - next >= $N {
                let $first = next;
                $body
                next += $N;
            }
        }
        for $first in next..len {
            const $N: usize = 1;
            $body
        }
    }};
}
pub(crate) use in_lanes;

/// [`in_lanes`] where `$is_float`, a constant, else [`in_blocks`](super::in_blocks).
macro_rules! in_elements {
    ($is_float:expr, $first:ident in $len:expr, $N:ident => $body:block) => {
        if $is_float {
            $crate::base::memory::in_lanes!($first in $len, $N => $body);
        } else {
            $crate::base::memory::in_blocks!($first in $len, $N => $body);
        }
    };
}
pub(crate) use in_elements;
