//! Tensors of floating point, and the definitions of what kernels do with a number, written without the kernels.
#![allow(dead_code, reason = "each test binary uses a part")]

use crate::common::{Arena, Tensor, instruction_sets};
use niello_kernels::{Float, FloatBounds, Kernel, Operand, Region};

/// Numbers of a tensor, each one of its type.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    pub(crate) shape: [usize; 3],
    pub(crate) float: Float,
    pub(crate) data: Vec<f32>,
}

pub(crate) fn next(seed: &mut u64) -> u32 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 33) as u32
}

/// Mostly from -4 to 4; any bits at all among them if `wild`.
pub(crate) fn random(seed: &mut u64, wild: bool) -> f32 {
    let bits = next(seed);
    match bits % 32 {
        0 if wild => f32::from_bits(next(seed) << 1 ^ next(seed)),
        1 if wild => {
            [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -1e30][next(seed) as usize % 6]
        }
        2 => 0.0,
        3 => -0.0,
        4 => 1.0,
        _ => (next(seed) as f32 / (1u32 << 28) as f32) - 4.0,
    }
}

impl Numbers {
    /// Rounds each number to the type.
    pub(crate) fn new(shape: [usize; 3], float: Float, mut number: impl FnMut(usize) -> f32) -> Self {
        let data = (0..shape.iter().product()).map(|i| decode(&encode(number(i), float), float)).collect();
        Self { shape, float, data }
    }

    pub(crate) fn random(shape: [usize; 3], float: Float, seed: &mut u64, wild: bool) -> Self {
        Self::new(shape, float, |_| random(seed, wild))
    }

    pub(crate) fn at(&self, y: usize, x: usize, c: usize) -> f32 {
        self.data[(y * self.shape[1] + x) * self.shape[2] + c]
    }

    pub(crate) fn bytes(&self) -> Tensor {
        let [h, w, c] = self.shape;
        let data = self.data.iter().flat_map(|x| encode(*x, self.float)).map(|b| b as i8).collect();
        Tensor::new([h, w, c * self.float.bytes()], data)
    }
}

/// Little-endian bytes of the nearest number.
pub(crate) fn encode(x: f32, float: Float) -> Vec<u8> {
    match float {
        Float::F32 => x.to_le_bytes().to_vec(),
        Float::F16 => half_bits(x).to_le_bytes().to_vec(),
    }
}

fn decode(bytes: &[u8], float: Float) -> f32 {
    match float {
        Float::F32 => f32::from_le_bytes(bytes.try_into().unwrap()),
        Float::F16 => half_value(u16::from_le_bytes(bytes.try_into().unwrap())),
    }
}

/// The nearest half, by arithmetic.
fn half_bits(x: f32) -> u16 {
    let (sign, magnitude) = (if x.is_sign_negative() { 0x8000 } else { 0 }, f64::from(x.abs()));
    if x.is_nan() {
        return sign | 0x7e00;
    }
    if magnitude >= 65520.0 {
        return sign | 0x7c00;
    }
    let exponent = if magnitude < 2f64.powi(-14) { -14 } else { magnitude.log2().floor() as i32 };
    let steps = (magnitude / 2f64.powi(exponent - 10)).round_ties_even() as u16;
    // The leading bit of a normal number adds one to the exponent, as does a carry.
    sign | (((exponent + 14) as u16) << 10).wrapping_add(steps)
}

fn half_value(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from((bits >> 10) & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1024.0 + fraction) * 2f32.powi(e - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// What [`FloatBounds`] says.
pub(crate) fn clamp(x: f32, range: FloatBounds) -> f32 {
    match x {
        _ if x.is_nan() || x <= range.least => range.least,
        _ if x >= range.most => range.most,
        _ => x,
    }
}

/// The canonical NaN.
pub(crate) fn number(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x }
}

/// `n` and `e^r - 1`: the definition of the exponential's parts.
fn reduced(x: f32) -> (i32, f32) {
    let n = f32::mul_add(x, std::f32::consts::LOG2_E, 12_582_912.0) - 12_582_912.0;
    let r = f32::mul_add(n, 2.121_944_4e-4, f32::mul_add(n, -0.693_359_4, x));
    let q = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5]
        .iter()
        .fold(1.987_569_1e-4, |q: f32, coefficient| q.mul_add(r, *coefficient));
    (n as i32, q.mul_add(r * r, r))
}

pub(crate) fn exp(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let (n, p) = reduced(x.clamp(-104.0, 89.0));
    let half = n.div_euclid(2);
    (1.0 + p) * 2f32.powi(half) * 2f32.powi(n - half)
}

pub(crate) fn expm1(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    let (n, p) = reduced(x.max(-20.0));
    p.mul_add(2f32.powi(n), 2f32.powi(n) - 1.0)
}

/// Makes a kernel from its operands and its output.
pub(crate) type Make<'a> = &'a dyn Fn(&[Operand], Operand) -> Box<dyn Kernel + 'a>;

/// The kernel that `make` gives for operands with gaps between their pixels, on every instruction set.
pub(crate) fn check(inputs: &[&Tensor], expected: &Tensor, gap: usize, make: Make<'_>) {
    for isa in instruction_sets() {
        let mut arena = Arena::new();
        let operands: Vec<Operand> = inputs.iter().map(|t| arena.place(t, t.shape[2] + gap)).collect();
        let output = arena.reserve(expected.shape, expected.shape[2] + gap);
        let kernel = make(&operands, output);
        let found = arena.run(&*kernel, isa, &output, Region::EMPTY);
        assert!(found == *expected, "on {}: {}", isa.name(), difference(&found, expected));
    }
}

/// The same, into the view of the first operand.
pub(crate) fn check_in_place(inputs: &[&Tensor], expected: &Tensor, gap: usize, make: Make<'_>) {
    for isa in instruction_sets() {
        let mut arena = Arena::new();
        let operands: Vec<Operand> = inputs.iter().map(|t| arena.place(t, t.shape[2] + gap)).collect();
        let kernel = make(&operands, operands[0]);
        let found = arena.run(&*kernel, isa, &operands[0], Region::EMPTY);
        assert!(found == *expected, "in place on {}: {}", isa.name(), difference(&found, expected));
    }
}

fn difference(found: &Tensor, expected: &Tensor) -> String {
    let at = found.data.iter().zip(&expected.data).position(|(a, b)| a != b);
    format!("byte {at:?} of {:?} differs", expected.shape)
}
