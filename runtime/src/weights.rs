//! Bit errors in flash: a check of all constants in small portions, for a background task.

use crate::LayerInfo;
use core::{fmt, hint::black_box};

/// Constants of one layer, behind those of the block before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightBlock {
    /// Index of the layer that reads them; of several, the first. The number of layers stands for the input table.
    pub layer: u32,
    /// Byte behind the last one, a multiple of 4, counted from the first one of all parts.
    pub end: u32,
    /// [`WeightSum`] of the bytes.
    pub sum: u64,
}

/// Constants that are not those that the model was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightsError {
    /// As [`WeightBlock::layer`].
    pub index: usize,
    /// The layer's name, or `input table`.
    pub name: &'static str,
    /// First byte of the block, counted from the first one of all parts.
    pub offset: usize,
    /// Bytes of the block.
    pub len: usize,
    /// The sum at build time.
    pub expected: u64,
    /// The sum in flash.
    pub found: u64,
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, offset, len, expected, found } = self;
        write!(
            f,
            "weights of layer {index} `{name}` ({len} bytes from {offset}): {found:016x}, expected {expected:016x}"
        )
    }
}

impl core::error::Error for WeightsError {}

/// A sum of 32-bit words, little-endian, and the sum of all its values on the way.
///
/// It differs for any two texts that differ within one word, or in two bits anywhere, as long as they have less than 2 GiB. A word takes a
/// load and five additions of 32 bits, without a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightSum {
    words: u64,
    sums: u64,
}

impl WeightSum {
    /// The sum of no data.
    pub const fn new() -> Self {
        Self { words: 0, sums: 0 }
    }

    /// Adds bytes; an incomplete last word is left out.
    pub fn add(&mut self, bytes: &[i8]) {
        for word in bytes.as_chunks::<4>().0 {
            let word = u32::from_le_bytes(word.map(|byte| byte as u8));
            self.words = self.words.wrapping_add(u64::from(word));
            self.sums = self.sums.wrapping_add(self.words);
        }
    }

    /// The sum of all words so far. An error `d` in the word that `n` words follow changes it by `d * (n + 1 + 2^32)`, which is never a multiple
    /// of 2^64: `d` is none of 2^32, and the factor, below 1.5 * 2^32, is none of 2^33.
    pub const fn value(self) -> u64 {
        self.sums.wrapping_add(self.words << 32)
    }
}

/// The progress of a check. It is small, and zeros are a check that has not begun.
///
/// ```
/// use niello::{LayerInfo, kernels::Operand, weights::{WeightBlock, WeightCheck, WeightSum}};
///
/// # let output = Operand::arena(0, [1, 1, 1], 1);
/// # static LAYERS: [LayerInfo; 1] = [LayerInfo { name: "conv", kind: "Conv2d", macs: 0, output: Operand::arena(0, [1, 1, 1], 1) }];
/// // Generated code holds these, and calls `next` in its `check_weights`.
/// let mut weights = [7; 4096];
/// let mut sum = WeightSum::new();
/// sum.add(&weights);
/// let blocks = [WeightBlock { layer: 0, end: 4096, sum: sum.value() }];
///
/// let mut check = WeightCheck::new();
/// assert_eq!(check.next([&weights, &[]], &blocks, &LAYERS, 4000), Ok(false));
/// assert_eq!(check.next([&weights, &[]], &blocks, &LAYERS, 4000), Ok(true));
/// weights[1234] ^= 1;
/// assert_eq!(check.next([&weights, &[]], &blocks, &LAYERS, 8000).unwrap_err().name, "conv");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WeightCheck {
    block: usize,
    /// The next byte.
    at: usize,
    sum: WeightSum,
}

impl WeightCheck {
    /// Before the first byte.
    pub const fn new() -> Self {
        Self { block: 0, at: 0, sum: WeightSum::new() }
    }

    /// Its state, for code that keeps it elsewhere; zeros before the first byte.
    pub const fn to_words(self) -> [u64; 4] {
        [self.block as u64, self.at as u64, self.sum.words, self.sum.sums]
    }

    /// The check of that state.
    pub const fn from_words([block, at, words, sums]: [u64; 4]) -> Self {
        Self { block: block as usize, at: at as usize, sum: WeightSum { words, sums } }
    }

    /// Reads up to `bytes` more bytes of `parts`, of which no block has bytes of both: whole words, at least one. `true`: all blocks have been read
    /// since the beginning, and the next call begins again.
    ///
    /// # Errors
    /// A block with another sum. The next call goes on with the block behind it, or begins again behind the last.
    pub fn next(
        &mut self,
        parts: [&[i8]; 2],
        blocks: &[WeightBlock],
        layers: &'static [LayerInfo],
        bytes: usize,
    ) -> Result<bool, WeightsError> {
        // The compiler knows constants; `black_box` makes it read memory.
        let [first, second] = black_box(parts);
        let mut left = (bytes / 4).max(1) * 4;
        while let Some(block) = blocks.get(self.block) {
            let end = block.end as usize;
            let stop = end.min(self.at.saturating_add(left));
            let portion = match self.at.checked_sub(first.len()) {
                None => first.get(self.at..stop),
                Some(at) => second.get(at..stop.saturating_sub(first.len())),
            };
            self.sum.add(portion.unwrap_or_default());
            left = left.saturating_sub(stop.saturating_sub(self.at));
            self.at = stop;
            if stop < end {
                return Ok(false);
            }
            let found = core::mem::take(&mut self.sum).value();
            let offset =
                self.block.checked_sub(1).and_then(|i| blocks.get(i)).map_or(0, |before| before.end as usize);
            self.block += 1;
            let is_last = self.block >= blocks.len();
            if is_last {
                *self = Self::new();
            }
            if found != block.sum {
                let (index, expected) = (block.layer as usize, block.sum);
                let name = layers.get(index).map_or("input table", |layer| layer.name);
                return Err(WeightsError {
                    index,
                    name,
                    offset,
                    len: end.saturating_sub(offset),
                    expected,
                    found,
                });
            }
            if is_last {
                return Ok(true);
            }
            if left == 0 {
                return Ok(false);
            }
        }
        *self = Self::new();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{kernels::Operand, self_test::Codes};

    const LAYER: LayerInfo =
        LayerInfo { name: "a", kind: "Conv2d", macs: 0, output: Operand::arena(0, [1, 1, 1], 1) };
    static LAYERS: [LayerInfo; 3] =
        [LAYER, LayerInfo { name: "b", ..LAYER }, LayerInfo { name: "c", ..LAYER }];
    const ENDS: [usize; 4] = [64, 68, 260, 512];
    const OWNERS: [u32; 4] = [0, 1, 0, 3];

    fn weights() -> [i8; 512] {
        let mut codes = Codes::new(1);
        core::array::from_fn(|_| codes.next_code())
    }

    fn sum(bytes: &[i8]) -> u64 {
        let mut sum = WeightSum::new();
        sum.add(bytes);
        sum.value()
    }

    fn blocks(weights: &[i8]) -> [WeightBlock; 4] {
        core::array::from_fn(|i| {
            let start = i.checked_sub(1).map_or(0, |i| ENDS[i]);
            WeightBlock { layer: OWNERS[i], end: ENDS[i] as u32, sum: sum(&weights[start..ENDS[i]]) }
        })
    }

    /// As weights and a table.
    fn parts(weights: &[i8; 512]) -> [&[i8]; 2] {
        let (first, second) = weights.split_at(ENDS[2]);
        [first, second]
    }

    #[test]
    fn every_flipped_bit_is_told_with_its_layer_in_portions_of_any_size() {
        let mut weights = weights();
        let blocks = blocks(&weights);
        for portion in [0, 1, 4, 5, 60, 64, 100, 512, usize::MAX] {
            let mut check = WeightCheck::new();
            for round in 0..2 {
                let mut calls = 1;
                check = WeightCheck::from_words(check.to_words());
                while !check.next(parts(&weights), &blocks, &LAYERS, portion).unwrap() {
                    calls += 1;
                }
                assert!(calls >= 512usize.div_ceil(portion.max(4)), "round {round}: {calls} calls");
                assert_eq!(check, WeightCheck::new());
            }
            let step = if cfg!(miri) { 397 } else { 97 };
            for bit in (0..512 * 8).step_by(if portion == 512 && !cfg!(miri) { 1 } else { step }) {
                weights[bit / 8] ^= 1 << (bit % 8);
                let (mut errors, mut owner) = (0, 0);
                loop {
                    match check.next(parts(&weights), &blocks, &LAYERS, portion) {
                        Ok(false) => {}
                        Ok(true) => break,
                        Err(error) => {
                            assert!((error.offset..error.offset + error.len).contains(&(bit / 8)));
                            (errors, owner) = (errors + 1, error.index);
                            assert_eq!(error.name, ["a", "b", "c", "input table"][owner]);
                            if check == WeightCheck::new() {
                                break;
                            }
                        }
                    }
                }
                let block = ENDS.iter().position(|end| bit / 8 < *end).unwrap();
                assert_eq!((errors, owner), (1, OWNERS[block] as usize), "bit {bit}");
                weights[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn any_two_flipped_bits_and_any_other_word_change_the_sum() {
        let mut bytes = [0i8; 40];
        for text in [[0; 40], [-1; 40], core::array::from_fn(|i| weights()[i])] {
            bytes.copy_from_slice(&text);
            let own = sum(&bytes);
            // Every pair; for Miri, a few.
            let step = if cfg!(miri) { 29 } else { 1 };
            for first in (0..320).step_by(step) {
                for second in (first + 1..320).step_by(step) {
                    [first, second].iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
                    assert_ne!(sum(&bytes), own, "{first}, {second}");
                    [first, second].iter().for_each(|bit| bytes[bit / 8] ^= 1 << (bit % 8));
                }
            }
            for word in 0..10 {
                // Erased, or read as zeros.
                for byte in [0, -1] {
                    let mut other = text;
                    other[4 * word..4 * word + 4].fill(byte);
                    assert_eq!(sum(&other) == own, other == text);
                }
            }
        }
    }

    #[test]
    fn a_model_without_constants_is_checked_at_once() {
        assert_eq!(WeightCheck::new().next([&[], &[]], &[], &LAYERS, 100), Ok(true));
    }
}
