//! NEON: transforms in vectors; products by `smlal` with an element of eight tiles' inputs.

use super::{
    Arithmetic, POSITIONS, Pass,
    transform::{INVERSE_OF_9, Inputs, Lanes, Sums, sums, tile},
};
use crate::{
    Isa,
    microkernels::aarch64::{
        neon_finish,
        neon_stage::{self, CHANNELS, Scale, Stage, mode, with_mode},
    },
};
use core::arch::aarch64::*;

// The assembly loads addresses of eight bytes, and lanes in the order of memory.
const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));

/// Proof that NEON can be executed.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_neon() { Some(Self(())) } else { None }
    }
}

#[derive(Clone, Copy)]
struct Eight(int16x8_t);

#[derive(Clone, Copy)]
struct Four(int32x4_t);

macro_rules! lanes {
    ($t:ident, $add:ident, $sub:ident, $shl:ident) => {
        impl Lanes for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: only made where NEON exists.
                Self(unsafe { $add(self.0, other.0) })
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                // SAFETY: only made where NEON exists.
                Self(unsafe { $sub(self.0, other.0) })
            }
            #[inline(always)]
            fn shl<const N: i32>(self) -> Self {
                // SAFETY: only made where NEON exists.
                Self(unsafe { $shl::<N>(self.0) })
            }
        }
    };
}
lanes!(Eight, vaddq_s16, vsubq_s16, vshlq_n_s16);
lanes!(Four, vaddq_s32, vsubq_s32, vshlq_n_s32);

impl Inputs for Eight {
    #[inline(always)]
    unsafe fn load(from: *const i8) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { vmovl_s8(vld1_s8(from)) })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_s16(to, self.0) }
    }
}

impl Sums for Four {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: only called where NEON exists.
        Self(unsafe { vdupq_n_s32(0) })
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { vld1q_s32(from) })
    }
    #[inline(always)]
    fn divide(self) -> Self {
        // SAFETY: only made where NEON exists.
        Self(unsafe { vshrq_n_s32::<6>(vmulq_s32(self.0, vdupq_n_s32(INVERSE_OF_9))) })
    }
}

impl Arithmetic for Neon {
    #[target_feature(enable = "neon")]
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], channel: usize, to: *mut i16, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Eight>(pixels, channel, to, stride) }
    }

    #[target_feature(enable = "neon")]
    unsafe fn multiply(self, v: *const i16, u: *const i16, m: *mut i32, blocks: usize) {
        if blocks > 0 {
            // SAFETY: the caller's promise.
            unsafe { multiply(v, u, m, blocks) }
        }
    }

    #[target_feature(enable = "neon")]
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i32, out: &[*mut i8; 16]) {
        let stage = Stage::new(&pass.panel.stage);
        // SAFETY: the pass has one panel.
        let scale = unsafe { Scale::load(pass.panel, 0) };
        // SAFETY: the caller's promise.
        unsafe { with_mode!(scale.mode(&stage), finish(pass, &stage, &scale, m, out)) }
    }
}

/// See [`Arithmetic::finish`].
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn finish<const MODE: u8>(
    pass: &Pass<'_>,
    stage: &Stage,
    scale: &Scale,
    m: *const i32,
    out: &[*mut i8; 16],
) {
    let mut total = [[vdupq_n_s32(0); 4]; 16];
    for quad in 0..4 {
        // SAFETY: the caller's promise.
        let mut one = unsafe { sums::<Four>(pass.sums(m, quad, 0), 64) };
        for split in 1..pass.splits {
            // SAFETY: the caller's promise.
            let other = unsafe { sums::<Four>(pass.sums(m, quad, split), 64) };
            one.iter_mut().zip(other).for_each(|(one, other)| *one = one.add(other));
        }
        for (total, one) in total.iter_mut().zip(one) {
            total[quad] = vaddq_s32(one.0, scale.bias[quad]);
        }
    }
    let whole = pass.live == CHANNELS && matches!(MODE, mode::RELU | mode::LINEAR | mode::FLOAT);
    for (sums, out) in total.as_chunks::<4>().0.iter().zip(out.as_chunks::<4>().0) {
        // SAFETY: the caller's promise.
        unsafe {
            if whole && !out[3].is_null() {
                neon_finish::four::<MODE>(stage, scale, sums, out);
            } else {
                for (sums, out) in sums.iter().zip(out).filter(|(_, out)| !out.is_null()) {
                    neon_stage::store(*out, stage.bytes::<MODE>(scale, *sums), pass.live);
                }
            }
        }
    }
}

/// See [`Arithmetic::multiply`]. All sums of 8 tiles by 8 output channels are in registers; eight input channels are
/// two loads of each side and 128 multiplications.
///
/// # Safety
/// As there, and `blocks` is not 0.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn multiply(v: *const i16, u: *const i16, m: *mut i32, blocks: usize) {
    /// Input channel `$i` of one tile by eight output channels.
    macro_rules! tile {
        ($u:literal, $i:literal, $v:literal, $low:literal, $high:literal) => {
            concat!(
                "smlal ", $low, ".4s, ", $u, ".4h, ", $v, ".h[", $i, "]\n", "smlal2 ", $high, ".4s, ", $u,
                ".8h, ", $v, ".h[", $i, "]\n",
            )
        };
    }
    /// Input channel `$i` of eight tiles.
    macro_rules! channel {
        ($u:literal, $i:literal) => {
            concat!(
                tile!($u, $i, "v0", "v16", "v17"),
                tile!($u, $i, "v1", "v18", "v19"),
                tile!($u, $i, "v2", "v20", "v21"),
                tile!($u, $i, "v3", "v22", "v23"),
                tile!($u, $i, "v4", "v24", "v25"),
                tile!($u, $i, "v5", "v26", "v27"),
                tile!($u, $i, "v6", "v28", "v29"),
                tile!($u, $i, "v7", "v30", "v31"),
            )
        };
    }
    // SAFETY: reads and writes what the caller promises, all of it in order.
    unsafe {
        core::arch::asm!(
            "2:",
            "mov {k}, {blocks}",
            "movi v16.4s, #0", "movi v17.4s, #0", "movi v18.4s, #0", "movi v19.4s, #0",
            "movi v20.4s, #0", "movi v21.4s, #0", "movi v22.4s, #0", "movi v23.4s, #0",
            "movi v24.4s, #0", "movi v25.4s, #0", "movi v26.4s, #0", "movi v27.4s, #0",
            "movi v28.4s, #0", "movi v29.4s, #0", "movi v30.4s, #0", "movi v31.4s, #0",
            "3:",
            "ld1 {{v0.8h, v1.8h, v2.8h, v3.8h}}, [{v}], #64",
            "ld1 {{v8.8h, v9.8h, v10.8h, v11.8h}}, [{u}], #64",
            "ld1 {{v4.8h, v5.8h, v6.8h, v7.8h}}, [{v}], #64",
            "ld1 {{v12.8h, v13.8h, v14.8h, v15.8h}}, [{u}], #64",
            channel!("v8", "0"),
            channel!("v9", "1"),
            channel!("v10", "2"),
            channel!("v11", "3"),
            channel!("v12", "4"),
            channel!("v13", "5"),
            channel!("v14", "6"),
            channel!("v15", "7"),
            "subs {k}, {k}, #1",
            "b.ne 3b",
            "st1 {{v16.4s, v17.4s, v18.4s, v19.4s}}, [{m}], #64",
            "st1 {{v20.4s, v21.4s, v22.4s, v23.4s}}, [{m}], #64",
            "st1 {{v24.4s, v25.4s, v26.4s, v27.4s}}, [{m}], #64",
            "st1 {{v28.4s, v29.4s, v30.4s, v31.4s}}, [{m}], #64",
            "subs {positions}, {positions}, #1",
            "b.ne 2b",
            v = inout(reg) v => _,
            u = inout(reg) u => _,
            m = inout(reg) m => _,
            blocks = in(reg) blocks,
            positions = inout(reg) POSITIONS => _,
            k = out(reg) _,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
            out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
            out("v29") _, out("v30") _, out("v31") _,
            options(nostack),
        );
    }
}
