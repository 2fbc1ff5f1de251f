//! Microkernels: tiles of output pixels by panels of output channels.

use super::super::{Float, FloatBounds};

/// Which numbers of a pixel's, and which weights, follow each other: runs of consecutive ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments {
    /// Rows and columns of runs.
    pub(super) count: [usize; 2],
    /// Numbers of a run.
    pub(super) len: usize,
    /// From one run to the next, in numbers.
    pub(super) numbers: [isize; 2],
    /// From one run to the next, in weights.
    pub(super) weights: [usize; 2],
}

impl Segments {
    /// The same numbers in fewer runs, where runs lie next to each other; panels of `panel` channels.
    pub(super) fn merged(mut self, panel: usize) -> Self {
        for axis in [1, 0] {
            let next = self.numbers[axis] == self.len as isize && self.weights[axis] == self.len * panel;
            if self.count[axis] > 1 && !next {
                break;
            }
            self.len *= self.count[axis];
            self.count[axis] = 1;
        }
        self
    }

    /// Every run in order: where its numbers begin, and its weights.
    #[inline(always)]
    pub(super) fn each(&self, mut run: impl FnMut(isize, usize)) {
        for row in 0..self.count[0] {
            for column in 0..self.count[1] {
                run(
                    row as isize * self.numbers[0] + column as isize * self.numbers[1],
                    row * self.weights[0] + column * self.weights[1],
                );
            }
        }
    }
}

/// Panels that a tile multiplies pixels by.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, W> {
    pub(super) segments: &'a Segments,
    /// The first run's weights in the first panel.
    pub(super) weights: *const W,
    /// Weights from one panel to the next.
    pub(super) stride: usize,
    /// As many as the panels have channels.
    pub(super) bias: *const f32,
    /// How many panels there are.
    pub(super) count: usize,
    /// Where the first channel is stored, in bytes from [`Pixel::out`].
    pub(super) first: usize,
    /// Channels that are stored.
    pub(super) live: usize,
    pub(super) range: FloatBounds,
    /// The output's type.
    pub(super) to: Float,
    /// Whether what is stored is the chain of the only block, in f16, without a bias: -0 as +0, NaN as minus infinity. Only
    /// Winograd's algorithm asks for it, and only of tiles that know it.
    pub(super) chains: bool,
}

/// A pixel of a tile.
#[derive(Clone, Copy)]
pub(super) struct Pixel<N> {
    /// The first run's numbers.
    pub(super) numbers: *const N,
    /// Where the channels of its group are stored.
    pub(super) out: *mut i8,
}

/// The type of multiplication.
pub(super) trait Number: Copy {
    /// Its type.
    const TYPE: Float;
}

impl Number for f32 {
    const TYPE: Float = Float::F32;
}

impl Number for u16 {
    const TYPE: Float = Float::F16;
}

/// Hands pixels over that are computed `most` at a time: whole tiles, and what is left in two of about one size.
#[inline(always)]
pub(super) fn share<N>(pixels: &[Pixel<N>], most: usize, mut tiles: impl FnMut(&[Pixel<N>], usize)) {
    let rest = pixels.len() % most;
    let whole =
        if rest == 0 || pixels.len() < most { pixels.len() - rest } else { pixels.len() - rest - most };
    let (whole, rest) = pixels.split_at_checked(whole).unwrap_or_default();
    if !whole.is_empty() {
        tiles(whole, most);
    }
    let half = if rest.len() > most { rest.len().div_ceil(2) } else { rest.len() };
    let (first, second) = rest.split_at_checked(half).unwrap_or_default();
    for pixels in [first, second] {
        if !pixels.is_empty() {
            tiles(pixels, pixels.len());
        }
    }
}

/// An inner tile for one instruction set. Sums are chains as [`super::Conv2dFloat`] says.
pub(super) trait Tile: Copy {
    /// The type of staged activations.
    type Number: Number;
    /// The type of weights: those that are stored in another type are expanded panel by panel.
    type Weight: Number;
    /// Channels of a panel.
    const PANEL: usize;
    /// The most panels that are handed over at once.
    const PANELS: usize;

    /// Computes `pixels` by `panels`.
    ///
    /// # Safety
    /// At least one and at most [`Tile::PANELS`] panels; all their runs of numbers and of weights are readable, and `panels.live` channels
    /// writable at each pixel.
    unsafe fn run(self, pixels: &[Pixel<Self::Number>], panels: &Panels<'_, Self::Weight>);

    /// Writes `n` f16 values as f32.
    ///
    /// # Safety
    /// As many are readable, at any address, and writable.
    unsafe fn widen(self, source: *const u8, target: *mut f32, n: usize);
}

/// Whether a maximum and a minimum, as vector instructions know them, do what [`FloatBounds::clamp`] does: no bound is a zero whose sign
/// could be lost, or NaN.
pub(super) fn is_ordinary(range: FloatBounds) -> bool {
    let positive = range.least.to_bits() != (-0.0f32).to_bits();
    positive && range.most != 0.0 && !range.least.is_nan() && !range.most.is_nan()
}
