//! The loop over four pixels at a time. Naked functions, here and beside: they use all fourteen general registers and save them by themselves.

use super::{CHANNELS, Line, Panels};
use crate::{OutputParams, Rounding};
use core::arch::naked_asm;

/// Pixels of one turn.
pub(super) const PIXELS: usize = 4;

/// Bias and factor of one channel.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Channel {
    bias: i32,
    mantissa: i32,
    shift: i32,
}

/// Before the instructions of a naked function: compilers that read it for link-time optimisation forget what core they compile for.
macro_rules! mve {
    () => {
        ".cpu cortex-m55\n"
    };
}
pub(crate) use mve;

/// Several times four pixels of one panel. The assembly has the offsets of the fields.
#[repr(C)]
pub(super) struct Quads {
    /// 0: the first group of weights.
    weights: *const i8,
    /// 4: groups of sixteen, at least one.
    groups: usize,
    /// 8: four times `pitch`.
    step: usize,
    /// 12: channels 0, 2, 1, 3.
    channels: [Channel; CHANNELS],
    /// 60
    zero_point: i32,
    /// 64: whether there is a clamp.
    clamped: u32,
    /// 68: four times the output's pitch.
    out_step: usize,
    /// 72: at least one.
    quads: usize,
    /// 76: the least and the largest value that is stored, four times each.
    min: u32,
    /// 80
    max: u32,
    /// 84: four pixels.
    x: *const i8,
    /// 88
    pitch: usize,
    /// 92: where they are written.
    out: *mut i8,
    /// 96
    out_pitch: usize,
}

/// Bytes of [`Quads`] that are copied to the stack.
const COPIED: usize = 84;
const _: () = {
    assert!(core::mem::offset_of!(Quads, x) == COPIED);
    assert!(core::mem::offset_of!(Quads, zero_point) == 60 && core::mem::offset_of!(Quads, out_pitch) == 96);
};

impl Quads {
    /// `None` for a factor for which there is no short way.
    ///
    /// # Safety
    /// The panel has four channels.
    #[inline(always)]
    pub(super) unsafe fn new(line: &Line, groups: usize, panel: &Panels) -> Option<Self> {
        let stage = &panel.stage;
        let most = match stage.rounding {
            Rounding::TfliteDouble if lifts(stage) => 0,
            Rounding::TfliteDouble | Rounding::Single => -1,
            Rounding::FloatEven => return None,
        };
        let mut channels = [Channel::default(); CHANNELS];
        for (channel, n) in channels.iter_mut().zip([0, 2, 1, 3]) {
            // SAFETY: the caller's promise.
            let (bias, mut factor) = unsafe { (*panel.bias.add(n), panel.multiplier(n)) };
            if factor.mantissa == 0 {
                // The product is 0, whatever the shift.
                factor.shift = -1;
            }
            if factor.mantissa < 0 || !(-31..=most).contains(&factor.shift) {
                return None;
            }
            *channel = Channel { bias, mantissa: factor.mantissa, shift: factor.shift };
        }
        let four = |byte: i8| u32::from_ne_bytes([byte as u8; 4]);
        Some(Self {
            weights: panel.weights,
            groups,
            step: PIXELS * line.pitch,
            channels,
            zero_point: stage.zero_point.into(),
            clamped: (stage.min != i8::MIN || stage.max != i8::MAX).into(),
            out_step: PIXELS * line.out_pitch,
            quads: line.pixels / PIXELS,
            min: four(stage.min),
            max: four(stage.max),
            x: line.x,
            pitch: line.pitch,
            out: line.out,
            out_pitch: line.out_pitch,
        })
    }

    /// Computes and stores.
    ///
    /// # Safety
    /// All pixels are readable and writable, their output at multiples of 4; `groups` of weights are readable.
    #[inline(always)]
    pub(super) unsafe fn run(&self, stage: &OutputParams) {
        // SAFETY: the caller's promise.
        unsafe {
            match stage.rounding {
                Rounding::Single => quads_single(self),
                _ if lifts(stage) => quads_relu(self),
                _ => quads_double(self),
            }
        }
    }
}

/// Whether negative values are stored as the least one, so that their rounding does not matter.
#[inline(always)]
const fn lifts(stage: &OutputParams) -> bool {
    stage.min >= stage.zero_point
}

/// Sixteen bytes of four pixels and two channels: forwards, or backwards. Sums in even registers, pixel by pixel. `$a` accumulates or begins.
macro_rules! group {
    (forward $a:literal) => {
        group!($a, "[r9], #64", "[r9, #-32]", "r1], #16", "r3], #16", "r5], #16", "r7], #16")
    };
    (backward $a:literal) => {
        group!($a, "[r9], #-64", "[r9, #96]", "r1, #-16]!", "r3, #-16]!", "r5, #-16]!", "r7, #-16]!")
    };
    ($a:literal, $w:literal, $v:literal, $p:literal, $q:literal, $r:literal, $s:literal) => {
        concat!(
            concat!("vldrb.u8 q0, ", $w, "\n"),
            concat!("vldrb.u8 q2, [", $p, "\n"),
            concat!("vmladav", $a, ".s8 r0, q0, q2\n"),
            concat!("vldrb.u8 q1, ", $v, "\n"),
            concat!("vmladav", $a, ".s8 r2, q1, q2\n"),
            concat!("vldrb.u8 q3, [", $q, "\n"),
            concat!("vmladav", $a, ".s8 r4, q0, q3\n"),
            concat!("vldrb.u8 q2, [", $r, "\n"),
            concat!("vmladav", $a, ".s8 r6, q1, q3\n"),
            concat!("vldrb.u8 q3, [", $s, "\n"),
            concat!("vmladav", $a, ".s8 r8, q0, q2\n"),
            concat!("vmladav", $a, ".s8 r10, q1, q2\n"),
            concat!("vmladav", $a, ".s8 r12, q0, q3\n"),
            concat!("vmladav", $a, ".s8 lr, q1, q3\n"),
        )
    };
}

/// All groups of a pair, of which there are as many as r11 says: one, then two at a time, beginning in the middle if they are even.
macro_rules! pair {
    ($way:ident) => {
        concat!(
            group!($way ""),
            "lsrs r11, r11, #1\n",
            "beq 5f\n",
            "bcc 4f\n",
            "3:\n",
            group!($way "a"),
            "4:\n",
            group!($way "a"),
            "subs r11, r11, #1\n",
            "bne 3b\n",
            "5:\n",
        )
    };
}

/// The sums of a pair to 16 bits in `$to`, the second channel's in upper halves. `$product` is the instruction, `$fix` comes before the shift.
macro_rules! ending {
    ($constants:literal, $to:literal, $product:literal, $fix:expr) => {
        concat!(
            // Lanes 0 and 2, 1 and 3 of either channel.
            "vmov q4[2], q4[0], r0, r8\n",
            "vmov q4[3], q4[1], r4, r12\n",
            "vmov q5[2], q5[0], r2, r10\n",
            "vmov q5[3], q5[1], r6, lr\n",
            concat!("add r0, sp, #", $constants, "\n"),
            "ldm r0, {{r0, r2, r4, r6, r8, r10}}\n",
            "vadd.i32 q4, q4, r0\n",
            "vadd.i32 q5, q5, r6\n",
            concat!($product, ".s32 q4, q4, r2\n"),
            concat!($product, ".s32 q5, q5, r8\n"),
            $fix,
            "vrshl.s32 q4, r4\n",
            "vrshl.s32 q5, r10\n",
            concat!("vqmovnb.s32 ", $to, ", q4\n"),
            concat!("vqmovnt.s32 ", $to, ", q5\n"),
        )
    };
}

macro_rules! quads {
    ($(#[$doc:meta])* $name:ident, $product:literal, $fix:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// As for [`Quads::run`].
        #[unsafe(naked)]
        unsafe extern "C" fn $name(job: &Quads) {
            // The job lies on the stack, from its first field at sp on. q7 has the addresses of four outputs.
            naked_asm!(concat!(
                mve!(),
                "push {{r4-r11, lr}}\n",
                "vpush {{d8-d15}}\n",
                "sub sp, #{copied}\n",
                "mov r1, sp\n",
                "ldm r0!, {{r2-r8}}\n",
                "stm r1!, {{r2-r8}}\n",
                "ldm r0!, {{r2-r8}}\n",
                "stm r1!, {{r2-r8}}\n",
                "ldm r0!, {{r2-r8}}\n",
                "stm r1!, {{r2-r8}}\n",
                "ldm r0, {{r1, r2, r8, r9}}\n",
                "add r3, r1, r2\n",
                "add r5, r3, r2\n",
                "add r7, r5, r2\n",
                "add r10, r8, r9\n",
                "add r11, r10, r9\n",
                "add r12, r11, r9\n",
                "vmov q7[2], q7[0], r8, r11\n",
                "vmov q7[3], q7[1], r10, r12\n",
                "2:\n",
                "ldrd r9, r11, [sp]\n",
                pair!(forward),
                ending!("12", "q6", $product, $fix),
                "ldr r11, [sp, #4]\n",
                "sub r9, r9, #48\n",
                pair!(backward),
                ending!("36", "q4", $product, $fix),
                "ldr r8, [sp, #8]\n",
                "add r0, sp, #60\n",
                "ldm r0, {{r0, r2, r4, r6}}\n",
                "vqadd.s16 q6, q6, r0\n",
                "vqadd.s16 q4, q4, r0\n",
                "vqmovnb.s16 q6, q6\n",
                "vqmovnt.s16 q6, q4\n",
                "cbz r2, 6f\n",
                "ldrd r0, r2, [sp, #76]\n",
                "vdup.32 q4, r0\n",
                "vdup.32 q5, r2\n",
                "vmax.s8 q6, q6, q4\n",
                "vmin.s8 q6, q6, q5\n",
                "6:\n",
                "vstrw.32 q6, [q7]\n",
                "vadd.i32 q7, q7, r4\n",
                "add r1, r1, r8\n",
                "add r3, r3, r8\n",
                "add r5, r5, r8\n",
                "add r7, r7, r8\n",
                "subs r6, r6, #1\n",
                "str r6, [sp, #72]\n",
                "bne 2b\n",
                "add sp, #{copied}\n",
                "vpop {{d8-d15}}\n",
                "pop {{r4-r11, pc}}\n",
            ), copied = const COPIED)
        }
    };
}

quads! {
    /// The double rounding, of sums whose negative values are all stored as the least one.
    quads_relu, "vqrdmulh", ""
}
quads! {
    /// The double rounding.
    quads_double, "vqrdmulh",
    "vshr.s32 q0, q4, #31\nvshr.s32 q1, q5, #31\nvqadd.s32 q4, q4, q0\nvqadd.s32 q5, q5, q1\n"
}
quads! {
    /// One rounding.
    quads_single, "vqdmulh", ""
}
