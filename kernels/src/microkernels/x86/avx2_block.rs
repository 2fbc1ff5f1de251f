//! AVX2: a block of the reduction, widened to 16 bits and multiplied.

use super::super::Rows;
use core::{arch::asm, arch::x86_64::*};

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Panels per call: they share the widened activations.
pub(super) const PANELS: usize = 8;
/// Pixels per call: they share the widened weights. The default chunk.
pub(super) const PIXELS: usize = 48;
/// The most steps, of 4 bytes of the reduction, that are widened at a time. Two panels of weights take 10 KB then, the
/// activations of all pixels 15 KB, and both stay in the first-level cache.
pub(super) const STEPS: usize = 40;
/// Steps in a round of the inner loop.
pub(super) const UNROLLED: usize = 4;

/// Widened operands, and the sums. On the stack: 49 KB.
#[repr(C, align(64))]
pub(super) struct Room {
    /// For each step, 8 registers of two panels or 4 of one: 4 channels by 4 times 16 bits each.
    weights: [__m256i; 8 * STEPS],
    /// For each step 4 times 16 bits.
    activations: [[u64; STEPS]; PIXELS],
    /// As [`super::avx2_stage`] says.
    pub(super) sums: [[[__m256i; 2]; PIXELS]; PANELS],
}

/// Where a block of the reduction starts: the segment, and steps within it.
#[derive(Clone, Copy)]
pub(super) struct Start {
    pub(super) segment: usize,
    pub(super) step: usize,
}

impl Room {
    /// Widens `steps` steps from `start` on of all pixels; returns where the next block starts.
    ///
    /// # Safety
    /// `room` is writable, `pixels <= PIXELS`, `steps <= STEPS`, and `rows` holds so many steps of `pixels` pixels.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn widen_activations(
        room: *mut Self,
        rows: &Rows,
        start: Start,
        steps: usize,
        pixels: usize,
    ) -> Start {
        let per_segment = rows.k / 4;
        let (mut next, mut done) = (start, 0);
        while done < steps {
            let here = (per_segment - next.step).min(steps - done);
            for p in 0..pixels {
                // SAFETY: row `p` has an offset for each segment; `here` steps lie between `next` and the end of its segment,
                // and within the row of the room.
                unsafe {
                    let source = rows.segment(p, next.segment).wrapping_add(4 * next.step);
                    let target = (&raw mut (*room).activations).cast::<[u64; STEPS]>().add(p);
                    widen(source, target.cast::<u64>().add(done), here);
                }
            }
            done += here;
            next.step += here;
            if next.step == per_segment {
                next = Start { segment: next.segment + 1, step: 0 };
            }
        }
        next
    }

    /// Widens `steps` steps of `N` panels, 1 or 2, that lie `stride` bytes apart.
    ///
    /// # Safety
    /// `room` is writable, `steps <= STEPS`, and `64 * steps` bytes are readable in each panel.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn widen_weights<const N: usize>(
        room: *mut Self,
        weights: *const i8,
        stride: usize,
        steps: usize,
    ) {
        const { assert!(N <= 2) };
        for n in 0..N {
            let mut source = weights.wrapping_add(n * stride);
            // SAFETY: `N` times four registers per step.
            let mut target = unsafe { (&raw mut (*room).weights).cast::<__m256i>().add(4 * n) };
            for _ in 0..steps {
                for j in 0..4 {
                    // SAFETY: four times 16 bytes of a step.
                    unsafe {
                        let four = _mm_loadu_si128(source.add(16 * j).cast());
                        target.add(j).write(_mm256_cvtepi8_epi16(four));
                    }
                }
                (source, target) = (source.wrapping_add(64), target.wrapping_add(4 * N));
            }
        }
    }

    /// Sums `steps` steps of `N` panels from `panel` on, and writes them or, unless `first`, adds them to what is there.
    ///
    /// # Safety
    /// `room` holds the widened operands, `steps <= STEPS`, `pixels <= PIXELS`, `panel + N <= PANELS`; unless `first`,
    /// it holds sums.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn sum<const N: usize>(
        room: *mut Self,
        panel: usize,
        steps: usize,
        pixels: usize,
        first: bool,
    ) {
        const { assert!(N <= 2) };
        for p in 0..pixels {
            // SAFETY: pixel `p` and panels up to `panel + N` are in the room, with `steps` steps of operands.
            unsafe {
                let x = (&raw const (*room).activations).cast::<[u64; STEPS]>().add(p).cast();
                let w = (&raw const (*room).weights).cast();
                let acc = if N == 2 { two(x, w, steps) } else { one(x, w, steps) };
                for n in 0..N {
                    let sums = (&raw mut (*room).sums).cast::<[[__m256i; 2]; PIXELS]>().add(panel + n);
                    let sums = sums.cast::<[__m256i; 2]>().add(p);
                    let [a, b, c, d] = [acc[4 * n], acc[4 * n + 1], acc[4 * n + 2], acc[4 * n + 3]];
                    let mut pairs = [_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d)];
                    if !first {
                        let [low, high] = *sums;
                        pairs = [_mm256_add_epi32(pairs[0], low), _mm256_add_epi32(pairs[1], high)];
                    }
                    sums.write(pairs);
                }
            }
        }
    }
}

/// Widens `steps` steps: bytes with 128 added, unsigned, to 16 bits.
///
/// # Safety
/// `4 * steps` bytes are readable at `source`, and `steps` steps writable at `target`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widen(source: *const i8, target: *mut u64, steps: usize) {
    let sign = _mm_set1_epi8(-128);
    let whole = steps & !3;
    let mut i = 0;
    // SAFETY: whole steps, no further than `steps`.
    unsafe {
        while i != whole {
            let x = _mm_xor_si128(_mm_loadu_si128(source.add(4 * i).cast()), sign);
            _mm256_storeu_si256(target.add(i).cast(), _mm256_cvtepu8_epi16(x));
            i += 4;
        }
        if steps & 2 != 0 {
            let x = _mm_xor_si128(_mm_loadl_epi64(source.add(4 * i).cast()), sign);
            _mm_storeu_si128(target.add(i).cast(), _mm_cvtepu8_epi16(x));
            i += 2;
        }
        if steps & 1 != 0 {
            let x = _mm_cvtsi32_si128(source.add(4 * i).cast::<i32>().read_unaligned());
            _mm_storel_epi64(target.add(i).cast(), _mm_cvtepu8_epi16(_mm_xor_si128(x, sign)));
        }
    }
}

/// The loop of a pixel over steps, with accumulators `$acc` for as many registers of weights, `$bytes` of them per step.
/// Accumulator `j` holds channels 4 j to 4 j + 3, each as two partial sums of a pair of products.
///
/// In assembly, because the compiler would load a weight to a register of its own before it multiplies, and because it
/// does not unroll by itself.
macro_rules! inner_loop {
    ($name:ident, $doc:literal, $numbers:literal, $bytes:literal, [$($place:literal $register:tt)*]) => {
        #[doc = $doc]
        ///
        /// # Safety
        /// The operands of `steps` steps are readable.
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn $name(x: *const u64, w: *const __m256i, steps: usize) -> [__m256i; 8] {
            let mut acc = [_mm256_setzero_si256(); 8];
            let (whole, rest) = (steps & !(UNROLLED - 1), steps & (UNROLLED - 1));
            // SAFETY: reads the operands of `steps` steps only.
            unsafe {
                asm!(
                    "test {n}, {n}",
                    "jz 3f",
                    "2:",
                    ".irp u, 0, 1, 2, 3",
                    "vpbroadcastq ymm8, [{x} + 8 * {n} + 8 * \\u]",
                    concat!(".irp j, ", $numbers),
                    concat!("vpmaddwd ymm9, ymm8, [{w} + ", $bytes, " * \\u + 32 * \\j]"),
                    "vpaddd ymm\\j, ymm\\j, ymm9",
                    ".endr",
                    ".endr",
                    concat!("add {w}, 4 * ", $bytes),
                    "add {n}, 4",
                    "jnz 2b",
                    "3:",
                    "test {rest}, {rest}",
                    "jz 5f",
                    "4:",
                    "vpbroadcastq ymm8, [{x}]",
                    concat!(".irp j, ", $numbers),
                    "vpmaddwd ymm9, ymm8, [{w} + 32 * \\j]",
                    "vpaddd ymm\\j, ymm\\j, ymm9",
                    ".endr",
                    "add {x}, 8",
                    concat!("add {w}, ", $bytes),
                    "dec {rest}",
                    "jnz 4b",
                    "5:",
                    x = inout(reg) x.add(whole) => _,
                    w = inout(reg) w => _,
                    n = inout(reg) whole.wrapping_neg() => _,
                    rest = inout(reg) rest => _,
                    $(inout($register) acc[$place],)*
                    out("ymm8") _, out("ymm9") _,
                    options(readonly, nostack)
                );
            }
            acc
        }
    };
}

inner_loop!(one, "The sums of one panel, in the first four.", "0, 1, 2, 3", "128", [0 "ymm0" 1 "ymm1" 2 "ymm2" 3 "ymm3"]);
inner_loop!(two, "The sums of two panels.", "0, 1, 2, 3, 4, 5, 6, 7", "256", [0 "ymm0" 1 "ymm1" 2 "ymm2" 3 "ymm3" 4 "ymm4" 5 "ymm5" 6 "ymm6" 7 "ymm7"]);
