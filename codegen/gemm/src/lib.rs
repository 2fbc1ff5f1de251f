//! Matrix product of the float reference, with the same bits on every machine.
//!
//! Ranges of activations, and so every byte of a model, follow from the float reference. Libraries choose blocking and fused
//! operations by machine, and the last bits of their sums with them. Here each element is
//! `(((c + a[0] b[0]) + a[1] b[1]) + ...)`, rounded after every operation: columns are computed side by side, which
//! vectorises, but the order of one element's additions never changes. IEEE 754 does the rest.
//!
//! A crate of its own, as nearly all of the reference's time is spent here: this is optimised in every profile, and the rest of the code
//! generator, which takes far longer to compile, need not be.

use std::ops::{AddAssign, Mul};

/// Rows of a block.
const MR: usize = 4;
/// Columns of a block: two registers of AVX-512 in `f32`.
const NR: usize = 32;
/// Products per pass over a packed panel: it stays in the second-level cache.
const KC: usize = 256;

/// `c = a * b + c`, row-major: `a` is `[m, k]`, `b` is `[k, n]` stored transposed (`[n, k]`), `c` is `[m, n]`.
///
/// # Panics
/// Slices that are shorter than that.
pub fn gemm_f32(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    gemm(m, k, n, a, b, c);
}

/// As [`gemm_f32`], in double precision.
///
/// # Panics
/// As there.
pub fn gemm_f64(m: usize, k: usize, n: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
    gemm(m, k, n, a, b, c);
}

/// `c[i] += a[i * step] * b` for `i` in `0..m`, number by number: `a`, `b` and `c` are rows of `n`. Step 0 repeats one row.
///
/// # Panics
/// Slices that are shorter than that.
pub fn scaled_rows_f32(size: [usize; 2], step: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    scaled_rows(size, step, a, b, c);
}

/// As [`scaled_rows_f32`], in double precision.
///
/// # Panics
/// As there.
pub fn scaled_rows_f64(size: [usize; 2], step: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
    scaled_rows(size, step, a, b, c);
}

fn gemm<T>(m: usize, k: usize, n: usize, a: &[T], b: &[T], c: &mut [T])
where
    T: Copy + Default + Mul<Output = T> + AddAssign,
{
    assert!(a.len() >= m * k && b.len() >= n * k && c.len() >= m * n, "matrix sizes");
    let mut panel = vec![[T::default(); NR]; KC.min(k)];
    for first in (0..n).step_by(NR) {
        let columns = NR.min(n - first);
        for start in (0..k).step_by(KC) {
            let depth = KC.min(k - start);
            for j in 0..columns {
                let column = &b[(first + j) * k + start..][..depth];
                panel.iter_mut().zip(column).for_each(|(row, x)| row[j] = *x);
            }
            let pass = Pass { a, k, start, panel: &panel[..depth], first, columns, n };
            with_widest_registers(Rows { pass, m, c });
        }
    }
}

/// All rows of `c` times one packed panel of `b`.
struct Pass<'a, T> {
    a: &'a [T],
    k: usize,
    start: usize,
    panel: &'a [[T; NR]],
    first: usize,
    columns: usize,
    n: usize,
}

impl<T> Pass<'_, T>
where
    T: Copy + Default + Mul<Output = T> + AddAssign,
{
    #[inline(always)]
    fn rows(&self, m: usize, c: &mut [T]) {
        let mut row = 0;
        while row + MR <= m {
            self.block::<MR>(row, c);
            row += MR;
        }
        while row < m {
            self.block::<1>(row, c);
            row += 1;
        }
    }

    #[inline(always)]
    fn block<const R: usize>(&self, row: usize, c: &mut [T]) {
        let mut sums = [[T::default(); NR]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            let at = (row + r) * self.n + self.first;
            sums[..self.columns].copy_from_slice(&c[at..at + self.columns]);
        }
        let lines: [&[T]; R] =
            std::array::from_fn(|r| &self.a[(row + r) * self.k + self.start..][..self.panel.len()]);
        for (p, b) in self.panel.iter().enumerate() {
            for (sums, line) in sums.iter_mut().zip(&lines) {
                add_scaled(sums, line[p], b);
            }
        }
        for (r, sums) in sums.iter().enumerate() {
            let at = (row + r) * self.n + self.first;
            c[at..at + self.columns].copy_from_slice(&sums[..self.columns]);
        }
    }
}

/// `sums += x * b`. On a copy of its own the sums stay in registers at every level of optimisation; in place, level 3 once took one
/// number at a time.
#[inline(always)]
fn add_scaled<T: Copy + Mul<Output = T> + AddAssign>(sums: &mut [T; NR], x: T, b: &[T; NR]) {
    let mut next = *sums;
    for (sum, b) in next.iter_mut().zip(b) {
        *sum += x * *b;
    }
    *sums = next;
}

fn scaled_rows<T>([m, n]: [usize; 2], step: usize, a: &[T], b: &[T], c: &mut [T])
where
    T: Copy + Mul<Output = T> + AddAssign,
{
    if m > 0 && n > 0 {
        with_widest_registers(ScaledRows {
            a: &a[..((m - 1) * step + 1) * n],
            b: &b[..n],
            c: &mut c[..m * n],
            step,
        });
    }
}

/// The operands of [`scaled_rows`]; none is empty.
struct ScaledRows<'a, T> {
    a: &'a [T],
    b: &'a [T],
    c: &'a mut [T],
    step: usize,
}

/// A loop that [`with_widest_registers`] compiles several times.
trait Loop {
    /// Inlined always: only then are the caller's registers used.
    fn run(self);
}

/// All rows of `c` by one pass.
struct Rows<'a, T> {
    pass: Pass<'a, T>,
    m: usize,
    c: &'a mut [T],
}

impl<T> Loop for Rows<'_, T>
where
    T: Copy + Default + Mul<Output = T> + AddAssign,
{
    #[inline(always)]
    fn run(self) {
        self.pass.rows(self.m, self.c);
    }
}

impl<T> Loop for ScaledRows<'_, T>
where
    T: Copy + Mul<Output = T> + AddAssign,
{
    #[inline(always)]
    fn run(self) {
        let n = self.b.len();
        for (i, sums) in self.c.chunks_exact_mut(n).enumerate() {
            let row = &self.a[i * self.step * n..][..n];
            sums.iter_mut().zip(row).zip(self.b).for_each(|((sum, x), b)| *sum += *x * *b);
        }
    }
}

/// Runs a loop as compiled for the widest registers of this machine. They change no bit.
fn with_widest_registers(work: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        // SAFETY: the machine has the instructions.
        return unsafe { avx512(work) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has the instructions.
        return unsafe { avx2(work) };
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(work: impl Loop) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2(work: impl Loop) {
    work.run();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in `[-1, 1)`.
    fn random() -> impl FnMut(usize) -> Vec<f32> {
        let mut seed = 1u32;
        move |len| {
            let mut next = || {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 8) as f32 / (1 << 23) as f32 - 1.0
            };
            (0..len).map(|_| next()).collect()
        }
    }

    #[test]
    fn rows_are_scaled_number_by_number() {
        for (m, n, step) in [(1, 1, 1), (7, 33, 1), (5, 8, 3), (4, 70, 2), (0, 3, 1), (3, 0, 1)] {
            let mut values = random();
            let (a, b, c) = (values(m * step * n), values(n), values(m * n));
            let mut found = c.clone();
            scaled_rows_f32([m, n], step, &a, &b, &mut found);
            for (at, found) in found.iter().enumerate() {
                let expected = c[at] + a[at / n * step * n + at % n] * b[at % n];
                assert_eq!(found.to_bits(), expected.to_bits(), "{m}x{n} by {step}: [{at}]");
            }
        }
    }

    #[test]
    fn every_element_is_the_sum_in_order_bit_for_bit() {
        for (m, k, n) in [(1, 1, 1), (4, 3, 32), (5, 300, 33), (9, 513, 70), (3, 0, 2)] {
            let mut values = random();
            let (a, b, c) = (values(m * k), values(n * k), values(m * n));
            let mut found = c.clone();
            gemm_f32(m, k, n, &a, &b, &mut found);
            for (at, found) in found.iter().enumerate() {
                let (row, column) = (at / n, at % n);
                let products = (0..k).map(|p| a[row * k + p] * b[column * k + p]);
                let expected = products.fold(c[at], |sum, x| sum + x);
                assert_eq!(found.to_bits(), expected.to_bits(), "{m}x{k}x{n}: [{row}, {column}]");
            }
        }
    }
}
