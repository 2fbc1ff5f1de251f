//! Bits of a scan: after a byte `ff` comes one of 7 bits, or a marker.

/// The bits up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    word: u64,
    left: u32,
    /// Whether the byte before was `ff`.
    stuffed: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, word: 0, left: 0, stuffed: false }
    }

    fn fill(&mut self) {
        while self.left <= 56 {
            let Some(byte) = self.bytes.get(self.at) else { return };
            let marker = *byte == 0xff && self.bytes.get(self.at + 1).is_none_or(|next| *next >= 0x80);
            if marker || (self.stuffed && *byte >= 0x80) {
                return;
            }
            let count = if self.stuffed { 7 } else { 8 };
            self.word |= u64::from(*byte) << (64 - count) >> self.left;
            self.left += count;
            self.stuffed = *byte == 0xff;
            self.at += 1;
        }
    }

    /// `n` bits, at most 32.
    pub(super) fn take(&mut self, n: u32) -> Result<u32, String> {
        if n == 0 {
            return Ok(0);
        }
        if self.left < n {
            self.fill();
        }
        if self.left < n {
            return Err(format!("the scan ends within a code, at byte {}", self.at));
        }
        let bits = (self.word >> (64 - n)) as u32;
        self.word <<= n;
        self.left -= n;
        Ok(bits)
    }

    /// Zeros before the next one, which is taken too; an error beyond `most`.
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32, String> {
        let mut zeros = 0;
        loop {
            if self.left == 0 {
                self.fill();
            }
            if self.left == 0 {
                return Err(format!("the scan ends within a code, at byte {}", self.at));
            }
            let run = self.word.leading_zeros().min(self.left);
            zeros += run;
            if zeros > most {
                return Err("a code that is too long".into());
            }
            if run < self.left {
                self.take(run)?;
                self.take(1)?;
                return Ok(zeros);
            }
            (self.word, self.left) = (0, 0);
        }
    }

    /// Where the scan's marker stands, or the place that was read up to.
    pub(super) fn end(&self) -> usize {
        self.at
    }
}
