//! Several threads return the bytes of one, whatever the shapes, the packing and the scratch.
#![cfg(feature = "threads")]

mod common;
#[allow(dead_code, reason = "one of its operators is used here")]
#[path = "common/reference.rs"]
mod reference;

use common::{Arena, Conv, Tensor, packings};
use niello_kernels::*;
use reference::conv2d;

/// Codes that follow from a number.
fn code(i: usize) -> i8 {
    (i.wrapping_mul(2_654_435_761) >> 13) as i8
}

fn conv(kernel: usize, stride: usize, padding: usize, [groups, cin, cout]: [usize; 3]) -> Conv {
    let weights = groups * cout * kernel * kernel * cin;
    Conv {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: [padding; 2],
        groups,
        cin: groups * cin,
        cout: groups * cout,
        weights: (0..weights).map(|i| code(i).max(-127)).collect(),
        bias: (0..groups * cout).map(|i| code(i) as i32 * 100).collect(),
        multipliers: vec![Multiplier { mantissa: 1_500_000_000, shift: -8 }; groups * cout],
        input_zero_point: -7,
        stage: common::stage(3, Rounding::TfliteDouble),
    }
}

#[test]
fn any_number_of_threads_returns_the_same_bytes() {
    // The last one is below what is worth a thread.
    let table = [
        ("stem", [41, 37], conv(7, 2, 3, [1, 3, 24])),
        ("1x1", [29, 30], conv(1, 1, 0, [1, 64, 16])),
        ("3x3", [13, 13], conv(3, 1, 1, [1, 32, 40])),
        ("two rows", [2, 200], conv(3, 1, 1, [1, 16, 16])),
        ("one row", [1, 500], conv(1, 1, 0, [1, 16, 40])),
        ("groups", [20, 17], conv(3, 1, 1, [4, 16, 8])),
        ("small", [4, 4], conv(3, 1, 1, [1, 4, 4])),
    ];
    for (name, [h, w], conv) in &table {
        let image = Tensor::from_fn([*h, *w, conv.cin], |y, x, c| code((y * 512 + x) * 512 + c));
        let out = [h, w].map(|d| (d + 2 * conv.padding[0] - conv.kernel[0]) / conv.stride[0] + 1);
        let expected = conv2d(conv, &image, out);
        for (layout, gather) in packings(conv.cin / conv.groups) {
            for (threads, parts) in [(1, 4), (2, 1), (2, 2), (3, 8), (5, 3), (1, 1)] {
                threads::set(threads).unwrap();
                assert_eq!(threads::count(), threads);
                let mut arena = Arena::new();
                let input = arena.place(&image, conv.cin + 1);
                let output = arena.reserve(expected.shape, conv.cout + 3);
                let got = conv.kernel(&mut arena, &input, &output, layout, gather, 20, |arena, kernel| {
                    let one = kernel.scratch.len.next_multiple_of(16);
                    let scratch = arena.scratch((parts * one) as usize);
                    arena.run(&Conv2d { scratch, ..kernel }, Isa::detect(), &output, scratch)
                });
                assert_eq!(got, expected, "{name}, {layout:?}, {gather:?}, {threads} threads, {parts} parts");
            }
        }
    }
}
