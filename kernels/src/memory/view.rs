//! Checked views: what kernels read tensors through ([`In`]) and write them through ([`Out`]).
//!
//! Bytes are moved in blocks: a block is loaded into an array, computed, and stored as a whole. So loops vectorise even
//! where the compiler cannot know that input and output do not overlap, and in-place operators stay correct: no byte
//! of a block is stored before all of them are loaded.

use core::{cell::Cell, marker::PhantomData};

/// Runs `$body` for consecutive blocks of `$len` elements: large ones first, single elements last. Within `$body`,
/// `$first` is the index of the block and `$N` its size, a constant.
macro_rules! in_blocks {
    ($first:ident in $len:expr, $N:ident => $body:block) => {{
        let len: usize = $len;
        let mut $first = 0usize;
        {
            const $N: usize = $crate::memory::LARGE_BLOCK;
            while len - $first >= $N {
                $body
                $first += $N;
            }
        }
        {
            const $N: usize = $crate::memory::SMALL_BLOCK;
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

    /// The first byte. All bytes of all pixels may be read through it while `'a` lasts.
    pub const fn as_ptr(&self) -> *const i8 {
        self.ptr
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

    /// All values in order, if they lie without gaps.
    #[inline(always)]
    fn dense(&self) -> Option<Channels<'a>> {
        (self.stride == self.c).then(|| Channels {
            ptr: self.ptr,
            len: self.h * self.w * self.c,
            life: PhantomData,
        })
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

    /// All values in order, if they lie without gaps.
    #[inline(always)]
    fn dense(&self) -> Option<&'a [Cell<i8>]> {
        (self.stride == self.c).then_some(self.cells)
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

/// `dst[i] = f(src[i])` for as many values as both have.
#[inline(always)]
pub fn map1(dst: &[Cell<i8>], src: Channels<'_>, f: impl Fn(i8) -> i8) {
    in_blocks!(first in dst.len().min(src.len()), N => {
        let mut block = src.block::<N>(first);
        for v in &mut block {
            *v = f(*v);
        }
        put(dst, first, block);
    });
}

/// `dst[i] = f(a[i], b[i])` for as many values as all have.
#[inline(always)]
pub fn map2(dst: &[Cell<i8>], a: Channels<'_>, b: Channels<'_>, f: impl Fn(i8, i8) -> i8) {
    in_blocks!(first in dst.len().min(a.len()).min(b.len()), N => {
        let (mut block, b) = (a.block::<N>(first), b.block::<N>(first));
        for (a, b) in block.iter_mut().zip(b) {
            *a = f(*a, b);
        }
        put(dst, first, block);
    });
}

/// Calls `f` with corresponding runs of consecutive values of tensors of one shape: all at once where none has gaps,
/// else pixel by pixel.
#[inline(always)]
pub(crate) fn for_each_run<'a, const INPUTS: usize>(
    out: Out<'a>,
    inputs: [In<'a>; INPUTS],
    f: impl Fn(&'a [Cell<i8>], [Channels<'a>; INPUTS]),
) {
    let [h, w, c] = out.shape();
    let dense = inputs.iter().all(|input| input.stride == c);
    if let Some(cells) = out.dense()
        && dense
    {
        f(cells, inputs.map(|input| input.dense().unwrap_or(input.pixel(h, w))));
    } else {
        for y in 0..h {
            for x in 0..w {
                f(out.pixel(y, x), inputs.map(|input| input.pixel(y, x)));
            }
        }
    }
}
