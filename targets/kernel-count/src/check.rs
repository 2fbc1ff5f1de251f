//! Small layers of all shapes, on the kernels of the core and on the reference.

use crate::{
    layers::{Buffers, CHANNELS, own_layout},
    random::Random,
};
use core::cell::Cell;
use cortex_m_semihosting::hprintln;
use niello::kernels::{
    Add, Conv2d, DepthwiseConv2d, Gather, GlobalAveragePool, Isa, Kernel, Layout, MaxPool2d, Memory, Mul, Multiplier,
    Operand, OutputParams, Region, Requantize, Rounding, conv::scratch_bytes,
};

/// Layers of each kind.
const CASES: u32 = 150;
/// The offsets of input, second input, output and scratch.
const PLACES: [u32; 4] = [0, 64 << 10, 128 << 10, 1024 << 10];

/// Runs a layer of one kind on both. Returns whether they are equal.
type Kind = fn(&mut Random, &mut Buffers) -> bool;

/// Whether all are equal; prints the first of each kind that is not.
pub(crate) fn all(buffers: &mut Buffers) -> bool {
    let mut random = Random(3);
    let kinds: [(&str, Kind); 8] = [
        ("convolution", convolution),
        ("depthwise convolution", depthwise),
        ("max pool", max_pool),
        ("addition", addition),
        ("multiplication", multiplication),
        ("requantization", requantization),
        ("mean", mean),
        ("floating-point convolution", crate::float::convolution),
    ];
    for (name, kind) in kinds {
        if name.contains("floating-point") && !crate::float::IN_HARDWARE {
            continue;
        }
        for case in 0..CASES {
            if !kind(&mut random, buffers) {
                hprintln!("{} {} is not as the reference's", name, case);
                return false;
            }
        }
        hprintln!("{}: {} layers equal to the reference's", name, CASES);
    }
    true
}

fn stage(random: &mut Random) -> OutputParams {
    let rounding = [Rounding::TfliteDouble, Rounding::Single, Rounding::FloatEven][random.below(3) as usize];
    let (min, max) = if random.below(2) == 0 { (-128, 127) } else { (-20, 90) };
    OutputParams { zero_point: random.code(), min, max, rounding }
}

/// Another factor for each channel, some of them out of the ordinary; another bias.
fn scales(random: &mut Random, buffers: &mut Buffers) {
    let odd = random.below(4) == 0;
    for i in 0..CHANNELS {
        buffers.bias[i] = (random.next() as i32 - (1 << 15)) << 2;
        buffers.mantissa[i] = (1 << 30) + ((random.next() as i32) << 14);
        buffers.shift[i] = -4 - random.below(8) as i8;
        if odd && random.below(4) == 0 {
            (buffers.mantissa[i], buffers.shift[i]) =
                [(0, 0), (1 << 29, -3), (i32::MAX, 0), (1 << 30, -30)][random.below(4) as usize];
        }
    }
}

fn convolution(random: &mut Random, buffers: &mut Buffers) -> bool {
    let pair = |random: &mut Random, from: u32, n: u32| [from + random.below(n), from + random.below(n)];
    let size = pair(random, 1, 12);
    let (kernel, stride, dilation) = (pair(random, 1, 4), pair(random, 1, 3), pair(random, 1, 2));
    let padding = pair(random, 0, 3);
    let groups = if random.below(4) == 0 { 2 } else { 1 };
    // Whole groups of four more often than not, and some sums of more than 512 MACs.
    let cin = match random.below(4) {
        0 => 1 + random.below(9),
        1 => 512 + 4 * random.below(20),
        _ => 4 + 4 * random.below(12),
    };
    let (size, kernel) = if cin >= 512 { (size.map(|s| s.min(5)), [1, 1]) } else { (size, kernel) };
    let mut cout = 1 + random.below(12);
    let out = [0, 1].map(|i| {
        let span = (kernel[i] - 1) * dilation[i] + 1;
        (size[i] + 2 * padding[i]).checked_sub(span).map_or(0, |room| room / stride[i] + 1)
    });
    let layout = match (random.below(4), own_layout()) {
        (0, _) => Layout::SCALAR,
        // Plain Rust reads the packing too.
        (_, Layout::SCALAR) => Layout::DSP,
        (_, own) => own,
    };
    let mut stage = stage(random);
    // Whole panels without gaps, and a ReLU whose range begins at 0, are computed in ways of their own.
    let whole = layout == Layout::MVE && random.below(2) == 0;
    if whole {
        cout = 4 * (1 + random.below(4));
        if random.below(2) == 0 {
            (stage.zero_point, stage.min, stage.max) = (-128, -128, 127);
        }
    }
    let mut gap = |most: u32| if whole { 0 } else { random.below(2) * most };
    let (in_gap, out_gap) = (gap(5), gap(3));
    scales(random, buffers);
    // The extremes that overflow first, now and then.
    let lowest = random.below(4) == 0;
    buffers.weights.fill_with(|| if lowest { -127 } else { random.weight() });
    let gather = Gather::choose(layout, cin as usize);
    let taps = (kernel[0] * kernel[1]) as usize;
    let (segments, k) = gather.segments(taps, cin as usize);
    let (padded, len) = (layout.padded_k(k), layout.packed_len(cout as usize, segments, k));
    // The padding of the reduction is zero.
    for group in 0..groups as usize {
        for (channel, segment) in (0..cout as usize).flat_map(|c| (0..segments).map(move |s| (c, s))) {
            for at in k..padded {
                buffers.weights[group * len + layout.index(segments, padded, channel, segment, at)] = 0;
            }
        }
    }
    layout.finish(&mut buffers.weights);
    let all_in = groups * cin;
    let input = Operand::arena(PLACES[0], [size[0], size[1], all_in], all_in + in_gap);
    fill(random, &mut buffers.arena, &input, lowest);
    let output = Operand::arena(PLACES[2], [out[0], out[1], groups * cout], groups * cout + out_gap);
    let chunk = 1 + random.below(30) as usize;
    let scratch = scratch_bytes(layout, gather, taps, cin as usize, chunk) as u32;
    let Buffers { arena, weights, bias, mantissa, shift, pad, .. } = buffers;
    let layer = Conv2d {
        input,
        output,
        kernel,
        stride,
        dilation,
        padding,
        groups,
        layout,
        gather,
        weights,
        bias,
        mantissa,
        shift,
        pad,
        stage,
        pixels_per_pass: chunk as u32,
        scratch: Region { offset: PLACES[3], len: scratch },
    };
    equal(&layer, arena, &output)
}

fn depthwise(random: &mut Random, buffers: &mut Buffers) -> bool {
    let side = |random: &mut Random, from: u32, n: u32| [from + random.below(n), from + random.below(n)];
    // Some images of several blocks of columns and bands of rows.
    let size = if random.below(4) == 0 { side(random, 20, 30) } else { side(random, 1, 12) };
    let (kernel, dilation) =
        if random.below(2) == 0 { ([3, 3], [1, 1]) } else { (side(random, 1, 5), side(random, 1, 2)) };
    let (stride, padding) = (side(random, 1, 3), side(random, 0, 3));
    let channels = 1 + random.below(40);
    let out = [0, 1].map(|i| {
        let span = (kernel[i] - 1) * dilation[i] + 1;
        (size[i] + 2 * padding[i]).checked_sub(span).map_or(0, |room| room / stride[i] + 1)
    });
    let stage = stage(random);
    scales(random, buffers);
    buffers.weights.fill_with(|| random.weight());
    let input = Operand::arena(PLACES[0], [size[0], size[1], channels], channels + random.below(2) * 3);
    fill(random, &mut buffers.arena, &input, false);
    let output = Operand::arena(PLACES[2], [out[0], out[1], channels], channels + random.below(2) * 5);
    let Buffers { arena, weights, bias, mantissa, shift, .. } = buffers;
    let layer = DepthwiseConv2d {
        input,
        output,
        kernel,
        stride,
        dilation,
        padding,
        weights,
        bias,
        mantissa,
        shift,
        input_zero_point: random.code(),
        stage,
    };
    equal(&layer, arena, &output)
}

fn max_pool(random: &mut Random, buffers: &mut Buffers) -> bool {
    let side = |random: &mut Random, from: u32, n: u32| [from + random.below(n), from + random.below(n)];
    let (size, kernel, stride) = (side(random, 1, 9), side(random, 1, 4), side(random, 1, 3));
    let channels = 1 + random.below(40);
    let input = Operand::arena(PLACES[0], [size[0], size[1], channels], channels + random.below(2) * 3);
    fill(random, &mut buffers.arena, &input, false);
    let out = [0, 1].map(|i| size[i] / stride[i] + 1);
    let output = Operand::arena(PLACES[2], [out[0], out[1], channels], channels + random.below(2) * 5);
    let (min, max) = if random.below(2) == 0 { (-128, 127) } else { (-20, 90) };
    let layer = MaxPool2d { input, output, kernel, stride, padding: [random.below(2); 2], min, max };
    equal(&layer, &mut buffers.arena, &output)
}

fn addition(random: &mut Random, buffers: &mut Buffers) -> bool {
    let shape = [1 + random.below(5), 1 + random.below(5), 1 + random.below(40)];
    let [a, b, output] = [0, 1, 2].map(|i| Operand::arena(PLACES[i], shape, shape[2] + random.below(2) * 3));
    fill(random, &mut buffers.arena, &a, false);
    fill(random, &mut buffers.arena, &b, false);
    let half = Multiplier { mantissa: 1 << 30, shift: 0 };
    let other = Multiplier {
        mantissa: (1 << 30) + ((random.next() as i32) << 14),
        shift: -1 - random.below(6) as i32,
    };
    let (a_multiplier, b_multiplier) = [(half, other), (other, half), (half, half)][random.below(3) as usize];
    let layer = Add {
        a,
        b,
        output,
        a_zero_point: random.code(),
        b_zero_point: random.code(),
        a_multiplier,
        b_multiplier,
        multiplier: Multiplier {
            mantissa: (1 << 30) + ((random.next() as i32) << 14),
            shift: -16 - random.below(6) as i32,
        },
        stage: stage(random),
    };
    equal(&layer, &mut buffers.arena, &output)
}

/// A factor as such layers have it, or one that shifts to the left.
fn factor(random: &mut Random) -> Multiplier {
    let mantissa = (1 << 30) + ((random.next() as i32) << 14);
    Multiplier { mantissa, shift: 4 - random.below(16) as i32 }
}

fn multiplication(random: &mut Random, buffers: &mut Buffers) -> bool {
    let shape = [1 + random.below(5), 1 + random.below(5), 1 + random.below(40)];
    let one = if random.below(2) == 0 { shape } else { [1, 1, shape[2]] };
    let [a, output] = [0, 2].map(|i| Operand::arena(PLACES[i], shape, shape[2] + random.below(2) * 3));
    let b = Operand::arena(PLACES[1], one, one[2]);
    fill(random, &mut buffers.arena, &a, false);
    fill(random, &mut buffers.arena, &b, false);
    let layer = Mul {
        a,
        b,
        output,
        a_zero_point: random.code(),
        b_zero_point: random.code(),
        multiplier: factor(random),
        stage: stage(random),
    };
    equal(&layer, &mut buffers.arena, &output)
}

fn requantization(random: &mut Random, buffers: &mut Buffers) -> bool {
    let shape = [1 + random.below(5), 1 + random.below(5), 1 + random.below(40)];
    let [input, output] = [0, 2].map(|i| Operand::arena(PLACES[i], shape, shape[2] + random.below(2) * 3));
    fill(random, &mut buffers.arena, &input, false);
    let layer = Requantize {
        input,
        output,
        input_zero_point: random.code(),
        multiplier: factor(random),
        stage: stage(random),
    };
    equal(&layer, &mut buffers.arena, &output)
}

fn mean(random: &mut Random, buffers: &mut Buffers) -> bool {
    let shape = [1 + random.below(24), 1 + random.below(24), 1 + random.below(80)];
    let input = Operand::arena(PLACES[0], shape, shape[2] + random.below(2) * 3);
    let lowest = random.below(4) == 0;
    fill(random, &mut buffers.arena, &input, lowest);
    let output = Operand::arena(PLACES[2], [1, 1, shape[2]], shape[2]);
    let layer = GlobalAveragePool {
        input,
        output,
        input_zero_point: random.code(),
        multiplier: Multiplier { shift: -3 - random.below(8) as i32, ..factor(random) },
        stage: stage(random),
    };
    equal(&layer, &mut buffers.arena, &output)
}

fn fill(random: &mut Random, arena: &mut [i8], operand: &Operand, lowest: bool) {
    let start = operand.offset as usize;
    if let Some(bytes) = operand.extent().and_then(|end| arena.get_mut(start..end)) {
        bytes.fill_with(|| if lowest { -128 } else { random.code() });
    }
}

/// Runs a layer on both; the output is compared with all bytes between its pixels, where nothing may be written.
pub(crate) fn equal(layer: &dyn Kernel, arena: &mut [i8], output: &Operand) -> bool {
    let region = output.offset as usize..output.extent().unwrap_or(0).max(output.offset as usize);
    let mut checksums = [0u32; 2];
    for (isa, checksum) in [Isa::scalar(), Isa::compiled()].into_iter().zip(&mut checksums) {
        arena[region.clone()].fill(17);
        let cells = Cell::from_mut(&mut *arena).as_slice_of_cells();
        layer.run(&Memory::new(cells, &[], &[]), isa);
        for byte in &arena[region.clone()] {
            *checksum = (checksum.rotate_left(5) ^ *byte as u8 as u32).wrapping_mul(0x9e37_79b1);
        }
    }
    checksums[0] == checksums[1]
}
