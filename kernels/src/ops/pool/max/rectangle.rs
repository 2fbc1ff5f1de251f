//! The input of a max pooling tile.

/// A rectangle of pixels: `rows` of `columns`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Rectangle {
    pub(super) first: *const i8,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Bytes from one row to the next.
    pub(super) row: usize,
    /// Bytes from one pixel to the next.
    pub(super) pixel: usize,
}
