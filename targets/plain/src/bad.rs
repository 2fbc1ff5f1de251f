//! One of each thing that a release firmware image must not contain.

use core::hint::black_box;

/// Floating point, an index that may panic, and a function that calls itself.
pub fn all() {
    let sum = black_box(1.5_f32) + black_box(2.5_f32);
    black_box(sum * sum);
    let table = black_box([1_u32, 2, 3]);
    black_box(table[black_box(7_usize)]);
    black_box(ackermann(black_box(2), black_box(2)));
}

#[inline(never)]
fn ackermann(m: u32, n: u32) -> u32 {
    match (m, n) {
        (0, n) => n.wrapping_add(1),
        (m, 0) => ackermann(m.wrapping_sub(1), 1),
        (m, n) => ackermann(m.wrapping_sub(1), ackermann(m, n.wrapping_sub(1))),
    }
}
