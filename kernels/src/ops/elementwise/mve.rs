//! Helium: four values at a time, the last ones by tail predication.
//!
//! A value is read, brought to 32 bits, scaled and stored again, in lanes that do not know of each other: results may lie where operands were.

use crate::{Isa, Multiplier, OutputParams, Rounding, microkernels::mve::mve};
use core::{arch::naked_asm, cell::Cell};

/// A factor, and what follows it. The assembly has the order of the fields.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Scale {
    /// Bits that values are shifted up by first.
    left: i32,
    mantissa: i32,
    /// Not above 0: by as many bits down.
    shift: i32,
    zero_point: i32,
    min: i32,
    max: i32,
}

/// Which instructions round.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// Two roundings.
    Double,
    /// One, in the shift.
    Single,
}

/// Where Helium is, and a factor that it can apply.
#[derive(Clone, Copy)]
pub(super) struct Mve {
    scale: Scale,
    way: Way,
}

impl Mve {
    /// For values below `2^bits`; `None` without the instructions, and for a factor that has no short way.
    pub(super) fn new(isa: Isa, multiplier: Multiplier, bits: i32, stage: &OutputParams) -> Option<Self> {
        let Multiplier { mantissa, shift } = multiplier;
        let way = match stage.rounding {
            Rounding::TfliteDouble => Way::Double,
            // One rounding of a product that is not shifted afterwards is the first of two.
            Rounding::Single if shift >= 0 => Way::Double,
            Rounding::Single => Way::Single,
            Rounding::FloatEven => return None,
        };
        let most = if stage.rounding == Rounding::Single { 31 - bits } else { 30 };
        let fits = isa.has_mve() && mantissa >= 0 && (-31..=most).contains(&shift);
        let scale = Scale {
            left: shift.max(0),
            mantissa,
            shift: shift.min(0),
            zero_point: stage.zero_point.into(),
            min: stage.min.into(),
            max: stage.max.into(),
        };
        fits.then_some(Self { scale, way })
    }
}

/// `stage(multiplier(a - zero))`.
#[repr(C)]
pub(super) struct Rescaled {
    a: *const i8,
    out: *mut i8,
    n: usize,
    zero: i32,
    scale: Scale,
}

/// `stage(multiplier((a - zeros[0]) * (b - zeros[1])))`.
#[repr(C)]
pub(super) struct Product {
    a: *const i8,
    b: *const i8,
    n: usize,
    out: *mut i8,
    zeros: [i32; 2],
    scale: Scale,
}

/// `stage(multiplier((a - zero) * 2^19 + smaller((b - zero) * 2^20)))`.
#[repr(C)]
pub(super) struct Sum {
    a: *const i8,
    b: *const i8,
    n: usize,
    out: *mut i8,
    zeros: [i32; 2],
    scale: Scale,
    /// Of the second operand.
    mantissa: i32,
    /// Not above 0.
    shift: i32,
}

const _: () = {
    assert!(core::mem::offset_of!(Rescaled, scale) == 16);
    assert!(core::mem::offset_of!(Product, scale) == 24);
    assert!(core::mem::offset_of!(Sum, mantissa) == 48);
};

impl Mve {
    /// `stage(multiplier(a - zero))` for each cell.
    ///
    /// # Safety
    /// As many values are readable.
    #[inline(always)]
    pub(super) unsafe fn rescale(self, a: *const i8, zero: i8, cells: &[Cell<i8>]) {
        let out = cells.as_ptr().cast::<i8>().cast_mut();
        let job = Rescaled { a, out, n: cells.len(), zero: zero.into(), scale: self.scale };
        // SAFETY: the caller's promise, and the instructions exist; cells may be written through a shared reference.
        unsafe {
            match self.way {
                Way::Double => rescaled_double(&job),
                Way::Single => rescaled_single(&job),
            }
        }
    }

    /// `stage(multiplier((a - zeros[0]) * (b - zeros[1])))` for each cell.
    ///
    /// # Safety
    /// As many values are readable in both.
    #[inline(always)]
    pub(super) unsafe fn multiply(self, [a, b]: [*const i8; 2], zeros: [i8; 2], cells: &[Cell<i8>]) {
        let out = cells.as_ptr().cast::<i8>().cast_mut();
        let job = Product { a, b, n: cells.len(), out, zeros: zeros.map(i32::from), scale: self.scale };
        // SAFETY: as in `rescale`.
        unsafe {
            match self.way {
                Way::Double => product_double(&job),
                Way::Single => product_single(&job),
            }
        }
    }

    /// `stage(multiplier(a' + b'))` for each cell, where `a'` is half of `(a - zeros[0]) * 2^20` and `b'` is `(b - zeros[1]) * 2^20` times `smaller`,
    /// which is 1/2 or less.
    ///
    /// # Safety
    /// As for [`Self::multiply`].
    #[inline(always)]
    pub(super) unsafe fn add(
        self,
        [a, b]: [*const i8; 2],
        zeros: [i8; 2],
        smaller: Multiplier,
        cells: &[Cell<i8>],
    ) {
        let out = cells.as_ptr().cast::<i8>().cast_mut();
        let Multiplier { mantissa, shift } = smaller;
        let zeros = zeros.map(i32::from);
        let job = Sum { a, b, n: cells.len(), out, zeros, scale: self.scale, mantissa, shift };
        // SAFETY: as in `rescale`.
        unsafe {
            match self.way {
                Way::Double => sum_double(&job),
                Way::Single => sum_single(&job),
            }
        }
    }
}

/// `$q` times the mantissa in `$m`, shifted by the lanes of `$n`; q3 is lost.
macro_rules! scaled {
    (double, $q:literal, $m:literal, $n:literal) => {
        concat!(
            concat!("vqrdmulh.s32 ", $q, ", ", $q, ", ", $m, "\n"),
            // A shift of 0 has no sign: nothing is taken off.
            concat!("vand q3, ", $q, ", ", $n, "\n"),
            "vshr.s32 q3, q3, #31\n",
            concat!("vqadd.s32 ", $q, ", ", $q, ", q3\n"),
            concat!("vrshl.s32 ", $q, ", ", $q, ", ", $n, "\n"),
        )
    };
    (single, $q:literal, $m:literal, $n:literal) => {
        concat!(
            concat!("vqdmulh.s32 ", $q, ", ", $q, ", ", $m, "\n"),
            concat!("vrshl.s32 ", $q, ", ", $q, ", ", $n, "\n"),
        )
    };
}

/// A naked function: a loop over four values at a time. Before it, `$fields` loads what is the job's own, and the six fields of the scale are loaded
/// from r12 on: r8 to r10 are its first shift, the mantissa and the zero point, q4 the second shift, q5 and q6 the bounds. `$value` puts what is scaled
/// into q0.
macro_rules! each {
    ($(#[$doc:meta])* $name:ident($job:ty), $way:ident, $fields:expr, $value:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// The operands are readable, and the result writable.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(job: &$job) {
            naked_asm!(concat!(
                mve!(),
                "push {{r4-r11, lr}}\n",
                "vpush {{d8-d15}}\n",
                "mov r12, r0\n",
                $fields,
                "ldm r12, {{r8-r11}}\n",
                "vdup.32 q4, r10\n",
                "mov r10, r11\n",
                "ldrd r11, r12, [r12, #16]\n",
                "vdup.32 q5, r11\n",
                "vdup.32 q6, r12\n",
                "wlstp.32 lr, r2, 3f\n",
                "2:\n",
                $value,
                scaled!($way, "q0", "r9", "q4"),
                "vqadd.s32 q0, q0, r10\n",
                "vmax.s32 q0, q0, q5\n",
                "vmin.s32 q0, q0, q6\n",
                "vstrb.32 q0, [r3], #4\n",
                "letp lr, 2b\n",
                "3:\n",
                "vpop {{d8-d15}}\n",
                "pop {{r4-r11, pc}}\n",
            ))
        }
    };
}

/// [`Rescaled`] in registers: r0, r3, r2, r4.
macro_rules! rescaled_fields {
    () => {
        "ldm r12!, {{r0, r3}}\nldm r12!, {{r2, r4}}\n"
    };
}
macro_rules! rescaled_value {
    () => {
        "vldrb.s32 q0, [r0], #4\nvsub.i32 q0, q0, r4\nvshl.s32 q0, r8\n"
    };
}

each! {
    /// [`Mve::rescale`].
    rescaled_double(Rescaled), double, rescaled_fields!(), rescaled_value!()
}
each! {
    /// [`Mve::rescale`].
    rescaled_single(Rescaled), single, rescaled_fields!(), rescaled_value!()
}

/// [`Product`] in registers: r0 to r5.
macro_rules! product_fields {
    () => {
        "ldm r12!, {{r0-r5}}\n"
    };
}
macro_rules! product_value {
    () => {
        concat!(
            "vldrb.s32 q0, [r0], #4\n",
            "vldrb.s32 q1, [r1], #4\n",
            "vsub.i32 q0, q0, r4\n",
            "vsub.i32 q1, q1, r5\n",
            "vmul.i32 q0, q0, q1\n",
            "vshl.s32 q0, r8\n",
        )
    };
}

each! {
    /// [`Mve::multiply`].
    product_double(Product), double, product_fields!(), product_value!()
}
each! {
    /// [`Mve::multiply`].
    product_single(Product), single, product_fields!(), product_value!()
}

/// [`Sum`] in registers: r0 to r5, r6 is the mantissa of the second operand, q7 its shift.
macro_rules! sum_fields {
    () => {
        "ldrd r6, r7, [r12, #48]\nvdup.32 q7, r7\nldm r12!, {{r0-r5}}\n"
    };
}
macro_rules! sum_value {
    ($way:ident) => {
        concat!(
            "vldrb.s32 q0, [r0], #4\n",
            "vldrb.s32 q1, [r1], #4\n",
            "vsub.i32 q0, q0, r4\n",
            "vsub.i32 q1, q1, r5\n",
            "vshl.i32 q0, q0, #19\n",
            "vshl.i32 q1, q1, #20\n",
            scaled!($way, "q1", "r6", "q7"),
            "vadd.i32 q0, q0, q1\n",
        )
    };
}

each! {
    /// [`Mve::add`].
    sum_double(Sum), double, sum_fields!(), sum_value!(double)
}
each! {
    /// [`Mve::add`].
    sum_single(Sum), single, sum_fields!(), sum_value!(single)
}
