//! The numeric contract: from a 32-bit accumulator to an `i8`, the same on every target.
//!
//! A real factor `r > 0` is held as [`Multiplier`] `(m, e)` with `r ~ m / 2^31 * 2^e` and `m` in `[2^30, 2^31)`.
//! Three roundings are defined; a program names the one that it uses, and a layer of a file may have another one.
//!
//! [`Rounding::TfliteDouble`] is what the TensorFlow Lite reference kernels compute (and TFLM and CMSIS-NN after them):
//!
//! ```text
//! a  = acc * 2^max(e, 0)                              32-bit; lowering proves that it fits
//! h  = floor((a * m + 2^30) / 2^31)                   to nearest, ties towards plus infinity
//! y  = h / 2^max(-e, 0)                               to nearest, ties away from zero
//! ```
//!
//! [`Rounding::Single`] rounds the 64-bit product once, ties towards plus infinity:
//!
//! ```text
//! y  = floor((acc * m + 2^(30 - e)) / 2^(31 - e))
//! ```
//!
//! [`Rounding::FloatEven`] is what onnxruntime computes: each operation is rounded to an `f32`, and the product to nearest, ties to even:
//!
//! ```text
//! y  = nearest(f32(acc) * f32(m * 2^(e - 31)))
//! ```
//!
//! Then, for all, `q = clamp(y + zero_point, min, max)`. `docs/arithmetic.md` works through the ties and extremes.

/// How a scaled accumulator is rounded. There is no default in code that computes: every call names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Saturating rounding doubling high multiply, then a rounding shift (TensorFlow Lite's reference kernels).
    TfliteDouble,
    /// One rounding of the 64-bit product, ties towards plus infinity.
    Single,
    /// The product in single precision, then to nearest, ties to even (onnxruntime).
    FloatEven,
}

/// A positive real factor as a 31-bit mantissa and a power of two: `mantissa / 2^31 * 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplier {
    /// In `[2^30, 2^31)`, or 0 for the factor 0. Smaller positive ones are valid, and less precise.
    pub mantissa: i32,
    /// In `[-31, 30]`; positive shifts left.
    pub shift: i32,
}

impl Multiplier {
    /// The factor 0.
    pub const ZERO: Self = Self { mantissa: 0, shift: 0 };

    /// The nearest representable factor, ties away from zero, as TensorFlow Lite's `QuantizeMultiplier` derives it.
    ///
    /// Returns `None` for a factor that is negative, not finite, or `>= 2^30`. A factor below `2^-32` becomes 0, as
    /// it does there.
    pub const fn from_real(real: f64) -> Option<Self> {
        if real == 0.0 {
            return Some(Self::ZERO);
        }
        let bits = real.to_bits();
        let exponent_field = (bits >> 52) as i32;
        // A set sign bit makes the field negative-like (> 2046); 2047 is infinity or NaN.
        if exponent_field >= 2047 {
            return None;
        }
        // real = fraction * 2^exponent with fraction in [0.5, 1); subnormals are far below 2^-32.
        if exponent_field == 0 {
            return Some(Self::ZERO);
        }
        let mut shift = exponent_field - 1022;
        let significand = (bits & ((1 << 52) - 1)) | (1 << 52); // fraction * 2^53
        let mut mantissa = (significand + (1 << 21)) >> 22; // fraction * 2^31, half away from zero
        if mantissa == 1 << 31 {
            mantissa >>= 1;
            shift += 1;
        }
        if shift < -31 {
            return Some(Self::ZERO);
        }
        if shift > 30 {
            return None;
        }
        Some(Self { mantissa: mantissa as i32, shift })
    }

    /// The factor that this stands for, exactly.
    pub fn to_real(self) -> f64 {
        let mut real = self.mantissa as f64 / 2_147_483_648.0;
        let mut shift = self.shift;
        while shift > 0 {
            real *= 2.0;
            shift -= 1;
        }
        while shift < 0 {
            real *= 0.5;
            shift += 1;
        }
        real
    }

    /// The factor in single precision, for [`Rounding::FloatEven`]. That of an `f32` from `2^-32` on is that `f32` again.
    #[inline(always)]
    pub const fn to_f32(self) -> f32 {
        self.mantissa as f32 * f32::from_bits((self.shift.wrapping_add(127 - 31) as u32) << 23)
    }

    /// `acc` times the factor, rounded as `rounding` says.
    #[inline(always)]
    pub const fn apply(self, acc: i32, rounding: Rounding) -> i32 {
        match rounding {
            Rounding::TfliteDouble => {
                let left = if self.shift > 0 { self.shift } else { 0 };
                let right = if self.shift > 0 { 0 } else { -self.shift };
                rounding_shift_right(
                    doubling_high_multiply(acc.wrapping_shl(left as u32), self.mantissa),
                    right,
                )
            }
            Rounding::Single => {
                let right = 31 - self.shift; // 1..=62
                let product = acc as i64 * self.mantissa as i64;
                ((product + (1i64 << (right - 1))) >> right) as i32
            }
            Rounding::FloatEven if IN_FLOATS => float_even(acc, self.to_f32()),
            Rounding::FloatEven => even_in_integers(acc, self.mantissa, self.shift),
        }
    }
}

/// Whether the scalar kernels round in floating point for [`Rounding::FloatEven`]. Firmware in int8 has no floating point, whatever its core has.
const IN_FLOATS: bool = cfg!(not(any(target_arch = "arm", target_arch = "riscv32")));

/// `acc` times a factor that is not negative, in single precision, to nearest, ties to even; saturated to 32 bits.
///
/// No number is denormal, so that units without those return the same: a factor is 0 or at least `2^-62`.
#[inline(always)]
pub(crate) const fn float_even(acc: i32, factor: f32) -> i32 {
    // Numbers from here on are whole, and sums with this one are rounded to whole ones.
    const WHOLE: f32 = 8_388_608.0;
    let product = acc as f32 * factor;
    let magnitude = product.abs();
    let whole = if magnitude < WHOLE { (magnitude + WHOLE) - WHOLE } else { magnitude };
    whole.copysign(product) as i32
}

/// [`float_even`] in integers, of the factor `mantissa * 2^(shift - 31)`: a magnitude to 24 bits, its product to 24 bits, that to a whole number.
#[inline(never)]
const fn even_in_integers(acc: i32, mantissa: i32, shift: i32) -> i32 {
    let product = to_24_bits(to_24_bits(acc.unsigned_abs() as u64) * to_24_bits(mantissa as u64));
    let whole = nearest(product, (31 - shift) as u32);
    if acc < 0 {
        return if whole > i32::MAX as u64 { i32::MIN } else { -(whole as i32) };
    }
    if whole > i32::MAX as u64 { i32::MAX } else { whole as i32 }
}

/// The nearest number of 24 significant bits, ties to even.
const fn to_24_bits(x: u64) -> u64 {
    let extra = 40u32.saturating_sub(x.leading_zeros());
    nearest(x, extra) << extra
}

/// `x / 2^bits` to nearest, ties to even; `bits` is at most 62.
const fn nearest(x: u64, bits: u32) -> u64 {
    if bits == 0 {
        return x;
    }
    let (whole, rest, half) = (x >> bits, x & ((1 << bits) - 1), 1 << (bits - 1));
    whole + (rest > half || (rest == half && whole & 1 == 1)) as u64
}

/// `round(a * b / 2^31)`, ties towards plus infinity; the one overflow, `i32::MIN * i32::MIN`, saturates.
///
/// gemmlowp's `SaturatingRoundingDoublingHighMul`. There it is written as a truncating division after a nudge of
/// `2^30`, or `1 - 2^30` for negative products, which is `floor((a * b + 2^30) / 2^31)` for either sign: with
/// `a * b = -p`, `-floor((p + 2^30 - 1) / 2^31) = ceil((-p - 2^30 + 1) / 2^31) = floor((-p + 2^30) / 2^31)`.
#[inline(always)]
pub const fn doubling_high_multiply(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    high_multiply(a, b)
}

/// [`doubling_high_multiply`] where not both are `i32::MIN`: mantissas are not negative.
#[inline(always)]
const fn high_multiply(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
}

/// The nearest integer, ties to even, of numbers between `-2^20` and `2^20`; larger ones count as those, NaN as `2^20`.
#[inline(always)]
pub(crate) fn nearest_even(y: f32) -> i32 {
    const MOST: f32 = 1_048_576.0;
    // With a last bit of 1; sums are rounded to nearest, ties to even.
    const LARGE: f32 = 12_582_912.0;
    let y = if y < MOST { y } else { MOST };
    let y = if y > -MOST { y } else { -MOST };
    ((y + LARGE).to_bits() as i32).wrapping_sub(LARGE.to_bits() as i32)
}

/// `round(x / 2^exponent)`, ties away from zero, for `exponent` in `[0, 31]`.
///
/// gemmlowp's `RoundingDivideByPOT`.
#[inline(always)]
pub const fn rounding_shift_right(x: i32, exponent: i32) -> i32 {
    let mask = 1i32.wrapping_shl(exponent as u32).wrapping_sub(1);
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    x.wrapping_shr(exponent as u32).wrapping_add((remainder > threshold) as i32)
}

/// The last step of an operator: add the output zero point and clamp to the activation's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputParams {
    /// Zero point of the output tensor.
    pub zero_point: i8,
    /// Smallest value to store (the zero point after a ReLU, else -128).
    pub min: i8,
    /// Largest value to store.
    pub max: i8,
    /// The rounding of the requantisation before this stage.
    pub rounding: Rounding,
}

impl OutputParams {
    /// Requantises one accumulator.
    #[inline(always)]
    pub const fn store(&self, acc: i32, multiplier: Multiplier) -> i8 {
        self.clamp(multiplier.apply(acc, self.rounding))
    }

    /// Adds the zero point and clamps a value that is already at the output's scale.
    #[inline(always)]
    pub const fn clamp(&self, value: i32) -> i8 {
        let q = value.saturating_add(self.zero_point as i32);
        if q < self.min as i32 {
            self.min
        } else if q > self.max as i32 {
            self.max
        } else {
            q as i8
        }
    }
}

/// Runs `$body` with the rounding of `$stage` as a constant: one loop for each, without a choice inside.
macro_rules! by_rounding {
    ($stage:ident => $body:expr) => {{
        use $crate::base::arith::{OutputParams, Rounding};
        match $stage.rounding {
            Rounding::TfliteDouble => {
                let $stage = OutputParams { rounding: Rounding::TfliteDouble, ..$stage };
                $body
            }
            Rounding::Single => {
                let $stage = OutputParams { rounding: Rounding::Single, ..$stage };
                $body
            }
            Rounding::FloatEven => {
                let $stage = OutputParams { rounding: Rounding::FloatEven, ..$stage };
                $body
            }
        }
    }};
}
pub(crate) use by_rounding;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplier_is_the_nearest_31_bit_factor() {
        for (real, mantissa, shift) in [
            (1.0, 1 << 30, 1),
            (0.5, 1 << 30, 0),
            (0.25, 1 << 30, -1),
            (0.75, 3 << 29, 0),
            (1.0 - 1e-12, 1 << 30, 1),
            (0.000_725_602_44, 1_595_741_857, -10),
        ] {
            let m = Multiplier::from_real(real).unwrap();
            assert!((m.to_real() - real).abs() <= real / 2f64.powi(31), "{real}: {m:?}");
            if real != 0.000_725_602_44 {
                assert_eq!(m, Multiplier { mantissa, shift }, "{real}");
            }
        }
        assert_eq!(Multiplier::from_real(0.0), Some(Multiplier::ZERO));
        assert_eq!(Multiplier::from_real(1e-12), Some(Multiplier::ZERO));
        for bad in [-1.0, f64::NAN, f64::INFINITY, 2f64.powi(30) * 1.01] {
            assert_eq!(Multiplier::from_real(bad), None, "{bad}");
        }
        // The ends of the range.
        for (real, shift) in [(2f64.powi(-32), -31), (2f64.powi(29), 30)] {
            assert_eq!(Multiplier::from_real(real), Some(Multiplier { mantissa: 1 << 30, shift }), "{real}");
        }
        assert_eq!(
            Multiplier::from_real(2f64.powi(-32).next_down()),
            Some(Multiplier { mantissa: 1 << 30, shift: -31 })
        );
        assert_eq!(Multiplier::from_real(2f64.powi(-33)), Some(Multiplier::ZERO));
        assert_eq!(Multiplier::from_real(2f64.powi(30).next_down()), None, "rounded up to 2^30");
    }

    #[test]
    fn ties_and_extremes() {
        let half = Multiplier::from_real(0.5).unwrap();
        let quarter = Multiplier::from_real(0.25).unwrap();
        let three = Multiplier::from_real(3.0).unwrap();
        // (acc, factor, double rounding, single rounding, in single precision)
        for (acc, m, double, single, even) in [
            (1, half, 1, 1, 0),
            (-1, half, 0, 0, 0),
            (3, half, 2, 2, 2),
            (-3, half, -1, -1, -2),
            (2, quarter, 1, 1, 0),
            (-2, quarter, -1, 0, 0),
            (4, quarter, 1, 1, 1),
            (7, three, 21, 21, 21),
            (-7, three, -21, -21, -21),
            (1, quarter, 1, 0, 0), // the double rounding: 1/2 rounds to 1, and 1/2 to 1 again
            (-1, quarter, 0, 0, 0),
            // In single precision, sums beyond 2^24 are rounded before their products.
            ((1 << 25) + 3, quarter, (1 << 23) + 1, (1 << 23) + 1, (1 << 23) + 1),
            ((1 << 25) + 2, quarter, (1 << 23) + 1, (1 << 23) + 1, 1 << 23),
            (i32::MAX, half, 1 << 30, 1 << 30, 1 << 30),
            (i32::MIN, half, -(1 << 30), -(1 << 30), -(1 << 30)),
        ] {
            assert_eq!(m.apply(acc, Rounding::TfliteDouble), double, "double {acc} {m:?}");
            assert_eq!(m.apply(acc, Rounding::Single), single, "single {acc} {m:?}");
            assert_eq!(m.apply(acc, Rounding::FloatEven), even, "float {acc} {m:?}");
        }
        assert_eq!(
            [i32::MAX, i32::MIN].map(|acc| three.apply(acc, Rounding::FloatEven)),
            [i32::MAX, i32::MIN]
        );
        assert_eq!(doubling_high_multiply(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(rounding_shift_right(i32::MIN, 31), -1);
        assert_eq!(rounding_shift_right(i32::MAX, 31), 1);
        assert_eq!(rounding_shift_right(-3, 1), -2);
    }

    #[test]
    fn single_precision_is_that_of_integers() {
        // The same in integers: a magnitude to 24 bits, its product to 24 bits, that to a whole number; a half goes to the even neighbour.
        fn nearest(x: u128, bits: i32) -> u128 {
            if bits <= 0 {
                return x << -bits;
            }
            let (whole, rest, half) = (x >> bits, x & ((1 << bits) - 1), 1 << (bits - 1));
            whole + (rest > half || rest == half && whole % 2 == 1) as u128
        }
        let to_24 = |x: u128| {
            let extra = (128 - x.leading_zeros() as i32 - 24).max(0);
            nearest(x, extra) << extra
        };
        let mut seed = 5u64;
        let mut next = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 32) as i32
        };
        let mut halves = 0;
        for i in 0..if cfg!(miri) { 500 } else { 500_000 } {
            let shift = next().rem_euclid(62) - 31;
            let mantissa = match i % 4 {
                0 => 1 << 30,
                1 => (next() & 0x7f) << 24 | 1 << 30,
                2 => next() & 0x7fff_ff80,
                _ => next() & i32::MAX,
            };
            let factor = Multiplier { mantissa, shift };
            for acc in [next(), next() >> 8, next() >> 16, next() >> 24, i32::MAX, i32::MIN] {
                let product = to_24(to_24(acc.unsigned_abs() as u128) * to_24(mantissa as u128));
                let bits = 31 - shift;
                halves += (product & ((1 << bits) - 1) == 1 << (bits - 1)) as u32;
                let whole = nearest(product, bits).min(1 << 40) as i64 * acc.signum() as i64;
                let whole = whole.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                assert_eq!(float_even(acc, factor.to_f32()), whole, "{acc} {factor:?}");
                assert_eq!(even_in_integers(acc, mantissa, shift), whole, "{acc} {factor:?}");
            }
        }
        assert!(cfg!(miri) || halves > 10_000, "{halves}");
    }

    #[test]
    fn codes_are_moved_by_the_zero_point_and_clamped() {
        let one = Multiplier::from_real(1.0).unwrap();
        for rounding in [Rounding::TfliteDouble, Rounding::Single, Rounding::FloatEven] {
            let stage = OutputParams { zero_point: -3, min: -20, max: 100, rounding };
            for (acc, code) in [(0, -3), (10, 7), (-16, -19), (-17, -20), (-18, -20), (103, 100), (104, 100)]
            {
                assert_eq!(stage.clamp(acc), code, "{acc}");
                assert_eq!(stage.store(acc, one), code, "{acc}, {rounding:?}");
            }
            assert_eq!([i32::MIN, i32::MAX].map(|acc| stage.clamp(acc)), [-20, 100]);
        }
        let stage = OutputParams { zero_point: -3, min: -20, max: 100, rounding: Rounding::TfliteDouble };
        let quarter = Multiplier::from_real(0.25).unwrap();
        let single = OutputParams { rounding: Rounding::Single, ..stage };
        assert_eq!([stage, single].map(|stage| stage.store(-2, quarter)), [-4, -3]);
    }
}
