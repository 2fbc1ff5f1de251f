//! Convolutions in floating point.

use super::{biases, check_finite, is_infinite, params::Taps};
use crate::{
    error::Result,
    format::Mode,
    lower::Lowering,
    ops::Clamp,
    program::{Const, In, Out, Scratch, kernel_call},
    tensor::Shape,
};
use niello_kernels::{
    Conv2dFloat, Float, FloatBounds, Operand, Region,
    float::conv::{default_chunk, packed_index},
    float::half,
};

kernel_call! {
    /// Convolution in floating point.
    Conv2dFloatCall for Conv2dFloat by rows {
        input: In,
        output: Out,
        types: [Float; 2],
        kernel: [u32; 2],
        stride: [u32; 2],
        dilation: [u32; 2],
        padding: [u32; 2],
        transposed: bool,
        groups: u32,
        panel: u32,
        weights: Const<f32>,
        halves: Const<u16>,
        bias: Const<f32>,
        range: FloatBounds,
        native: bool,
        pixels_per_pass: u32,
        scratch: Scratch,
    }
}

/// Filters and where their taps lie.
pub(super) struct Convolution<'a> {
    pub(super) taps: Taps,
    /// `[out][kh][kw][in / groups]`.
    pub(super) rows: &'a [Vec<f32>],
    pub(super) bias: &'a [f32],
    pub(super) clamp: Clamp,
}

impl Convolution<'_> {
    /// Appends the call.
    pub(super) fn lower(&self, cx: &mut Lowering<'_>, mode: Mode) -> Result<()> {
        check_finite(cx, self.rows, self.bias)?;
        let p = self.taps;
        let (input, output) = (cx.node().inputs[0], cx.node().output());
        let types = [cx.float(input)?, cx.float(output)?];
        let taps = p.kernel[0] * p.kernel[1];
        let (outside, c) = (self.rows.len() / p.groups, self.rows.first().map_or(0, Vec::len) / taps);
        let panel = if p.depthwise { 1 } else { cx.target().float_panel };
        let (packed, bias) = if p.depthwise {
            let in_order = (0..taps).flat_map(|t| self.rows.iter().map(move |row| row[t])).collect();
            (in_order, self.bias.to_vec())
        } else {
            let padded = outside.next_multiple_of(panel);
            let mut packed = vec![0f32; p.groups * padded * taps * c];
            let mut bias = vec![0f32; p.groups * padded];
            for (i, (row, b)) in self.rows.iter().zip(self.bias).enumerate() {
                let (group, channel) = (i / outside, i % outside);
                bias[group * padded + channel] = *b;
                for (j, w) in row.iter().enumerate() {
                    packed[packed_index(panel, [taps, c], outside, [group, channel, j / c, j % c])] = *w;
                }
            }
            (packed, bias)
        };
        let halves: Vec<u16> = match mode {
            Mode::F32 => vec![],
            _ => packed.iter().map(|w| half::from_f32(*w)).collect(),
        };
        if let Some(at) = halves.iter().zip(&packed).position(|(h, w)| is_infinite(*h) && w.is_finite()) {
            return Err(cx.error(format!("weight {} is beyond half precision: use `f32`", packed[at])));
        }
        let single: &[f32] = if mode == Mode::F32 { &packed } else { &[] };
        let bytes = 4 * (single.len() + bias.len()) + 2 * halves.len();
        let Shape { h, w, .. } = cx.graph().shape(output);
        let pixels_per_pass = cx.pixels_per_pass(default_chunk(panel as u32) as usize, 1, h * w);
        let native = matches!(mode, Mode::F16Native | Mode::F16Winograd);
        let operand = |value, float: Float| {
            let Shape { h, w, c } = cx.graph().shape(value);
            Operand::input(0, [h, w, c * float.bytes()].map(|d| d as u32))
        };
        // Scratch depends on everything but where operands lie.
        let layer = Conv2dFloat {
            input: operand(input, types[0]),
            output: operand(output, types[1]),
            types,
            kernel: p.kernel.map(|d| d as u32),
            stride: p.stride.map(|d| d as u32),
            dilation: p.dilation.map(|d| d as u32),
            padding: p.padding.map(|d| d as u32),
            transposed: p.transposed,
            groups: p.groups as u32,
            panel: panel as u32,
            weights: single,
            halves: &halves,
            bias: &bias,
            range: self.clamp.float_range(),
            native,
            pixels_per_pass: pixels_per_pass as u32,
            scratch: Region::EMPTY,
        };
        let scratch = cx.scratch_of_threads(layer.scratch_bytes());
        let call = Conv2dFloatCall {
            input: In::new(input),
            output: Out::new(output),
            types,
            kernel: layer.kernel,
            stride: layer.stride,
            dilation: layer.dilation,
            padding: layer.padding,
            transposed: p.transposed,
            groups: layer.groups,
            panel: layer.panel,
            weights: cx.constant(single),
            halves: cx.constant(&halves),
            bias: cx.constant(&biases(&bias)),
            range: layer.range,
            native,
            pixels_per_pass: layer.pixels_per_pass,
            scratch: Scratch,
        };
        cx.push(call).scratch(scratch).constant_bytes(bytes);
        Ok(())
    }
}
