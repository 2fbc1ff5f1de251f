//! The input of a max pooling tile.

/// A rectangle of pixels: `rows` of `columns`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Rectangle {
    pub(crate) first: *const i8,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Bytes from one row to the next.
    pub(crate) row: usize,
    /// Bytes from one pixel to the next.
    pub(crate) pixel: usize,
}
