//! Kernels in a chain return the bytes of the kernels run one by one, whatever is in between and however much of it is in memory.

mod common;

use common::{Arena, Conv, Tensor, few, packings, stage};
use niello_kernels::{
    by_rows::RowKernel,
    conv::scratch_per_thread,
    row_chain::{MOST_MAPS, Map, RowScheduler},
    *,
};
use proptest::prelude::*;
use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }

    fn code(&mut self) -> i8 {
        self.below(255) as i8
    }
}

/// A number of channels.
fn channels(random: &mut Random) -> usize {
    4 * (1 + random.below(few(5, 1)))
}

fn leak<T: Clone>(values: &[T]) -> &'static [T] {
    values.to_vec().leak()
}

/// A kernel and the maps that it reads and writes, with its operands as wholes in one arena.
struct Node {
    kernel: Box<dyn Rows>,
    reads: [usize; 2],
    writes: usize,
    /// First channel that it writes, and how many.
    slice: (usize, usize),
}

/// A kernel that can be given other operands.
trait Rows {
    fn scratch_bytes(&self) -> usize;
    fn placed(&self, reads: [Operand; 2], output: Operand, scratch: Region) -> Box<dyn RowKernel + Sync>;
    fn run(&self, reads: [Operand; 2], output: Operand, scratch: Region, arena: &mut Arena);
}

/// Everything for a kernel whose operands are said by `$placed`.
macro_rules! rows {
    ($kernel:ty, $bytes:expr, |$k:ident, $reads:ident, $out:ident, $scratch:ident| $placed:expr) => {
        impl Rows for $kernel {
            fn scratch_bytes(&self) -> usize {
                #[allow(unused_variables, reason = "not all have scratch")]
                let $k = self;
                $bytes
            }
            fn placed(
                &self,
                $reads: [Operand; 2],
                $out: Operand,
                $scratch: Region,
            ) -> Box<dyn RowKernel + Sync> {
                let $k = *self;
                Box::new($placed)
            }
            fn run(&self, $reads: [Operand; 2], $out: Operand, $scratch: Region, arena: &mut Arena) {
                let $k = *self;
                arena.run(&$placed, Isa::detect(), &$out, $scratch);
            }
        }
    };
}

rows!(Conv2d<'static>, k.scratch.len as usize, |k, r, output, scratch| Conv2d {
    input: r[0],
    output,
    scratch,
    ..k
});
rows!(TransposedConv2d<'static>, k.scratch.len as usize, |k, r, output, scratch| TransposedConv2d {
    input: r[0],
    output,
    scratch,
    ..k
});
rows!(MaxPool2d, 0, |k, r, output, _scratch| MaxPool2d { input: r[0], output, ..k });
rows!(MaxUnpool2d, 0, |k, r, output, _scratch| MaxUnpool2d { values: r[0], positions: r[1], output, ..k });
rows!(Add, 0, |k, r, output, _scratch| Add { a: r[0], b: r[1], output, ..k });

/// A random network.
struct Net {
    /// Shapes of the maps: the input first.
    maps: Vec<[usize; 3]>,
    nodes: Vec<Node>,
}

fn conv(random: &mut Random, kernel: [usize; 2], cin: usize) -> Conv {
    let cout = channels(random);
    let taps = kernel[0] * kernel[1];
    Conv {
        kernel,
        stride: [1 + random.below(2), 1 + random.below(2)],
        dilation: [1 + random.below(2), 1],
        padding: [random.below(3), random.below(3)],
        groups: 1,
        cin,
        cout,
        weights: (0..cout * taps * cin).map(|_| random.code().max(-127)).collect(),
        bias: (0..cout).map(|_| random.code() as i32 * 50).collect(),
        multipliers: vec![Multiplier { mantissa: 1_700_000_000, shift: -8 }; cout],
        input_zero_point: random.code(),
        stage: stage(random.code() / 2, Rounding::TfliteDouble),
    }
}

const NOWHERE: Operand = Operand::arena(0, [0, 0, 0], 0);

fn conv2d(random: &mut Random, conv: &Conv) -> Box<dyn Rows> {
    let all = packings(conv.cin);
    let (layout, gather) = all[random.below(all.len())];
    let mut arena = Arena::new();
    conv.kernel(&mut arena, &NOWHERE, &NOWHERE, layout, gather, 1 + random.below(9), |_, k| {
        let (weights, pad, bias) = (leak(k.weights), leak(k.pad), leak(k.bias));
        let (mantissa, shift) = (leak(k.mantissa), leak(k.shift));
        Box::new(Conv2d { weights, pad, bias, mantissa, shift, ..k }) as Box<dyn Rows>
    })
}

impl Net {
    fn random(random: &mut Random, nodes: usize) -> Self {
        let sides = [6 + random.below(few(14, 3)), 1 + random.below(few(9, 2))];
        let mut net = Self { maps: vec![[sides[0], sides[1], channels(random)]], nodes: vec![] };
        while net.nodes.len() < nodes && net.maps.len() < MOST_MAPS {
            let from = net.maps.len() - 1;
            let [h, w, c] = net.maps[from];
            let to = from + 1;
            match random.below(7) {
                // Convolution.
                0 | 1 => {
                    let kernel = [1 + random.below(3), 1 + random.below(3)];
                    let conv = conv(random, kernel, c);
                    let out = |i: usize, size: usize| {
                        let reach = conv.dilation[i] * (kernel[i] - 1) + 1;
                        (size + 2 * conv.padding[i]).checked_sub(reach).map(|rest| rest / conv.stride[i] + 1)
                    };
                    let (Some(oh), Some(ow)) = (out(0, h), out(1, w)) else { continue };
                    net.maps.push([oh, ow, conv.cout]);
                    net.nodes.push(Node {
                        kernel: conv2d(random, &conv),
                        reads: [from; 2],
                        writes: to,
                        slice: (0, conv.cout),
                    });
                }
                // Pooling.
                2 => {
                    let (window, step, border) = (1 + random.below(4), 1 + random.below(3), random.below(2));
                    if h + 2 * border < window || w + 2 * border < window {
                        continue;
                    }
                    net.maps.push([
                        (h + 2 * border - window) / step + 1,
                        (w + 2 * border - window) / step + 1,
                        c,
                    ]);
                    let [kernel, stride, padding] = [window, step, border].map(|d| [d as u32; 2]);
                    let pool = MaxPool2d {
                        input: NOWHERE,
                        output: NOWHERE,
                        kernel,
                        stride,
                        padding,
                        min: -120,
                        max: 110,
                    };
                    net.nodes.push(Node {
                        kernel: Box::new(pool),
                        reads: [from; 2],
                        writes: to,
                        slice: (0, c),
                    });
                }
                // Transposed convolution.
                3 if h * w < few(400, 20) => {
                    let (kernel, stride) = (1 + random.below(4), 1 + random.below(3));
                    let mut conv = conv(random, [kernel; 2], c);
                    (conv.stride, conv.dilation) = ([stride; 2], [1; 2]);
                    conv.padding = [random.below(2).min(kernel - 1); 2];
                    let out = |size: usize| {
                        ((size - 1) * stride + kernel).checked_sub(2 * conv.padding[0]).filter(|o| *o > 0)
                    };
                    let (Some(oh), Some(ow)) = (out(h), out(w)) else { continue };
                    net.maps.push([oh, ow, conv.cout]);
                    let (layout, gather) = (Layout::SCALAR, Gather::Im2col);
                    let mut arena = Arena::new();
                    let kernel =
                        conv.transposed_kernel(&mut arena, &NOWHERE, &NOWHERE, layout, gather, 5, |_, k| {
                            let (weights, pad, bias) = (leak(k.weights), leak(k.pad), leak(k.bias));
                            let (mantissa, shift) = (leak(k.mantissa), leak(k.shift));
                            TransposedConv2d { weights, pad, bias, mantissa, shift, ..k }
                        });
                    net.nodes.push(Node {
                        kernel: Box::new(kernel),
                        reads: [from; 2],
                        writes: to,
                        slice: (0, conv.cout),
                    });
                }
                // Two convolutions side by side, as in a Fire module.
                4 => {
                    let (mut one, mut three) = (conv(random, [1, 1], c), conv(random, [3, 3], c));
                    (one.stride, one.padding, one.dilation) = ([1; 2], [0; 2], [1; 2]);
                    (three.stride, three.padding, three.dilation) = ([1; 2], [1; 2], [1; 2]);
                    net.maps.push([h, w, one.cout + three.cout]);
                    for (conv, first) in [(&one, 0), (&three, one.cout)] {
                        let slice = (first, conv.cout);
                        net.nodes.push(Node {
                            kernel: conv2d(random, conv),
                            reads: [from; 2],
                            writes: to,
                            slice,
                        });
                    }
                }
                // Unpooling, of codes that are values and, some of them, positions; the last window may be cut off or followed by zeros.
                5 if h * w < few(400, 20) => {
                    let kernel = [1 + random.below(3), 1 + random.below(3)];
                    let sides = [h * kernel[0] + random.below(3), w * kernel[1]];
                    net.maps.push([sides[0].saturating_sub(1).max(1), sides[1], c]);
                    let unpool = MaxUnpool2d {
                        values: NOWHERE,
                        positions: NOWHERE,
                        output: NOWHERE,
                        kernel: kernel.map(|d| d as u32),
                        cropped: random.below(2) as u32,
                        zero_point: random.code(),
                    };
                    net.nodes.push(Node {
                        kernel: Box::new(unpool),
                        reads: [from; 2],
                        writes: to,
                        slice: (0, c),
                    });
                }
                // A residual sum, where a map of the same shape went before.
                _ => {
                    let Some(other) = net.maps[..from].iter().rposition(|shape| *shape == [h, w, c]) else {
                        continue;
                    };
                    net.maps.push([h, w, c]);
                    let multiplier = Multiplier { mantissa: 1_500_000_000, shift: -1 };
                    let add = Add {
                        a: NOWHERE,
                        b: NOWHERE,
                        output: NOWHERE,
                        a_zero_point: random.code(),
                        b_zero_point: random.code(),
                        a_multiplier: multiplier,
                        b_multiplier: multiplier,
                        multiplier: Multiplier { mantissa: 1_100_000_000, shift: -18 },
                        stage: stage(3, Rounding::TfliteDouble),
                    };
                    net.nodes.push(Node {
                        kernel: Box::new(add),
                        reads: [from, other],
                        writes: to,
                        slice: (0, c),
                    });
                }
            }
        }
        net
    }

    /// What a node reads and writes of `maps`.
    fn operands(&self, index: usize, maps: &[Operand]) -> ([Operand; 2], Operand) {
        let node = &self.nodes[index];
        let (out, (first, channels)) = (maps[node.writes], node.slice);
        let shape = [out.shape[0], out.shape[1], channels as u32];
        (node.reads.map(|read| maps[read]), Operand { offset: out.offset + first as u32, shape, ..out })
    }

    /// Runs the kernels one by one.
    fn one_by_one(&self, image: &Tensor) -> Tensor {
        let mut arena = Arena::new();
        let mut maps: Vec<Operand> = vec![arena.place(image, image.shape[2])];
        maps.extend(self.maps[1..].iter().map(|shape| arena.reserve(*shape, shape[2])));
        for (index, node) in self.nodes.iter().enumerate() {
            let scratch = arena.scratch(node.kernel.scratch_bytes());
            let (reads, output) = self.operands(index, &maps);
            node.kernel.run(reads, output, scratch, &mut arena);
        }
        arena.read(maps.last().unwrap())
    }

    /// Runs them as a chain, `band` rows of the output at a time, with room for `more` rows than a map needs.
    fn chain(&self, image: &Tensor, band: usize, more: usize, threads: usize) -> Tensor {
        let last = self.maps.len() - 1;
        // Which maps need how many rows: kernels that lie anywhere tell it.
        let anywhere: Vec<Operand> =
            self.maps.iter().map(|s| Operand::arena(0, s.map(|d| d as u32), s[2] as u32)).collect();
        let scratch_bytes = self.nodes.iter().map(|node| node.kernel.scratch_bytes()).max().unwrap();
        let own = Region { offset: 0, len: scratch_bytes as u32 };
        let mut rows = [0; MOST_MAPS];
        self.staged(&anywhere, own, |stages| {
            let maps: Vec<Map> = anywhere.iter().map(|operand| Map { operand: *operand, rows: 0 }).collect();
            // Threads begin anywhere, a single one at the first row.
            let step = if threads > 1 { 1 } else { band };
            let mut walk = RowScheduler::default();
            for start in (0..self.maps[last][0]).step_by(step) {
                if threads > 1 {
                    walk = RowScheduler::default();
                }
                let end = (start + band).min(self.maps[last][0]);
                let turns = walk.band(&stages, &maps, start..end).unwrap();
                for (rows, turn) in rows.iter_mut().zip(turns) {
                    *rows = (*rows).max(turn.needed[1] - turn.needed[0]);
                }
            }
        });
        let mut arena = Arena::new();
        let input = arena.place(image, image.shape[2] + 1);
        let output = arena.reserve(self.maps[last], self.maps[last][2] + 3);
        let mut bytes = scratch_per_thread(scratch_bytes);
        let mut maps = vec![Map { operand: input, rows: 0 }];
        for (index, shape) in self.maps.iter().enumerate().take(last).skip(1) {
            let held = (rows[index] + more).max(1);
            let operand = Operand::arena(bytes as u32, shape.map(|d| d as u32), shape[2] as u32);
            maps.push(Map { operand, rows: held as u32 });
            bytes += scratch_per_thread(held * shape[1] * shape[2]);
        }
        let scratch = arena.scratch(threads * bytes);
        maps[1..].iter_mut().for_each(|map| map.operand.offset += scratch.offset);
        maps.push(Map { operand: output, rows: 0 });
        let operands: Vec<Operand> = maps.iter().map(|map| map.operand).collect();
        let own = Region { offset: scratch.offset, len: scratch_bytes as u32 };
        threads::set(threads).unwrap();
        self.staged(&operands, own, |stages| {
            let (band, threads, height) = (band as u32, threads as u32, output.shape[0]);
            let chain = FusedRows {
                stages,
                frame: FusionLayout { maps: &maps, band, scratch, threads, rows: [0, height], shift: 0 },
            };
            arena.run(&chain, Isa::detect(), &output, scratch)
        })
    }

    /// Hands `f` the kernels as stages.
    fn staged<R>(
        &self,
        maps: &[Operand],
        scratch: Region,
        f: impl FnOnce(&[FusedStage<&(dyn RowKernel + Sync)>]) -> R,
    ) -> R {
        let kernels: Vec<_> = (0..self.nodes.len())
            .map(|index| {
                let (reads, output) = self.operands(index, maps);
                self.nodes[index].kernel.placed(reads, output, scratch)
            })
            .collect();
        let stages: Vec<FusedStage<&(dyn RowKernel + Sync)>> = kernels
            .iter()
            .zip(&self.nodes)
            .map(|(kernel, node)| FusedStage {
                kernel: &**kernel,
                reads: node.reads.map(|r| r as u8),
                writes: node.writes as u8,
            })
            .collect();
        f(&stages)
    }
}

/// How many kernels there are; for Miri, never one alone.
const MANY: Range<usize> = if cfg!(miri) { 2..5 } else { 1..8 };

proptest! {
    #![proptest_config(common::config(600, 6))]

    #[test]
    fn any_chain(seed: u64, nodes in MANY, band in 1..few(8, 3), more in 0usize..3, threads in 1usize..4) {
        let random = &mut Random(seed);
        let net = Net::random(random, nodes);
        let image = Tensor::from_fn(net.maps[0], |_, _, _| random.code());
        prop_assert_eq!(net.chain(&image, band, more, threads), net.one_by_one(&image));
    }
}

/// Two kernels whose types are known, and what is refused.
#[test]
fn known_types_and_refusals() {
    let random = &mut Random(7);
    let mut first = std::iter::repeat_with(|| conv(random, [3, 3], 8)).find(|conv| conv.cout == 16).unwrap();
    (first.stride, first.padding, first.dilation) = ([1; 2], [1; 2], [1; 2]);
    let image = Tensor::from_fn([20, 9, 8], |_, _, _| random.code());
    let mut arena = Arena::new();
    let input = arena.place(&image, 8);
    let (map, output) = (arena.reserve([20, 9, 16], 16), arena.reserve([9, 4, 16], 16));
    let (scratch, held) = (arena.scratch(1 << 14), [20, 9, 16]);
    let (layout, gather) = (Layout::VNNI, Gather::Indirect);
    let pool = MaxPool2d {
        input: map,
        output,
        kernel: [3; 2],
        stride: [2; 2],
        padding: [0; 2],
        min: -128,
        max: 127,
    };
    let run = |arena: &mut Arena, [rows, reads, band, filters, end, shift]: [u32; 6]| {
        first.kernel(&mut Arena::new(), &input, &map, layout, gather, 20, |_, conv| {
            let within = Operand::arena(scratch.offset + 4096, held, 16);
            let own = Region { offset: scratch.offset, ..conv.scratch };
            let bias = &conv.bias[..filters as usize];
            let conv = Conv2d { output: within, scratch: own, bias, ..conv };
            let pool = MaxPool2d { input: within, ..pool };
            let stages = (
                FusedStage { kernel: conv, reads: [0; 2], writes: 1 },
                (FusedStage { kernel: pool, reads: [reads as u8; 2], writes: 2 }, ()),
            );
            let maps = [
                Map { operand: input, rows: 0 },
                Map { operand: within, rows },
                Map { operand: output, rows: 0 },
            ];
            let chain = FusedRows {
                stages,
                frame: FusionLayout { maps: &maps, band, scratch, threads: 1, rows: [0, end], shift },
            };
            let ran = AssertUnwindSafe(|| arena.attempt(&chain, Isa::detect(), &output, scratch));
            (catch_unwind(ran).ok(), arena.fits(&chain))
        })
    };
    let chained = run(&mut arena, [5, 1, 2, 16, 9, 0]);
    first.run(&mut arena, &input, &map, layout, gather, 20, Isa::detect());
    assert_eq!((Some(arena.run(&pool, Isa::detect(), &output, Region::EMPTY)), true), chained);
    // Too few rows, a map that is not the kernel's, more rows than scratch has, no rows at a time, a kernel that would refuse, more rows
    // than the output has, scratch beyond that of all threads.
    for case in [
        [4, 1, 2, 16, 9, 0],
        [5, 0, 2, 16, 9, 0],
        [5, 2, 2, 16, 9, 0],
        [200, 1, 2, 16, 9, 0],
        [5, 1, 0, 16, 9, 0],
        [5, 1, 2, 15, 9, 0],
        [5, 1, 2, 16, 10, 0],
        [5, 1, 2, 16, 9, 1],
        [5, 1, 2, 16, 9, u32::MAX],
    ] {
        let (result, fits) = run(&mut arena, case);
        assert!(!fits && result.is_none() == cfg!(debug_assertions), "{case:?}");
    }
}
