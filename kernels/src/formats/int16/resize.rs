//! Bilinear resizing of 16-bit tensors.

use crate::{
    Operand,
    ops::shape::resize::{Bilinear, Corners},
};

/// Bilinear interpolation as [`ResizeBilinear`](crate::ResizeBilinear) has it, with sums of 64 bits: TensorFlow Lite's int16
/// `RESIZE_BILINEAR`. Input and output have 16 bits and one scale.
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinearInt16 {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[oh, ow, c]`.
    pub output: Operand,
    /// How positions map.
    pub corners: Corners,
}

crate::schedule::kernel!(ResizeBilinearInt16, |resize| {
    check: |mem| Bilinear::<i16>::new(mem, [&resize.input, &resize.output], resize.corners),
    run: |bilinear, isa| isa.vectorize(bilinear),
});
