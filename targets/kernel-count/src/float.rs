//! Convolution in floating point: small layers of all shapes against the reference, and layers that are counted.

use crate::{
    counter::Counter,
    layers::{Buffers, print, run},
    random::Random,
};
use cortex_m_semihosting::hprintln;
use niello::kernels::{Conv2dFloat, Float, Operand, FloatBounds, Region, float::conv::default_chunk};

/// Whether there is a floating-point unit. Without one, all kernels of floating point are the reference, and take minutes.
pub(crate) const IN_HARDWARE: bool = cfg!(target_abi = "eabihf");

/// Weights of each type.
pub(crate) const FLOAT_WEIGHTS: usize = 16 << 10;
/// Biases.
pub(crate) const FLOAT_BIASES: usize = 256;

/// Values of either type.
#[repr(C, align(4))]
pub(crate) struct Floats {
    pub(crate) single: [f32; FLOAT_WEIGHTS],
    pub(crate) half: [u16; FLOAT_WEIGHTS],
    pub(crate) bias: [f32; FLOAT_BIASES],
}

impl Floats {
    pub(crate) const fn new() -> Self {
        Self { single: [0.0; FLOAT_WEIGHTS], half: [0; FLOAT_WEIGHTS], bias: [0.0; FLOAT_BIASES] }
    }

    fn fill(&mut self, random: &mut Random) {
        self.single.fill_with(|| single(random));
        self.half.fill_with(|| half(random));
        self.bias.fill_with(|| single(random));
    }
}

/// A value between 1/8 and 2, of either sign.
fn half(random: &mut Random) -> u16 {
    0x3000 | random.below(1 << 12) as u16 | (random.below(2) << 15) as u16
}

/// As [`half`], with all digits.
fn single(random: &mut Random) -> f32 {
    f32::from_bits(0x3e00_0000 | random.below(1 << 15) << 10 | random.next() & 0x3ff | random.below(2) << 31)
}

fn fill(random: &mut Random, arena: &mut [i8], operand: &Operand, float: Float) {
    let start = operand.offset as usize;
    let Some(bytes) = operand.extent().and_then(|end| arena.get_mut(start..end)) else { return };
    let put = |to: &mut [i8], from: &[u8]| to.iter_mut().zip(from).for_each(|(to, from)| *to = *from as i8);
    match float {
        Float::F16 => bytes.chunks_mut(2).for_each(|pair| put(pair, &half(random).to_le_bytes())),
        Float::F32 => bytes.chunks_mut(4).for_each(|four| put(four, &single(random).to_le_bytes())),
    }
}

/// Runs a layer on the core's tiles and on the reference, and says whether they are equal.
pub(crate) fn convolution(random: &mut Random, buffers: &mut Buffers) -> bool {
    let pair = |random: &mut Random, from: u32, n: u32| [from + random.below(n), from + random.below(n)];
    let (size, kernel, stride) = (pair(random, 1, 10), pair(random, 1, 4), pair(random, 1, 3));
    let transposed = random.below(4) == 0;
    let dilation = if transposed { [1, 1] } else { pair(random, 1, 2) };
    let padding = pair(random, 0, 3);
    let groups = if random.below(4) == 0 { 2 } else { 1 };
    let (cin, cout) = (1 + random.below(20), 1 + random.below(12));
    let out = [0, 1].map(|i| {
        let span = (kernel[i] - 1) * dilation[i] + 1;
        if transposed {
            return ((size[i] - 1) * stride[i] + span).saturating_sub(2 * padding[i]);
        }
        (size[i] + 2 * padding[i]).checked_sub(span).map_or(0, |room| room / stride[i] + 1)
    });
    let float = |random: &mut Random| if random.below(2) == 0 { Float::F16 } else { Float::F32 };
    let types = [float(random), float(random)];
    let bytes = types.map(|float| float.bytes() as u32);
    buffers.floats.fill(random);
    let view = |place: u32, [h, w]: [u32; 2], c: u32, bytes: u32, gap: u32| {
        Operand::arena(place, [h, w, c * bytes], (c + gap) * bytes)
    };
    let input = view(0, size, groups * cin, bytes[0], random.below(2));
    let output = view(512 << 10, out, groups * cout, bytes[1], random.below(2));
    fill(random, &mut buffers.arena, &input, types[0]);
    let Buffers { arena, floats, .. } = buffers;
    let f16 = random.below(2) == 0;
    let layer = Conv2dFloat {
        input,
        output,
        types,
        kernel,
        stride,
        dilation,
        padding,
        transposed,
        groups,
        panel: 4,
        weights: if f16 { &[] } else { &floats.single },
        halves: if f16 { &floats.half } else { &[] },
        bias: &floats.bias,
        range: if random.below(2) == 0 { FloatBounds::ALL } else { FloatBounds { least: 0.0, most: 6.0 } },
        native: false,
        pixels_per_pass: 1 + random.below(20),
        scratch: Region::EMPTY,
    };
    let scratch = Region { offset: 1024 << 10, len: layer.scratch_bytes() as u32 };
    crate::check::equal(&Conv2dFloat { scratch, ..layer }, arena, &output)
}

/// Name, sides of the image, input and output channels, side of the kernel.
const LAYERS: &[(&str, u32, [u32; 2], u32)] = &[
    ("1x1, 28x28, 64 to 16", 28, [64, 16], 1),
    ("1x1, 13x13, 128 to 64", 13, [128, 64], 1),
    ("3x3, 28x28, 16 to 64", 28, [16, 64], 3),
    ("3x3, 28x28, 16 to 16", 28, [16, 16], 3),
];

/// Counts layers with weights of both types.
pub(crate) fn count(counter: &Counter, buffers: &mut Buffers) {
    let mut random = Random(5);
    buffers.floats.fill(&mut random);
    for float in [Float::F32, Float::F16] {
        hprintln!("{}", if float == Float::F32 { "single precision" } else { "half precision" });
        for (name, size, [cin, cout], kernel) in LAYERS.iter().copied() {
            let bytes = float.bytes() as u32;
            let input = Operand::arena(0, [size, size, cin * bytes], cin * bytes);
            let output = Operand::arena(512 << 10, [size, size, cout * bytes], cout * bytes);
            fill(&mut random, &mut buffers.arena, &input, float);
            let Buffers { arena, floats, .. } = &mut *buffers;
            let layer = Conv2dFloat {
                input,
                output,
                types: [float; 2],
                kernel: [kernel; 2],
                stride: [1, 1],
                dilation: [1, 1],
                padding: [kernel / 2; 2],
                transposed: false,
                groups: 1,
                panel: 4,
                weights: if float == Float::F16 { &[] } else { &floats.single },
                halves: if float == Float::F16 { &floats.half } else { &[] },
                bias: &floats.bias,
                range: FloatBounds { least: 0.0, most: f32::INFINITY },
                native: false,
                pixels_per_pass: default_chunk(4),
                scratch: Region::EMPTY,
            };
            let scratch = layer.scratch_bytes();
            let layer = Conv2dFloat { scratch: Region { offset: 1024 << 10, len: scratch as u32 }, ..layer };
            let macs = size * size * cout * cin * kernel * kernel;
            print(name, macs, counter.count(|| run(&layer, arena)), scratch);
        }
    }
}
