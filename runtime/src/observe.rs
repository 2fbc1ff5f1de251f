//! Watching a model layer by layer.

use crate::kernels::{Memory, Operand, memory::In};

/// A layer, as known before it runs.
#[derive(Clone, Copy, Debug)]
pub struct LayerInfo {
    /// The checkpoint's name, or several joined by `+`, as one word (docs/bit-exactness.md).
    pub name: &'static str,
    /// The operator.
    pub kind: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// The operand of its result.
    pub output: Operand,
}

/// Called after each layer. The `()` observer does nothing and costs nothing.
pub trait Observer {
    /// Layer `index` has run; `output` reads its result.
    fn layer(&mut self, index: usize, info: &LayerInfo, output: Output<'_>) {
        let _ = (index, info, output);
    }
}

impl Observer for () {}

impl<F: FnMut(usize, &LayerInfo, Output<'_>)> Observer for F {
    fn layer(&mut self, index: usize, info: &LayerInfo, output: Output<'_>) {
        self(index, info, output);
    }
}

/// The result of a layer.
#[derive(Clone, Copy)]
pub struct Output<'a>(Option<In<'a>>);

impl<'a> Output<'a> {
    /// The tensor at `operand`, for generated code.
    pub fn new(mem: &Memory<'a>, operand: &Operand) -> Self {
        Self(mem.read(operand))
    }

    /// Height, width, channels.
    pub fn shape(&self) -> [usize; 3] {
        self.0.map_or([0; 3], |t| t.shape())
    }

    /// Calls `f` for every element in `[h, w, c]` order.
    pub fn for_each(&self, mut f: impl FnMut(i8)) {
        if let Some(tensor) = self.0 {
            let [h, w, _] = tensor.shape();
            for y in 0..h {
                for x in 0..w {
                    tensor.pixel(y, x).iter().for_each(&mut f);
                }
            }
        }
    }

    /// The [`crate::self_test::Checksum`] of all elements in `[h, w, c]` order.
    pub fn checksum(&self) -> u64 {
        let mut sum = crate::self_test::Checksum::new();
        self.for_each(|v| sum.add(v as u8));
        sum.value()
    }
}
