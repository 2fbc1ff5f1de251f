//! Where tensors live: NHWC views into an arena, an input or an output.
//!
//! A view has a base offset, a height, a width, a number of channels and a pixel stride that may be larger than the
//! number of channels: several views can interleave in one buffer, which is what makes a concatenation free. Batch is 1.
//!
//! Inputs and outputs of a kernel may share memory (in-place operators, interleaved views), so tensors are never
//! borrowed as plain slices: reads go through [`In`], writes through [`Out`], both over shared cells.

mod broadcast;
mod code;
mod element;
mod encoding;
mod view;

use core::{cell::Cell, ops::Range};

pub(crate) use broadcast::{BinaryOp, Broadcast};
pub(crate) use code::Code;
pub use element::{Element, F16, bytes, cells};
pub(crate) use encoding::{ByEncoding, Codes, Encoding, in_elements, in_lanes};
pub use view::{Channels, In, Out};
pub(crate) use view::{ContiguousSpans, in_blocks, map1, put, put_u16s, put_u32s};

/// Values that loops over channels handle at once: a cache line where vectors are wide, few where code must be small.
pub(crate) const LARGE_BLOCK: usize = if cfg!(target_pointer_width = "64") { 64 } else { 8 };
/// Values that they handle at once in what remains.
pub(crate) const SMALL_BLOCK: usize = if cfg!(target_pointer_width = "64") { 16 } else { 4 };

/// Moves all cells from index `from` on to the beginning, in blocks.
pub(crate) fn move_to_start(cells: &[Cell<i8>], from: usize) {
    const BLOCK: usize = 16;
    let Some(source) = cells.get(from..) else { return };
    let (to_blocks, to_rest) = cells.get(..source.len()).unwrap_or_default().as_chunks::<BLOCK>();
    let (from_blocks, from_rest) = source.as_chunks::<BLOCK>();
    for (to, from) in to_blocks.iter().zip(from_blocks) {
        let block: [i8; BLOCK] = core::array::from_fn(|i| from[i].get());
        to.iter().zip(block).for_each(|(to, value)| to.set(value));
    }
    to_rest.iter().zip(from_rest).for_each(|(to, from)| to.set(from.get()));
}

/// `N` constants from `first` on, or zeros if they are not all there.
#[inline(always)]
pub(crate) fn constants<T: Copy + Default, const N: usize>(all: &[T], first: usize) -> [T; N] {
    all.get(first..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([T::default(); N])
}

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

    /// Some rows of it.
    #[inline(always)]
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let [_, w, c] = self.shape;
        let row = w.wrapping_mul(self.stride);
        let offset = self.offset.wrapping_add((rows.start as u32).wrapping_mul(row));
        Self { offset, shape: [rows.len() as u32, w, c], ..*self }
    }

    /// Bytes from the start of the buffer to the end of the last pixel, or `None` if the view is malformed: pixels
    /// that overlap, or an end beyond `i32::MAX`.
    pub const fn extent(&self) -> Option<usize> {
        let [h, w, c] = self.shape;
        if self.stride < c {
            return None;
        }
        let pixels = h as u64 * w as u64;
        let end = if pixels == 0 || c == 0 {
            // Nothing is read or written, but products of two sides must still fit a 32-bit `usize`.
            if pixels > i32::MAX as u64 {
                return None;
            }
            self.offset as u64
        } else {
            let Some(span) = (pixels - 1).checked_mul(self.stride as u64) else { return None };
            let Some(end) = span.checked_add(self.offset as u64 + c as u64) else { return None };
            end
        };
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
        let (shape, stride) = (operand.shape.map(|d| d as usize), operand.stride as usize);
        let range = operand.offset as usize..end;
        match operand.space {
            Space::Arena => Some(In::over_cells(self.arena.get(range)?, shape, stride)),
            Space::Input(i) => Some(In::over_bytes(self.inputs.get(i as usize)?.get(range)?, shape, stride)),
            Space::Output(i) => {
                Some(In::over_cells(self.outputs.get(i as usize)?.get(range)?, shape, stride))
            }
        }
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
        Some(Out::over_cells(cells, operand.shape.map(|d| d as usize), operand.stride as usize))
    }

    /// Scratch bytes, or `None` if they do not lie within the arena.
    pub fn scratch(&self, region: Region) -> Option<&'a [Cell<i8>]> {
        let start = region.offset as usize;
        self.arena.get(start..start.checked_add(region.len as usize)?)
    }
}
