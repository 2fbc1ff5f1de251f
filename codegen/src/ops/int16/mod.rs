//! How operators are lowered whose operands or results have 16 bits.

mod conv;

pub(super) use conv::{Taps, conv2d};

use super::{AveragePool2d, Clamp, Function, MaxPool2d};
use crate::{
    error::Result,
    format::Codes,
    lower::{Lowering, Sums},
    program::{Const, In, Out, kernel_call},
};
use niello_kernels::{Bounds, Multiplier, Rounding, Width, int16::ENTRIES, resize::Corners};

kernel_call! {
    /// Sum of either width.
    AddInt16Call for AddInt16 by rows {
        a: In,
        b: In,
        output: Out,
        widths: [Width; 3],
        zero_points: [i32; 2],
        a_multiplier: Multiplier,
        b_multiplier: Multiplier,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

kernel_call! {
    /// Product of either width.
    MulInt16Call for MulInt16 {
        a: In,
        b: In,
        output: Out,
        widths: [Width; 3],
        zero_points: [i32; 2],
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

kernel_call! {
    /// Another scale or width.
    RescaleInt16Call for RescaleInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        input_zero_point: i32,
        multiplier: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

kernel_call! {
    /// A function of one value of either width.
    TableInt16Call for TableInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        table: Const<i16>,
    }
}

kernel_call! {
    /// Mean over the image, of either width.
    GlobalAveragePoolInt16Call for GlobalAveragePoolInt16 {
        input: In,
        output: Out,
        widths: [Width; 2],
        input_zero_point: i32,
        multiplier: Multiplier,
        bounds: Bounds,
    }
}

kernel_call! {
    /// Max pooling of 16 bits.
    MaxPool2dInt16Call for MaxPool2dInt16 by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        bounds: Bounds,
    }
}

kernel_call! {
    /// Positions of maxima among 16 bits.
    MaxPositionInt16Call for MaxPosition2dInt16 by rows {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
    }
}

kernel_call! {
    /// Max unpooling of 16 bits.
    MaxUnpoolInt16Call for MaxUnpool2dInt16 by rows {
        values: In,
        positions: In,
        output: Out,
        kernel: [u32; 2],
        cropped: u32,
    }
}

kernel_call! {
    /// Average pooling of 16 bits.
    AveragePoolInt16Call for AveragePool2dInt16 {
        input: In,
        output: Out,
        kernel: [u32; 2],
        stride: [u32; 2],
        padding: [u32; 2],
        padding_end: [u32; 2],
        count_padding: bool,
    }
}

kernel_call! {
    /// Bilinear resizing of 16 bits.
    ResizeBilinearInt16Call for ResizeBilinearInt16 {
        input: In,
        output: Out,
        corners: Corners,
    }
}

kernel_call! {
    /// Channel shuffle of 16 bits.
    ChannelShuffleInt16Call for ChannelShuffleInt16 by rows {
        input: In,
        output: Out,
        groups: u32,
    }
}

kernel_call! {
    /// A slope per channel, of either width.
    PReluInt16Call for PReluInt16 by rows {
        input: In,
        output: Out,
        widths: [Width; 2],
        slopes: Const<i16>,
        input_zero_point: i32,
        positive: Multiplier,
        negative: Multiplier,
        bounds: Bounds,
        rounding: Rounding,
    }
}

/// The largest difference between a code and a zero point.
fn farthest(width: Width) -> i64 {
    match width {
        Width::Int8 => 255,
        Width::Int16 => 1 << 15,
    }
}

/// `clamp(a + b)`.
pub(super) fn add(cx: &mut Lowering<'_>, clamp: Clamp) -> Result<()> {
    let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
    let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
    let common = 2.0 * f64::max(qa.scale as f64, qb.scale as f64);
    let call = AddInt16Call {
        a: In::new(a),
        b: In::new(b),
        output: Out::new(output),
        widths: [qa.width, qb.width, to.width],
        zero_points: [qa.zero_point, qb.zero_point],
        a_multiplier: cx.multiplier(qa.scale as f64 / common)?,
        b_multiplier: cx.multiplier(qb.scale as f64 / common)?,
        // A step of the coarser operand is 2^14.
        multiplier: cx.multiplier_for(
            common / ((1u64 << 15) as f64 * to.scale as f64),
            Sums::of_int16(i32::MAX as i64, 1 << 13),
        )?,
        bounds: to.bounds(clamp.min, clamp.max),
        rounding: cx.rounding(),
    };
    cx.push(call).in_place(&[a, b]);
    Ok(())
}

/// `clamp(a * b)`, where `b` may be one pixel or one channel.
pub(super) fn mul(cx: &mut Lowering<'_>, clamp: Clamp) -> Result<()> {
    let (a, b, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
    let (qa, qb, to) = (cx.codes(a)?, cx.codes(b)?, cx.codes(output)?);
    let real = qa.scale as f64 * qb.scale as f64 / to.scale as f64;
    let call = MulInt16Call {
        a: In::new(a),
        b: In::new(b),
        output: Out::new(output),
        widths: [qa.width, qb.width, to.width],
        zero_points: [qa.zero_point, qb.zero_point],
        multiplier: cx.multiplier_for(real, Sums::of_int16(farthest(qa.width) * farthest(qb.width), 1))?,
        bounds: to.bounds(clamp.min, clamp.max),
        rounding: cx.rounding(),
    };
    cx.push(call).in_place(&[a]);
    Ok(())
}

/// `clamp(x)`.
pub(super) fn rescale(cx: &mut Lowering<'_>, clamp: Clamp) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let sums = Sums::of_int16(farthest(from.width), 1);
    let multiplier = cx.multiplier_for(from.scale as f64 / to.scale as f64, sums)?;
    let call = RescaleInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        input_zero_point: from.zero_point,
        multiplier,
        bounds: to.bounds(clamp.min, clamp.max),
        rounding: cx.rounding(),
    };
    cx.push(call).in_place(&[input]);
    Ok(())
}

/// A function of one value.
pub(super) fn point_wise(cx: &mut Lowering<'_>, function: Function) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let entries = entries(|x| function.eval(x), from, to);
    let call = TableInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        table: cx.constant(&entries),
    };
    cx.push(call).constant_bytes(2 * entries.len()).in_place(&[input]);
    Ok(())
}

/// The table of `f`. From 16 bits, each entry is moved by half of what the line misses halfway to the next one: TensorFlow Lite's
/// `LUTPopulate`.
fn entries(f: impl Fn(f64) -> f64, from: Codes, to: Codes) -> Vec<i16> {
    let (from_scale, to_scale) = (from.scale as f64, to.scale as f64);
    // What an entry stands for: a code of 16 bits, or one of 8 bits with eight more behind the point.
    let code = |y: f64| match to.width {
        Width::Int16 => y / to_scale,
        Width::Int8 => 256.0 * (y / to_scale + to.zero_point as f64),
    };
    let least = match to.width {
        Width::Int16 => -32767.0,
        Width::Int8 => -32768.0,
    };
    let entry = |y: f64| y.round().clamp(least, 32767.0) as i16;
    match from.width {
        Width::Int8 => {
            (0..256).map(|i| entry(code(f(from_scale * (i - 128 - from.zero_point) as f64)))).collect()
        }
        Width::Int16 => (0..ENTRIES as i32)
            .map(|i| {
                let at = |steps: f64| code(f(from_scale * 128.0 * (i as f64 - 256.0 + steps)));
                let here = at(0.0).round();
                if i + 1 == ENTRIES as i32 {
                    return entry(here);
                }
                let line = ((at(1.0) + here) / 2.0).round();
                entry(here - ((line - at(0.5).round()) / 2.0).round())
            })
            .collect(),
    }
}

/// Mean over the image.
pub(super) fn global_average_pool(cx: &mut Lowering<'_>) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let pixels = cx.graph().shape(input).area() as f64;
    let real = from.scale as f64 / (to.scale as f64 * pixels);
    let multiplier = cx.multiplier_for(real, Sums::wide((pixels as i64 / 2).max(1)))?;
    let call = GlobalAveragePoolInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        input_zero_point: from.zero_point,
        multiplier,
        bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
    };
    cx.push(call);
    Ok(())
}

/// Largest value of each window.
pub(super) fn max_pool(
    cx: &mut Lowering<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let call = MaxPool2dInt16Call {
        input: In::new(input),
        output: Out::new(output),
        kernel: kernel.map(|d| d as u32),
        stride: stride.map(|d| d as u32),
        padding: padding.map(|d| d as u32),
        bounds: cx.codes(output)?.bounds(Clamp::NONE.min, Clamp::NONE.max),
    };
    cx.push(call);
    Ok(())
}

/// Where in its window the largest value is.
pub(super) fn max_position(cx: &mut Lowering<'_>, pool: &MaxPool2d) {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let call = MaxPositionInt16Call {
        input: In::new(input),
        output: Out::new(output),
        kernel: pool.kernel.map(|d| d as u32),
        stride: pool.stride.map(|d| d as u32),
        padding: pool.padding.map(|d| d as u32),
    };
    cx.push(call);
}

/// Values back at their positions, which are labels.
pub(super) fn max_unpool(cx: &mut Lowering<'_>, kernel: [usize; 2]) {
    let (values, positions, output) = (cx.node().inputs[0], cx.node().inputs[1], cx.node().output());
    let call = MaxUnpoolInt16Call {
        values: In::new(values),
        positions: In::new(positions),
        output: Out::new(output),
        kernel: kernel.map(|d| d as u32),
        cropped: 0,
    };
    cx.push(call);
}

/// Mean of each window.
pub(super) fn average_pool(cx: &mut Lowering<'_>, pool: &AveragePool2d) {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let padding = pool.padding.map(|d| d as u32);
    let call = AveragePoolInt16Call {
        input: In::new(input),
        output: Out::new(output),
        kernel: pool.kernel.map(|d| d as u32),
        stride: pool.stride.map(|d| d as u32),
        padding,
        padding_end: padding,
        count_padding: pool.count_padding,
    };
    cx.push(call);
}

/// Bilinear interpolation.
pub(super) fn resize_bilinear(cx: &mut Lowering<'_>, corners: Corners) {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let call = ResizeBilinearInt16Call { input: In::new(input), output: Out::new(output), corners };
    cx.push(call);
}

/// Channels of several groups, in turn.
pub(super) fn shuffle_channels(cx: &mut Lowering<'_>, groups: usize) {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (In::new(input), Out::new(output));
    cx.push(ChannelShuffleInt16Call { input: from, output: to, groups: groups as u32 });
}

/// `x` where not negative, else `slope * x`, with 16-bit slopes.
pub(super) fn prelu(cx: &mut Lowering<'_>, slopes: &[f32]) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (from, to) = (cx.codes(input)?, cx.codes(output)?);
    let largest = slopes.iter().fold(0f32, |m, s| m.max(s.abs()));
    // Slopes of zero need a scale all the same.
    let scale = if largest / 32767.0 >= f32::MIN_POSITIVE { largest / 32767.0 } else { 1.0 };
    let codes: Vec<i16> =
        slopes.iter().map(|s| (s / scale).round().clamp(-32767.0, 32767.0) as i16).collect();
    let factor = from.scale as f64 / to.scale as f64;
    let values = farthest(from.width);
    let positive = cx.multiplier_for(factor, Sums::of_int16(values, 1))?;
    let products = Sums::of_int16(values * 32767, 1);
    let negative = cx.multiplier_for(factor * scale as f64, products)?;
    let call = PReluInt16Call {
        input: In::new(input),
        output: Out::new(output),
        widths: [from.width, to.width],
        slopes: cx.constant(&codes),
        input_zero_point: from.zero_point,
        positive,
        negative,
        bounds: to.bounds(Clamp::NONE.min, Clamp::NONE.max),
        rounding: cx.rounding(),
    };
    cx.push(call).constant_bytes(2 * codes.len()).in_place(&[input]);
    Ok(())
}
