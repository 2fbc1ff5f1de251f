//! Convolution 3x3 by Winograd's algorithm, F(4x4, 3x3), in half precision: a format of its own, as sums are rounded elsewhere.
//!
//! A tile of 4x4 outputs takes 36 products per pair of channels instead of 144. See [`WinogradConv2dFloat`] for what is rounded when.

#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;
mod transform;

pub use transform::filter;

use super::{
    super::{Float, FloatBounds, native::BLOCK},
    tile::{self, Panels, Pixel, Segments},
};
use crate::{
    Isa, Memory, Operand, Region,
    base::memory::{Encoding as _, In, Out},
    ops::conv::winograd::grid::{self, POSITIONS, Place},
    schedule::by_rows::ReceptiveField,
};
use core::cell::Cell;

/// Convolution 3x3 of stride 1, in f16, by Winograd's algorithm.
///
/// ```text
/// v = B' d B         of 6x6 inputs d, which begin at (4 ty - padding, 4 tx - padding): columns, then rows, each sum a chain of products
///                    that are added in half precision; +0 beyond the image
/// m = sum over the channels of u * v, position by position: from +0 on, as native says; NaN is minus infinity
/// y = A' m A         columns, then rows, in single precision
/// out = range.clamp(y + bias), rounded to half precision
/// ```
///
/// `docs/arithmetic.md` has the matrices and the order of their sums. `u` are [`filter`]s.
#[derive(Clone, Copy, Debug)]
pub struct WinogradConv2dFloat<'a> {
    /// `[h, w, 2 c]`, `c` a multiple of 8.
    pub input: Operand,
    /// `[oh, ow, 2 oc]`.
    pub output: Operand,
    /// Above, to the left.
    pub padding: [u32; 2],
    /// Output channels that lie together: 4, 8 or 16; see [`index`].
    pub panel: u32,
    /// [`packed_len`] f16 values.
    pub weights: &'a [u16],
    /// `oc` values, padded to whole panels.
    pub bias: &'a [f32],
    /// Fused activation.
    pub range: FloatBounds,
    /// Tiles of 4x4 outputs per pass, 1 to [`MOST_TILES`].
    pub tiles_per_pass: u32,
    /// At least [`scratch_bytes`], at a multiple of four bytes; for several threads as many [`crate::ops::conv::scratch_per_thread`].
    pub scratch: Region,
}

/// The most tiles of a pass.
pub const MOST_TILES: usize = if cfg!(target_pointer_width = "64") { 48 } else { 8 };

/// Panels whose sums are kept at a time.
const PANELS: usize = 2;

/// The widest panel.
const WIDEST: usize = 16;

/// The initial sums.
static ZEROS: [f32; PANELS * WIDEST] = [0.0; PANELS * WIDEST];

/// Number of transformed weights.
pub const fn packed_len(panel: usize, c: usize, oc: usize) -> usize {
    oc.next_multiple_of(panel).saturating_mul(c).saturating_mul(POSITIONS)
}

/// Index of a weight: `[panel][position][c][panel width]`.
pub const fn index(panel: usize, c: usize, [channel, position, k]: [usize; 3]) -> usize {
    ((channel / panel * POSITIONS + position) * c + k) * panel + channel % panel
}

/// Scratch bytes for `tiles_per_pass` tiles per pass: transformed inputs, sums of two panels, a pixel beyond the image. `usize::MAX` if that is more
/// than can be counted.
pub const fn scratch_bytes(panel: usize, c: usize, tiles_per_pass: usize) -> usize {
    let inputs = c.saturating_mul(tiles_per_pass).saturating_mul(POSITIONS * size_of::<u16>());
    let sums = panel.saturating_mul(tiles_per_pass).saturating_mul(PANELS * POSITIONS * size_of::<f32>());
    inputs.saturating_add(sums).saturating_add(c.saturating_mul(size_of::<u16>()))
}

/// Output channels of a pass.
struct Pass<'a> {
    /// From the first of them on.
    bias: &'a [f32],
    range: FloatBounds,
    /// How many are stored.
    live: usize,
    /// Whether their sums of products are f16 values: [`Panels::chains`].
    chains: bool,
}

/// The arithmetic of one instruction set.
trait Arithmetic: Copy {
    /// The most panels that [`Arithmetic::multiply`] takes at once.
    const PANELS: usize;
    /// Whether sums of one block stay in half precision, which they fit.
    const CHAINS: bool = false;

    /// The width of its panels.
    fn panel(self) -> usize;

    /// [`transform::tile`].
    ///
    /// # Safety
    /// As there.
    unsafe fn tile(self, pixels: &[*const i8; POSITIONS], offset: usize, to: *mut u16, stride: usize);

    /// Sums of products, to single precision, or as [`Panels::chains`] says: [`tile::Tile::run`].
    ///
    /// # Safety
    /// As there; all channels of the panels are live.
    unsafe fn multiply(self, pixels: &[Pixel<u16>], panels: &Panels<'_, u16>);

    /// Transforms the sums at `m`, whose positions lie `stride` numbers apart, and stores those of 16 pixels; a null pointer is a pixel
    /// outside the output.
    ///
    /// # Safety
    /// Sums and biases of all live channels, up to whole fours, are readable, and `live` f16 values are writable at each of `out` that is not null.
    unsafe fn finish(self, pass: &Pass<'_>, m: *const i8, stride: usize, out: &[*mut i8; 16]);
}

/// A convolution whose parameters fit together.
#[derive(Clone, Copy)]
struct CheckedWinograd<'w, 'm> {
    kernel: &'w WinogradConv2dFloat<'w>,
    input: In<'m>,
    output: Out<'m>,
    scratch: &'m [Cell<i8>],
    /// Of the input, of the output.
    channels: [usize; 2],
    tiles_per_pass: usize,
    padding: [usize; 2],
}

impl WinogradConv2dFloat<'_> {
    fn checked<'w, 'm>(&'w self, mem: &Memory<'m>) -> Option<CheckedWinograd<'w, 'm>> {
        let check = |ok: bool| ok.then_some(());
        let (input, output) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels @ [c, oc] = [Float::F16.count(input.shape()[2])?, Float::F16.count(output.shape()[2])?];
        let (panel, tiles_per_pass) = (self.panel as usize, self.tiles_per_pass as usize);
        let padding = self.padding.map(|p| p as usize);
        check(c > 0 && c.is_multiple_of(8) && matches!(panel, 4 | 8 | 16))?;
        check(tiles_per_pass > 0 && tiles_per_pass <= MOST_TILES && padding.iter().all(|p| *p < 1 << 29))?;
        check(self.weights.len() >= packed_len(panel, c, oc))?;
        check(self.bias.len() >= oc.checked_next_multiple_of(panel)?)?;
        let scratch = mem.scratch(self.scratch)?;
        check(scratch.len() >= scratch_bytes(panel, c, tiles_per_pass))?;
        check((scratch.as_ptr() as usize).is_multiple_of(align_of::<f32>()))?;
        check(!output.overlaps(scratch))?;
        Some(CheckedWinograd { kernel: self, input, output, scratch, channels, tiles_per_pass, padding })
    }
}

crate::schedule::kernel!(WinogradConv2dFloat<'a>, |conv| {
    check: |mem| conv.checked(mem),
    run: |checked, isa| dispatch(checked, isa),
    reads: [input],
    // Where tiles begin decides how sums are rounded.
    step: 4,
    rows: ReceptiveField::Window { rows: 3, stride: 1, padding: conv.padding[0] }, above: padding[0],
    scratch: scratch of scratch_bytes(conv.panel as usize, conv.input.shape[2] as usize / 2, conv.tiles_per_pass as usize),
    // A quarter of the direct algorithm's products, at twice the price.
    cost: (conv.input.shape[2] as usize / 2).saturating_mul(9 / 2),
});

/// Computes it with the best arithmetic that `isa` grants.
fn dispatch(checked: CheckedWinograd<'_, '_>, isa: Isa) {
    let panel = checked.kernel.panel as usize;
    #[allow(unused_variables, reason = "not every architecture has a tile")]
    let tiled = !isa.is_reference() && panel == WIDEST && tile::is_ordinary(checked.kernel.range);
    #[cfg(target_arch = "aarch64")]
    if let (true, Some(fp16)) = (tiled, super::fp16::Fp16::new(isa)) {
        return checked.run(fp16);
    }
    #[cfg(target_arch = "x86_64")]
    if tiled {
        use super::{avx2, avx512};
        if let Some(tile) = avx512::Avx512::new(isa) {
            // SAFETY: what has AVX-512 has AVX2, FMA and F16C.
            return unsafe { with_avx2(checked, avx512::Native(tile)) };
        }
        if let Some(tile) = avx2::Avx2::new(isa) {
            // SAFETY: the capability proves the instructions.
            return unsafe { with_avx2(checked, avx2::Native(tile)) };
        }
    }
    checked.run(plain::Plain { panel });
}

/// With transforms compiled for AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn with_avx2(checked: CheckedWinograd<'_, '_>, tile: impl tile::Tile<Number = u16, Weight = u16>) {
    checked.run(plain::WithTile(tile));
}

/// Where a pass keeps what, in scratch.
#[derive(Clone, Copy)]
struct Buffers {
    /// `[position][tile][c]`.
    inputs: *mut u16,
    /// `[position][tile][two panels]`, in single or half precision.
    sums: *mut i8,
}

impl CheckedWinograd<'_, '_> {
    #[inline(always)]
    fn run(&self, arithmetic: impl Arithmetic) {
        let (tiles_per_pass, [c, _]) = (self.tiles_per_pass, self.channels);
        // `checked` measured and aligned the scratch.
        let inputs = self.scratch.as_ptr().cast::<u16>().cast_mut();
        let sums = inputs.wrapping_add(POSITIONS * tiles_per_pass * c).cast::<f32>();
        let beyond =
            sums.wrapping_add(POSITIONS * tiles_per_pass * PANELS * self.kernel.panel as usize).cast::<u16>();
        // SAFETY: the last part of the scratch.
        unsafe { beyond.write_bytes(0, c) };
        let buffers = Buffers { inputs, sums: sums.cast() };
        let (mut left, mut first) = (grid::tiles(&self.output), Place::FIRST);
        while left > 0 {
            let count = tiles_per_pass.min(left);
            let mut place = first;
            for t in 0..count {
                let pixels = place.reads(&self.input, self.padding, beyond.cast());
                for channel in (0..c).step_by(8) {
                    let to = inputs.wrapping_add(t * c + channel);
                    // SAFETY: eight channels of pixels of the input, or zeros; the tile's part of the scratch.
                    unsafe { arithmetic.tile(&pixels, 2 * channel, to, tiles_per_pass * c) };
                }
                place.advance(&self.output);
            }
            self.panels(arithmetic, first, count, buffers);
            (first, left) = (place, left - count);
        }
    }

    /// All output channels of `count` tiles from `first` on, whose inputs are transformed.
    #[inline(always)]
    fn panels<A: Arithmetic>(&self, arithmetic: A, first: Place, count: usize, buffers: Buffers) {
        let (kernel, [c, oc], panel) = (self.kernel, self.channels, arithmetic.panel());
        let all =
            oc.checked_next_multiple_of(panel).and_then(|padded| padded.checked_div(panel)).unwrap_or(0);
        let chains = A::CHAINS && c <= BLOCK;
        // Numbers of a tile's sums, and their bytes.
        let width = PANELS * panel;
        let bytes = width * if chains { size_of::<u16>() } else { size_of::<f32>() };
        let segments = Segments { count: [1; 2], len: c, numbers: [0; 2], weights: [0; 2] };
        // `tiles_per_pass` is no more.
        let mut pixels = [Pixel { numbers: core::ptr::null(), out: core::ptr::null_mut() }; MOST_TILES];
        let pixels = pixels.get_mut(..count).unwrap_or_default();
        for n in (0..all).step_by(A::PANELS) {
            let panels = A::PANELS.min(all - n);
            for position in 0..POSITIONS {
                let row = position * self.tiles_per_pass;
                for (t, pixel) in pixels.iter_mut().enumerate() {
                    *pixel = Pixel {
                        numbers: buffers.inputs.wrapping_add((row + t) * c),
                        out: buffers.sums.wrapping_add((row + t) * bytes),
                    };
                }
                let panels = Panels {
                    segments: &segments,
                    weights: kernel.weights.as_ptr().wrapping_add((n * POSITIONS + position) * c * panel),
                    stride: POSITIONS * c * panel,
                    bias: ZEROS.as_ptr(),
                    count: panels,
                    first: 0,
                    live: panels * panel,
                    range: FloatBounds::ALL,
                    to: Float::F32,
                    chains,
                };
                // SAFETY: inputs and room for sums in scratch; weights of `panels` panels: `checked` measured all of them.
                unsafe { arithmetic.multiply(pixels, &panels) };
            }
            let pass = Pass {
                bias: kernel.bias.get(n * panel..).unwrap_or_default(),
                range: kernel.range,
                live: (oc - n * panel).min(panels * panel),
                chains,
            };
            let mut place = first;
            for t in 0..count {
                let out = place.writes(&self.output, 2 * n * panel);
                let sums = buffers.sums.wrapping_add(t * bytes);
                // SAFETY: the sums are there; the pixels are the output's, and the channels the panels'.
                unsafe { arithmetic.finish(&pass, sums, self.tiles_per_pass * width, &out) };
                place.advance(&self.output);
            }
        }
    }
}
