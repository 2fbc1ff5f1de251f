//! Buffers of C code, checked before references are made of them: for the C API of generated crates.

use crate::Arena;

/// A buffer as C code describes it.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    address: usize,
    /// Bytes, as the caller says.
    len: usize,
    /// Bytes that the model uses.
    needed: usize,
    /// The alignment that the address must have.
    align: usize,
    /// Whether it may be larger.
    arena: bool,
}

impl Buffer {
    /// `len` elements at `pointer`; the model uses exactly `needed`.
    pub fn new<T>(pointer: *const T, len: usize, needed: usize) -> Self {
        let bytes = |elements: usize| elements.saturating_mul(size_of::<T>());
        let (len, needed) = (bytes(len), bytes(needed));
        Self { address: pointer.addr(), len, needed, align: align_of::<T>(), arena: false }
    }

    /// An arena of `len` bytes, which may be larger than `needed`, and is aligned as [`Arena`].
    pub fn arena<T>(pointer: *const T, len: usize, needed: usize) -> Self {
        Self { address: pointer.addr(), len, needed, align: align_of::<Arena<0>>(), arena: true }
    }

    fn is_long_enough(&self) -> bool {
        self.end().is_some() && if self.arena { self.len >= self.needed } else { self.len == self.needed }
    }

    fn is_aligned(&self) -> bool {
        self.address.is_multiple_of(self.align)
    }

    /// The address behind the used bytes; `None` if they would go round the end of the address space.
    fn end(&self) -> Option<usize> {
        self.address.checked_add(self.needed)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.end().is_some_and(|end| end <= b.address);
        !before(self, other) && !before(other, self)
    }
}

/// Why a call does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// A pointer is null.
    Null,
    /// A length is not that of the model; an arena may be larger.
    Length,
    /// The arena, or a buffer of f16 or f32, is not aligned.
    Alignment,
    /// Two buffers overlap, of which one is written.
    Overlap,
}

/// Whether references to all of these may exist at the same time: buffers that are written, buffers that are read.
///
/// # Errors
/// The first [`Misuse`], in the order of its declaration.
///
/// ```
/// use niello::c_api::{Buffer, Misuse, check};
///
/// let (arena, output) = (niello::Arena::<128>::new(), [0i8; 3]);
/// let arena = Buffer::arena(&raw const arena, 128, 128);
/// assert_eq!(check(&[arena, Buffer::new(&raw const output, 3, 3)], &[]), Ok(()));
/// assert_eq!(check(&[arena, Buffer::new(&raw const output, 2, 3)], &[]), Err(Misuse::Length));
/// ```
pub fn check(written: &[Buffer], read: &[Buffer]) -> Result<(), Misuse> {
    // Buffers that are only read come last: they are compared with written ones, not with each other.
    let all = || written.iter().chain(read);
    if all().any(|buffer| buffer.address == 0) {
        return Err(Misuse::Null);
    }
    if !all().all(Buffer::is_long_enough) {
        return Err(Misuse::Length);
    }
    if !all().all(Buffer::is_aligned) {
        return Err(Misuse::Alignment);
    }
    if written.iter().enumerate().any(|(i, one)| all().skip(i + 1).any(|other| one.overlaps(other))) {
        return Err(Misuse::Overlap);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: usize, len: usize, needed: usize) -> Buffer {
        Buffer { address, len, needed, align: 1, arena: false }
    }

    fn arena(address: usize, len: usize) -> Buffer {
        Buffer { arena: true, align: 64, ..at(address, len, 128) }
    }

    #[test]
    fn every_misuse_is_told_the_first_one_first() {
        // Arena, written, read.
        let (a, w, r) = (arena(640, 128), [at(1000, 10, 10)], [at(2000, 20, 20), at(2010, 20, 20)]);
        let last = usize::MAX;
        let table = [
            (a, w, r, Ok(())),
            (arena(640, 500), w, r, Ok(())),
            (a, [at(768, 10, 10)], r, Ok(())),
            (a, [at(630, 10, 10)], r, Ok(())),
            (arena(0, 128), w, r, Err(Misuse::Null)),
            (a, [at(0, 10, 10)], r, Err(Misuse::Null)),
            (arena(641, 1), w, [at(0, 20, 20), r[1]], Err(Misuse::Null)),
            (arena(640, 127), w, r, Err(Misuse::Length)),
            (a, [at(1000, 9, 10)], r, Err(Misuse::Length)),
            (a, [at(1000, 11, 10)], r, Err(Misuse::Length)),
            (a, w, [r[0], at(2010, 0, 20)], Err(Misuse::Length)),
            (a, [at(last - 5, 10, 10)], r, Err(Misuse::Length)),
            (arena(672, 128), w, r, Err(Misuse::Alignment)),
            (arena(641, 128), w, r, Err(Misuse::Alignment)),
            (a, [at(767, 10, 10)], r, Err(Misuse::Overlap)),
            (a, [at(631, 10, 10)], r, Err(Misuse::Overlap)),
            (a, [at(700, 10, 10)], r, Err(Misuse::Overlap)),
            (a, w, [at(700, 20, 20), r[1]], Err(Misuse::Overlap)),
            (a, w, [r[0], at(995, 20, 20)], Err(Misuse::Overlap)),
            (a, [r[0]], [at(3000, 1, 1), at(2019, 1, 1)], Err(Misuse::Overlap)),
        ];
        for (i, (arena, [written], read, expected)) in table.into_iter().enumerate() {
            assert_eq!(check(&[arena, written], &read), expected, "row {i}");
        }
        let numbers = Buffer { align: 4, ..at(1002, 12, 12) };
        assert_eq!(check(&[a, numbers], &[]), Err(Misuse::Alignment), "single precision");
        let two = [a, at(1000, 10, 10), at(1009, 10, 10)];
        assert_eq!(check(&two, &r), Err(Misuse::Overlap), "two that are written");
    }
}
