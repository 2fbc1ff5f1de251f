//! Rows, columns and channels by their indices.

use crate::{
    Memory, Operand,
    base::memory::{Channels, In, Out, in_blocks, put},
};
use core::{cell::Cell, slice::from_ref};

/// `out[y, x, c] = in[rows[y], columns[x], channels[c]]`, where an index of -1 stands for the value `pad`: NumPy's `take` along each axis, TensorFlow
/// Lite's `PAD`, `MIRROR_PAD`, `STRIDED_SLICE`, `REVERSE_V2`, `TILE`, `BROADCAST_TO` and `GATHER` with constants.
///
/// The indices of an axis are runs, each of three numbers: the first index, the step to the next one, how many. Where there are none, the axis stays
/// as it is. A run of -1 has step 0.
#[derive(Clone, Copy, Debug)]
pub struct Index<'a> {
    /// The input.
    pub input: Operand,
    /// Result, elsewhere.
    pub output: Operand,
    /// Bytes of an element: 1, 2 or 4.
    pub element: u32,
    /// Of rows.
    pub rows: &'a [i32],
    /// Of columns.
    pub columns: &'a [i32],
    /// Of channels.
    pub channels: &'a [i32],
    /// The code, or the bits of a number, that stands where an index is -1; in the lowest bytes.
    pub pad: i32,
}

/// Indices: the first one, the step to the next one, how many.
type Run = [i32; 3];

/// The indices of an axis.
#[derive(Clone, Copy)]
struct Axis<'a> {
    runs: &'a [Run],
    /// The run of an axis that stays as it is.
    whole: Run,
}

impl<'a> Axis<'a> {
    /// `None` if numbers are cut, indices are not below `size`, or they are not `len`.
    fn new(numbers: &'a [i32], size: usize, len: usize) -> Option<Self> {
        let (runs, rest) = numbers.as_chunks();
        let axis = Self { runs, whole: [0, 1, len as i32] };
        let mut count = 0u64;
        for [first, step, n] in axis.runs() {
            let last = i64::from(*step).wrapping_mul(i64::from(*n) - 1).wrapping_add((*first).into());
            let within = |i: i64| (0..size as i64).contains(&i);
            let fits = if *first == -1 { *step == 0 } else { within((*first).into()) && within(last) };
            if *n < 0 || *n > 0 && !fits {
                return None;
            }
            count = count.wrapping_add(*n as u64);
        }
        let is_whole = !numbers.is_empty() || size == len;
        (rest.is_empty() && is_whole && count == len as u64).then_some(axis)
    }

    fn runs(&self) -> &[Run] {
        if self.runs.is_empty() { from_ref(&self.whole) } else { self.runs }
    }

    /// Each index, `None` for -1.
    #[inline(always)]
    fn indices(&self) -> impl Iterator<Item = Option<usize>> {
        self.runs().iter().flat_map(|[first, step, n]| {
            let mut next = *first;
            (0..*n).map(move |_| {
                let index = next;
                next = next.wrapping_add(*step);
                usize::try_from(index).ok()
            })
        })
    }
}

/// A checked [`Index`].
struct Gathered<'k, 'm> {
    input: In<'m>,
    out: Out<'m>,
    axes: [Axis<'k>; 3],
}

impl<'k> Index<'k> {
    fn gathered<'m>(&self, mem: &Memory<'m>) -> Option<Gathered<'k, 'm>> {
        let (input, out, bytes) = (mem.read(&self.input)?, mem.write(&self.output)?, self.element as usize);
        if ![1, 2, 4].contains(&bytes) {
            return None;
        }
        let ([h, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        let whole = c.is_multiple_of(bytes) && oc.is_multiple_of(bytes);
        let axes = [
            Axis::new(self.rows, h, oh)?,
            Axis::new(self.columns, w, ow)?,
            Axis::new(self.channels, c / bytes, oc / bytes)?,
        ];
        whole.then_some(Gathered { input, out, axes })
    }

    /// The bytes of elements that stand for none, for all widths of which four bytes are a multiple.
    fn padding(&self) -> [i8; 4] {
        let [a, b, c, d] = self.pad.to_le_bytes().map(|byte| byte as i8);
        match self.element {
            1 => [a; 4],
            2 => [a, b, a, b],
            _ => [a, b, c, d],
        }
    }

    fn compute(&self, Gathered { input, out, axes: [rows, columns, channels] }: Gathered<'_, '_>) {
        let (padding, bytes) = (self.padding(), self.element as usize);
        for (y, row) in rows.indices().enumerate() {
            for (x, column) in columns.indices().enumerate() {
                let cells = out.pixel(y, x);
                match (row, column) {
                    (Some(row), Some(column)) => {
                        gather(cells, input.pixel(row, column), &channels, padding, bytes);
                    }
                    _ => fill(cells, padding),
                }
            }
        }
    }
}

/// One pixel of the result, from one of the input.
#[inline(always)]
fn gather(cells: &[Cell<i8>], values: Channels<'_>, channels: &Axis<'_>, padding: [i8; 4], bytes: usize) {
    let mut rest = cells;
    for [first, step, n] in channels.runs() {
        // Runs fill the pixel.
        let (run, behind) = rest.split_at_checked(*n as usize * bytes).unwrap_or_default();
        rest = behind;
        match (usize::try_from(*first), *step) {
            (Err(_), _) => fill(run, padding),
            (Ok(first), 1) => {
                in_blocks!(i in run.len(), N => {
                    put(run, i, values.block::<N>(first * bytes + i));
                });
            }
            (Ok(_), step) => {
                let mut next = *first;
                for element in run.chunks(bytes.max(1)) {
                    for (i, cell) in element.iter().enumerate() {
                        cell.set(values.get(next as usize * bytes + i));
                    }
                    next = next.wrapping_add(step);
                }
            }
        }
    }
}

/// All elements equal.
#[inline(always)]
fn fill(cells: &[Cell<i8>], padding: [i8; 4]) {
    let (fours, rest) = cells.as_chunks::<4>();
    fours.iter().for_each(|four| put(four, 0, padding));
    rest.iter().zip(padding).for_each(|(cell, byte)| cell.set(byte));
}

crate::schedule::kernel!(Index<'a>, |index| {
    check: |mem| index.gathered(mem),
    run: |gathered, _| index.compute(gathered),
});
