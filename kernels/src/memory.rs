//! Where tensors live: NHWC views into an arena, an input or an output.
//!
//! A view has a base offset, a height, a width, a number of channels and a pixel stride that may be larger than the
//! number of channels: several views can interleave in one buffer, which is what makes a concatenation free. Batch is 1.
//!
//! Inputs and outputs of a kernel may share memory (in-place operators, interleaved views), so tensors are never
//! borrowed as plain slices: reads go through [`In`], writes through [`Out`], both over shared cells.

use core::{cell::Cell, marker::PhantomData};

/// Which buffer an operand lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Space {
    /// The model's arena, with everything between input and output.
    Arena,
    /// The caller's input of that index; read only.
    Input(u8),
    /// The caller's output of that index.
    Output(u8),
}

/// A view: `[h, w, c]` elements of one byte at `offset`, pixels `stride` bytes apart, rows without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// The buffer.
    pub space: Space,
    /// Byte offset of element `[0, 0, 0]`.
    pub offset: u32,
    /// Height, width, channels.
    pub shape: [u32; 3],
    /// Bytes from one pixel to the next, at least the number of channels.
    pub stride: u32,
}

impl Operand {
    /// A view into the arena.
    pub const fn arena(offset: u32, shape: [u32; 3], stride: u32) -> Self {
        Self { space: Space::Arena, offset, shape, stride }
    }

    /// The whole of input `index`.
    pub const fn input(index: u8, shape: [u32; 3]) -> Self {
        Self { space: Space::Input(index), offset: 0, shape, stride: shape[2] }
    }

    /// The whole of output `index`.
    pub const fn output(index: u8, shape: [u32; 3]) -> Self {
        Self { space: Space::Output(index), offset: 0, shape, stride: shape[2] }
    }

    /// Bytes from the start of the buffer to the end of the last pixel, or `None` if the view is malformed.
    pub const fn extent(&self) -> Option<usize> {
        let [h, w, c] = self.shape;
        if self.stride < c {
            return None;
        }
        let pixels = h as u64 * w as u64;
        if pixels == 0 || c == 0 {
            return Some(self.offset as usize);
        }
        let Some(span) = (pixels - 1).checked_mul(self.stride as u64) else { return None };
        let Some(end) = span.checked_add(self.offset as u64 + c as u64) else { return None };
        // Offsets are kept in 31 bits so that kernels may use signed 32-bit offsets.
        if end > i32::MAX as u64 { None } else { Some(end as usize) }
    }
}

/// Scratch bytes in the arena, live during one kernel only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Region {
    /// Byte offset in the arena.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

impl Region {
    /// No scratch.
    pub const EMPTY: Self = Self { offset: 0, len: 0 };
}

/// The buffers of one inference.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    arena: &'a [Cell<i8>],
    inputs: &'a [&'a [i8]],
    outputs: &'a [&'a [Cell<i8>]],
}

impl<'a> Memory<'a> {
    /// Collects the buffers. Kernels check each operand against them.
    pub const fn new(arena: &'a [Cell<i8>], inputs: &'a [&'a [i8]], outputs: &'a [&'a [Cell<i8>]]) -> Self {
        Self { arena, inputs, outputs }
    }

    /// The operand for reading, or `None` if it does not lie within its buffer.
    pub fn read(&self, operand: &Operand) -> Option<In<'a>> {
        let end = operand.extent()?;
        let (ptr, len) = match operand.space {
            Space::Arena => (self.arena.as_ptr().cast::<i8>(), self.arena.len()),
            Space::Input(i) => {
                let input = self.inputs.get(i as usize)?;
                (input.as_ptr(), input.len())
            }
            Space::Output(i) => {
                let output = self.outputs.get(i as usize)?;
                (output.as_ptr().cast::<i8>(), output.len())
            }
        };
        if end > len {
            return None;
        }
        let [h, w, c] = operand.shape.map(|d| d as usize);
        // `end <= len`, and the offset is not beyond `end`.
        let ptr = ptr.wrapping_add(operand.offset as usize);
        Some(In { ptr, h, w, c, stride: operand.stride as usize, life: PhantomData })
    }

    /// The operand for writing, or `None` if it does not lie within its buffer or is an input.
    pub fn write(&self, operand: &Operand) -> Option<Out<'a>> {
        let end = operand.extent()?;
        let cells: &'a [Cell<i8>] = match operand.space {
            Space::Arena => self.arena,
            Space::Input(_) => return None,
            Space::Output(i) => self.outputs.get(i as usize)?,
        };
        let cells = cells.get(operand.offset as usize..end)?;
        let [h, w, c] = operand.shape.map(|d| d as usize);
        Some(Out { cells, h, w, c, stride: operand.stride as usize })
    }

    /// Scratch bytes, or `None` if they do not lie within the arena.
    pub fn scratch(&self, region: Region) -> Option<&'a [Cell<i8>]> {
        let start = region.offset as usize;
        self.arena.get(start..start.checked_add(region.len as usize)?)
    }
}

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
}

/// The channels of one pixel, for reading.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    ptr: *const i8,
    len: usize,
    life: PhantomData<&'a Cell<i8>>,
}

impl Channels<'_> {
    /// Number of channels.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Channel `i`, or 0 past the end.
    #[inline(always)]
    pub const fn get(&self, i: usize) -> i8 {
        if i < self.len {
            // SAFETY: `In` was built by `Memory::read`, which checked that all `len` bytes of each pixel are live.
            unsafe { self.ptr.add(i).read() }
        } else {
            0
        }
    }

    /// The channels in order.
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
}

/// `dst[i] = f(src[i])` for as many channels as both have.
#[inline(always)]
pub fn map1(dst: &[Cell<i8>], src: Channels<'_>, f: impl Fn(i8) -> i8) {
    for (i, d) in dst.iter().enumerate().take(src.len()) {
        d.set(f(src.get(i)));
    }
}

/// `dst[i] = f(a[i], b[i])` for as many channels as all have.
#[inline(always)]
pub fn map2(dst: &[Cell<i8>], a: Channels<'_>, b: Channels<'_>, f: impl Fn(i8, i8) -> i8) {
    for (i, d) in dst.iter().enumerate().take(a.len().min(b.len())) {
        d.set(f(a.get(i), b.get(i)));
    }
}
