//! Several threads return the bytes of one, whatever the shapes, the packing and the scratch.
#![cfg(feature = "threads")]

mod common;
#[allow(dead_code, reason = "one of its operators is used here")]
#[path = "common/reference.rs"]
mod reference;

use common::{Arena, Conv, Tensor, alone, few, packings};
use niello_kernels::conv::scratch_per_thread;
use niello_kernels::*;
use reference::conv2d;

/// A side of an image: short ones for Miri, which finds out whether threads meet, and takes its time.
const fn side(n: usize) -> usize {
    if cfg!(miri) { n.div_ceil(12) } else { n }
}

/// As many of some cases as there is time for.
fn some<T>(cases: &[T]) -> &[T] {
    common::some(cases, 2)
}

/// Codes that follow from a number.
fn code(i: usize) -> i8 {
    (i.wrapping_mul(2_654_435_761) >> 13) as i8
}

fn conv(kernel: usize, stride: usize, padding: usize, channels: [usize; 3]) -> Conv {
    let [groups, cin, cout] = [(0, 2), (1, 4), (2, 5)].map(|(i, most)| few(channels[i], most));
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
    let _alone = alone();
    // The last one is below what is worth a thread.
    let table = [
        ("stem", [41, 37], conv(few(7, 3), 2, few(3, 1), [1, 3, 24])),
        ("1x1", [29, 30], conv(1, 1, 0, [1, 64, 16])),
        ("3x3", [13, 13], conv(3, 1, 1, [1, 32, 40])),
        ("two rows", [2, 200], conv(3, 1, 1, [1, 16, 16])),
        ("one row", [1, 500], conv(1, 1, 0, [1, 16, 40])),
        ("groups", [20, 17], conv(3, 1, 1, [4, 16, 8])),
        ("small", [4, 4], conv(3, 1, 1, [1, 4, 4])),
    ];
    for (name, sides, conv) in some(&table) {
        let [h, w] = &sides.map(side);
        let image = Tensor::from_fn([*h, *w, conv.cin], |y, x, c| code((y * 512 + x) * 512 + c));
        let out = [h, w].map(|d| (d + 2 * conv.padding[0] - conv.kernel[0]) / conv.stride[0] + 1);
        let expected = conv2d(conv, &image, out);
        for (layout, gather) in packings(conv.cin / conv.groups) {
            for &(threads, parts) in some(&[(3, 8), (2, 2), (2, 1), (5, 3), (1, 4), (1, 1)]) {
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

/// The bytes on several threads are those on one, for a kernel made by `make` from scratch for some threads.
fn same_bytes(name: &str, scratch: usize, make: impl Fn(&mut Arena, Region) -> (Box<dyn Kernel>, Operand)) {
    let mut first = None;
    for &(threads, parts) in some(&[(1, 1), (3, 8), (2, 2), (5, 3), (2, 1)]) {
        threads::set(threads).unwrap();
        // Miri, which knows few, has them all in other tests.
        for isa in Isa::available().filter(|isa| !cfg!(miri) || *isa == Isa::detect()) {
            let mut arena = Arena::new();
            let scratch = arena.scratch(parts * scratch_per_thread(scratch));
            let (kernel, output) = make(&mut arena, scratch);
            let got = arena.run(&*kernel, isa, &output, scratch);
            let expected = first.get_or_insert_with(|| got.clone());
            assert_eq!(&got, expected, "{name}, {threads} threads, {parts} parts, {}", isa.name());
        }
    }
}

fn image(shape: [usize; 3]) -> Tensor {
    Tensor::from_fn(shape, |y, x, c| code((y * 512 + x) * 512 + c))
}

#[test]
fn kernels_of_single_elements() {
    let _alone = alone();
    let c = few(33, 11);
    let shape = [side(67), side(50), c];
    let (a, b) = (image(shape), image([shape[1], shape[0], c]));
    let multiplier = Multiplier { mantissa: 1_500_000_000, shift: -1 };
    let stage = common::stage(5, Rounding::TfliteDouble);
    let table: Vec<i8> = (0..256).map(code).collect();
    let table: &'static [i8] = table.leak();
    for in_place in [false, true] {
        let operands = |arena: &mut Arena| {
            let input = arena.place(&a, 40);
            let output = if in_place { input } else { arena.reserve(shape, 35) };
            (input, output)
        };
        same_bytes("add", 0, |arena, _| {
            let (a, output) = operands(arena);
            let second = arena.place(&Tensor { shape, data: b.data.clone() }, c);
            let (a_multiplier, b_multiplier) = (multiplier, multiplier);
            let add = Add {
                a,
                b: second,
                output,
                a_zero_point: 3,
                b_zero_point: -4,
                a_multiplier,
                b_multiplier,
                multiplier: Multiplier { mantissa: 1_100_000_000, shift: -18 },
                stage,
            };
            (Box::new(add), output)
        });
        for repeated in [shape, [1, 1, shape[2]], [shape[0], shape[1], 1]] {
            same_bytes("mul", 0, |arena, _| {
                let (a, output) = operands(arena);
                let b = arena.place(&image(repeated), repeated[2]);
                let multiplier = Multiplier { mantissa: 1_500_000_000, shift: -7 };
                (Box::new(Mul { a, b, output, a_zero_point: 3, b_zero_point: -4, multiplier, stage }), output)
            });
            same_bytes("sub", 0, |arena, _| {
                let (a, output) = operands(arena);
                let b = arena.place(&image(repeated), repeated[2]);
                let sub = Sub {
                    a,
                    b,
                    output,
                    a_zero_point: 3,
                    b_zero_point: -4,
                    a_multiplier: multiplier,
                    b_multiplier: multiplier,
                    multiplier: Multiplier { mantissa: 1_100_000_000, shift: -18 },
                    stage,
                };
                (Box::new(sub), output)
            });
            same_bytes("repeated add", 0, |arena, _| {
                let (a, output) = operands(arena);
                let b = arena.place(&image(repeated), repeated[2]);
                let add = AddRepeated {
                    a,
                    b,
                    output,
                    a_zero_point: 3,
                    b_zero_point: -4,
                    a_multiplier: multiplier,
                    b_multiplier: multiplier,
                    multiplier: Multiplier { mantissa: 1_100_000_000, shift: -18 },
                    stage,
                };
                (Box::new(add), output)
            });
        }
        same_bytes("table", 0, |arena, _| {
            let (input, output) = operands(arena);
            (Box::new(Lut { input, output, table }), output)
        });
        same_bytes("requantize", 0, |arena, _| {
            let (input, output) = operands(arena);
            (Box::new(Requantize { input, output, input_zero_point: 9, multiplier, stage }), output)
        });
    }
    let slopes: &'static [i8] = (0..c).map(code).collect::<Vec<_>>().leak();
    same_bytes("prelu", 0, |arena, _| {
        let (input, output) = (arena.place(&a, 40), arena.reserve(shape, 35));
        let (positive, negative) = (multiplier, Multiplier { shift: -8, ..multiplier });
        let prelu = PRelu { input, output, slopes, input_zero_point: -3, positive, negative, stage };
        (Box::new(prelu), output)
    });
    same_bytes("shuffle", 0, |arena, _| {
        let (input, output) = (arena.place(&a, 40), arena.reserve(shape, 35));
        (Box::new(ChannelShuffle { input, output, groups: 11 }), output)
    });
    same_bytes("zeros behind", 0, |arena, _| {
        let (input, output) = (arena.place(&a, 40), arena.reserve([shape[0], shape[1], 50], 51));
        (Box::new(PadChannels { input, output, zero_point: 9 }), output)
    });
    same_bytes("copy", 0, |arena, _| {
        let (input, output) = (arena.place(&a, 40), arena.reserve(shape, 35));
        (Box::new(CopyElements { input, output }), output)
    });
}

#[test]
fn kernels_with_windows() {
    let _alone = alone();
    for &(kernel, stride, padding) in some(&[(3u32, 2u32, 1u32), (5, 1, 4), (2, 2, 0), (3, 5, 2)]) {
        let c = few(24, 5);
        let shape = [side(61), side(47), c];
        let out = [0, 1].map(|i| (shape[i] + 2 * padding as usize - kernel as usize) / stride as usize + 1);
        let (input_image, pair) = (image(shape), |d: u32| [d; 2]);
        same_bytes("max pooling", 0, |arena, _| {
            let (input, output) =
                (arena.place(&input_image, c + 1), arena.reserve([out[0], out[1], c], c + 6));
            let (kernel, stride, padding) = (pair(kernel), pair(stride), pair(padding));
            (Box::new(MaxPool2d { input, output, kernel, stride, padding, min: -100, max: 90 }), output)
        });
        same_bytes("positions", 0, |arena, _| {
            let (input, output) =
                (arena.place(&input_image, c + 1), arena.reserve([out[0], out[1], c], c + 6));
            let (kernel, stride, padding) = (pair(kernel), pair(stride), pair(padding));
            (Box::new(MaxPosition2d { input, output, kernel, stride, padding }), output)
        });
        // Parts begin within windows, and behind the last one.
        let positions =
            Tensor::from_fn(shape, |y, x, c| ((y * 31 + x * 7 + c) % (kernel * kernel) as usize) as i8);
        same_bytes("unpooling", 0, |arena, _| {
            let (values, positions) = (arena.place(&input_image, c + 1), arena.place(&positions, c));
            let sides = [0, 1].map(|i| shape[i] * kernel as usize + few(40, 3) * i);
            let output = arena.reserve([sides[1], sides[0], c], c + 2);
            let kernel = pair(kernel);
            (Box::new(MaxUnpool2d { values, positions, output, kernel, cropped: 1, zero_point: 4 }), output)
        });
        let numbers = |n: usize| (0..n).map(code).collect::<Vec<i8>>();
        let weights: &'static [i8] = numbers((kernel * kernel) as usize * c).leak();
        let (bias, mantissa): (&'static [i32], &'static [i32]) =
            (vec![77; c].leak(), vec![1_500_000_000; c].leak());
        let shift: &'static [i8] = vec![-7; c].leak();
        same_bytes("depthwise", 0, |arena, _| {
            let (input, output) =
                (arena.place(&input_image, c + 1), arena.reserve([out[0], out[1], c], c + 6));
            let depthwise = DepthwiseConv2d {
                input,
                output,
                kernel: pair(kernel),
                stride: pair(stride),
                dilation: [1; 2],
                padding: pair(padding),
                weights,
                bias,
                mantissa,
                shift,
                input_zero_point: -5,
                stage: common::stage(0, Rounding::Single),
            };
            (Box::new(depthwise), output)
        });
    }
}

#[test]
fn transposed_convolutions() {
    let _alone = alone();
    for &(kernel, stride, padding) in some(&[(3, 2, 1), (2, 2, 0), (5, 3, 2)]) {
        let conv = conv(kernel, stride, padding, [1, 12, 20]);
        let photo = image([side(30), side(21), conv.cin]);
        let out = [side(30), side(21)].map(|d| (d - 1) * stride + kernel - 2 * padding);
        for (layout, gather) in packings(conv.cin) {
            let mut first = None;
            for &(threads, parts) in some(&[(1, 1), (3, 8), (2, 2), (5, 3)]) {
                threads::set(threads).unwrap();
                let mut arena = Arena::new();
                let input = arena.place(&photo, conv.cin + 1);
                let output = arena.reserve([out[0], out[1], conv.cout], conv.cout + 1);
                let got = conv.transposed_kernel(
                    &mut arena,
                    &input,
                    &output,
                    layout,
                    gather,
                    20,
                    |arena, kernel| {
                        let scratch = arena.scratch(parts * scratch_per_thread(kernel.scratch.len as usize));
                        arena.run(&TransposedConv2d { scratch, ..kernel }, Isa::detect(), &output, scratch)
                    },
                );
                assert_eq!(&got, first.get_or_insert_with(|| got.clone()), "{layout:?}, {threads} threads");
            }
        }
    }
}

#[test]
fn convolution_and_max_pooling_as_one_step() {
    let _alone = alone();
    let [h, w] = [few(40, 6), few(33, 5)];
    let conv = conv(3, 1, 1, [1, 8, 24]);
    let (photo, cout) = (image([h, w, conv.cin]), conv.cout as u32);
    let map = [h as u32, w as u32, cout];
    for &(window, stride, padding, rows) in some(&[(3u32, 2u32, 0u32, 3u32), (9, 4, 3, 4), (2, 2, 1, 2)]) {
        let out = [h, w].map(|d| (d + 2 * padding as usize - window as usize) / stride as usize + 1);
        let mut first = None;
        for &threads in some(&[1, 3, 2, 5]) {
            threads::set(threads).unwrap();
            let mut arena = Arena::new();
            let input = arena.place(&photo, conv.cin);
            let output = arena.reserve([out[0], out[1], conv.cout], conv.cout + 2);
            let one = conv.kernel(&mut arena, &input, &output, Layout::VNNI, Gather::Indirect, 20, |_, k| {
                k.scratch.len
            });
            let (band, piece) = (rows * map[1] * cout, out[1] as u32 * cout);
            let bytes = scratch_per_thread((one.next_multiple_of(16) + band + piece) as usize);
            let scratch = arena.scratch(threads * bytes);
            let held = scratch.offset + one.next_multiple_of(16);
            let whole = Operand::arena(held, map, cout);
            let got = conv.kernel(
                &mut arena,
                &input,
                &whole,
                Layout::VNNI,
                Gather::Indirect,
                20,
                |arena, kernel| {
                    let both = ConvMaxPool2d {
                        conv: Conv2d { scratch: Region { offset: scratch.offset, len: one }, ..kernel },
                        pool: MaxPool2d {
                            input: whole,
                            output,
                            kernel: [window; 2],
                            stride: [stride; 2],
                            padding: [padding; 2],
                            min: -128,
                            max: 127,
                        },
                        rows,
                        piece: Region { offset: held + band, len: piece },
                        scratch,
                        threads: threads as u32,
                    };
                    arena.run(&both, Isa::detect(), &output, scratch)
                },
            );
            assert_eq!(&got, first.get_or_insert_with(|| got.clone()), "{window} {threads} threads");
        }
    }
}

/// Numbers in single precision, a little around 0.
fn numbers([h, w, c]: [usize; 3]) -> Tensor {
    let bytes = |i: usize| (f32::from(code(i)) / 50.0).to_le_bytes().map(|b| b as i8);
    Tensor::new([h, w, 4 * c], (0..h * w * c).flat_map(bytes).collect())
}

#[test]
fn kernels_of_floating_point() {
    use niello_kernels::float::{Elementary, Function};
    let _alone = alone();
    let [h, w] = [side(47), side(50)];
    let (c, float, range) = (few(33, 6), Float::F32, FloatBounds { least: -1.0, most: f32::INFINITY });
    let (types, shape) = ([float; 2], [h, w, 4 * c]);
    let constants: Vec<f32> = (0..c).map(|i| f32::from(code(i)) / 80.0).collect();
    let constants: &'static [f32] = constants.leak();
    let a = numbers([h, w, c]);
    let [whole, pixel, groups] = [[h, w, c], [1, 1, c], [h, w, 3]].map(numbers);
    for in_place in [false, true] {
        for b in some(&[&whole, &pixel, &groups]) {
            let place = |arena: &mut Arena| {
                let (a, b) = (arena.place(&a, shape[2] + 4), arena.place(b, b.shape[2] + 3));
                (a, b, if in_place { a } else { arena.reserve(shape, shape[2] + 1) })
            };
            same_bytes("sum", 0, |arena, _| {
                let (a, b, output) = place(arena);
                (Box::new(AddFloat { a, b, output, types: [float; 3], range }), output)
            });
            same_bytes("product", 0, |arena, _| {
                let (a, b, output) = place(arena);
                (Box::new(MulFloat { a, b, output, types: [float; 3], range }), output)
            });
        }
        let place = |arena: &mut Arena| {
            let input = arena.place(&a, shape[2] + 4);
            (input, if in_place { input } else { arena.reserve(shape, shape[2] + 1) })
        };
        same_bytes("function", 0, |arena, _| {
            let (input, output) = place(arena);
            (Box::new(PointWiseFloat { input, output, types, function: Function::Tanh }), output)
        });
        same_bytes("another function", 0, |arena, _| {
            let (input, output) = place(arena);
            (Box::new(ElementaryFloat { input, output, types, function: Elementary::Gelu }), output)
        });
        same_bytes("factors", 0, |arena, _| {
            let (input, output) = place(arena);
            (
                Box::new(ScaleFloat { input, output, types, scale: constants, offset: constants, range }),
                output,
            )
        });
        same_bytes("slopes", 0, |arena, _| {
            let (input, output) = place(arena);
            (Box::new(PReluFloat { input, output, types, slopes: constants }), output)
        });
    }
    for &(kernel, stride, padding) in
        some(&[([3, 3], [2, 2], [1, 1]), ([2, 2], [2, 2], [0, 0]), ([5, 4], [1, 3], [2, 0])])
    {
        let sides = [0, 1].map(|i: usize| ([h, w][i] + 2 * padding[i] - kernel[i]) / stride[i] + 1);
        let [k, s, p] = [kernel, stride, padding].map(|pair| pair.map(|d| d as u32));
        same_bytes("largest numbers", 0, |arena, _| {
            let input = arena.place(&a, shape[2]);
            let output = arena.reserve([sides[0], sides[1], shape[2]], shape[2]);
            (
                Box::new(MaxPool2dFloat { input, output, types, kernel: k, stride: s, padding: p, range }),
                output,
            )
        });
        same_bytes("where they are", 0, |arena, _| {
            let input = arena.place(&a, shape[2]);
            let output = arena.reserve([sides[0], sides[1], c], c);
            (Box::new(MaxPosition2dFloat { input, output, float, kernel: k, stride: s, padding: p }), output)
        });
        same_bytes("and back", 0, |arena, _| {
            let values = arena.place(&a, shape[2]);
            let positions = Tensor::from_fn([h, w, c], |y, x, c| code(y * 5000 + x * 60 + c) & 31);
            let positions = arena.place(&positions, c);
            let output = arena.reserve([h * kernel[0], w * kernel[1], shape[2]], shape[2]);
            (Box::new(MaxUnpool2dFloat { values, positions, output, float, kernel: k, cropped: 0 }), output)
        });
    }
}
