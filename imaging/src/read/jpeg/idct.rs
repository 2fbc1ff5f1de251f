//! The accurate integer IDCT of libjpeg (`jidctint.c`; Loeffler, Ligtenberg and Moschytz, ICASSP 1989).

use super::Sample;

/// The positions in a block of the coefficients in zigzag order.
pub(super) const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Fractional bits of constants.
const CONST_BITS: u32 = 13;

/// The 8x8 samples of a block, of 8 or 12 `bits`, into `out` with rows of `width`. What no encoder makes wraps around.
pub(super) fn block<T: Sample>(
    coefficients: &[i16; 64],
    quant: &[u16; 64],
    bits: u8,
    out: &mut [T],
    width: usize,
) {
    // Fractional bits between the passes.
    let fraction = if bits == 8 { 2 } else { 1 };
    let mut middle = [0i32; 64];
    for x in 0..8 {
        let column = std::array::from_fn(|y| {
            i32::from(coefficients[8 * y + x]).wrapping_mul(i32::from(quant[8 * y + x]))
        });
        for (y, value) in pass(column, CONST_BITS - fraction).into_iter().enumerate() {
            middle[8 * y + x] = value;
        }
    }
    for (y, row) in middle.as_chunks::<8>().0.iter().enumerate() {
        let samples = pass(*row, CONST_BITS + fraction + 3);
        let (middle, most) = (1 << (bits - 1), (1 << bits) - 1);
        let level = |v: i32| T::of(v.saturating_add(middle).clamp(0, most) as u32);
        out[y * width..][..8].copy_from_slice(&samples.map(level));
    }
}

/// One dimension; the results lose `shift` bits, a half up.
fn pass([x0, x1, x2, x3, x4, x5, x6, x7]: [i32; 8], shift: u32) -> [i32; 8] {
    let mul = |x: i32, constant: i32| x.wrapping_mul(constant);
    let add = |a: i32, b: i32| a.wrapping_add(b);
    let sub = |a: i32, b: i32| a.wrapping_sub(b);

    let z1 = mul(add(x2, x6), 4433);
    let (t2, t3) = (add(z1, mul(x6, -15137)), add(z1, mul(x2, 6270)));
    let (t0, t1) = (add(x0, x4).wrapping_shl(CONST_BITS), sub(x0, x4).wrapping_shl(CONST_BITS));
    let even = [add(t0, t3), add(t1, t2), sub(t1, t2), sub(t0, t3)];

    let (z1, z2, z3, z4) = (add(x7, x1), add(x5, x3), add(x7, x3), add(x5, x1));
    let z5 = mul(add(z3, z4), 9633);
    let (z1, z2) = (mul(z1, -7373), mul(z2, -20995));
    let (z3, z4) = (add(mul(z3, -16069), z5), add(mul(z4, -3196), z5));
    let odd = [
        add(mul(x1, 12299), add(z1, z4)),
        add(mul(x3, 25172), add(z2, z3)),
        add(mul(x5, 16819), add(z2, z4)),
        add(mul(x7, 2446), add(z1, z3)),
    ];

    let half = 1 << (shift - 1);
    std::array::from_fn(|i| {
        let sum = if i < 4 { add(even[i], odd[i]) } else { sub(even[7 - i], odd[7 - i]) };
        add(sum, half) >> shift
    })
}
