//! Codes of one, two or four bytes.

use super::{Channels, put};
use core::cell::Cell;

/// A code as it is stored: one byte, or two or four in little-endian order.
pub(crate) trait Code: Copy + Ord + Into<i32> {
    /// The smallest one.
    const LEAST: Self;

    /// How many codes there are in `bytes`; `None` if one would be cut.
    fn count(bytes: usize) -> Option<usize> {
        bytes.is_multiple_of(size_of::<Self>()).then_some(bytes / size_of::<Self>())
    }

    /// The lowest bits of `value`.
    fn cut(value: i32) -> Self;

    /// Codes `first..first + N`, or zeros if they are not all there.
    fn block<const N: usize>(channels: Channels<'_>, first: usize) -> [Self; N];

    /// Stores `codes` from code `first` on, if there is room for all of them.
    fn put<const N: usize>(cells: &[Cell<i8>], first: usize, codes: [Self; N]);
}

impl Code for i8 {
    const LEAST: Self = Self::MIN;

    #[inline(always)]
    fn cut(value: i32) -> Self {
        value as Self
    }

    #[inline(always)]
    fn block<const N: usize>(channels: Channels<'_>, first: usize) -> [Self; N] {
        channels.block::<N>(first)
    }

    #[inline(always)]
    fn put<const N: usize>(cells: &[Cell<i8>], first: usize, codes: [Self; N]) {
        put(cells, first, codes);
    }
}

macro_rules! codes {
    ($code:ty, $groups:ident) => {
        impl Code for $code {
            const LEAST: Self = Self::MIN;

            #[inline(always)]
            fn cut(value: i32) -> Self {
                value as Self
            }

            #[inline(always)]
            fn block<const N: usize>(channels: Channels<'_>, first: usize) -> [Self; N] {
                channels.$groups::<N>(first.saturating_mul(size_of::<Self>())).map(Self::from_le_bytes)
            }

            #[inline(always)]
            fn put<const N: usize>(cells: &[Cell<i8>], first: usize, codes: [Self; N]) {
                let rest = cells.get(first.saturating_mul(size_of::<Self>())..).unwrap_or_default();
                let cells = rest.as_chunks::<{ size_of::<Self>() }>().0.first_chunk::<N>();
                let cells = cells.into_iter().flatten();
                cells.zip(codes).for_each(|(c, code)| put(c, 0, code.to_le_bytes().map(|b| b as i8)));
            }
        }
    };
}

codes!(i16, pairs);
// The bits of numbers in single precision, where they are only moved.
codes!(i32, quads);
