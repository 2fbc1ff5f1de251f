//! When a 3x3 convolution is lowered to Winograd's algorithm, and how.

use super::{filters::Filters, packing::Packed, params::ConvParams};
use crate::{
    error::Result,
    lower::Lowering,
    ops::Clamp,
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::Shape,
};
use niello_kernels::{
    Layout, OutputParams,
    winograd::{LARGEST_SUM, filter, index, packed_len, scratch_bytes},
};

kernel_call! {
    /// Dense 3x3 convolution of stride 1 with transformed weights.
    WinogradCall for WinogradConv2d by rows {
        input: In,
        output: Out,
        padding: [u32; 2],
        splits: u32,
        weights: Const<i16>,
        bias: Const<i32>,
        mantissa: Const<i32>,
        shift: Const<i8>,
        pad: Const<i8>,
        stage: OutputParams,
        tiles_per_pass: u32,
        scratch: Scratch,
    } with {
        fn tile_rows(&self) -> usize {
            4
        }
    }
}

/// Output channels of a panel.
const PANEL: usize = 16;
/// Outputs of a tile.
const TILE: usize = 16;
/// Tiles that are multiplied together.
const GROUP: usize = 8;
/// The most tiles per pass: above, weights are read from memory seldom enough.
const MOST_TILES: usize = 64;
/// Bytes of transformed inputs that a pass should stay below, where one group of tiles does: part of a second-level cache.
const INPUT_BYTES: usize = 96 << 10;

/// Whether there is a kernel of either algorithm for this convolution.
pub(super) fn can(layout: Layout, p: &ConvParams, channels: usize) -> bool {
    layout == Layout::NEON && is_suited(p, channels)
}

/// Whether the algorithm computes such a convolution at all, in integers or in f16.
pub(super) fn is_suited(p: &ConvParams, channels: usize) -> bool {
    let dense = p.kernel == [3, 3] && p.stride == [1, 1] && p.dilation == [1, 1] && p.groups == 1;
    dense && channels > 0 && channels.is_multiple_of(8)
}

/// Whether the algorithm takes fewer instructions than a direct one, where it [`can`] be taken.
///
/// Counted for NEON without dot products on emulated Cortex-A72, in hundredths of an instruction per output: a direct
/// product takes 22, one of transformed values 26 of which there are a quarter; the transforms take about 650 per output and
/// 240 per input. Tiles at the edges, and those that fill up a group, are computed in vain.
pub(super) fn pays(p: &ConvParams, channels: usize, out: Shape) -> bool {
    let tiles = out.h.div_ceil(4) * out.w.div_ceil(4);
    let computed = tiles.next_multiple_of(GROUP) * 16;
    let outputs = p.out.next_multiple_of(PANEL);
    let winograd = computed * outputs * (9 * channels * 26 / 4 + 650) + 16 * tiles * channels * 240;
    let direct = out.area() * outputs * (9 * channels * 22 + 200);
    winograd < direct
}

/// The fewest parts of the input channels that keep every sum of every part within bounds.
fn splits(weights: &[Vec<i8>], channels: usize) -> usize {
    // No input is larger than 128.
    let largest = |parts: usize| {
        let len = channels / parts;
        let part = |row: &Vec<i8>, n: usize| {
            let of_part = |(i, _): &(usize, &i8)| i % channels / len == n;
            row.iter().enumerate().filter(of_part).map(|(_, w)| 128 * (*w as i64).abs()).sum::<i64>()
        };
        weights.iter().flat_map(|row| (0..parts).map(move |n| part(row, n))).max().unwrap_or(0)
    };
    // A block of 8 channels is always small enough.
    let blocks = channels / 8;
    (1..blocks).find(|n| blocks.is_multiple_of(*n) && largest(*n) <= LARGEST_SUM).unwrap_or(blocks)
}

/// Appends the call.
pub(super) fn lower(
    cx: &mut Lowering<'_>,
    p: &ConvParams,
    channels: usize,
    clamp: Clamp,
    filters: &Filters,
) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.qparams(input)?, cx.qparams(output)?);
    let splits = splits(&filters.weights, channels);
    let mut weights = vec![0; packed_len(channels, p.out)];
    for (o, row) in filters.weights.iter().enumerate() {
        for i in 0..channels {
            let g = std::array::from_fn(|y| std::array::from_fn(|x| row[(3 * y + x) * channels + i]));
            for (position, value) in filter(g).into_iter().enumerate() {
                weights[index(channels, splits, o, i, position)] = value;
            }
        }
    }
    let Filters { weights: rows, bias, multiplier, .. } = filters;
    let padded = Packed::constants(PANEL, rows, bias, multiplier, from.zero_point, 0);
    let tiles = cx.graph().shape(output).h.div_ceil(4) * cx.graph().shape(output).w.div_ceil(4);
    let fitting = INPUT_BYTES / (72 * channels) / GROUP * GROUP;
    let default = fitting.clamp(GROUP, MOST_TILES);
    let tiles_per_pass = cx.pixels_per_pass(TILE * default, TILE * GROUP, TILE * tiles) / TILE;
    let bytes = 2 * weights.len() + padded.bytes();
    let call = WinogradCall {
        input: In::new(input),
        output: Out::new(output),
        padding: [p.padding[0] as u32, p.padding[2] as u32],
        splits: splits as u32,
        weights: cx.constant(&weights),
        bias: cx.constant(&padded.bias),
        mantissa: cx.constant(&padded.mantissa),
        shift: cx.constant(&padded.shift),
        pad: cx.constant(&vec![from.zero_point; channels]),
        stage: filters.stage(cx, to, clamp),
        tiles_per_pass: tiles_per_pass as u32,
        scratch: Scratch,
    };
    let scratch = cx.scratch_of_threads(scratch_bytes(channels, splits, tiles_per_pass));
    cx.push(call).scratch(scratch).constant_bytes(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_split_only_where_sums_could_be_too_large() {
        // 9 * 128 * 127 per channel: 229 channels fit.
        let row = |channels: usize, w: i8| vec![vec![w; 9 * channels]];
        assert_eq!(splits(&row(224, -127), 224), 1);
        assert_eq!(splits(&row(232, 127), 232), 29, "29 is prime");
        assert_eq!(splits(&row(240, 127), 240), 2);
        assert_eq!(splits(&row(512, 60), 512), 2);
        assert_eq!(splits(&row(512, 50), 512), 1);
        // One part is large, the other is not.
        let mut uneven = row(512, 0);
        (0..9).for_each(|tap| uneven[0][512 * tap..][..256].fill(127));
        assert_eq!(splits(&uneven, 512), 4);
    }

    #[test]
    fn layers_that_have_both_kernels() {
        let (conv, neon) = (ConvParams::new(64, 3).padding(1), Layout::NEON);
        assert!(can(neon, &conv, 16));
        assert!(!can(Layout::VNNI, &conv, 16));
        assert!(!can(neon, &conv, 12), "blocks are 8 channels");
        for other in [conv.stride(2), conv.groups(2), conv.dilation(2), ConvParams::new(64, 1)] {
            assert!(!can(neon, &other, 16), "{other:?}");
        }
    }

    #[test]
    fn layers_that_pay() {
        let conv = |out| ConvParams::new(out, 3).padding(1);
        let shape = |side, c| Shape::new(side, side, c);
        assert!(pays(&conv(64), 16, shape(54, 64)));
        assert!(pays(&conv(256), 64, shape(13, 256)));
        assert!(!pays(&conv(256), 256, shape(4, 256)), "one tile of eight");
    }
}
