//! Sigmoid and hyperbolic tangent, from one short table.

use super::{Width, constants, elementwise::ELEMENT};
use crate::{
    Operand,
    formats::elements::{Map, Mapping},
};

/// `1 / (1 + exp(-x))`, or the hyperbolic tangent, of 16 bits at scale `2^-15`: TensorFlow Lite's int16 `LOGISTIC` and `TANH`.
///
/// Both are lines between the values at multiples of 1/24, mirrored at 0.
///
/// ```text
/// t = floor((in * multiplier + half) / 2^shift), half = 2^(shift - 1), or 0 where `shift` is 0
/// i = floor(|t| / 2^b), o = |t| mod 2^b                     b = 9, or 8 for the tangent
/// y = 2^b (2^15 + table[i]) + o (table[i + 1] - table[i])   2^25 - 2^10 (tangent: 2^24 - 2^8) from i = 255 on
/// sigmoid:  out = floor((y + 2^9) / 2^10)            t >= 0, else floor((2^25 - y + 2^9 - 1) / 2^10)
/// tangent:  out = floor((y - 2^23 + 2^7) / 2^8)      t >= 0, else floor((2^23 - y + 2^7 - 1) / 2^8)
/// ```
///
/// `output` may be the same view as `input`.
#[derive(Clone, Copy, Debug)]
pub struct SigmoidInt16<'a> {
    /// The input.
    pub input: Operand,
    /// Result, of the same height, width and channels.
    pub output: Operand,
    /// [`SigmoidInt16::ENTRIES`] entries: `2^16 / (1 + exp(-i / 24)) - 2^15`, not negative and not decreasing.
    pub table: &'a [i16],
    /// A step of the input in 3 * 2^12 parts of 1, times `2^shift`: 0 to 32767, or to 65535 where `shift` is 0.
    pub multiplier: i32,
    /// 0 to 31.
    pub shift: u32,
    /// Whether it is the tangent.
    pub tangent: bool,
}

impl SigmoidInt16<'_> {
    /// Entries of the table.
    pub const ENTRIES: usize = 256;

    #[inline(always)]
    fn one(&self, code: i32) -> i32 {
        let shift = self.shift & 31;
        let half = if shift == 0 { 0 } else { 1i32.wrapping_shl(shift - 1) };
        let at = code.wrapping_mul(self.multiplier).wrapping_add(half) >> shift;
        let bits = if self.tangent { 8 } else { 9 };
        let (distance, unit) = (at.unsigned_abs(), 1i32 << bits);
        let y = match distance >> bits {
            // The largest number of 16 bits, which the sigmoid has one bit less of.
            255.. if self.tangent => 0xffff * unit,
            255.. => 0x7fff * 2 * unit,
            i => {
                let [low, high] = constants::<i16, 2>(self.table, i as usize).map(i32::from);
                let part = (distance & (unit as u32 - 1)) as i32;
                unit * (low + (1 << 15)) + part * (high - low)
            }
        };
        // The middle, and the bits that are rounded off.
        let (middle, off) = if self.tangent { (1 << 23, 8) } else { (0, 10) };
        let half = 1 << (off - 1);
        match (self.tangent, at >= 0) {
            (_, true) => (y - middle + half) >> off,
            (true, false) => (middle - y + half - 1) >> off,
            (false, false) => ((1 << 25) - y + half - 1) >> off,
        }
    }
}

impl Mapping<i32, i32> for SigmoidInt16<'_> {
    const BY_CHANNEL: bool = false;
    const SHORT: bool = false;

    #[inline(always)]
    fn of<const N: usize>(&self, _: usize, codes: [i32; N]) -> [i32; N] {
        codes.map(|code| self.one(code))
    }
}

crate::schedule::kernel!(SigmoidInt16<'a>, |sigmoid| {
    check: |mem| Map::new(mem, [&sigmoid.input, &sigmoid.output], [Width::Int16; 2], *sigmoid)
        .filter(|_| sigmoid.table.len() >= SigmoidInt16::ENTRIES && (0..=65535).contains(&sigmoid.multiplier)),
    run: |map, isa| isa.vectorize(map),
    reads: [input],
    in place: true,
    cost: ELEMENT,
});
