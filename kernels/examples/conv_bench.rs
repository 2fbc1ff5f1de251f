//! Speed of the kernels on this machine: `cargo run --release -p niello-kernels --features std --example conv_bench`.
//!
//! Convolutions are given in 10^9 multiply-accumulates per second, other operators in 10^9 bytes read and written per
//! second; each line is the best of several runs. Arguments: chunk sizes to try (default: the layout's own).

use niello_kernels::{
    Add, Conv2d, CopyElements, DepthwiseConv2d, Gather, GlobalAveragePool, Isa, Kernel, Layout, Lut,
    MaxPool2d, Memory, Multiplier, Operand, OutputParams, Region, Requantize, Rounding, conv::scratch_bytes,
};
use std::{cell::Cell, hint::black_box, time::Instant};

/// Seconds of the fastest of several runs, over at least a quarter of a second.
fn best(mut run: impl FnMut()) -> f64 {
    run();
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed().as_secs_f64() < 0.25 {
        let once = Instant::now();
        run();
        best = best.min(once.elapsed().as_secs_f64());
    }
    best
}

fn measure(arena: &mut [i8], isa: Isa, kernel: &dyn Kernel) -> f64 {
    let cells = Cell::from_mut(arena).as_slice_of_cells();
    let memory = Memory::new(cells, &[], &[]);
    best(|| black_box(kernel).run(&memory, isa))
}

const STAGE: OutputParams =
    OutputParams { zero_point: 3, min: -128, max: 127, rounding: Rounding::TfliteDouble };
const SCALE: Multiplier = Multiplier { mantissa: 1_500_000_000, shift: -9 };

/// Name, input size, channels in and out, kernel, stride, padding.
const CONVOLUTIONS: &[(&str, usize, usize, usize, usize, usize, usize)] = &[
    ("7x7 s2 3->96 @224", 224, 3, 96, 7, 2, 0),
    ("1x1 64->16 @55", 55, 64, 16, 1, 1, 0),
    ("1x1 16->64 @55", 55, 16, 64, 1, 1, 0),
    ("3x3 16->64 @55", 55, 16, 64, 3, 1, 1),
    ("3x3 32->128 @27", 27, 32, 128, 3, 1, 1),
    ("3x3 64->256 @13", 13, 64, 256, 3, 1, 1),
    ("1x1 512->64 @13", 13, 512, 64, 1, 1, 0),
    ("1x1 512->1000 @13", 13, 512, 1000, 1, 1, 0),
    ("3x3 64->64 @512", 512, 64, 64, 3, 1, 1),
    ("3x3 256->256 @64", 64, 256, 256, 3, 1, 1),
    ("3x3 128->64 @512", 512, 128, 64, 3, 1, 1),
    ("1x1 64->3 @512", 512, 64, 3, 1, 1, 0),
    ("1x1 2048->1000 @1", 1, 2048, 1000, 1, 1, 0),
];

fn convolution(arena: &mut [i8], isa: Isa, layout: Layout, chunk: usize, row: usize) -> (f64, f64) {
    let (_, size, cin, cout, kernel, stride, padding) = CONVOLUTIONS[row];
    let out = (size + 2 * padding - kernel) / stride + 1;
    let gather = Gather::choose(layout, cin);
    let (segments, k) = gather.segments(kernel * kernel, cin);
    let weights: Vec<i8> = (0..layout.packed_len(cout, segments, k)).map(|i| (i * 31 % 251) as i8).collect();
    let channels = layout.padded_channels(cout);
    let (bias, mantissa, shift) =
        (vec![17; channels], vec![SCALE.mantissa; channels], vec![SCALE.shift as i8; channels]);
    let pad = vec![0; cin];
    let input = Operand::arena(0, [size as u32, size as u32, cin as u32], cin as u32);
    let first = size * size * cin;
    let output = Operand::arena(first as u32, [out as u32, out as u32, cout as u32], cout as u32);
    let scratch = (first + out * out * cout).next_multiple_of(64);
    let len = scratch_bytes(layout, gather, kernel * kernel, cin, chunk);
    assert!(scratch + len <= arena.len());
    let conv = Conv2d {
        input,
        output,
        kernel: [kernel as u32; 2],
        stride: [stride as u32; 2],
        dilation: [1, 1],
        padding: [padding as u32; 2],
        groups: 1,
        layout,
        gather,
        weights: &weights,
        bias: &bias,
        mantissa: &mantissa,
        shift: &shift,
        pad: &pad,
        stage: STAGE,
        pixels_per_pass: chunk as u32,
        scratch: Region { offset: scratch as u32, len: len as u32 },
    };
    ((out * out * cout * cin * kernel * kernel) as f64, measure(arena, isa, &conv))
}

fn others(arena: &mut [i8], isa: Isa) {
    let dense = |at: u32, shape: [u32; 3]| Operand::arena(at, shape, shape[2]);
    let large = [256, 256, 64];
    let half = 256 * 256 * 64;
    let (a, b, c) = (dense(0, large), dense(half, large), dense(2 * half, large));
    let (pool_in, pool_out) = (dense(0, [109, 109, 96]), dense(half, [54, 54, 96]));
    let (kernel, stride, padding) = ([3, 3], [2, 2], [0, 0]);
    let table: Vec<i8> = (0..256).map(|i| (i * 7) as i8).collect();
    let half_scale = Multiplier { mantissa: 1 << 30, shift: 0 };
    let add = Add {
        a,
        b,
        output: c,
        a_zero_point: 3,
        b_zero_point: -7,
        a_multiplier: half_scale,
        b_multiplier: Multiplier { mantissa: 1_400_000_000, shift: -1 },
        multiplier: Multiplier { mantissa: 1_200_000_000, shift: -18 },
        stage: STAGE,
    };
    let requantize = Requantize {
        input: a,
        output: c,
        input_zero_point: 3,
        multiplier: Multiplier { mantissa: 1_200_000_000, shift: 0 },
        stage: STAGE,
    };
    let weights: Vec<i8> = (0..9 * 64).map(|i| (i * 31 % 251) as i8).collect();
    let (bias, mantissa, shift) = (vec![17; 64], vec![SCALE.mantissa; 64], vec![SCALE.shift as i8; 64]);
    let depthwise = DepthwiseConv2d {
        input: a,
        output: c,
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        padding: [1, 1],
        weights: &weights,
        bias: &bias,
        mantissa: &mantissa,
        shift: &shift,
        input_zero_point: 3,
        stage: STAGE,
    };
    let image = f64::from(half);
    let rows: &[(&str, f64, &dyn Kernel)] = &[
        (
            "max pool 3x3 s2 96@109",
            109.0 * 109.0 * 96.0 * 1.25,
            &MaxPool2d { input: pool_in, output: pool_out, kernel, stride, padding, min: -128, max: 127 },
        ),
        ("add 64@256", 3.0 * image, &add),
        ("requantize 64@256", 2.0 * image, &requantize),
        ("table 64@256", 2.0 * image, &Lut { input: a, output: c, table: &table }),
        ("copy 64@256", 2.0 * image, &CopyElements { input: a, output: c }),
        (
            "copy 64@256, strided",
            2.0 * image,
            &CopyElements { input: a, output: Operand { stride: 128, ..b } },
        ),
        (
            "mean 64@256",
            image,
            &GlobalAveragePool {
                input: a,
                output: dense(half, [1, 1, 64]),
                input_zero_point: 3,
                multiplier: SCALE,
                stage: STAGE,
            },
        ),
        ("depthwise 3x3 64@256", 2.0 * image, &depthwise),
    ];
    for (name, bytes, kernel) in rows {
        let seconds = measure(arena, isa, *kernel);
        println!("{name:26} {:8.3} ms {:8.2} GB/s", seconds * 1e3, bytes / seconds / 1e9);
    }
}

fn main() {
    let chunks: Vec<usize> = std::env::args().skip(1).map(|a| a.parse().expect("a chunk size")).collect();
    let mut arena: Vec<i8> = (0..128 << 20).map(|i| (i * 7) as i8).collect();
    let arena = {
        let start = arena.as_ptr().align_offset(64);
        &mut arena[start..]
    };
    let isa = Isa::detect();
    println!("{}", isa.name());
    let layout = if isa.name().starts_with("avx") { Layout::VNNI } else { Layout::SCALAR };
    let chunks = if chunks.is_empty() { vec![layout.default_chunk()] } else { chunks };
    for (row, (name, ..)) in CONVOLUTIONS.iter().enumerate() {
        print!("{name:26}");
        for chunk in &chunks {
            let (macs, seconds) = convolution(arena, isa, layout, *chunk, row);
            print!(" {:8.3} ms {:6.1} GMAC/s", seconds * 1e3, macs / seconds / 1e9);
        }
        println!();
    }
    others(arena, isa);
}
