//! Winograd's algorithm in half precision: which 3x3 convolutions take it in `f16-winograd`, and how.

use super::{biases, check_finite, is_infinite, params::ConvParams, winograd::is_suited};
use crate::{
    error::Result,
    lower::Lowering,
    ops::Clamp,
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::Shape,
};
use niello_kernels::{
    FloatBounds,
    float::conv::winograd::{MOST_TILES, filter, index, packed_len, scratch_bytes},
};

kernel_call! {
    /// Dense 3x3 convolution of stride 1 in f16, with transformed weights. Never part of a chain: where tiles begin decides about bits.
    WinogradFloatCall for WinogradConv2dFloat {
        input: In,
        output: Out,
        padding: [u32; 2],
        panel: u32,
        weights: Const<u16>,
        bias: Const<f32>,
        range: FloatBounds,
        tiles_per_pass: u32,
        scratch: Scratch,
    } with {
        fn largest_operand(&self) -> Option<f32> {
            Some(LARGEST_OPERAND)
        }
    }
}

/// The largest input with which the algorithm stays finite in half precision: see `docs/arithmetic.md`.
const LARGEST_OPERAND: f32 = 2000.0;

/// Outputs of a tile.
const TILE: usize = 16;
/// Tiles per pass, where there are no more: weights are read from memory seldom enough, and both tiles of convolutions, six pixels
/// by two panels and eight by one, divide them.
const TILES: usize = 24;

/// Whether the convolution is computed by Winograd's algorithm. Depends on nothing but its shape: the format means the same for all
/// targets.
///
/// Tiles at the edges are computed in vain in part: of a map of fewer than 3x3 outputs, most of them.
pub(super) fn takes(p: &ConvParams, channels: usize, out: Shape) -> bool {
    is_suited(p, channels) && p.out >= 8 && out.h >= 3 && out.w >= 3
}

/// Appends the call, of filters `[out][kh][kw][in]`.
pub(super) fn lower(
    cx: &mut Lowering<'_>,
    p: &ConvParams,
    rows: &[Vec<f32>],
    bias: &[f32],
    clamp: Clamp,
) -> Result<()> {
    check_finite(cx, rows, bias)?;
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (c, panel, shape) = (cx.graph().shape(input).c, cx.target().float_panel, cx.graph().shape(output));
    let mut weights = vec![0u16; packed_len(panel, c, p.out)];
    for (o, row) in rows.iter().enumerate() {
        for i in 0..c {
            let g: [[f32; 3]; 3] = std::array::from_fn(|y| std::array::from_fn(|x| row[(3 * y + x) * c + i]));
            for (position, value) in filter(g).into_iter().enumerate() {
                if is_infinite(value) {
                    let message =
                        format!("a filter of input channel {i} is beyond half precision: use `f32`");
                    return Err(cx.error(message));
                }
                weights[index(panel, c, [o, position, i])] = value;
            }
        }
    }
    let mut bias = biases(bias);
    bias.resize(p.out.next_multiple_of(panel), 0.0);
    let tiles = shape.h.div_ceil(4) * shape.w.div_ceil(4);
    let default = TILES.min(MOST_TILES);
    let most = tiles.min(MOST_TILES);
    let tiles_per_pass = (cx.pixels_per_pass(TILE * default, TILE, TILE * tiles) / TILE).clamp(1, most);
    let bytes = 2 * weights.len() + 4 * bias.len();
    let call = WinogradFloatCall {
        input: In::new(input),
        output: Out::new(output),
        padding: [p.padding[0] as u32, p.padding[2] as u32],
        panel: panel as u32,
        weights: cx.constant(&weights),
        bias: cx.constant(&bias),
        range: clamp.float_range(),
        tiles_per_pass: tiles_per_pass as u32,
        scratch: Scratch,
    };
    let scratch = cx.scratch_of_threads(scratch_bytes(panel, c, tiles_per_pass));
    cx.push(call).scratch(scratch).constant_bytes(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_layers_take_it() {
        let (conv, map) = (ConvParams::new(64, 3).padding(1), Shape::new(13, 13, 64));
        assert!(takes(&conv, 16, map));
        assert!(!takes(&conv, 12, map), "vectors are 8 channels");
        assert!(!takes(&conv, 16, Shape::new(2, 13, 64)));
        for other in [conv.stride(2), conv.groups(2), conv.dilation(2), ConvParams::new(64, 1)] {
            assert!(!takes(&other, 16, map), "{other:?}");
        }
    }
}
