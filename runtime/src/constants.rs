//! Typed views of the constants of a model, evaluated at compile time.

/// `len` bytes at `offset`; compiling fails if they do not exist.
pub const fn i8s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [i8] {
    assert!(offset <= N && len <= N - offset, "constant outside the weights");
    // SAFETY: the range was checked; u8 and i8 have the same size and alignment, and every byte is a valid i8.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}

/// `len` 16-bit integers at byte `offset`, which must be even; see [`i32s`].
pub const fn i16s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [i16] {
    assert!(offset.is_multiple_of(2), "constant not aligned");
    assert!(offset <= N && len <= (N - offset) / 2, "constant outside the weights");
    // SAFETY: the range was checked; `Aligned` is aligned to 64 bytes and the offset to 2; every pattern is a valid i16.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}

/// `len` 32-bit integers at byte `offset`, which must be a multiple of 4 in bytes that are aligned to 4
/// ([`crate::Aligned`]); compiling fails if they do not exist.
pub const fn i32s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [i32] {
    assert!(offset.is_multiple_of(4), "constant not aligned");
    assert!(offset <= N && len <= (N - offset) / 4, "constant outside the weights");
    // SAFETY: the range was checked; `Aligned` is aligned to 64 bytes and the offset to 4; every pattern is a valid i32.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}

/// `len` f16 values at byte `offset`, which must be even; see [`i32s`].
pub const fn u16s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [u16] {
    assert!(offset.is_multiple_of(2), "constant not aligned");
    assert!(offset <= N && len <= (N - offset) / 2, "constant outside the weights");
    // SAFETY: the range was checked; `Aligned` is aligned to 64 bytes and the offset to 2; every pattern is a valid u16.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}

/// `len` f32 values at byte `offset`; see [`i32s`].
pub const fn f32s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [f32] {
    assert!(offset.is_multiple_of(4), "constant not aligned");
    assert!(offset <= N && len <= (N - offset) / 4, "constant outside the weights");
    // SAFETY: the range was checked; `Aligned` is aligned to 64 bytes and the offset to 4; every pattern is a valid f32.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}

/// As [`u16s`], for inputs and outputs.
pub const fn f16s<const N: usize>(
    weights: &'static crate::Aligned<N>,
    offset: usize,
    len: usize,
) -> &'static [crate::F16] {
    assert!(offset.is_multiple_of(2), "constant not aligned");
    assert!(offset <= N && len <= (N - offset) / 2, "constant outside the weights");
    // SAFETY: the range was checked; `Aligned` is aligned to 64 bytes and the offset to 2; every pattern is a valid `F16`.
    unsafe { core::slice::from_raw_parts(weights.0.as_ptr().add(offset).cast(), len) }
}
