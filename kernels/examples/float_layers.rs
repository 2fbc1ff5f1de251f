//! Runs one layer of floating-point convolution a number of times, for counting its instructions.
//!
//! `float_layers MODE ROUNDS [H W CIN COUT KERNEL STRIDE]`, MODE `f32`, `f16` or `native`: the difference of the instructions of two
//! runs with other ROUNDS is what the rounds between them take. Prints multiply-accumulates of a round, and a checksum.

use niello_kernels::{float::conv::default_chunk, *};
use std::cell::Cell;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.first().map_or("f32", |s| s.as_str());
    let number = |i: usize, default: u32| arguments.get(i).map_or(default, |s| s.parse().expect("a number"));
    let (rounds, h, w, cin, cout) =
        (number(1, 1), number(2, 56), number(3, 56), number(4, 64), number(5, 16));
    let (kernel, stride) = (number(6, 1), number(7, 1));
    let float = if mode == "f32" { Float::F32 } else { Float::F16 };
    let native = mode == "native";
    let bytes = float.bytes() as u32;
    let out = [h, w].map(|d| (d + 2 * (kernel / 2) - kernel) / stride + 1);
    let input = Operand::arena(0, [h, w, cin * bytes], cin * bytes);
    let place = (h * w * cin * bytes).next_multiple_of(64);
    let output = Operand::arena(place, [out[0], out[1], cout * bytes], cout * bytes);
    let place = place + (out[0] * out[1] * cout * bytes).next_multiple_of(64);
    let weights = (kernel * kernel * cin * cout.next_multiple_of(16)) as usize;
    let single: Vec<f32> = (0..weights).map(|i| (i * 7919 % 1000) as f32 / 2000.0 - 0.25).collect();
    let halves: Vec<u16> = (0..weights).map(|i| 0x2000 + (i * 7919 % 4000) as u16).collect();
    let bias = vec![0.5; cout.next_multiple_of(16) as usize];
    let layer = Conv2dFloat {
        input,
        output,
        types: [float; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: [kernel / 2; 2],
        transposed: false,
        groups: 1,
        panel: 16,
        weights: if mode == "f32" { &single } else { &[] },
        halves: if mode == "f32" { &[] } else { &halves },
        bias: &bias,
        range: FloatBounds { least: 0.0, most: f32::INFINITY },
        native,
        pixels_per_pass: default_chunk(16),
        scratch: Region::EMPTY,
    };
    let scratch = layer.scratch_bytes() as u32;
    let layer = Conv2dFloat { scratch: Region { offset: place, len: scratch }, ..layer };
    let mut arena = vec![[0i8; 64]; (place + scratch).div_ceil(64) as usize + 1];
    let arena = arena.as_flattened_mut();
    for (i, pair) in arena[..(h * w * cin * bytes) as usize].chunks_exact_mut(4).enumerate() {
        // The same bytes are a number of either type.
        pair.copy_from_slice(&[0, 0x34, (i % 100) as i8, 0x38]);
    }
    let isa = Isa::detect();
    for _ in 0..rounds {
        layer.run(&Memory::new(Cell::from_mut(arena).as_slice_of_cells(), &[], &[]), isa);
    }
    let sum =
        arena.iter().fold(0u32, |sum, b| (sum.rotate_left(5) ^ *b as u8 as u32).wrapping_mul(0x9e37_79b1));
    println!("{} {} {sum:08x} {scratch}", isa.name(), out[0] * out[1] * cout * cin * kernel * kernel);
}
