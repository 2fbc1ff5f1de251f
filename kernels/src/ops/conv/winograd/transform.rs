//! The three transforms of F(4x4, 3x3), for as many lanes at once as a type holds.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section 4, with interpolation points 0,
//! 1, -1, 2, -2 and infinity, and matrices of integers:
//!
//! ```text
//!       4  0 -5  0  1  0           6  0  0             1  1  1  1  1  0
//!       0 -4 -4  1  1  0          -4 -4 -4             0  1 -1  2 -2  0
//! B' =  0  4 -4 -1  1  0     G' = -4  4 -4       A' =  0  1  1  4  4  0
//!       0 -2 -1  2  1  0           1  2  4             0  1 -1  8 -8  8
//!       0  2 -1 -2  1  0           1 -2  4
//!       0  4  0 -5  0  1           0  0  3
//! ```
//!
//! `A' [(G' g G'^T) * (B' d B'^T)] A'^T` is 24 * 24 times the convolution of a 6x6 tile `d` with a 3x3 filter `g`.

use super::grid::POSITIONS;

/// Lanes that wrap.
pub(super) trait Lanes: Copy {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// Times `2^N`.
    fn shl<const N: i32>(self) -> Self;
}

/// Eight 16-bit lanes: channels of an input.
pub(super) trait Inputs: Lanes {
    /// # Safety
    /// Eight bytes are readable.
    unsafe fn load(from: *const i8) -> Self;
    /// # Safety
    /// Eight values are writable.
    unsafe fn store(self, to: *mut i16);
}

/// Four 32-bit lanes: sums of output channels.
pub(super) trait Sums: Lanes {
    fn zero() -> Self;
    /// # Safety
    /// Four values are readable.
    unsafe fn load(from: *const i32) -> Self;
    /// The lanes divided by 576, which they are multiples of: times the inverse of 9 modulo `2^32`, then shifted. So 64
    /// times the result must fit 32 bits, and no more.
    fn divide(self) -> Self;
}

/// The inverse of 9 modulo `2^32`.
pub(super) const INVERSE_OF_9: i32 = 0x38e3_8e39;

/// One column or row of `B' d`.
#[inline(always)]
fn input<L: Lanes>([d0, d1, d2, d3, d4, d5]: [L; 6]) -> [L; 6] {
    let even = d4.sub(d2.shl::<2>());
    let odd = d3.sub(d1.shl::<2>());
    let near = d4.sub(d2);
    let far = d3.sub(d1).shl::<1>();
    [
        d0.sub(d2).shl::<2>().add(near),
        even.add(odd),
        even.sub(odd),
        near.add(far),
        near.sub(far),
        d5.sub(d3).sub(far.shl::<1>()),
    ]
}

/// One column or row of `A' m`.
#[inline(always)]
fn output<L: Lanes>([m0, m1, m2, m3, m4, m5]: [L; 6]) -> [L; 4] {
    let (near, far) = (m1.add(m2), m3.add(m4));
    let (near_odd, far_odd) = (m1.sub(m2), m3.sub(m4));
    [
        m0.add(near).add(far),
        near_odd.add(far_odd.shl::<1>()),
        near.add(far.shl::<2>()),
        near_odd.add(far_odd.add(m5).shl::<3>()),
    ]
}

/// Transforms eight channels of a tile: reads them at each of `pixels`, writes position `i` at `to + i * stride`.
///
/// Bytes grow by at most 10 * 10: 16 bits hold them.
///
/// # Safety
/// Eight bytes are readable `channel` behind each of `pixels`, and eight values are writable at each position.
#[inline(always)]
pub(super) unsafe fn tile<L: Inputs>(
    pixels: &[*const i8; POSITIONS],
    channel: usize,
    to: *mut i16,
    stride: usize,
) {
    // SAFETY: the caller's promise.
    let load = |y: usize, x: usize| unsafe { L::load(pixels[6 * y + x].wrapping_add(channel)) };
    let column = |x: usize| input([load(0, x), load(1, x), load(2, x), load(3, x), load(4, x), load(5, x)]);
    let columns = [column(0), column(1), column(2), column(3), column(4), column(5)];
    for y in 0..6 {
        let [a, b, c, d, e, f] = columns;
        let row = input([a[y], b[y], c[y], d[y], e[y], f[y]]);
        for (x, value) in row.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { value.store(to.wrapping_add((6 * y + x) * stride)) };
        }
    }
}

/// The sums of a 4x4 tile, row by row, for four channels: position `i` is read at `from + i * stride`.
///
/// # Safety
/// Four values are readable at each position.
#[inline(always)]
pub(super) unsafe fn sums<L: Sums>(from: *const i32, stride: usize) -> [L; 16] {
    // SAFETY: the caller's promise.
    let load = |y: usize, x: usize| unsafe { L::load(from.wrapping_add((6 * y + x) * stride)) };
    let column = |x: usize| output([load(0, x), load(1, x), load(2, x), load(3, x), load(4, x), load(5, x)]);
    let [a, b, c, d, e, f] = [column(0), column(1), column(2), column(3), column(4), column(5)];
    let row = |y: usize| output([a[y], b[y], c[y], d[y], e[y], f[y]]).map(L::divide);
    let ([a, b, c, d], [e, f, g, h]) = (row(0), row(1));
    let ([i, j, k, l], [m, n, o, p]) = (row(2), row(3));
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// `G' g G'^T` of a filter. Its largest value is 12 * 12 times the largest weight's: 16 bits hold it.
pub const fn filter(g: [[i8; 3]; 3]) -> [i16; POSITIONS] {
    const ROWS: [[i32; 3]; 6] = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 3]];
    let mut result = [0; POSITIONS];
    let mut i = 0;
    while i < POSITIONS {
        let (left, right) = (ROWS[i / 6], ROWS[i % 6]);
        let (mut sum, mut j) = (0, 0);
        while j < 9 {
            sum += left[j / 3] * right[j % 3] * g[j / 3][j % 3] as i32;
            j += 1;
        }
        result[i] = sum as i16;
        i += 1;
    }
    result
}
