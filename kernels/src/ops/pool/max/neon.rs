//! NEON: the largest of four vectors of channels, then of two and of one, then one by one. Columns come first: what two windows share is computed
//! once.

use super::rectangle::Rectangle;
use crate::Isa;
use core::{arch::aarch64::*, array, ops::Range};

/// Bytes of a vector.
const VECTOR: usize = 16;

/// Proof that NEON can be executed.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

/// A row of outputs: where it begins, its pixels, bytes from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    pub(crate) first: *mut i8,
    pub(crate) pixels: usize,
    pub(crate) pixel: usize,
}

/// Which columns of the image, of which there are `size`, an output's window covers.
#[derive(Clone, Copy)]
pub(crate) struct Columns {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) size: usize,
}

impl Columns {
    /// Those of a window that begins `start` columns behind the first.
    #[inline(always)]
    fn from(self, start: usize) -> Range<usize> {
        let end = start.saturating_add(self.kernel);
        start.saturating_sub(self.padding)..end.saturating_sub(self.padding).min(self.size)
    }
}

/// What is compared.
pub(crate) trait Elements: Copy {
    /// One of them.
    type Element: Copy + Ord;
    /// A vector of them.
    type Vector: Copy;

    /// # Safety
    /// NEON exists.
    unsafe fn repeated(element: Self::Element) -> Self::Vector;
    /// # Safety
    /// NEON exists, and a vector is readable.
    unsafe fn load(from: *const i8) -> Self::Vector;
    /// # Safety
    /// NEON exists, and a vector is writable.
    unsafe fn store(vector: Self::Vector, to: *mut i8);
    /// # Safety
    /// NEON exists.
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// # Safety
    /// NEON exists.
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The largest of a vector.
    ///
    /// # Safety
    /// NEON exists.
    unsafe fn greatest(vector: Self::Vector) -> Self::Element;
}

macro_rules! elements {
    ($(#[$doc:meta])* $name:ident: $t:ty, $vector:ty, $dup:ident, $load:ident, $store:ident, $max:ident, $min:ident, $across:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        impl Elements for $name {
            type Element = $t;
            type Vector = $vector;

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn repeated(element: $t) -> $vector {
                $dup(element)
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn load(from: *const i8) -> $vector {
                // SAFETY: the caller's promise; vectors need no alignment.
                unsafe { $load(from.cast()) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn store(vector: $vector, to: *mut i8) {
                // SAFETY: as above.
                unsafe { $store(to.cast(), vector) }
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn max(a: $vector, b: $vector) -> $vector {
                $max(a, b)
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn min(a: $vector, b: $vector) -> $vector {
                $min(a, b)
            }

            #[inline]
            #[target_feature(enable = "neon")]
            unsafe fn greatest(vector: $vector) -> $t {
                $across(vector)
            }
        }
    };
}

elements! {
    /// Codes.
    Codes: i8, int8x16_t, vdupq_n_s8, vld1q_s8, vst1q_s8, vmaxq_s8, vminq_s8, vmaxvq_s8
}
elements! {
    /// F16 values as integers: in the order of the values from +0 to infinity, all others beyond.
    Halves: u16, uint16x8_t, vdupq_n_u16, vld1q_u16, vst1q_u16, vmaxq_u16, vminq_u16, vmaxvq_u16
}

impl Neon {
    pub(crate) const fn new(isa: Isa) -> Option<Self> {
        if isa.has_neon() { Some(Self(())) } else { None }
    }

    /// Element `c` of output `x` is `min(max(lowest, largest of element c in its columns of the rows), highest)`. Returns the largest element of all
    /// outputs, at least `lowest`.
    ///
    /// # Safety
    /// `bytes` bytes, those of whole elements, are readable at every pixel of the rectangle, which has all columns, and writable at every output.
    #[inline(always)]
    pub(crate) unsafe fn largest<E: Elements>(
        self,
        rows: &Rectangle,
        columns: Columns,
        bytes: usize,
        bounds: [E::Element; 2],
        out: Outputs,
    ) -> E::Element {
        // SAFETY: the token proves the instructions; the rest is the caller's promise.
        unsafe { largest::<E>(rows, columns, bytes, bounds, out) }
    }
}

/// See [`Neon::largest`].
///
/// # Safety
/// As there, where the instructions exist.
#[target_feature(enable = "neon")]
unsafe fn largest<E: Elements>(
    rows: &Rectangle,
    columns: Columns,
    bytes: usize,
    bounds @ [lowest, highest]: [E::Element; 2],
    out: Outputs,
) -> E::Element {
    let (mut c, mut greatest) = (0, lowest);
    // SAFETY: so many bytes from `c` on.
    unsafe {
        while c + 4 * VECTOR <= bytes {
            greatest = greatest.max(vectors::<E, 4>(rows, columns, c, bounds, out));
            c += 4 * VECTOR;
        }
        if c + 2 * VECTOR <= bytes {
            greatest = greatest.max(vectors::<E, 2>(rows, columns, c, bounds, out));
            c += 2 * VECTOR;
        }
        if c + VECTOR <= bytes {
            greatest = greatest.max(vectors::<E, 1>(rows, columns, c, bounds, out));
            c += VECTOR;
        }
    }
    let rest = (c..bytes).step_by(size_of::<E::Element>());
    for (c, x) in rest.flat_map(|c| (0..out.pixels).map(move |x| (c, x))) {
        let mut largest = lowest;
        for (x, y) in
            columns.from(x.saturating_mul(columns.stride)).flat_map(|x| (0..rows.rows).map(move |y| (x, y)))
        {
            let from = rows.first.wrapping_add(x * rows.pixel + y * rows.row + c);
            // SAFETY: an element of a pixel of the rectangle.
            largest = largest.max(unsafe { from.cast::<E::Element>().read_unaligned() });
        }
        let (largest, to) = (largest.min(highest), out.first.wrapping_add(x * out.pixel + c));
        greatest = greatest.max(largest);
        // SAFETY: an element of an output.
        unsafe { to.cast::<E::Element>().write_unaligned(largest) };
    }
    greatest
}

/// `N` vectors from byte `c` on.
///
/// # Safety
/// As for [`Neon::largest`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn vectors<E: Elements, const N: usize>(
    rows: &Rectangle,
    columns: Columns,
    c: usize,
    bounds: [E::Element; 2],
    out: Outputs,
) -> E::Element {
    // SAFETY: the caller's promise. Most windows have three rows; then the loop over them is written out.
    unsafe {
        match rows.rows {
            3 => tall::<E, N, 3>(rows, columns, c, bounds, out),
            _ => tall::<E, N, 0>(rows, columns, c, bounds, out),
        }
    }
}

/// See [`vectors`]; there are `ROWS` rows, if that is not 0.
///
/// # Safety
/// As there.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tall<E: Elements, const N: usize, const ROWS: usize>(
    rows: &Rectangle,
    columns: Columns,
    c: usize,
    [lowest, highest]: [E::Element; 2],
    out: Outputs,
) -> E::Element {
    // SAFETY: pixels of the rectangle and of the output.
    unsafe {
        let larger = |a: [E::Vector; N], b: [E::Vector; N]| array::from_fn(|i| E::max(a[i], b[i]));
        let (low, high) = ([E::repeated(lowest); N], E::repeated(highest));
        // The column that came last.
        let (mut column, mut last) = (usize::MAX, low);
        let (mut to, mut greatest) = (out.first.wrapping_add(c), E::repeated(lowest));
        let mut start = 0usize;
        for _ in 0..out.pixels {
            let mut largest = low;
            for x in columns.from(start) {
                if x != column {
                    (column, last) = (x, low);
                    let mut from = rows.first.wrapping_add(x * rows.pixel + c);
                    for _ in 0..if ROWS > 0 { ROWS } else { rows.rows } {
                        last = larger(last, array::from_fn(|i| E::load(from.wrapping_add(VECTOR * i))));
                        from = from.wrapping_add(rows.row);
                    }
                }
                largest = larger(largest, last);
            }
            for (i, largest) in largest.into_iter().enumerate() {
                let largest = E::min(largest, high);
                greatest = E::max(greatest, largest);
                E::store(largest, to.wrapping_add(VECTOR * i));
            }
            to = to.wrapping_add(out.pixel);
            start = start.saturating_add(columns.stride);
        }
        E::greatest(greatest)
    }
}
