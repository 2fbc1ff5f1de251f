//! Synthetic weights from tensor names: the same bits in any language.
//!
//! Each tensor has its own SplitMix64 stream (Steele, Lea and Flood, OOPSLA 2014, doi 10.1145/2660193.2660195), started
//! from the FNV-1a hash of its name. Everything is 64-bit wrapping integers and `f64` without fused multiply-add; one
//! rounding to `f32` (nearest, ties to even) comes last. A stream value is `v = 2 * (top 24 bits / 2^24) - 1`, exact and
//! in `[-1, 1)`; the tensor's [`Kind`] scales it so that activations keep their size through a deep network:
//!
//! | kind | value |
//! |---|---|
//! | convolution, transposed convolution, linear weights | `v * sqrt(6 / fan_in)`, `fan_in = elements / shape[0]` |
//! | any bias, batch norm's mean | `0.1 * v` |
//! | batch norm's factor | `1 + 0.2 * v` |
//! | batch norm's variance | `1 + 0.5 * v` |
//! | PReLU slopes | `0.25 + 0.1 * v` |
//! | embeddings, LSH rotations | `v` |

use super::{Kind, Request, WeightSource};

/// Weights that follow from their names.
///
/// ```
/// use niello_codegen::weights::{Kind, Request, Seeded, WeightSource};
///
/// let request = Request { name: "conv1_block.0.weight", shape: &[64, 1, 3, 3], kind: Kind::ConvWeight };
/// let weights = Seeded::new().load(&request).unwrap();
/// assert_eq!(weights[0].to_bits(), 0x3f4d_2ef7);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Seeded {
    gains: Vec<(String, f64)>,
}

impl Seeded {
    /// The plain recipe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Multiplies tensors whose name matches the shell glob `pattern` (`*` any run of characters, dots included; `?` any
    /// one character) by `factor`, before the rounding to `f32`. Gains of several matching patterns multiply.
    pub fn gain(mut self, pattern: impl Into<String>, factor: f64) -> Self {
        self.gains.push((pattern.into(), factor));
        self
    }

    fn gain_of(&self, name: &str) -> f64 {
        self.gains
            .iter()
            .filter(|(pattern, _)| matches_glob(pattern, name))
            .map(|(_, factor)| factor)
            .product()
    }
}

impl WeightSource for Seeded {
    fn describe(&self) -> String {
        "seeded weights".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        let len: usize = request.shape.iter().product();
        let fan_in = len.checked_div(request.shape.first().copied().unwrap_or(0)).unwrap_or(0);
        let bound = (6.0 / fan_in as f64).sqrt();
        let gain = self.gain_of(request.name);
        let value = |v: f64| match request.kind {
            Kind::ConvWeight | Kind::ConvTransposeWeight | Kind::LinearWeight => v * bound,
            Kind::Bias | Kind::BatchNormBias | Kind::BatchNormMean => 0.1 * v,
            Kind::BatchNormWeight => 1.0 + 0.2 * v,
            Kind::BatchNormVariance => 1.0 + 0.5 * v,
            Kind::PReluSlope => 0.25 + 0.1 * v,
            Kind::Embedding | Kind::LshRotation => v,
        };
        Ok(seeded_values(request.name).take(len).map(|v| (value(v) * gain) as f32).collect())
    }
}

/// The endless stream of `key`: values in `[-1, 1)`.
pub fn seeded_values(key: &str) -> impl Iterator<Item = f64> + use<> {
    let mut state = fnv1a(key.as_bytes()) ^ 20_200_501;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        2.0 * ((z >> 40) as f64 / (1u64 << 24) as f64) - 1.0
    })
}

/// `len` input values of the stream `key`: `scale * u + offset` with `u` in `[0, 1)`.
pub fn seeded_input(key: &str, len: usize, scale: f64, offset: f64) -> Vec<f32> {
    seeded_values(key).take(len).map(|v| (scale * ((v + 1.0) / 2.0) + offset) as f32).collect()
}

/// FNV-1a, 64 bits (Fowler, Noll and Vo; draft-eastlake-fnv).
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |h: u64, b: &u8| (h ^ *b as u64).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// Shell glob with `*` and `?`; linear in `text` per star, never exponential.
fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to resume when a literal fails: after the last star, having let it take one more character.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match retry {
                Some((after, taken)) => {
                    retry = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_check_values() {
        assert_eq!(fnv1a(b"conv1_block.0.weight"), 0xd547_2aa9_e650_8348);
        assert_eq!(fnv1a(b"input"), 0x1ebb_ae8f_5810_b65b);
        let request = Request { name: "conv1_block.0.weight", shape: &[64, 1, 3, 3], kind: Kind::ConvWeight };
        let bits: Vec<u32> = Seeded::new().load(&request).unwrap()[..4].iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, [0x3f4d_2ef7, 0xbe0e_ec7d, 0xbed1_8f17, 0xbf0a_278b]);
        let bits: Vec<u32> = seeded_input("input", 4, 1.0, 0.0).iter().map(|v| v.to_bits()).collect();
        assert_eq!(bits, [0x3f76_7b46, 0x3f28_be38, 0x3f61_6814, 0x3dbe_e5a0]);
    }

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*.ext_conv3.1.weight", "regular1_1.ext_conv3.1.weight", true),
            ("*.ext_conv3.1.weight", "ext_conv3.1.weight", false),
            ("conv2d_list.?.weight", "conv2d_list.2.weight", true),
            ("conv2d_list.?.weight", "conv2d_list.12.weight", false),
            ("features.*.block.3.1.weight", "features.4.0.block.3.1.weight", true),
            ("*long*.conv1.weight", "level1_long.0.conv1.weight", true),
            ("*ab", "aab", true),
            ("a*b*c", "a-b-b-d", false),
            ("a?", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn gains_multiply_before_rounding() {
        let request = Request { name: "a.weight", shape: &[2, 3], kind: Kind::LinearWeight };
        let plain = Seeded::new().load(&request).unwrap();
        let scaled =
            Seeded::new().gain("*.weight", 0.5).gain("a.*", 0.5).gain("b.*", 7.0).load(&request).unwrap();
        assert_eq!(scaled, plain.iter().map(|v| v / 4.0).collect::<Vec<_>>());
    }

    #[test]
    fn empty_shapes_are_harmless() {
        for (shape, len) in [(&[][..], 1), (&[0, 3], 0), (&[3, 0], 0)] {
            let request = Request { name: "x", shape, kind: Kind::Bias };
            assert_eq!(Seeded::new().load(&request).unwrap().len(), len);
        }
    }
}
