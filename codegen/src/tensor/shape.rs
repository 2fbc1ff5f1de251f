//! Sizes of tensors.

use std::fmt;

/// Height, width, channels of an NHWC tensor with a batch of 1. A vector is `1 x 1 x c`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// `h x w x c`.
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Self { h, w, c }
    }

    /// Number of elements; saturates.
    #[allow(clippy::len_without_is_empty, reason = "a shape is not a container")]
    pub const fn len(&self) -> usize {
        self.area().saturating_mul(self.c)
    }

    /// Pixels; saturates.
    pub const fn area(&self) -> usize {
        self.h.saturating_mul(self.w)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
