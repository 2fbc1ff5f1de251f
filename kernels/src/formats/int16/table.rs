//! Functions of one value, from tables.

use super::{Width, constants};
use crate::{
    Memory, Operand,
    base::memory::{Encoding as _, In, Out},
    formats::elements::same_pixels,
};

/// To look up an element takes about as long as so many multiply-accumulates of a convolution.
const LOOK_UP: usize = 48;

/// Entries for 16-bit input: one for every 128 codes, and one behind the last.
pub const ENTRIES: usize = 513;

/// A function of one value, from or to 16 bits.
///
/// From 8 bits, `y = table[in + 128]` of 256 entries. From 16 bits, TensorFlow Lite's `LUTLookup`: the line between two of 513
/// entries, 128 codes apart.
///
/// ```text
/// i = 256 + floor(in / 128), o = in mod 128
/// y = table[i] + floor((o (table[i + 1] - table[i]) + 64) / 128)
/// ```
///
/// A 16-bit output is `y`; an 8-bit one is `clamp(floor((y + 128) / 256), -128, 127)`, so that the table has eight bits behind the point.
///
/// `output` may be the same view as `input` if both have one width.
#[derive(Clone, Copy, Debug)]
pub struct LutInt16<'a> {
    /// The input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// Widths of `input`, `output`.
    pub widths: [Width; 2],
    /// 256 or [`ENTRIES`] results.
    pub table: &'a [i16],
}

/// The value at a code between two of [`ENTRIES`] entries, 128 codes apart.
#[inline]
pub(super) fn interpolated(table: &[i16], code: i32) -> i32 {
    let [low, high] = constants::<i16, 2>(table, (256 + (code >> 7)) as usize).map(i32::from);
    low + (((high - low) * (code & 127) + 64) >> 7)
}

impl LutInt16<'_> {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let [from, to] = self.widths;
        let (input, out, _) = same_pixels(mem, [&self.input, &self.output], from, to)?;
        let entries = match self.widths[0] {
            Width::Int8 => 256,
            Width::Int16 => ENTRIES,
        };
        (self.table.len() >= entries).then_some((input, out))
    }

    #[inline(always)]
    fn one(&self, code: i32) -> i32 {
        let y = match self.widths[0] {
            Width::Int8 => {
                let [value] = constants::<i16, 1>(self.table, (code + 128) as usize);
                value as i32
            }
            Width::Int16 => interpolated(self.table, code),
        };
        match self.widths[1] {
            Width::Int8 => ((y + 128) >> 8).clamp(-128, 127),
            Width::Int16 => y,
        }
    }
}

crate::schedule::kernel!(LutInt16<'a>, |lookup| {
    check: |mem| lookup.views(mem),
    run: |(input, out), _| {
        let [h, w, bytes] = out.shape();
        for (y, x) in (0..h).flat_map(|y| (0..w).map(move |x| (y, x))) {
            let (cells, channels) = (out.pixel(y, x), input.pixel(y, x));
            for c in 0..bytes / lookup.widths[1].bytes() {
                let [code] = lookup.widths[0].block::<1>(channels, c);
                lookup.widths[1].put(cells, c, [lookup.one(code)]);
            }
        }
    },
    reads: [input],
    in place: true,
    cost: LOOK_UP,
});
