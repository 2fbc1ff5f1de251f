//! Bilinear resizing of 16-bit tensors.

use super::Width;
use crate::{
    Isa, Kernel, Memory, Operand,
    ops::shape::resize::{Bilinear, Corners, has_source},
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

impl Kernel for ResizeBilinearInt16 {
    fn run(&self, mem: &Memory<'_>, isa: Isa) {
        match self.bilinear(mem) {
            Some(bilinear) => isa.vectorize(bilinear),
            None => debug_assert!(false, "operands outside memory, numbers of channels differ, or no pixels"),
        }
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.bilinear(mem).is_some()
    }
}

impl ResizeBilinearInt16 {
    fn bilinear<'m>(&self, mem: &Memory<'m>) -> Option<Bilinear<'m, i16>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels = Width::Int16.codes(out.shape()[2])?;
        let fits = input.shape()[2] == out.shape()[2] && has_source(&input, &out);
        fits.then_some(Bilinear::new(self.corners, input, out, channels))
    }
}
