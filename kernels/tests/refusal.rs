//! Parameters that do not fit together: a kernel writes nothing, and fails a debug assertion.

mod common;

use common::{Arena, Tensor, refuses};
use niello_kernels::{conv::scratch_bytes, *};

const STAGE: OutputParams = OutputParams { zero_point: 0, min: -128, max: 127, rounding: Rounding::Single };
const HALF: Multiplier = Multiplier { mantissa: 1 << 30, shift: 0 };
const FAR: u32 = 1 << 20;

#[test]
fn operands_outside_memory_are_refused() {
    let mut arena = Arena::new();
    let ok = arena.place(&Tensor::from_fn([4, 4, 8], |y, x, c| (y * 40 + x * 9 + c) as i8), 8);
    let out = arena.reserve([4, 4, 8], 8);
    arena.remember();
    let bad: &[(&str, Operand)] = &[
        ("beyond the end", Operand { offset: FAR, ..out }),
        ("end beyond 32 bits", Operand { offset: u32::MAX, ..out }),
        ("taller than memory", Operand { shape: [FAR, 4, 8], ..out }),
        ("sides that overflow", Operand { shape: [u32::MAX, u32::MAX, 8], ..out }),
        (
            "sides that overflow without channels",
            Operand { shape: [u32::MAX, u32::MAX, 0], stride: 0, ..out },
        ),
        ("stride below the channels", Operand { stride: 7, ..out }),
        ("stride that overflows", Operand { stride: u32::MAX, ..out }),
        ("an input that is not there", Operand { space: Space::Input(0), ..out }),
        ("an output that is not there", Operand { space: Space::Output(3), ..out }),
    ];
    for (what, bad) in bad {
        for (input, output) in [(ok, *bad), (*bad, out)] {
            let window = ([2, 2], [2, 2], [0, 0]);
            let (kernel, stride, padding) = window;
            let kernels: &[&dyn Kernel] = &[
                &CopyElements { input, output },
                &Reshape { input, output },
                &Embedding { input, output, table: &[0; 8] },
                &Lut { input, output, table: &[0; 256] },
                &Requantize { input, output, input_zero_point: 0, multiplier: HALF, stage: STAGE },
                &add(input, ok, output),
                &add(ok, input, output),
                &mul(input, ok, output),
                &mul(ok, input, output),
                &sub(input, ok, output),
                &square(input, ok, output),
                &linear_pair(input, ok, output),
                &sub(ok, input, output),
                &add_repeated(input, ok, output),
                &add_repeated(ok, input, output),
                &MaxPool2d { input, output, kernel, stride, padding, min: -128, max: 127 },
                &AveragePool2d {
                    input,
                    output,
                    kernel,
                    stride,
                    padding,
                    padding_end: [0, 0],
                    count_padding: false,
                    zero_point: 0,
                    min: -128,
                    max: 127,
                },
                &MaxPosition2d { input, output, kernel, stride, padding },
                &unpool(input, ok, output),
                &unpool(ok, input, output),
                &prelu(input, output),
                &ChannelShuffle { input, output, groups: 2 },
                &PadChannels { input, output, zero_point: 0 },
                &GlobalAveragePool { input, output, input_zero_point: 0, multiplier: HALF, stage: STAGE },
                &ResizeNearest { input, output },
                &ResizeBilinear { input, output, corners: resize::Corners::Aligned },
                &ArgMax { input, output },
                &Softmax { input, output, multiplier: HALF, min_difference: -100 },
                &depthwise(input, output),
                &conv(input, output, Region::EMPTY),
            ];
            for kernel in kernels {
                refuses(what, &mut arena, *kernel);
            }
        }
    }
}

fn add(a: Operand, b: Operand, output: Operand) -> Add {
    Add {
        a,
        b,
        output,
        a_zero_point: 0,
        b_zero_point: 0,
        a_multiplier: HALF,
        b_multiplier: HALF,
        multiplier: HALF,
        stage: STAGE,
    }
}

fn add_repeated(a: Operand, b: Operand, output: Operand) -> AddRepeated {
    let Add { a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier, stage, .. } =
        add(a, b, output);
    AddRepeated { a, b, output, a_zero_point, b_zero_point, a_multiplier, b_multiplier, multiplier, stage }
}

fn mul(a: Operand, b: Operand, output: Operand) -> Mul {
    Mul { a, b, output, a_zero_point: 0, b_zero_point: 0, multiplier: HALF, stage: STAGE }
}

fn unpool(values: Operand, positions: Operand, output: Operand) -> MaxUnpool2d {
    MaxUnpool2d { values, positions, output, kernel: [2, 2], cropped: 0, zero_point: 0 }
}

/// 8 channels.
fn prelu(input: Operand, output: Operand) -> PRelu<'static> {
    PRelu {
        input,
        output,
        slopes: &[1; 8],
        input_zero_point: 0,
        positive: HALF,
        negative: HALF,
        stage: STAGE,
    }
}

fn sub(a: Operand, b: Operand, output: Operand) -> Sub {
    Sub {
        a,
        b,
        output,
        a_zero_point: 0,
        b_zero_point: 0,
        a_multiplier: HALF,
        b_multiplier: HALF,
        multiplier: HALF,
        stage: STAGE,
    }
}

fn square(a: Operand, b: Operand, output: Operand) -> SquaredDifference {
    SquaredDifference {
        a,
        b,
        output,
        a_zero_point: 0,
        b_zero_point: 0,
        a_multiplier: HALF,
        b_multiplier: HALF,
        multiplier: HALF,
        stage: STAGE,
    }
}

fn linear_pair(a: Operand, b: Operand, output: Operand) -> LinearPair {
    LinearPair {
        a,
        b,
        output,
        product: false,
        a_offset: 0,
        b_offset: 0,
        a_factor: 1.0,
        b_factor: 1.0,
        a_constant: 0.0,
        b_constant: 0.0,
        factor: 1.0,
        divisor: 2.0,
        constant: 0.0,
        stage: STAGE,
    }
}

/// 8 channels, 3x3, with all the constants that it needs.
fn depthwise(input: Operand, output: Operand) -> DepthwiseConv2d<'static> {
    DepthwiseConv2d {
        input,
        output,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
        weights: &[1; 72],
        bias: &[0; 8],
        mantissa: &[1 << 30; 8],
        shift: &[0; 8],
        input_zero_point: 0,
        stage: STAGE,
    }
}

/// 8 to 8 channels, 3x3, with all the constants that it needs.
fn conv(input: Operand, output: Operand, scratch: Region) -> Conv2d<'static> {
    Conv2d {
        input,
        output,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
        groups: 1,
        layout: Layout::VNNI,
        gather: Gather::Indirect,
        weights: &[1; 16 * 72],
        bias: &[0; 16],
        mantissa: &[1 << 30; 16],
        shift: &[0; 16],
        pad: &[0; 8],
        stage: STAGE,
        pixels_per_pass: 4,
        scratch,
    }
}

#[test]
fn shapes_that_differ_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |_, _, c| c as i8), 8);
    let output = arena.reserve([4, 5, 8], 8);
    let few = arena.reserve([4, 4, 7], 7);
    arena.remember();
    refuses("copy", &mut arena, &CopyElements { input, output });
    refuses("add", &mut arena, &add(input, input, output));
    refuses("mul", &mut arena, &mul(input, input, output));
    refuses("sub", &mut arena, &sub(input, input, output));
    refuses("square", &mut arena, &square(input, input, output));
    refuses("linear pair", &mut arena, &linear_pair(input, input, output));
    refuses("mul by fewer channels", &mut arena, &mul(input, few, input));
    refuses(
        "mul of one pixel by many",
        &mut arena,
        &mul(Operand { shape: [1, 1, 8], ..input }, input, input),
    );
    refuses("depthwise channels", &mut arena, &depthwise(input, few));
    refuses("argmax", &mut arena, &ArgMax { input, output });
    refuses("softmax", &mut arena, &Softmax { input, output, multiplier: HALF, min_difference: -9 });
    refuses("resize", &mut arena, &ResizeNearest { input, output: few });
    refuses(
        "mean",
        &mut arena,
        &GlobalAveragePool { input, output, input_zero_point: 0, multiplier: HALF, stage: STAGE },
    );
    let (kernel, stride, padding) = ([1, 1], [1, 1], [0, 0]);
    refuses(
        "pool",
        &mut arena,
        &MaxPool2d { input, output: few, kernel, stride, padding, min: -128, max: 127 },
    );
    refuses("reshape", &mut arena, &Reshape { input, output });
    let label = Operand { shape: [4, 4, 1], ..input };
    refuses("rows of too many labels", &mut arena, &Embedding { input, output: input, table: &[0; 16] });
    refuses("no whole row", &mut arena, &Embedding { input: label, output: input, table: &[0; 15] });
    refuses("no row", &mut arena, &Embedding { input: label, output: input, table: &[] });
    let position = MaxPosition2d { input, output: few, kernel, stride, padding };
    refuses("position", &mut arena, &position);
    refuses("large window", &mut arena, &MaxPosition2d { output, kernel: [1, 129], ..position });
    refuses("unpool", &mut arena, &unpool(input, input, few));
    refuses("unpool positions", &mut arena, &unpool(input, few, output));
    refuses("no window", &mut arena, &MaxUnpool2d { kernel: [2, 0], ..unpool(input, input, output) });
    refuses("prelu", &mut arena, &prelu(input, output));
    refuses("few slopes", &mut arena, &PRelu { slopes: &[1; 7], ..prelu(input, input) });
    refuses("shuffle", &mut arena, &ChannelShuffle { input, output, groups: 2 });
    let elsewhere = arena.reserve([4, 4, 8], 8);
    arena.remember();
    for groups in [0, 3] {
        refuses("shuffle groups", &mut arena, &ChannelShuffle { input, output: elsewhere, groups });
    }
    refuses("fewer channels", &mut arena, &PadChannels { input, output: few, zero_point: 0 });
    refuses("short table", &mut arena, &Lut { input, output: input, table: &[0; 255] });
}

#[test]
fn convolutions_that_do_not_fit_together_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |_, _, c| c as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    let scratch = arena.scratch(scratch_bytes(Layout::VNNI, Gather::Indirect, 9, 8, 4));
    arena.remember();
    let good = conv(input, output, scratch);
    let short = Region { len: scratch.len - 1, ..scratch };
    let cases: &[(&str, Conv2d<'_>)] = &[
        ("no groups", Conv2d { groups: 0, ..good }),
        ("groups that do not divide", Conv2d { groups: 3, ..good }),
        ("no chunk", Conv2d { pixels_per_pass: 0, ..good }),
        ("chunk beyond scratch", Conv2d { pixels_per_pass: 5, ..good }),
        ("chunk that overflows", Conv2d { pixels_per_pass: u32::MAX, ..good }),
        ("short scratch", Conv2d { scratch: short, ..good }),
        ("scratch outside", Conv2d { scratch: Region { offset: FAR, ..scratch }, ..good }),
        ("misaligned scratch", Conv2d { scratch: Region { offset: scratch.offset + 1, ..scratch }, ..good }),
        ("scratch over the output", Conv2d { scratch: Region { offset: output.offset, ..scratch }, ..good }),
        (
            "empty layout",
            Conv2d { layout: Layout { nr: 0, kr: 0, activation_offset: 0, pairs: false }, ..good },
        ),
        ("few weights", Conv2d { weights: &[1; 16 * 72 - 1], ..good }),
        ("few biases", Conv2d { bias: &[0; 15], ..good }),
        ("few mantissas", Conv2d { mantissa: &[0; 15], ..good }),
        ("few shifts", Conv2d { shift: &[0; 15], ..good }),
        ("short pad", Conv2d { pad: &[0; 7], ..good }),
        ("kernel that overflows", Conv2d { kernel: [u32::MAX, u32::MAX], ..good }),
        ("kernel whose bytes overflow to 0", Conv2d { kernel: [1 << 31, 1 << 30], ..good }),
        ("stride that overflows", Conv2d { stride: [u32::MAX, 1], ..good }),
        ("dilation that overflows", Conv2d { dilation: [1, u32::MAX], ..good }),
        ("padding that overflows", Conv2d { padding: [1 << 31, 1], ..good }),
        ("output over the input", Conv2d { output: input, ..good }),
        (
            "output over the last pixel",
            Conv2d { output: Operand { offset: input.offset + 127, ..output }, ..good },
        ),
        (
            "output before the first pixel",
            Conv2d { input: Operand { offset: output.offset + 127, ..input }, ..good },
        ),
    ];
    for (what, case) in cases {
        refuses(what, &mut arena, case);
        refuses(
            what,
            &mut arena,
            &Conv2d {
                layout: if case.layout.nr == 0 {
                    case.layout
                } else {
                    Layout { activation_offset: 0, ..Layout::VNNI }
                },
                ..*case
            },
        );
    }
    // The one that they all started from computes.
    let expected = arena.run(&good, Isa::scalar(), &output, scratch);
    assert!(!arena.unchanged());

    // Slices of a concatenation side by side: with any other offset, one meets the other.
    let mut arena = Arena::new();
    let both = arena.reserve([4, 4, 19], 19);
    let scratch = arena.scratch(scratch.len as usize);
    let image = Tensor::from_fn([4, 4, 8], |_, _, c| c as i8);
    for (first, second, fits) in
        [(0, 8, true), (0, 11, true), (3, 11, true), (0, 7, false), (0, 12, false), (5, 11, false)]
    {
        let slice = |first: u32| Operand { offset: both.offset + first, shape: [4, 4, 8], ..both };
        for [input, output] in [[first, second], [second, first]].map(|pair| pair.map(slice)) {
            arena.write(&input, &image);
            arena.remember();
            let conv = Conv2d { input, output, scratch, ..good };
            match fits {
                true => assert_eq!(arena.run(&conv, Isa::detect(), &output, scratch), expected),
                false => refuses("slices that meet", &mut arena, &conv),
            }
        }
    }
}

#[test]
fn convolution_and_pooling_that_do_not_fit_together_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |_, _, c| c as i8), 8);
    let output = arena.reserve([2, 2, 8], 8);
    // The map's rows that are in memory, a row of the output, the convolution's own.
    let held = arena.scratch(3 * 4 * 8);
    let piece = arena.scratch(2 * 8);
    let own = arena.scratch(scratch_bytes(Layout::VNNI, Gather::Indirect, 9, 8, 4));
    arena.remember();
    let map = Operand::arena(held.offset, [4, 4, 8], 8);
    let (kernel, stride, padding) = ([2, 2], [2, 2], [0, 0]);
    let conv = conv(input, map, own);
    let pool = MaxPool2d { input: map, output, kernel, stride, padding, min: -128, max: 127 };
    let scratch = Region { offset: held.offset, len: own.offset + own.len - held.offset };
    let good = ConvMaxPool2d { conv, pool, rows: 3, piece, scratch, threads: 1 };
    let (short, narrow) = (Region { len: scratch.len - 1, ..scratch }, Operand { shape: [4, 3, 8], ..map });
    let cases: &[(&str, ConvMaxPool2d<'_>)] = &[
        ("input outside", ConvMaxPool2d { conv: Conv2d { input: outside(input), ..conv }, ..good }),
        ("output outside", ConvMaxPool2d { pool: MaxPool2d { output: outside(output), ..pool }, ..good }),
        ("another map", ConvMaxPool2d { pool: MaxPool2d { input: narrow, ..pool }, ..good }),
        ("no rows", ConvMaxPool2d { rows: 0, ..good }),
        ("no threads", ConvMaxPool2d { threads: 0, ..good }),
        ("short scratch", ConvMaxPool2d { scratch: short, ..good }),
        ("more rows than scratch", ConvMaxPool2d { rows: 4, scratch: held, ..good }),
        ("no piece", ConvMaxPool2d { rows: 1, piece: Region::EMPTY, ..good }),
        ("no window", ConvMaxPool2d { pool: MaxPool2d { kernel: [0, 2], ..pool }, ..good }),
        ("no step", ConvMaxPool2d { pool: MaxPool2d { stride: [2, 0], ..pool }, ..good }),
    ];
    cases.iter().for_each(|(what, case)| refuses(what, &mut arena, case));
    // Where the convolution alone does not fit, pooling would write what it makes of what is in memory.
    let cases: &[(&str, Conv2d<'_>)] = &[
        ("few biases", Conv2d { bias: &[0; 15], ..conv }),
        ("no kernel", Conv2d { kernel: [0, 3], ..conv }),
        ("no dilation", Conv2d { dilation: [1, 0], ..conv }),
        ("stride that overflows", Conv2d { stride: [1, u32::MAX], ..conv }),
    ];
    for (what, conv) in cases {
        assert!(!arena.fits(&ConvMaxPool2d { conv: *conv, ..good }), "{what}");
        assert!(!arena.fits(&ConvMaxPool2d { conv: *conv, rows: 1, ..good }), "{what}");
    }
    for good in [good, ConvMaxPool2d { rows: 1, ..good }] {
        arena.run(&good, Isa::scalar(), &output, scratch);
        assert!(!arena.unchanged());
    }
}

#[test]
fn transposed_convolutions_without_stride_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |_, _, c| c as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    arena.remember();
    let c = conv(input, output, Region::EMPTY);
    let kernel = TransposedConv2d {
        input,
        output,
        kernel: [2, 2],
        stride: [0, 2],
        padding: [0, 0],
        layout: c.layout,
        gather: c.gather,
        weights: c.weights,
        bias: c.bias,
        mantissa: c.mantissa,
        shift: c.shift,
        pad: c.pad,
        stage: c.stage,
        pixels_per_pass: c.pixels_per_pass,
        scratch: c.scratch,
    };
    refuses("stride 0", &mut arena, &kernel);
    refuses("huge stride", &mut arena, &TransposedConv2d { stride: [u32::MAX, u32::MAX], ..kernel });
}

/// Refuses a kernel with a 0 at either place of each of these fields, and runs it as it is.
macro_rules! refuses_zeros {
    ($arena:ident, $kernel:ident { $($field:ident),* } of $good:expr) => {{
        let good: $kernel<'_> = $good;
        refuses_zeros!(@ $arena, $kernel { $($field),* } of good);
    }};
    ($arena:ident, plain $kernel:ident { $($field:ident),* } of $good:expr) => {{
        let good: $kernel = $good;
        refuses_zeros!(@ $arena, $kernel { $($field),* } of good);
    }};
    (@ $arena:ident, $kernel:ident { $($field:ident),* } of $good:ident) => {
        $(for i in [0, 1] {
            let mut $field = $good.$field;
            $field[i] = 0;
            let what = concat!(stringify!($kernel), " without ", stringify!($field));
            refuses(what, &mut $arena, &$kernel { $field, ..$good });
        })*
        assert!($arena.fits(&$good), stringify!($kernel));
    };
}

#[test]
fn windows_without_cells_and_steps_of_0_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |y, x, c| (y * 50 + x * 9 + c) as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    let scratch = arena.scratch(1 << 12);
    arena.remember();
    let (kernel, stride, padding, dilation) = ([3, 3], [1, 1], [1, 1], [1, 1]);
    let (min, max, zero_point) = (-128, 127, 0);
    let conv = conv(input, output, scratch);
    refuses_zeros!(arena, Conv2d { kernel, stride, dilation } of conv);
    let Conv2d { layout, gather, weights, bias, mantissa, shift, pad, stage, pixels_per_pass, .. } = conv;
    refuses_zeros!(arena, TransposedConv2d { kernel, stride } of TransposedConv2d {
        input, output, kernel, stride, padding, layout, gather, weights, bias, mantissa, shift, pad, stage, pixels_per_pass, scratch,
    });
    refuses_zeros!(arena, DepthwiseConv2d { kernel, stride, dilation } of depthwise(input, output));
    let pool = MaxPool2d { input, output, kernel, stride, padding, min, max };
    refuses_zeros!(arena, plain MaxPool2d { kernel, stride } of pool);
    refuses_zeros!(arena, plain MaxPosition2d { kernel, stride } of MaxPosition2d { input, output, kernel, stride, padding });
    refuses_zeros!(arena, plain MaxUnpool2d { kernel } of unpool(input, input, output));
    let (padding_end, count_padding) = ([1, 1], true);
    refuses_zeros!(arena, plain AveragePool2d { kernel, stride } of AveragePool2d {
        input, output, kernel, stride, padding, padding_end, count_padding, zero_point, min, max,
    });

    // Four codes of two bytes or four f16 values per pixel; positions of one byte.
    let positions = Operand { shape: [4, 4, 4], ..output };
    let bounds = Bounds { zero_point: 0, min: -128, max: 127 };
    let widths = [Width::Int16; 2];
    let wide = Conv2dInt16 {
        input,
        output,
        widths,
        kernel,
        stride,
        dilation,
        padding,
        transposed: false,
        groups: 1,
        weights: &[1; 144],
        weights_low: &[],
        bias: &[0; 4],
        mantissa: &[1 << 30; 4],
        mantissa_low: &[],
        shift: &[0; 4],
        input_zero_point: 0,
        bounds,
    };
    refuses_zeros!(arena, Conv2dInt16 { kernel, stride, dilation } of wide);
    refuses_zeros!(arena, Conv2dInt16 { kernel, stride, dilation } of Conv2dInt16 { transposed: true, ..wide });
    refuses_zeros!(arena, plain MaxPool2dInt16 { kernel, stride } of MaxPool2dInt16 { input, output, kernel, stride, padding, bounds });
    refuses_zeros!(arena, plain AveragePool2dInt16 { kernel, stride } of AveragePool2dInt16 {
        input, output, kernel, stride, padding, padding_end, count_padding,
    });
    refuses_zeros!(arena, plain MaxPosition2dInt16 { kernel, stride } of MaxPosition2dInt16 {
        input, output: positions, kernel, stride, padding,
    });
    refuses_zeros!(arena, plain MaxUnpool2dInt16 { kernel } of MaxUnpool2dInt16 { values: input, positions, output, kernel, cropped: 0 });

    let (float, types, range) = (Float::F16, [Float::F16; 2], ALL);
    let halves = Conv2dFloat {
        input,
        output,
        types,
        kernel,
        stride,
        dilation,
        padding,
        transposed: false,
        groups: 1,
        panel: 4,
        weights: &[1.0; 144],
        halves: &[],
        bias: &[0.0; 4],
        range,
        native: false,
        pixels_per_pass: 4,
        scratch,
    };
    refuses_zeros!(arena, Conv2dFloat { kernel, stride, dilation } of halves);
    refuses_zeros!(arena, Conv2dFloat { kernel, stride, dilation } of Conv2dFloat { transposed: true, ..halves });
    refuses_zeros!(arena, Conv2dFloat { kernel, stride, dilation } of Conv2dFloat { panel: 1, groups: 4, ..halves });
    refuses_zeros!(arena, plain MaxPool2dFloat { kernel, stride } of MaxPool2dFloat {
        input, output, types, kernel, stride, padding, range,
    });
    refuses_zeros!(arena, plain AveragePool2dFloat { kernel, stride } of AveragePool2dFloat {
        input, output, types, kernel, stride, padding, padding_end, count_padding, range,
    });
    refuses_zeros!(arena, plain MaxPosition2dFloat { kernel, stride } of MaxPosition2dFloat {
        input, output: positions, float, kernel, stride, padding,
    });
    refuses_zeros!(arena, plain MaxUnpool2dFloat { kernel } of MaxUnpool2dFloat {
        values: input, positions, output, float, kernel, cropped: 0,
    });

    // What else would overflow or never end.
    refuses(
        "transposed with dilation",
        &mut arena,
        &Conv2dInt16 { transposed: true, dilation: [1, 2], ..wide },
    );
    let endless = Conv2dFloat { transposed: true, ..halves };
    refuses("transposed with dilation", &mut arena, &Conv2dFloat { dilation: [2, 1], ..endless });
    for stride in [[1 << 16, 1], [1 << 8, 1 << 8], [u32::MAX; 2]] {
        refuses("phases that do not end", &mut arena, &Conv2dFloat { stride, ..endless });
    }
    let layer = depthwise(input, output);
    refuses("padding", &mut arena, &DepthwiseConv2d { padding: [0, 1 << 29], ..layer });
    refuses("stride", &mut arena, &DepthwiseConv2d { stride: [u32::MAX, 1], ..layer });
    refuses("dilation", &mut arena, &DepthwiseConv2d { dilation: [1, 1 << 30], ..layer });
    refuses("few filters", &mut arena, &DepthwiseConv2d { weights: &[1; 71], ..layer });
}

#[test]
fn numbers_of_cells_that_do_not_add_up_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |_, _, c| c as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    arena.reserve([1, 1, 5000], 5000);
    arena.remember();
    let (stride, padding, padding_end, count_padding) = ([1, 1], [0, 0], [u32::MAX; 2], true);
    let (zero_point, min, max, range) = (0, -128, 127, ALL);
    let (types, widths) = ([Float::F16; 2], [Width::Int16; 2]);
    let bounds = Bounds { zero_point: 0, min: -128, max: 127 };
    for kernel in [[1 << 12, (1 << 11) + 1], [u32::MAX; 2], [1 << 31, 2]] {
        refuses(
            "mean",
            &mut arena,
            &AveragePool2d {
                input,
                output,
                kernel,
                stride,
                padding,
                padding_end,
                count_padding,
                zero_point,
                min,
                max,
            },
        );
        refuses(
            "mean of halves",
            &mut arena,
            &AveragePool2dFloat {
                input,
                output,
                types,
                kernel,
                stride,
                padding,
                padding_end,
                count_padding,
                range,
            },
        );
        refuses("position", &mut arena, &MaxPosition2d { input, output, kernel, stride, padding });
    }
    let none = Operand { shape: [0, 4, 8], ..input };
    let one = Operand { shape: [1, 1, 8], ..output };
    let (multiplier, input_zero_point) = (HALF, 0);
    let mean = GlobalAveragePool { input: none, output: one, input_zero_point, multiplier, stage: STAGE };
    refuses("mean of nothing", &mut arena, &mean);
    let mean =
        GlobalAveragePoolInt16 { input: none, output: one, widths, input_zero_point: 0, multiplier, bounds };
    refuses("mean of nothing", &mut arena, &mean);
    refuses(
        "mean of nothing",
        &mut arena,
        &GlobalAveragePoolFloat { input: none, output: one, types, range },
    );
    for corners in [resize::Corners::HalfPixel, resize::Corners::Aligned] {
        refuses("resized nothing", &mut arena, &ResizeBilinear { input: none, output, corners });
        refuses("resized nothing", &mut arena, &ResizeBilinearInt16 { input: none, output, corners });
        refuses("resized nothing", &mut arena, &ResizeBilinearFloat { input: none, output, types, corners });
    }
    refuses("resized nothing", &mut arena, &ResizeNearest { input: none, output });
    assert!(arena.fits(&ResizeNearest { input: none, output: none }));
    let (no_class, label) = (Operand { shape: [4, 4, 0], ..input }, Operand { shape: [4, 4, 1], ..output });
    refuses("no class", &mut arena, &ArgMax { input: no_class, output: label });
    refuses("no class", &mut arena, &ArgMaxFloat { input: no_class, output: label, float: Float::F16 });
    let many = Operand::arena(0, [1, 1, 4096], 4096);
    refuses(
        "classes",
        &mut arena,
        &Softmax { input: many, output: many, multiplier: HALF, min_difference: -9 },
    );
    let gaps = Operand { shape: [4, 4, 7], ..input };
    refuses("a reshape in place", &mut arena, &Reshape { input: gaps, output: gaps });
}

#[test]
fn attentions_that_do_not_fit_together_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |y, x, c| (y * 50 + x * 9 + c) as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    let scratch = arena.scratch(Attention::scratch_bytes(16, 2, 4));
    arena.remember();
    let (scale, min_difference) = Attention::parameters(0.01, true).unwrap();
    let good = Attention {
        query: input,
        key: input,
        value: input,
        output,
        heads: 2,
        query_zero_point: 0,
        key_zero_point: 0,
        value_zero_point: 0,
        shared: true,
        scale,
        min_difference,
        rounds: 2,
        bucket: 4,
        rotations: &[100; 2 * 2 * 4],
        multiplier: Attention::multiplier(1.0, 1.0).unwrap(),
        stage: STAGE,
        scratch,
    };
    let few = Operand { shape: [4, 3, 8], ..input };
    let cases: &[(&str, Attention<'_>)] = &[
        ("another query", Attention { query: few, ..good }),
        ("another key", Attention { key: few, ..good }),
        ("another value", Attention { value: few, ..good }),
        ("a value outside", Attention { value: Operand { offset: FAR, ..input }, ..good }),
        ("no heads", Attention { heads: 0, ..good }),
        ("heads that do not divide", Attention { heads: 3, ..good }),
        ("more heads than channels", Attention { heads: u32::MAX, ..good }),
        ("no tokens in a chunk", Attention { bucket: 0, ..good }),
        ("one token in a chunk", Attention { bucket: 1, ..good }),
        ("chunks that do not divide", Attention { bucket: 3, ..good }),
        ("chunks that overflow", Attention { bucket: u32::MAX, ..good }),
        ("too many rounds", Attention { rounds: u32::MAX, ..good }),
        ("few rotations", Attention { rotations: &[100; 15], ..good }),
        ("a rotation whose sums overflow", Attention { rotations: &[i16::MIN; 16], ..good }),
        ("a factor that shifts left", Attention { multiplier: Multiplier { shift: 1, ..HALF }, ..good }),
        ("a scale that shifts too far", Attention { scale: Multiplier { shift: 31, ..HALF }, ..good }),
        ("short scratch", Attention { scratch: Region { len: scratch.len - 1, ..scratch }, ..good }),
        ("scratch outside", Attention { scratch: Region { offset: FAR, ..scratch }, ..good }),
        (
            "scratch over the output",
            Attention { scratch: Region { offset: output.offset, ..scratch }, ..good },
        ),
    ];
    for (what, case) in cases {
        refuses(what, &mut arena, case);
    }
    arena.run(&good, Isa::scalar(), &output, scratch);
    assert!(!arena.unchanged());
}

/// No activation.
const ALL: FloatBounds = FloatBounds::ALL;

#[test]
fn floating_point_that_does_not_fit_together_is_refused() {
    use niello_kernels::float::Function;
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 8], |y, x, c| (y * 50 + x * 9 + c) as i8), 8);
    let output = arena.reserve([4, 4, 8], 8);
    arena.remember();
    let (f, width, scale, corners) = (Float::F32, Width::Int8, 1.0, resize::Corners::Aligned);
    let (types, three) = ([f; 2], [f; 3]);
    let bounds = Bounds { zero_point: 0, min: -128, max: 127 };
    let (kernel, stride, padding) = ([2, 2], [1, 1], [0, 0]);
    // Two numbers per pixel, so that anything else does not fit: other sides, half a number, outside memory, bytes.
    let few = Operand { shape: [4, 3, 8], ..output };
    let cut = Operand { shape: [4, 4, 7], ..output };
    for (what, output) in [("few", few), ("cut", cut), ("outside", outside(output))] {
        let same: &[&dyn Kernel] = &[
            &AddFloat { a: input, b: input, output, types: three, range: ALL },
            &SubFloat { a: input, b: input, output, types: three, range: ALL },
            &MulFloat { a: input, b: input, output, types: three, range: ALL },
            &DivFloat { a: input, b: input, output, types: three, range: ALL },
            &ElementaryFloat { input, output, types, function: float::Elementary::Exp },
            &AddFloat { a: output, b: input, output: input, types: three, range: ALL },
            &MulFloat { a: input, b: output, output: input, types: three, range: ALL },
            &ClampFloat { input, output, types, range: ALL },
            &CastFloat { input, output, types },
            &ScaleFloat { input, output, types, scale: &[1.0; 2], offset: &[1.0; 2], range: ALL },
            &PReluFloat { input, output, types, slopes: &[1.0; 2] },
            &PointWiseFloat { input, output, types, function: Function::Sigmoid },
            &SoftmaxFloat { input, output, types },
            &ChannelShuffleFloat { input, output, float: f, groups: 2 },
            &GlobalAveragePoolFloat { input, output, types, range: ALL },
            &ArgMaxFloat { input, output, float: f },
            &QuantizeFloat { input, output, float: f, width, scale, bounds },
            &QuantizeLinear { input, output, float: f, width, scale, constant: 0.0, bounds },
            &DequantizeFloat { input: output, output: input, float: f, width, scale, zero_point: 0 },
            &EmbeddingFloat { input, output, float: f, table: &[0.0; 8], halves: &[] },
        ];
        same.iter().for_each(|kernel| refuses(what, &mut arena, *kernel));
        // What takes other sides.
        let output = if what == "few" { cut } else { output };
        let others: &[&dyn Kernel] = &[
            &MaxPool2dFloat { input, output, types, kernel, stride, padding, range: ALL },
            &AveragePool2dFloat {
                input,
                output,
                types,
                kernel,
                stride,
                padding,
                padding_end: padding,
                count_padding: false,
                range: ALL,
            },
            &MaxPosition2dFloat { input, output, float: f, kernel, stride, padding },
            &MaxUnpool2dFloat {
                values: output,
                positions: output,
                output: input,
                float: f,
                kernel,
                cropped: 0,
            },
            &ResizeBilinearFloat { input, output, types, corners },
        ];
        others.iter().for_each(|kernel| refuses(what, &mut arena, *kernel));
    }
    let (scale, offset) = (&[1.0; 2], &[1.0; 2]);
    let slopes = PReluFloat { input, output, types, slopes: &[1.0] };
    refuses("few slopes", &mut arena, &slopes);
    let scales = ScaleFloat { input, output, types, scale, offset, range: ALL };
    refuses("few factors", &mut arena, &ScaleFloat { scale: &[1.0], ..scales });
    refuses("few offsets", &mut arena, &ScaleFloat { offset: &[], ..scales });
    refuses("other types", &mut arena, &ScaleFloat { types: [Float::F16, Float::F32], ..scales });
    refuses("groups", &mut arena, &ChannelShuffleFloat { input, output, float: f, groups: 0 });
    let codes = Operand { shape: [4, 4, 2], ..output };
    let quantize = QuantizeFloat { input, output: codes, float: f, width, scale: 1.0, bounds };
    refuses("wide codes", &mut arena, &QuantizeFloat { bounds: Bounds { max: 128, ..bounds }, ..quantize });
    let label = Operand { shape: [4, 4, 1], ..input };
    let rows = EmbeddingFloat { input: label, output, float: f, table: &[0.0; 3], halves: &[] };
    refuses("no whole row", &mut arena, &rows);
    refuses("no row", &mut arena, &EmbeddingFloat { table: &[], ..rows });
    refuses("no whole row of halves", &mut arena, &EmbeddingFloat { table: &[], halves: &[0; 3], ..rows });
    let position = MaxPosition2dFloat { input, output: codes, float: f, kernel: [1, 129], stride, padding };
    refuses("large window", &mut arena, &position);
    let unpool =
        MaxUnpool2dFloat { values: input, positions: codes, output, float: f, kernel: [0, 2], cropped: 0 };
    refuses("no window", &mut arena, &unpool);
    let many = Operand { shape: [1, 1, 8 * 129], stride: 8 * 129, ..input };
    refuses("many classes", &mut arena, &ArgMaxFloat { input: many, output: label, float: f });
    // Those that they started from compute.
    for kernel in [&scales as &dyn Kernel, &PReluFloat { slopes: &[1.0; 2], ..slopes }] {
        arena.run(kernel, Isa::scalar(), &output, Region::EMPTY);
        assert!(!arena.unchanged());
    }
    arena.run(&quantize, Isa::scalar(), &codes, Region::EMPTY);
    arena.run(&MaxPosition2dFloat { kernel, ..position }, Isa::scalar(), &codes, Region::EMPTY);
    arena.run(&MaxUnpool2dFloat { kernel, ..unpool }, Isa::scalar(), &output, Region::EMPTY);
}

#[test]
fn attentions_in_floating_point_that_do_not_fit_together_are_refused() {
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 32], |y, x, c| (y * 50 + x * 9 + c) as i8), 32);
    let output = arena.reserve([4, 4, 32], 32);
    let scratch = arena.scratch(Attention::scratch_bytes(16, 2, 4));
    arena.remember();
    let good = AttentionFloat {
        query: input,
        key: input,
        value: input,
        output,
        types: [Float::F32; 4],
        heads: 2,
        shared: true,
        scale: 0.5,
        rounds: 2,
        bucket: 4,
        rotations: &[0.5; 2 * 2 * 4],
        scratch,
    };
    let few = Operand { shape: [4, 3, 32], ..input };
    let cases: &[(&str, AttentionFloat<'_>)] = &[
        ("another query", AttentionFloat { query: few, ..good }),
        ("another key", AttentionFloat { key: few, ..good }),
        ("another value", AttentionFloat { value: few, ..good }),
        ("another type", AttentionFloat { types: [Float::F32, Float::F32, Float::F16, Float::F32], ..good }),
        ("a value outside", AttentionFloat { value: Operand { offset: FAR, ..input }, ..good }),
        ("no heads", AttentionFloat { heads: 0, ..good }),
        ("heads that do not divide", AttentionFloat { heads: 3, ..good }),
        ("more heads than channels", AttentionFloat { heads: u32::MAX, ..good }),
        ("one token in a chunk", AttentionFloat { bucket: 1, ..good }),
        ("no tokens in a chunk", AttentionFloat { bucket: 0, ..good }),
        ("chunks that do not divide", AttentionFloat { bucket: 3, ..good }),
        ("too many rounds", AttentionFloat { rounds: u32::MAX, ..good }),
        ("few rotations", AttentionFloat { rotations: &[0.5; 15], ..good }),
        ("short scratch", AttentionFloat { scratch: Region { len: scratch.len - 1, ..scratch }, ..good }),
        (
            "scratch over the output",
            AttentionFloat { scratch: Region { offset: output.offset, ..scratch }, ..good },
        ),
    ];
    for (what, case) in cases {
        refuses(what, &mut arena, case);
    }
    arena.run(&good, Isa::scalar(), &output, scratch);
    assert!(!arena.unchanged());
}

#[test]
fn convolutions_in_floating_point_that_do_not_fit_together_are_refused() {
    let mut arena = Arena::new();
    // Four channels in single precision, eight f16 values.
    let input = arena.place(&Tensor::from_fn([4, 4, 16], |_, _, c| c as i8), 16);
    let output = arena.reserve([4, 4, 16], 16);
    let mut scratch = arena.scratch(1 << 14);
    arena.remember();
    let good = Conv2dFloat {
        input,
        output,
        types: [Float::F32; 2],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
        transposed: false,
        groups: 1,
        panel: 16,
        weights: &[1.0; 9 * 4 * 16],
        halves: &[],
        bias: &[1.0; 16],
        range: ALL,
        native: false,
        pixels_per_pass: 4,
        scratch,
    };
    scratch.len = good.scratch_bytes() as u32;
    let good = Conv2dFloat { scratch, ..good };
    let misaligned = Region { offset: scratch.offset + 1, ..scratch };
    let cases: &[(&str, Conv2dFloat<'_>)] = &[
        ("half a number", Conv2dFloat { types: [Float::F32; 2], input: cut(input), ..good }),
        ("no groups", Conv2dFloat { groups: 0, ..good }),
        ("groups that do not divide", Conv2dFloat { groups: 3, ..good }),
        ("a panel of another width", Conv2dFloat { panel: 5, ..good }),
        ("filters that are not one per channel", Conv2dFloat { panel: 1, ..good }),
        ("no chunk", Conv2dFloat { pixels_per_pass: 0, ..good }),
        ("chunk beyond scratch", Conv2dFloat { pixels_per_pass: 192, ..good }),
        ("scratch outside", Conv2dFloat { scratch: Region { offset: FAR, ..scratch }, ..good }),
        ("misaligned scratch", Conv2dFloat { scratch: misaligned, ..good }),
        (
            "scratch over the output",
            Conv2dFloat { scratch: Region { offset: output.offset, ..scratch }, ..good },
        ),
        ("few weights", Conv2dFloat { weights: &[1.0; 9 * 4 * 16 - 1], ..good }),
        ("few halves", Conv2dFloat { weights: &[], halves: &[0; 9 * 4 * 16 - 1], ..good }),
        ("few biases", Conv2dFloat { bias: &[1.0; 15], ..good }),
        ("products of halves in single precision", Conv2dFloat { native: true, ..good }),
        ("kernel that overflows", Conv2dFloat { kernel: [u32::MAX; 2], ..good }),
        ("stride that overflows", Conv2dFloat { stride: [u32::MAX, 1], ..good }),
        ("dilation that overflows", Conv2dFloat { dilation: [1, u32::MAX], ..good }),
        ("padding that overflows", Conv2dFloat { padding: [1 << 31, 1], ..good }),
        ("transposed without stride", Conv2dFloat { transposed: true, stride: [0, 1], ..good }),
    ];
    cases.iter().for_each(|(what, case)| refuses(what, &mut arena, case));
    arena.run(&good, Isa::scalar(), &output, scratch);
    assert!(!arena.unchanged());

    use niello_kernels::float::conv::winograd::{MOST_TILES, packed_len, scratch_bytes};
    let mut arena = Arena::new();
    let input = arena.place(&Tensor::from_fn([4, 4, 16], |_, _, c| c as i8), 16);
    let output = arena.reserve([4, 4, 16], 16);
    let scratch = arena.scratch(scratch_bytes(16, 8, 2));
    arena.remember();
    let weights = vec![0x3c00; packed_len(16, 8, 8)];
    let good = WinogradConv2dFloat {
        input,
        output,
        padding: [1, 1],
        panel: 16,
        weights: &weights,
        bias: &[1.0; 16],
        range: ALL,
        tiles_per_pass: 2,
        scratch,
    };
    let misaligned = Region { offset: scratch.offset + 1, ..scratch };
    let of_the_output = Region { offset: output.offset, ..scratch };
    let cases: &[(&str, WinogradConv2dFloat<'_>)] = &[
        (
            "channels that are no eights",
            WinogradConv2dFloat { input: Operand { shape: [4, 4, 14], ..input }, ..good },
        ),
        ("no channels", WinogradConv2dFloat { input: Operand { shape: [4, 4, 0], ..input }, ..good }),
        ("half a half", WinogradConv2dFloat { output: cut(output), ..good }),
        ("a panel of another width", WinogradConv2dFloat { panel: 0, ..good }),
        ("no chunk", WinogradConv2dFloat { tiles_per_pass: 0, ..good }),
        ("chunk beyond scratch", WinogradConv2dFloat { tiles_per_pass: 3, ..good }),
        ("chunk beyond all", WinogradConv2dFloat { tiles_per_pass: MOST_TILES as u32 + 1, ..good }),
        (
            "short scratch",
            WinogradConv2dFloat { scratch: Region { len: scratch.len - 1, ..scratch }, ..good },
        ),
        ("scratch outside", WinogradConv2dFloat { scratch: Region { offset: FAR, ..scratch }, ..good }),
        ("misaligned scratch", WinogradConv2dFloat { scratch: misaligned, ..good }),
        ("scratch over the output", WinogradConv2dFloat { scratch: of_the_output, ..good }),
        ("few weights", WinogradConv2dFloat { weights: &weights[1..], ..good }),
        ("few biases", WinogradConv2dFloat { bias: &[1.0; 15], ..good }),
        ("padding that overflows", WinogradConv2dFloat { padding: [1, 1 << 30], ..good }),
    ];
    cases.iter().for_each(|(what, case)| refuses(what, &mut arena, case));
    arena.run(&good, Isa::scalar(), &output, scratch);
    assert!(!arena.unchanged());
}

/// Beyond the end of memory.
fn outside(operand: Operand) -> Operand {
    Operand { offset: FAR, ..operand }
}

/// Without the last byte of a pixel.
fn cut(operand: Operand) -> Operand {
    let [h, w, c] = operand.shape;
    Operand { shape: [h, w, c - 1], ..operand }
}
