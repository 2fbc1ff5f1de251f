//! Scratch: the share of each thread, and its bytes as wider integers.

use core::cell::Cell;

/// Scratch bytes of one of several threads, from what a kernel needs alone: the next thread's begin there. `usize::MAX` if
/// that is more than can be counted.
///
/// Lowering plans and the kernel splits by this same function.
pub const fn scratch_per_thread(one: usize) -> usize {
    match one.checked_next_multiple_of(16) {
        Some(bytes) => bytes,
        None => usize::MAX,
    }
}

/// Scratch as integers of so many bytes.
macro_rules! integers {
    ($(#[$meta:meta])* $name:ident, $t:ty, $bytes:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name<'m>(&'m [[Cell<i8>; $bytes]]);

        impl<'m> $name<'m> {
            /// The first `len` of them, and the bytes behind; `None` where there are fewer.
            pub(crate) fn split(cells: &'m [Cell<i8>], len: usize) -> Option<(Self, &'m [Cell<i8>])> {
                let (these, rest) = cells.split_at_checked(len.checked_mul($bytes)?)?;
                Some((Self(these.as_chunks().0), rest))
            }

            /// Integer `i`, 0 past the end.
            #[inline(always)]
            pub(crate) fn get(&self, i: usize) -> $t {
                self.0.get(i).map_or(0, |cells| <$t>::from_le_bytes(cells.each_ref().map(|cell| cell.get() as u8)))
            }

            /// Sets integer `i`, if it is there.
            #[inline(always)]
            pub(crate) fn set(&self, i: usize, value: $t) {
                if let Some(cells) = self.0.get(i) {
                    cells.iter().zip(value.to_le_bytes()).for_each(|(cell, byte)| cell.set(byte as i8));
                }
            }
        }
    };
}

integers! {
    /// 32-bit integers.
    I32Scratch, i32, 4
}
integers! {
    /// 16-bit unsigned integers.
    U16Scratch, u16, 2
}
