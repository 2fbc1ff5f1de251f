//! Huffman-coded scans (T.81, annexes F and G).

use super::{Frame, Problem, damaged, idct::ZIGZAG};
use std::ops::RangeInclusive;

/// A code: for each length the first code, and where its values begin.
pub(super) struct Huffman {
    /// Value and length of the code that starts with a byte, 0 for longer codes.
    short: [(u8, u8); 256],
    /// For each length: the code behind its last one, and the offset from a code to its value's index.
    lengths: [(u32, i32); 17],
    values: Vec<u8>,
}

impl Huffman {
    /// A table from the number of codes of each length and their values; `None` if there are more codes than a length has.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let (mut code, mut index) = (0u32, 0usize);
        let mut table = Self { short: [(0, 0); 256], lengths: [(0, 0); 17], values: values.to_vec() };
        for (length, count) in (1..).zip(counts.iter().map(|n| u32::from(*n))) {
            if code + count > 1 << length {
                return None;
            }
            table.lengths[length] = (code + count, index as i32 - code as i32);
            for value in values.get(index..index + count as usize)? {
                if length <= 8 {
                    let from = (code << (8 - length)) as usize;
                    table.short[from..from + (1 << (8 - length))].fill((*value, length as u8));
                }
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        Some(table)
    }
}

/// The bits of a scan up to its next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    word: u64,
    /// Bits in `word` that come from the file.
    left: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, word: 0, left: 0 }
    }

    /// Where the next byte is read: behind the data once a scan is decoded, as a marker stops the filling.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Fills the word, unless a marker comes.
    fn fill(&mut self) {
        while self.left <= 56 {
            let step = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => 2,
                Some([0xff, ..]) | Some([]) | None => return,
                Some(_) => 1,
            };
            self.word |= u64::from(self.bytes[self.at]) << (56 - self.left);
            self.left += 8;
            self.at += step;
        }
    }

    fn take(&mut self, n: u32) -> Result<u32, Problem> {
        if n == 0 {
            return Ok(0);
        }
        if self.left < n {
            self.fill();
        }
        if self.left < n {
            return damaged(format!("a scan ends within a code, at byte {}", self.at));
        }
        let bits = (self.word >> (64 - n)) as u32;
        self.word <<= n;
        self.left -= n;
        Ok(bits)
    }

    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Problem> {
        if self.left < 16 {
            self.fill();
        }
        let (value, length) = table.short[(self.word >> 56) as usize];
        if length > 0 {
            self.take(length.into())?;
            return Ok(value);
        }
        for length in 9..=16 {
            let code = (self.word >> (64 - length)) as u32;
            let (end, offset) = table.lengths[length as usize];
            if code < end {
                self.take(length)?;
                let value = usize::try_from(code as i32 + offset).ok().and_then(|i| table.values.get(i));
                return value.copied().map_or_else(|| damaged("a code that no table has"), Ok);
            }
        }
        damaged(format!("a code that no table has, before byte {}", self.at))
    }

    /// A signed number of `n` bits (T.81, F.2.2.1).
    pub(super) fn number(&mut self, n: u32) -> Result<i32, Problem> {
        let value = self.take(n)? as i32;
        Ok(if n > 0 && value < 1 << (n - 1) { value - (1 << n) + 1 } else { value })
    }

    /// Goes behind the restart marker `index`.
    pub(super) fn restart(&mut self, index: usize) -> Result<(), Problem> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let fill = rest.iter().take_while(|b| **b == 0xff).count();
        if self.left >= 8 || fill == 0 || rest.get(fill) != Some(&(0xd0 + (index % 8) as u8)) {
            return damaged(format!("expected restart marker {} at byte {}", index % 8, self.at));
        }
        *self = Bits { at: self.at + fill + 1, word: 0, left: 0, ..*self };
        Ok(())
    }
}

/// A scan header.
pub(super) struct Scan<'a> {
    /// Coefficients, in zigzag order.
    pub range: RangeInclusive<usize>,
    /// Bits that earlier scans have left out, 0 for a first scan.
    pub high: u8,
    /// Bits that this scan leaves out.
    pub low: u8,
    /// MCUs between restart markers.
    pub restart: usize,
    pub dc: &'a [Option<Huffman>; 4],
    pub ac: &'a [Option<Huffman>; 4],
}

/// The state between blocks.
#[derive(Default)]
struct State {
    /// The DC coefficient before, of each component of the scan.
    dc: [i32; 4],
    /// Blocks that are still without coefficients.
    run: u32,
}

impl Scan<'_> {
    /// Decodes the data at `at` for the `chosen` components (index, DC and AC table); where it ends.
    pub(super) fn decode(
        &self,
        bytes: &[u8],
        at: usize,
        frame: &mut Frame,
        chosen: &[(usize, usize, usize)],
    ) -> Result<usize, Problem> {
        let mut bits = Bits::new(bytes, at);
        let mut state = State::default();
        // A component alone comes block by block, and without the blocks that only fill up an MCU.
        let single = chosen.len() == 1;
        let [rows, columns] = match chosen {
            [(index, ..)] => frame.components[*index].blocks,
            _ => [(frame.h, 0), (frame.w, 1)].map(|(n, i)| n.div_ceil(8 * frame.max[i])),
        };
        let factors =
            |frame: &Frame, index: usize| if single { [1, 1] } else { frame.components[index].factors };
        let blocks: usize = chosen.iter().map(|(i, ..)| factors(frame, *i).iter().product::<usize>()).sum();
        if blocks > 10 {
            return damaged("more than ten blocks in an MCU");
        }
        for mcu in 0..rows * columns {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                bits.restart(mcu / self.restart - 1)?;
                state = State::default();
            }
            for (place, (index, dc, ac)) in chosen.iter().enumerate() {
                let [v, h] = factors(frame, *index);
                let component = &mut frame.components[*index];
                for i in 0..v * h {
                    let (y, x) = (mcu / columns * v + i / h, mcu % columns * h + i % h);
                    let block = &mut component.coefficients[y * component.stride + x];
                    let tables = (self.dc.get(*dc), self.ac.get(*ac));
                    let tables = (tables.0.and_then(Option::as_ref), tables.1.and_then(Option::as_ref));
                    self.block(&mut bits, &mut state, place, tables, block, frame.progressive)?;
                }
            }
        }
        Ok(bits.at())
    }

    fn block(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        place: usize,
        (dc, ac): (Option<&Huffman>, Option<&Huffman>),
        block: &mut [i16; 64],
        progressive: bool,
    ) -> Result<(), Problem> {
        let table =
            |table: Option<_>| table.ok_or_else(|| Problem::Damaged("a Huffman table is missing".into()));
        let (first, last) = (*self.range.start(), *self.range.end());
        if first == 0 {
            if self.high > 0 {
                block[0] |= (bits.take(1)? as i16) << self.low;
            } else {
                let size = bits.symbol(table(dc)?)?;
                if size > 15 {
                    return damaged("a DC coefficient of more than 15 bits");
                }
                state.dc[place] = state.dc[place].wrapping_add(bits.number(size.into())?);
                block[0] = (state.dc[place] << self.low) as i16;
            }
        }
        if last == 0 {
            return Ok(());
        }
        let ac = table(ac)?;
        if self.high > 0 {
            return self.refine(bits, state, ac, block);
        }
        if state.run > 0 {
            state.run -= 1;
            return Ok(());
        }
        let mut k = first.max(1);
        while k <= last {
            let symbol = bits.symbol(ac)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => k += 16,
                (0, 0) => break,
                (_, 0) if progressive => {
                    state.run = (1 << zeros) + bits.take(zeros as u32)? - 1;
                    break;
                }
                (_, 0) => break,
                _ => {
                    k += zeros;
                    if k > last {
                        return damaged("more coefficients than a block has");
                    }
                    block[ZIGZAG[k]] = (bits.number(size)? << self.low) as i16;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// One more bit of each coefficient (T.81, G.1.2.3).
    fn refine(
        &self,
        bits: &mut Bits<'_>,
        state: &mut State,
        ac: &Huffman,
        block: &mut [i16; 64],
    ) -> Result<(), Problem> {
        let bit = 1i16 << self.low;
        let more = |bits: &mut Bits<'_>, value: &mut i16| -> Result<(), Problem> {
            if bits.take(1)? == 1 && *value & bit == 0 {
                *value = value.wrapping_add(if *value < 0 { -bit } else { bit });
            }
            Ok(())
        };
        let (mut k, last) = (*self.range.start(), *self.range.end());
        while state.run == 0 && k <= last {
            let symbol = bits.symbol(ac)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let new = match size {
                0 if zeros == 15 => 0,
                0 => {
                    // This block counts too; its remaining coefficients are refined below.
                    state.run = (1 << zeros) + bits.take(zeros.into())?;
                    break;
                }
                1 => {
                    if bits.take(1)? == 1 {
                        bit
                    } else {
                        -bit
                    }
                }
                _ => return damaged("a refined coefficient of more than one bit"),
            };
            while k <= last {
                let value = &mut block[ZIGZAG[k]];
                if *value != 0 {
                    more(bits, value)?;
                } else if zeros == 0 {
                    *value = new;
                    k += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
        }
        if state.run > 0 {
            for k in k..=last {
                let value = &mut block[ZIGZAG[k]];
                if *value != 0 {
                    more(bits, value)?;
                }
            }
            state.run -= 1;
        }
        Ok(())
    }
}
