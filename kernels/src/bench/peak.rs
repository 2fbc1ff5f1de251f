//! The peak rate of an instruction set: nothing but the multiply instructions of its convolution tile, on registers.
//!
//! Benchmarks divide by it. Nothing is loaded or stored, and no instruction waits for the last one, so that a core issues as
//! many as it has units for. A kernel that needs fewer products than a direct convolution (Winograd) can pass it.

use crate::Isa;

/// Executes `rounds` rounds and gives the number of multiply-accumulates in them; `None` where the tile multiplies one number
/// at a time.
#[cfg(target_arch = "x86_64")]
pub fn multiply(isa: Isa, rounds: u64) -> Option<u64> {
    if isa.has_avx512_vnni() {
        // SAFETY: the capability proves the instructions.
        unsafe { x86::vnni(rounds) };
        Some(rounds * 12 * 64)
    } else if isa.has_avx2() {
        // SAFETY: as above.
        unsafe { x86::avx2(rounds) };
        Some(rounds * 6 * 16)
    } else {
        None
    }
}

/// Executes `rounds` rounds and gives the number of multiply-accumulates in them; `None` where the tile multiplies one number
/// at a time.
#[cfg(target_arch = "aarch64")]
pub fn multiply(isa: Isa, rounds: u64) -> Option<u64> {
    if isa.has_dotprod() {
        // SAFETY: the capability proves the instructions.
        unsafe { aarch64::dotprod(rounds) };
        Some(rounds * 12 * 16)
    } else if isa.has_neon() {
        // SAFETY: as above.
        unsafe { aarch64::neon(rounds) };
        Some(rounds * 8 * 16)
    } else {
        None
    }
}

/// Executes `rounds` rounds and gives the number of multiply-accumulates in them; `None` where the tile multiplies one number
/// at a time, as on every core of this architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn multiply(_: Isa, _: u64) -> Option<u64> {
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::asm;

    /// 12 times 16 channels by 4 bytes.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn vnni(rounds: u64) {
        // SAFETY: registers only, all declared. Intrinsics would leave the choice of registers and of the order to the compiler.
        unsafe {
            asm!(
                "2:",
                "vpdpbusd zmm0, zmm12, zmm13",
                "vpdpbusd zmm1, zmm12, zmm13",
                "vpdpbusd zmm2, zmm12, zmm13",
                "vpdpbusd zmm3, zmm12, zmm13",
                "vpdpbusd zmm4, zmm12, zmm13",
                "vpdpbusd zmm5, zmm12, zmm13",
                "vpdpbusd zmm6, zmm12, zmm13",
                "vpdpbusd zmm7, zmm12, zmm13",
                "vpdpbusd zmm8, zmm12, zmm13",
                "vpdpbusd zmm9, zmm12, zmm13",
                "vpdpbusd zmm10, zmm12, zmm13",
                "vpdpbusd zmm11, zmm12, zmm13",
                "dec {n}",
                "jnz 2b",
                n = inout(reg) rounds.max(1) => _,
                out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                out("zmm12") _, out("zmm13") _,
                options(nomem, nostack)
            );
        }
    }

    /// 6 times 8 channels by 2 numbers of 16 bits.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(rounds: u64) {
        // SAFETY: as in `vnni`.
        unsafe {
            asm!(
                "2:",
                "vpmaddwd ymm6, ymm12, ymm13",
                "vpaddd ymm0, ymm0, ymm6",
                "vpmaddwd ymm7, ymm12, ymm13",
                "vpaddd ymm1, ymm1, ymm7",
                "vpmaddwd ymm8, ymm12, ymm13",
                "vpaddd ymm2, ymm2, ymm8",
                "vpmaddwd ymm9, ymm12, ymm13",
                "vpaddd ymm3, ymm3, ymm9",
                "vpmaddwd ymm10, ymm12, ymm13",
                "vpaddd ymm4, ymm4, ymm10",
                "vpmaddwd ymm11, ymm12, ymm13",
                "vpaddd ymm5, ymm5, ymm11",
                "dec {n}",
                "jnz 2b",
                n = inout(reg) rounds.max(1) => _,
                out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                out("ymm12") _, out("ymm13") _,
                options(nomem, nostack)
            );
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use core::arch::asm;

    /// 12 times 4 channels by 4 bytes.
    #[target_feature(enable = "dotprod")]
    pub(super) fn dotprod(rounds: u64) {
        // SAFETY: registers only, all declared. Stable Rust has no intrinsic for `sdot`.
        unsafe {
            asm!(
                ".arch_extension dotprod",
                "2:",
                "sdot v0.4s, v16.16b, v17.4b[0]",
                "sdot v1.4s, v16.16b, v17.4b[0]",
                "sdot v2.4s, v16.16b, v17.4b[0]",
                "sdot v3.4s, v16.16b, v17.4b[0]",
                "sdot v4.4s, v16.16b, v17.4b[0]",
                "sdot v5.4s, v16.16b, v17.4b[0]",
                "sdot v6.4s, v16.16b, v17.4b[0]",
                "sdot v7.4s, v16.16b, v17.4b[0]",
                "sdot v18.4s, v16.16b, v17.4b[0]",
                "sdot v19.4s, v16.16b, v17.4b[0]",
                "sdot v20.4s, v16.16b, v17.4b[0]",
                "sdot v21.4s, v16.16b, v17.4b[0]",
                "subs {n}, {n}, #1",
                "b.ne 2b",
                n = inout(reg) rounds.max(1) => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                options(nomem, nostack)
            );
        }
    }

    /// 8 times 8 channels by 2 bytes: two products in 16 bits, then added in pairs.
    #[target_feature(enable = "neon")]
    pub(super) fn neon(rounds: u64) {
        // SAFETY: as in `dotprod`; intrinsics would leave the choice of registers and of the order to the compiler.
        unsafe {
            asm!(
                "2:",
                "smull v24.8h, v16.8b, v17.8b",
                "smull2 v25.8h, v16.16b, v17.16b",
                "smull v26.8h, v16.8b, v17.8b",
                "smull2 v27.8h, v16.16b, v17.16b",
                "smlal v24.8h, v16.8b, v17.8b",
                "smlal2 v25.8h, v16.16b, v17.16b",
                "smlal v26.8h, v16.8b, v17.8b",
                "smlal2 v27.8h, v16.16b, v17.16b",
                "sadalp v0.4s, v24.8h",
                "sadalp v1.4s, v25.8h",
                "sadalp v2.4s, v26.8h",
                "sadalp v3.4s, v27.8h",
                "smull v28.8h, v16.8b, v17.8b",
                "smull2 v29.8h, v16.16b, v17.16b",
                "smull v30.8h, v16.8b, v17.8b",
                "smull2 v31.8h, v16.16b, v17.16b",
                "smlal v28.8h, v16.8b, v17.8b",
                "smlal2 v29.8h, v16.16b, v17.16b",
                "smlal v30.8h, v16.8b, v17.8b",
                "smlal2 v31.8h, v16.16b, v17.16b",
                "sadalp v4.4s, v28.8h",
                "sadalp v5.4s, v29.8h",
                "sadalp v6.4s, v30.8h",
                "sadalp v7.4s, v31.8h",
                "subs {n}, {n}, #1",
                "b.ne 2b",
                n = inout(reg) rounds.max(1) => _,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _,
                out("v7") _, out("v16") _, out("v17") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _,
                out("v28") _, out("v29") _, out("v30") _, out("v31") _,
                options(nomem, nostack)
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_with_vectors_have_a_peak_and_rounds_add_up() {
        for isa in Isa::available() {
            let once = multiply(isa, 1);
            assert_eq!(once.is_none(), isa.is_reference() || isa.has_no_vectors(), "{}", isa.name());
            assert_eq!(multiply(isa, 1000), once.map(|macs| 1000 * macs), "{}", isa.name());
        }
    }
}
