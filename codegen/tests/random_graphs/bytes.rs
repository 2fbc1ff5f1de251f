//! Bytes as a source of choices: a fuzzer's own, or those that follow from a seed.

/// Reads choices from bytes; behind their end all are zero, and zero is the plainest choice.
#[derive(Clone, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    pub(crate) fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        self.0 = rest;
        first.into()
    }

    /// `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.byte() % count
    }

    /// One of some.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

/// Vigna's SplitMix64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In `[-1, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

/// Bytes of the header of a graph.
pub(crate) const HEADER: usize = 24;
/// Bytes of each of its nodes: where some are left out, the others stay what they are.
pub(crate) const NODE: usize = 12;

/// The bytes of a random graph.
pub(crate) fn of_seed(seed: u64) -> Vec<u8> {
    let mut rng = Rng(seed);
    let nodes = 1 + rng.next() % 12;
    let len = HEADER + NODE * nodes as usize;
    std::iter::repeat_with(|| rng.next().to_le_bytes()).flatten().take(len).collect()
}

/// As text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From text.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (16 * pair[0] + pair[1]) as u8).collect()
}
