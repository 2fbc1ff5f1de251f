//! Checked views: what kernels read tensors through ([`In`]) and write them through ([`Out`]).
//!
//! Bytes are moved in blocks: a block is loaded into an array, computed, and stored as a whole. So loops vectorise even
//! where the compiler cannot know that input and output do not overlap, and in-place operators stay correct: no byte
//! of a block is stored before all of them are loaded.

use super::{Memory, Operand};
use core::{cell::Cell, marker::PhantomData};

/// ContiguousSpans `$body` for consecutive blocks of `$len` elements: large ones first, single elements last. Within `$body`,
/// `$first` is the index of the block and `$N` its size, a constant.
macro_rules! in_blocks {
    ($first:ident in $len:expr, $N:ident => $body:block) => {{
        let len: usize = $len;
        let mut $first = 0usize;
        {
            const $N: usize = $crate::base::memory::LARGE_BLOCK;
            while len - $first >= $N {
                $body
                $first += $N;
            }
        }
        {
            const $N: usize = $crate::base::memory::SMALL_BLOCK;
            while len - $first >= $N {
                $body
                $first += $N;
            }
        }
        {
            const $N: usize = 1;
            while len - $first >= $N {
                $body
                $first += $N;
            }
        }
    }};
}
pub(crate) use in_blocks;

/// A tensor to read: every `[y, x, c]` within its shape lies in live memory.
#[derive(Clone, Copy)]
pub struct In<'a> {
    ptr: *const i8,
    h: usize,
    w: usize,
    c: usize,
    stride: usize,
    life: PhantomData<&'a Cell<i8>>,
}

impl<'a> In<'a> {
    /// A view over the bytes from its first to the end of its last pixel: `cells` has exactly that length, or more.
    pub(super) fn over_cells(cells: &'a [Cell<i8>], [h, w, c]: [usize; 3], stride: usize) -> Self {
        Self { ptr: cells.as_ptr().cast(), h, w, c, stride, life: PhantomData }
    }

    /// As [`In::over_cells`], over bytes that nobody writes.
    pub(super) fn over_bytes(bytes: &'a [i8], [h, w, c]: [usize; 3], stride: usize) -> Self {
        Self { ptr: bytes.as_ptr(), h, w, c, stride, life: PhantomData }
    }

    /// Height, width, channels.
    pub const fn shape(&self) -> [usize; 3] {
        [self.h, self.w, self.c]
    }

    /// Bytes from one pixel to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// Bytes from the first to the end of the last pixel.
    fn len(&self) -> usize {
        // `Memory` checked that this fits.
        match (self.h * self.w).checked_sub(1) {
            Some(before) if self.c > 0 => before * self.stride + self.c,
            _ => 0,
        }
    }

    /// The first byte. All bytes of all pixels may be read through it while `'a` lasts.
    pub const fn as_ptr(&self) -> *const i8 {
        self.ptr
    }

    /// All pixels as one; `None` if something lies between them.
    pub(crate) fn joined(self) -> Option<Self> {
        // `Memory` checked that the length fits.
        let Self { h, w, c, .. } = self;
        (self.stride == c).then(|| Self { h: 1, w: 1, c: h * w * c, stride: h * w * c, ..self })
    }

    /// The channels of pixel `[y, x]`; empty outside the tensor.
    #[inline(always)]
    pub fn pixel(&self, y: usize, x: usize) -> Channels<'a> {
        if y < self.h && x < self.w {
            Channels {
                ptr: self.ptr.wrapping_add((y * self.w + x) * self.stride),
                len: self.c,
                life: PhantomData,
            }
        } else {
            Channels { ptr: self.ptr, len: 0, life: PhantomData }
        }
    }

    /// The channels of pixel `i` in order; empty outside the tensor.
    #[inline(always)]
    pub(crate) fn nth(&self, i: usize) -> Channels<'a> {
        let len = if i < self.h * self.w { self.c } else { 0 };
        Channels { ptr: self.ptr.wrapping_add(i * self.stride), len, life: PhantomData }
    }
}

/// Consecutive values, for reading: the channels of one pixel, or of several that lie without gaps.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    ptr: *const i8,
    len: usize,
    life: PhantomData<&'a Cell<i8>>,
}

impl Channels<'_> {
    /// The first value.
    #[cfg(niello_mve)]
    pub(crate) const fn as_ptr(&self) -> *const i8 {
        self.ptr
    }

    /// Number of values.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Value `i`, or 0 past the end.
    #[inline(always)]
    pub const fn get(&self, i: usize) -> i8 {
        let [value] = self.block::<1>(i);
        value
    }

    /// Values `first..first + N`, or zeros if they are not all there.
    #[inline(always)]
    pub const fn block<const N: usize>(&self, first: usize) -> [i8; N] {
        if first <= self.len && N <= self.len - first {
            // SAFETY: `ptr` and `len` come from an `In`, whose view `Memory::read` checked against the buffer: all
            // `len` bytes are live while `'a` lasts.
            unsafe { self.ptr.add(first).cast::<[i8; N]>().read() }
        } else {
            [0; N]
        }
    }

    /// `N` pairs of bytes from byte `first` on, or zeros if they are not all there.
    #[inline(always)]
    pub(crate) const fn pairs<const N: usize>(&self, first: usize) -> [[u8; 2]; N] {
        if first <= self.len && N <= (self.len - first) / 2 {
            // SAFETY: as in `block`; pairs of bytes have no alignment.
            unsafe { self.ptr.add(first).cast::<[[u8; 2]; N]>().read() }
        } else {
            [[0; 2]; N]
        }
    }

    /// `N` fours of bytes from byte `first` on, or zeros if they are not all there.
    #[inline(always)]
    pub(crate) const fn quads<const N: usize>(&self, first: usize) -> [[u8; 4]; N] {
        if first <= self.len && N <= (self.len - first) / 4 {
            // SAFETY: as in `block`; fours of bytes have no alignment.
            unsafe { self.ptr.add(first).cast::<[[u8; 4]; N]>().read() }
        } else {
            [[0; 4]; N]
        }
    }

    /// The values in order.
    #[inline(always)]
    pub fn iter(self) -> impl ExactSizeIterator<Item = i8> {
        (0..self.len).map(move |i| self.get(i))
    }
}

/// A tensor to write.
#[derive(Clone, Copy)]
pub struct Out<'a> {
    cells: &'a [Cell<i8>],
    h: usize,
    w: usize,
    c: usize,
    stride: usize,
}

impl<'a> Out<'a> {
    /// A view over the bytes from its first to the end of its last pixel: `cells` has exactly that length.
    pub(super) fn over_cells(cells: &'a [Cell<i8>], [h, w, c]: [usize; 3], stride: usize) -> Self {
        Self { cells, h, w, c, stride }
    }

    /// Height, width, channels.
    pub const fn shape(&self) -> [usize; 3] {
        [self.h, self.w, self.c]
    }

    /// Bytes from one pixel to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The first byte. All bytes of all pixels may be written through it while `'a` lasts.
    pub const fn as_ptr(&self) -> *mut i8 {
        self.cells.as_ptr() as *mut i8
    }

    /// All pixels as one; `None` if something lies between them.
    pub(crate) fn joined(self) -> Option<Self> {
        let Self { h, w, c, .. } = self;
        (self.stride == c).then(|| Self { h: 1, w: 1, c: h * w * c, stride: h * w * c, ..self })
    }

    /// The channels of pixel `[y, x]`; empty outside the tensor.
    #[inline(always)]
    pub fn pixel(&self, y: usize, x: usize) -> &'a [Cell<i8>] {
        if y < self.h && x < self.w {
            let start = (y * self.w + x) * self.stride;
            self.cells.get(start..start + self.c).unwrap_or(&[])
        } else {
            &[]
        }
    }

    /// Whether the bytes from the first to the end of the last pixel and `other` have one in common.
    pub(crate) fn overlaps(&self, other: &[Cell<i8>]) -> bool {
        let (a, b) = (self.cells.as_ptr_range(), other.as_ptr_range());
        a.start < b.end && b.start < a.end
    }

    /// Whether a byte of a pixel is one of a pixel of `input`. Views that interleave without meeting, as slices of a concatenation do, have
    /// pixels equally far apart; of others between each other's first and last byte it is assumed.
    pub(crate) fn meets(&self, input: &In<'_>) -> bool {
        let (bytes, other) = (self.cells.len(), input.len());
        let ahead = (input.as_ptr() as usize).wrapping_sub(self.as_ptr() as usize);
        let behind = ahead.wrapping_neg();
        // Neither begins within the other.
        if bytes == 0 || other == 0 || (ahead >= bytes && behind >= other) {
            return false;
        }
        // From a pixel of this view, where the next pixel of the other begins.
        let rest = |distance: usize| distance.checked_rem(self.stride).unwrap_or(0);
        let next = if ahead < bytes { rest(ahead) } else { rest(self.stride - rest(behind)) };
        !(self.stride == input.stride && next >= self.c && next + input.c <= self.stride)
    }

    /// The channels of pixel `i` in order; empty outside the tensor.
    #[inline(always)]
    pub(crate) fn nth(&self, i: usize) -> &'a [Cell<i8>] {
        let start = i.wrapping_mul(self.stride);
        self.cells.get(start..start.wrapping_add(self.c)).unwrap_or(&[])
    }
}

/// Stores `values` at `first`, if there is room for all of them.
#[inline(always)]
pub(crate) fn put<const N: usize>(cells: &[Cell<i8>], first: usize, values: [i8; N]) {
    if let Some(cells) = cells.get(first..).and_then(|rest| rest.first_chunk::<N>()) {
        // SAFETY: `N` cells in a row, which may be written through a shared reference.
        unsafe { cells.as_ptr().cast::<[i8; N]>().cast_mut().write(values) };
    }
}

/// As [`put`], of 16-bit words in little-endian order, at any address.
#[inline(always)]
pub(crate) fn put_u16s<const N: usize>(cells: &[Cell<i8>], first: usize, words: [u16; N]) {
    let rest = cells.get(first..).unwrap_or_default();
    if let Some(cells) = rest.as_chunks::<2>().0.first_chunk::<N>() {
        // SAFETY: `2 N` cells in a row, which may be written through a shared reference.
        unsafe { cells.as_ptr().cast::<[u16; N]>().cast_mut().write_unaligned(words.map(u16::to_le)) };
    }
}

/// As [`put`], of 32-bit words in little-endian order, at any address.
#[inline(always)]
pub(crate) fn put_u32s<const N: usize>(cells: &[Cell<i8>], first: usize, words: [u32; N]) {
    let rest = cells.get(first..).unwrap_or_default();
    if let Some(cells) = rest.as_chunks::<4>().0.first_chunk::<N>() {
        // SAFETY: `4 N` cells in a row, which may be written through a shared reference.
        unsafe { cells.as_ptr().cast::<[u32; N]>().cast_mut().write_unaligned(words.map(u32::to_le)) };
    }
}

/// `dst[i] = f(src[i])` for all values of `dst`, of which `src` has as many.
#[inline(always)]
pub(crate) fn map1(dst: &[Cell<i8>], src: Channels<'_>, f: impl Fn(i8) -> i8) {
    in_blocks!(first in dst.len(), N => {
        let mut block = src.block::<N>(first);
        for v in &mut block {
            *v = f(*v);
        }
        put(dst, first, block);
    });
}

/// Corresponding runs of consecutive values of tensors of one shape: everything at once where none has gaps, else
/// pixel by pixel.
///
/// An indexed loop and no closure: kernels put long bodies into it, which must be inlined to be vectorised.
pub(crate) struct ContiguousSpans<'a, const INPUTS: usize> {
    out: Out<'a>,
    inputs: [In<'a>; INPUTS],
    len: usize,
}

impl<'a> ContiguousSpans<'a, 1> {
    /// Of one input; `None` if an operand lies outside memory, or the shapes differ.
    #[inline]
    pub(crate) fn unary(mem: &Memory<'a>, input: &Operand, output: &Operand) -> Option<Self> {
        Self::new(mem.write(output)?, [mem.read(input)?])
    }
}

impl<'a, const INPUTS: usize> ContiguousSpans<'a, INPUTS> {
    /// `None` if the shapes differ.
    pub(crate) fn new(out: Out<'a>, inputs: [In<'a>; INPUTS]) -> Option<Self> {
        if inputs.iter().any(|input| input.shape() != out.shape()) {
            return None;
        }
        let [h, w, c] = out.shape();
        let dense = out.stride == c && inputs.iter().all(|input| input.stride == c);
        // Without gaps, all pixels together are one long one; `Memory` checked that its length fits.
        let (h, w, c) = if dense { (1, 1, h * w * c) } else { (h, w, c) };
        Some(Self {
            out: Out { h, w, c, ..out },
            inputs: inputs.map(|input| In { h, w, c, ..input }),
            len: h * w,
        })
    }

    /// As [`ContiguousSpans::new`], but always pixel by pixel.
    pub(super) fn by_pixel(out: Out<'a>, inputs: [In<'a>; INPUTS]) -> Option<Self> {
        let [h, w, _] = out.shape();
        inputs.iter().all(|input| input.shape() == out.shape()).then_some(Self { out, inputs, len: h * w })
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Run `i` of every tensor; all have the same length.
    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> (&'a [Cell<i8>], [Channels<'a>; INPUTS]) {
        (self.out.nth(i), self.inputs.map(|input| input.nth(i)))
    }
}
