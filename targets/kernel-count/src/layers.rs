//! The layers that are counted, and the memory in which all run.

use crate::{
    counter::Counter,
    float::{self, Floats},
    random::Random,
};
use core::cell::Cell;
use cortex_m_semihosting::hprintln;
use niello::kernels::{
    Add, Conv2d, DepthwiseConv2d, Gather, GlobalAveragePool, Isa, Kernel, Layout, MaxPool2d, Memory,
    Mul, Multiplier, Operand, OutputParams, Region, Requantize, Rounding, conv::scratch_bytes,
};

/// Bytes of the arena: the largest layer's input, output and scratch.
pub(crate) const ARENA: usize = 2600 << 10;
/// Bytes of weights.
pub(crate) const WEIGHTS: usize = 160 << 10;
/// Channels for which there are biases and factors.
pub(crate) const CHANNELS: usize = 512;

/// Arena and constants.
#[repr(C, align(64))]
pub(crate) struct Buffers {
    pub(crate) arena: [i8; ARENA],
    pub(crate) weights: [i8; WEIGHTS],
    pub(crate) bias: [i32; CHANNELS],
    pub(crate) mantissa: [i32; CHANNELS],
    pub(crate) shift: [i8; CHANNELS],
    pub(crate) pad: [i8; 2 * CHANNELS],
    pub(crate) floats: Floats,
}

impl Buffers {
    /// All zero, so that nothing of it lies in flash.
    pub(crate) const fn new() -> Self {
        Self {
            arena: [0; ARENA],
            weights: [0; WEIGHTS],
            bias: [0; CHANNELS],
            mantissa: [0; CHANNELS],
            shift: [0; CHANNELS],
            pad: [0; 2 * CHANNELS],
            floats: Floats::new(),
        }
    }

    /// Random bytes, and factors as layers have them.
    pub(crate) fn fill(&mut self) {
        let mut random = Random(1);
        self.arena.fill_with(|| random.code());
        self.weights.fill_with(|| random.weight());
        self.bias.fill_with(|| random.next() as i32 - (1 << 15));
        self.mantissa.fill_with(|| (1 << 30) + ((random.next() as i32) << 14));
        self.shift.fill_with(|| -7 - random.below(4) as i8);
        self.pad.fill(ZERO_POINT);
    }
}

/// Of every input.
const ZERO_POINT: i8 = 3;
/// After a ReLU whose range begins at 0, as most have.
const STAGE: OutputParams =
    OutputParams { zero_point: -128, min: -128, max: 127, rounding: Rounding::TfliteDouble };

/// A convolution: name, sides of the image, input and output channels, side of the kernel, stride, padding.
type Convolution = (&'static str, u32, [u32; 2], u32, u32, u32);

/// Layers of SqueezeNet 1.0 and of Anam-Net.
const CONVOLUTIONS: &[Convolution] = &[
    ("Fire 2 squeeze 1x1, 55x55, 64 to 16", 55, [64, 16], 1, 1, 0),
    ("Fire 2 expand 1x1, 55x55, 16 to 64", 55, [16, 64], 1, 1, 0),
    ("Fire 2 expand 3x3, 55x55, 16 to 64", 55, [16, 64], 3, 1, 1),
    ("Fire 5 expand 3x3, 27x27, 32 to 128", 27, [32, 128], 3, 1, 1),
    ("Fire 9 squeeze 1x1, 13x13, 512 to 64", 13, [512, 64], 1, 1, 0),
    ("Fire 9 expand 3x3, 13x13, 64 to 256", 13, [64, 256], 3, 1, 1),
    ("conv 1 7x7 stride 2, 224x224, 3 to 96", 224, [3, 96], 7, 2, 0),
    ("classifier 1x1, 13x13, 512 to 3", 13, [512, 3], 1, 1, 0),
    ("AD block 1x1, 64x64, 64 to 16", 64, [64, 16], 1, 1, 0),
    ("AD block 3x3, 64x64, 16 to 16", 64, [16, 16], 3, 1, 1),
    ("stem 7x7 stride 2, 224x224, 1 to 64", 224, [1, 64], 7, 2, 3),
    ("fully connected, 1024 to 128", 1, [1024, 128], 1, 1, 0),
];

/// Counts all layers and prints a line for each.
pub(crate) fn count(buffers: &mut Buffers) {
    // The layers that were compared have left factors out of the ordinary.
    buffers.fill();
    let counter = Counter::new();
    for (layout, name, chunk) in PACKINGS {
        if (layout == Layout::DSP || layout == Layout::MVE) && layout != own_layout() {
            continue;
        }
        let mut random = Random(2);
        buffers.weights.fill_with(|| random.weight());
        layout.finish(&mut buffers.weights);
        hprintln!("packing {}", name);
        for convolution in CONVOLUTIONS {
            count_convolution(&counter, buffers, layout, chunk, convolution);
        }
    }
    hprintln!("any packing");
    count_others(&counter, buffers);
    if float::IN_HARDWARE {
        float::count(&counter, buffers);
    }
}

/// Packings, and pixels per pass as recipes have it for these.
const PACKINGS: [(Layout, &str, usize); 3] =
    [(Layout::MVE, "cortex-m-mve", 24), (Layout::DSP, "cortex-m-dsp", 12), (Layout::SCALAR, "portable", 4)];

/// The layout of the core's own convolutions.
pub(crate) fn own_layout() -> Layout {
    match Isa::compiled().name() {
        "mve" => Layout::MVE,
        "dsp" => Layout::DSP,
        _ => Layout::SCALAR,
    }
}

fn count_convolution(
    counter: &Counter,
    buffers: &mut Buffers,
    layout: Layout,
    chunk: usize,
    layer: &Convolution,
) {
    let (name, size, [cin, cout], kernel, stride, padding) = *layer;
    let out = (size + 2 * padding - kernel) / stride + 1;
    let input = Operand::arena(0, [size, size, cin], cin);
    let output = Operand::arena(size * size * cin, [out, out, cout], cout);
    let gather = Gather::choose(layout, cin as usize);
    let scratch = scratch_bytes(layout, gather, (kernel * kernel) as usize, cin as usize, chunk);
    let Buffers { arena, weights, bias, mantissa, shift, pad, .. } = buffers;
    let layer = Conv2d {
        input,
        output,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1, 1],
        padding: [padding; 2],
        groups: 1,
        layout,
        gather,
        weights,
        bias,
        mantissa,
        shift,
        pad,
        stage: STAGE,
        pixels_per_pass: chunk as u32,
        scratch: Region {
            offset: (output.offset + out * out * cout).next_multiple_of(64),
            len: scratch as u32,
        },
    };
    let macs = out * out * cout * cin * kernel * kernel;
    print(name, macs, counter.count(|| run(&layer, arena)), scratch);
}

fn count_others(counter: &Counter, buffers: &mut Buffers) {
    let Buffers { arena, weights, bias, mantissa, shift, .. } = buffers;
    let depthwise = DepthwiseConv2d {
        input: Operand::arena(0, [32, 32, 64], 64),
        output: Operand::arena(65_536, [32, 32, 64], 64),
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
        weights,
        bias,
        mantissa,
        shift,
        input_zero_point: ZERO_POINT,
        stage: STAGE,
    };
    print("depthwise 3x3, 32x32, 64", 32 * 32 * 64 * 9, counter.count(|| run(&depthwise, arena)), 0);
    let pool = MaxPool2d {
        input: Operand::arena(0, [109, 109, 96], 96),
        output: Operand::arena(109 * 109 * 96, [54, 54, 96], 96),
        kernel: [3, 3],
        stride: [2, 2],
        padding: [0, 0],
        min: -128,
        max: 127,
    };
    print("max pool 3x3 stride 2, 109x109, 96: values", 54 * 54 * 96, counter.count(|| run(&pool, arena)), 0);
    let mean = GlobalAveragePool {
        input: Operand::arena(0, [13, 13, 512], 512),
        output: Operand::arena(13 * 13 * 512, [1, 1, 512], 512),
        input_zero_point: ZERO_POINT,
        multiplier: Multiplier { mantissa: 1_500_000_000, shift: -7 },
        stage: STAGE,
    };
    print("mean, 13x13, 512: values", 13 * 13 * 512, counter.count(|| run(&mean, arena)), 0);
    let image = [64, 64, 64];
    let add = Add {
        a: Operand::arena(0, image, 64),
        b: Operand::arena(64 * 64 * 64, image, 64),
        output: Operand::arena(0, image, 64),
        a_zero_point: ZERO_POINT,
        b_zero_point: -7,
        a_multiplier: Multiplier { mantissa: 1 << 30, shift: 0 },
        b_multiplier: Multiplier { mantissa: 1_400_000_000, shift: -1 },
        multiplier: Multiplier { mantissa: 1_200_000_000, shift: -18 },
        stage: STAGE,
    };
    let product = Mul {
        a: add.a,
        b: add.b,
        output: add.output,
        a_zero_point: ZERO_POINT,
        b_zero_point: -7,
        multiplier: Multiplier { mantissa: 1_200_000_000, shift: -6 },
        stage: STAGE,
    };
    let other_scale = Requantize {
        input: add.a,
        output: add.output,
        input_zero_point: ZERO_POINT,
        multiplier: Multiplier { mantissa: 1_200_000_000, shift: 0 },
        stage: STAGE,
    };
    print("addition, 64x64, 64: values", 64 * 64 * 64, counter.count(|| run(&add, arena)), 0);
    let values = 64 * 64 * 64;
    print("multiplication, 64x64, 64: values", values, counter.count(|| run(&product, arena)), 0);
    print("another scale, 64x64, 64: values", values, counter.count(|| run(&other_scale, arena)), 0);
}

pub(crate) fn run(kernel: &dyn Kernel, arena: &mut [i8]) {
    let cells = Cell::from_mut(arena).as_slice_of_cells();
    kernel.run(&Memory::new(cells, &[], &[]), Isa::compiled());
}

pub(crate) fn print(name: &str, amount: u32, instructions: u64, scratch: usize) {
    // In thousandths: without floating point.
    let each = (instructions * 1000 + u64::from(amount) / 2) / u64::from(amount);
    hprintln!(
        "  {:<44}{:>10}{:>12}{:>4}.{:03}{:>7}",
        name,
        amount,
        instructions,
        each / 1000,
        each % 1000,
        scratch
    );
}
