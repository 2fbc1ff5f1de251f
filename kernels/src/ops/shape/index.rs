//! Rows, columns and channels by their indices.

use super::by_bytes;
use crate::{
    Memory, Operand,
    base::memory::{Channels, Code, In, Out, in_blocks, put},
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

    fn each<T: Code>(&self, Gathered { input, out, axes: [rows, columns, channels] }: Gathered<'_, '_>) {
        let pad = T::cut(self.pad);
        for (y, row) in rows.indices().enumerate() {
            for (x, column) in columns.indices().enumerate() {
                let cells = out.pixel(y, x);
                match (row, column) {
                    (Some(row), Some(column)) => pixel(cells, input.pixel(row, column), &channels, pad),
                    _ => fill(cells, 0, cells.len() / size_of::<T>(), pad),
                }
            }
        }
    }
}

/// One pixel of the result, from one of the input.
#[inline(always)]
fn pixel<T: Code>(cells: &[Cell<i8>], values: Channels<'_>, channels: &Axis<'_>, pad: T) {
    let (mut done, bytes) = (0, size_of::<T>());
    for [first, step, n] in channels.runs() {
        let count = *n as usize;
        match (usize::try_from(*first), *step) {
            (Err(_), _) => fill(cells, done, count, pad),
            (Ok(first), 1) => {
                in_blocks!(i in count * bytes, N => {
                    put(cells, done * bytes + i, values.block::<N>(first * bytes + i));
                });
            }
            (Ok(_), step) => {
                let mut next = *first;
                for i in done..done + count {
                    T::put(cells, i, T::block::<1>(values, next as usize));
                    next = next.wrapping_add(step);
                }
            }
        }
        done += count;
    }
}

/// Elements `first..first + count`, all equal.
#[inline(always)]
fn fill<T: Code>(cells: &[Cell<i8>], first: usize, count: usize, value: T) {
    in_blocks!(i in count, N => {
        T::put(cells, first + i, [value; N]);
    });
}

crate::schedule::kernel!(Index<'a>, |index| {
    check: |mem| index.gathered(mem),
    run: |gathered, _| by_bytes!(index.element, Element => index.each::<Element>(gathered)),
});
