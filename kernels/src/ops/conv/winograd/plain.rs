//! Plain Rust, for any core: what the vector code must equal.

use super::{
    POSITIONS, Pass,
    transform::{INVERSE_OF_9, Inputs, Lanes, Sums, sums, tile},
};

/// Plain arrays as lanes.
#[derive(Clone, Copy)]
struct Array<T, const N: usize>([T; N]);

macro_rules! lanes {
    ($t:ty, $n:literal) => {
        impl Lanes for Array<$t, $n> {
            #[inline(always)]
            fn add(mut self, other: Self) -> Self {
                self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = a.wrapping_add(b));
                self
            }
            #[inline(always)]
            fn sub(mut self, other: Self) -> Self {
                self.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = a.wrapping_sub(b));
                self
            }
            #[inline(always)]
            fn shl<const N: i32>(self) -> Self {
                Self(self.0.map(|x| x << N))
            }
        }
    };
}
lanes!(i16, 8);
lanes!(i32, 4);

impl Inputs for Array<i16, 8> {
    #[inline(always)]
    unsafe fn load(from: *const i8) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[i8; 8]>().read() }.map(i16::from))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut i16) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i16; 8]>().write(self.0) }
    }
}

impl Sums for Array<i32, 4> {
    #[inline(always)]
    fn zero() -> Self {
        Self([0; 4])
    }
    #[inline(always)]
    unsafe fn load(from: *const i32) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { from.cast::<[i32; 4]>().read() })
    }
    #[inline(always)]
    fn divide(self) -> Self {
        Self(self.0.map(|x| x.wrapping_mul(INVERSE_OF_9) >> 6))
    }
}

/// See [`super::Arithmetic`].
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl super::Arithmetic for Plain {
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], channel: usize, to: *mut i16, stride: usize) {
        // SAFETY: the caller's promise.
        unsafe { tile::<Array<i16, 8>>(pixels, channel, to, stride) }
    }

    unsafe fn multiply(self, v: *const i16, u: *const i16, m: *mut i32, blocks: usize) {
        for position in 0..POSITIONS {
            let mut acc = [[0i32; 8]; 8];
            for block in position * blocks..(position + 1) * blocks {
                // SAFETY: 64 values of each, by the caller's promise.
                let (v, u) = unsafe {
                    (
                        v.add(64 * block).cast::<[[i16; 8]; 8]>().read(),
                        u.add(64 * block).cast::<[[i16; 8]; 8]>().read(),
                    )
                };
                for (acc, v) in acc.iter_mut().zip(v) {
                    for (x, u) in v.into_iter().zip(u) {
                        for (acc, u) in acc.iter_mut().zip(u) {
                            *acc = acc.wrapping_add(x as i32 * u as i32);
                        }
                    }
                }
            }
            // SAFETY: the position has 64 sums, by the caller's promise.
            unsafe { m.add(64 * position).cast::<[[i32; 8]; 8]>().write(acc) };
        }
    }

    unsafe fn finish(self, pass: &Pass<'_>, m: *const i32, out: &[*mut i8; 16]) {
        for quad in 0..pass.live.div_ceil(4) {
            let mut total = [Array::<i32, 4>::zero(); 16];
            for split in 0..pass.splits {
                // SAFETY: the caller's promise.
                let one = unsafe { sums::<Array<i32, 4>>(pass.sums(m, quad, split), 64) };
                total.iter_mut().zip(one).for_each(|(total, one)| *total = total.add(one));
            }
            for (total, out) in total.iter().zip(out).filter(|(_, out)| !out.is_null()) {
                for (i, sum) in total.0.iter().enumerate().take(pass.live - 4 * quad) {
                    let n = 4 * quad + i;
                    // SAFETY: `n` lies within the panel's constants and the writable channels.
                    unsafe {
                        let acc = sum.wrapping_add(*pass.panel.bias.add(n));
                        out.add(n).write(pass.panel.stage.store(acc, pass.panel.multiplier(n)));
                    }
                }
            }
        }
    }
}
