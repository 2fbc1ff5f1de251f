//! The three transforms of F(4x4, 3x3), for as many lanes at once as a type holds.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4, with interpolation points 0, `p`, `-p`, `q`, `-q`
//! and infinity. With `p = 5/8` and `q = 3/2` all numbers of the matrices are exact in half precision, inputs grow by at most 28 times, and
//! rounding costs less than half of what it does with the usual points 1 and 2. `S = p^2 + q^2` and `T = p^2 q^2` in
//!
//! ```text
//!       T     0    -S     0   1  0           1/T (1,  0,   0)             1  1    1    1    1    0
//!       0  -p q^2 -q^2    p   1  0            u  (1,  p, p^2)             0  p   -p    q   -q    0
//! B' =  0   p q^2 -q^2   -p   1  0      G =   u  (1, -p, p^2)       A' =  0  p^2  p^2  q^2  q^2  0
//!       0  -q p^2 -p^2    q   1  0            v  (1,  q, q^2)             0  p^3 -p^3  q^3 -q^3  1
//!       0   q p^2 -p^2   -q   1  0            v  (1, -q, q^2)
//!       0     T     0    -S   0  1               (0,  0,   1)
//! ```
//!
//! with `u = 1 / (2 p^2 (p^2 - q^2))`, `v = 1 / (2 q^2 (q^2 - p^2))`. `A' [(G g G') * (B' d B)] A` is the convolution of a 6x6 tile `d` with a 3x3
//! filter `g`.

use super::super::super::half;
use crate::ops::conv::winograd::grid::POSITIONS;

const P: f32 = 0.625;
const Q: f32 = 1.5;
const P2: f32 = P * P;
const Q2: f32 = Q * Q;
const P3: f32 = P2 * P;
const Q3: f32 = Q2 * Q;
const SUM: f32 = P2 + Q2;
const PRODUCT: f32 = P2 * Q2;

/// Eight f16 values: channels of an input.
pub(super) trait Inputs: Copy {
    /// # Safety
    /// Eight f16 values are readable, at any address.
    unsafe fn load(from: *const i8) -> Self;
    /// # Safety
    /// Eight f16 values are writable.
    unsafe fn store(self, to: *mut u16);
    /// `factor * x + self`, rounded once to half precision.
    fn plus(self, factor: f32, x: Self) -> Self;
}

/// Four numbers in single precision: sums of output channels.
pub(super) trait Sums: Copy {
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Difference.
    fn sub(self, other: Self) -> Self;
    /// Product.
    fn times(self, factor: f32) -> Self;
    /// `factor * x + self`, rounded once.
    fn plus(self, factor: f32, x: Self) -> Self;
}

/// One column or row of `B' d`.
#[inline(always)]
fn input<L: Inputs>([d0, d1, d2, d3, d4, d5]: [L; 6]) -> [L; 6] {
    let (even_p, odd_p) = (d4.plus(-Q2, d2), d3.plus(-Q2, d1));
    let (even_q, odd_q) = (d4.plus(-P2, d2), d3.plus(-P2, d1));
    [
        d4.plus(-SUM, d2).plus(PRODUCT, d0),
        even_p.plus(P, odd_p),
        even_p.plus(-P, odd_p),
        even_q.plus(Q, odd_q),
        even_q.plus(-Q, odd_q),
        d5.plus(-SUM, d3).plus(PRODUCT, d1),
    ]
}

/// One column or row of `A' m`.
#[inline(always)]
fn output<L: Sums>([m0, m1, m2, m3, m4, m5]: [L; 6]) -> [L; 4] {
    let (near, near_odd) = (m1.add(m2), m1.sub(m2));
    let (far, far_odd) = (m3.add(m4), m3.sub(m4));
    [
        m0.add(near).add(far),
        near_odd.times(P).plus(Q, far_odd),
        near.times(P2).plus(Q2, far),
        m5.plus(P3, near_odd).plus(Q3, far_odd),
    ]
}

/// Transforms eight channels of a tile, columns first: reads them `offset` bytes behind each of `pixels`, writes position `i` at
/// `to + i * stride`.
///
/// # Safety
/// Eight f16 values are readable there, and eight are writable at each position.
#[inline(always)]
pub(super) unsafe fn tile<L: Inputs>(
    pixels: &[*const i8; POSITIONS],
    offset: usize,
    to: *mut u16,
    stride: usize,
) {
    // SAFETY: the caller's promise.
    let load = |y: usize, x: usize| unsafe { L::load(pixels[6 * y + x].wrapping_add(offset)) };
    let column = |x: usize| input([load(0, x), load(1, x), load(2, x), load(3, x), load(4, x), load(5, x)]);
    let [a, b, c, d, e, f] = [column(0), column(1), column(2), column(3), column(4), column(5)];
    for y in 0..6 {
        let row = input([a[y], b[y], c[y], d[y], e[y], f[y]]);
        for (x, halves) in row.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { halves.store(to.wrapping_add((6 * y + x) * stride)) };
        }
    }
}

/// The sums of a 4x4 tile for four channels: `load` has those of a position, `each` is called with every pixel, row by row. Columns come first.
#[inline(always)]
pub(super) fn sums<L: Sums>(load: impl Fn(usize) -> L, mut each: impl FnMut(usize, L)) {
    let column = |x: usize| output([0, 1, 2, 3, 4, 5].map(|y| load(6 * y + x)));
    let [a, b, c, d, e, f] = [column(0), column(1), column(2), column(3), column(4), column(5)];
    for y in 0..4 {
        for (x, sum) in output([a[y], b[y], c[y], d[y], e[y], f[y]]).into_iter().enumerate() {
            each(4 * y + x, sum);
        }
    }
}

/// `G g G'` of a filter in double precision, rounded to single and then to half precision: for the weights of a
/// [`WinogradConv2dFloat`](super::WinogradConv2dFloat). What is beyond half precision becomes infinite.
pub fn filter(g: [[f32; 3]; 3]) -> [u16; POSITIONS] {
    let [p, q] = [P, Q].map(f64::from);
    let [near, far] = [2.0 * p * p * (p * p - q * q), 2.0 * q * q * (q * q - p * p)];
    let at = |x: f64, over: f64| [1.0 / over, x / over, x * x / over];
    let rows = [at(0.0, p * p * q * q), at(p, near), at(-p, near), at(q, far), at(-q, far), [0.0, 0.0, 1.0]];
    let g = g.map(|row| row.map(f64::from));
    core::array::from_fn(|i| {
        let (left, right) = (rows[i / 6], rows[i % 6]);
        let row = |y: usize| g[y][0] * right[0] + g[y][1] * right[1] + g[y][2] * right[2];
        half::from_f32((row(0) * left[0] + row(1) * left[1] + row(2) * left[2]) as f32)
    })
}
