//! What the tests share: an arena with guard bytes, and the packer that turns plain weights into packed ones.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::too_many_arguments, reason = "what varies in the tests' loops")]

use niello_kernels::{
    Conv2d, Gather, Isa, Kernel, Layout, Memory, Multiplier, Operand, OutputParams, Region, Rounding,
    TransposedConv2d,
    conv::{phase_taps, scratch_bytes},
};
use proptest::prelude::ProptestConfig;
use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook},
    sync::{Mutex, MutexGuard, Once},
};

/// The number of threads is one for the whole process, in which `cargo test` runs tests side by side.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// `n`, but at most `most` under Miri, which finds out about accesses and threads with few elements, and takes its time.
pub(crate) const fn few(n: usize, most: usize) -> usize {
    if cfg!(miri) && n > most { most } else { n }
}

/// All `cases`, but at most the first `most` under Miri.
pub(crate) fn some<T>(cases: &[T], most: usize) -> &[T] {
    &cases[..few(cases.len(), most)]
}

/// Every instruction set; for Miri the best alone, where what it knows shares one way to compute.
pub(crate) fn instruction_sets() -> impl Iterator<Item = Isa> {
    Isa::available().filter(|isa| !cfg!(miri) || *isa == Isa::detect())
}

/// Settings of property tests: `cases`, but at most `most` under Miri. No files are written on failure: the message holds the parameters.
pub(crate) fn config(cases: usize, most: usize) -> ProptestConfig {
    ProptestConfig { cases: few(cases, most) as u32, failure_persistence: None, ..ProptestConfig::default() }
}

/// A dense `[h, w, c]` tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    pub(crate) shape: [usize; 3],
    pub(crate) data: Vec<i8>,
}

impl Tensor {
    pub(crate) fn new(shape: [usize; 3], data: Vec<i8>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self { shape, data }
    }

    pub(crate) fn from_fn(shape: [usize; 3], mut f: impl FnMut(usize, usize, usize) -> i8) -> Self {
        let mut data = Vec::new();
        for y in 0..shape[0] {
            for x in 0..shape[1] {
                for c in 0..shape[2] {
                    data.push(f(y, x, c));
                }
            }
        }
        Self { shape, data }
    }

    pub(crate) fn at(&self, y: usize, x: usize, c: usize) -> i8 {
        self.data[(y * self.shape[1] + x) * self.shape[2] + c]
    }

    /// The value at a position that may lie outside, where it is `outside`.
    pub(crate) fn get(&self, y: i64, x: i64, c: usize, outside: i64) -> i64 {
        // A position below 0 is a large one.
        if (y as usize) < self.shape[0] && (x as usize) < self.shape[1] {
            self.at(y as usize, x as usize, c) as i64
        } else {
            outside
        }
    }
}

/// An arena whose every byte is known: what a kernel may not write is compared after each run.
pub(crate) struct Arena {
    bytes: Vec<i8>,
    start: usize,
    used: usize,
    remembered: Vec<i8>,
}

/// Bytes before, between and after operands.
const GUARD: usize = 64;

/// What memory holds before anything is placed, again and again.
const PATTERN: [i8; 256] = {
    let mut pattern = [0; 256];
    let mut i = 0;
    while i < 256 {
        pattern[i] = (i * 37 + 11) as i8;
        i += 1;
    }
    pattern
};

impl Arena {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, used: GUARD, remembered: Vec::new() }
    }

    /// Room for a view, with pixels `stride` bytes apart.
    pub(crate) fn reserve(&mut self, shape: [usize; 3], stride: usize) -> Operand {
        let offset = self.used;
        self.used += shape[0] * shape[1] * stride + GUARD;
        self.grow();
        Operand::arena(offset as u32, shape.map(|d| d as u32), stride as u32)
    }

    pub(crate) fn place(&mut self, tensor: &Tensor, stride: usize) -> Operand {
        let operand = self.reserve(tensor.shape, stride);
        self.write(&operand, tensor);
        operand
    }

    pub(crate) fn scratch(&mut self, len: usize) -> Region {
        let offset = self.used.next_multiple_of(16);
        self.used = offset + len + GUARD;
        self.grow();
        Region { offset: offset as u32, len: len as u32 }
    }

    /// Makes `used` bytes exist, at an aligned address; all of them filled with [`PATTERN`] before anything is placed.
    fn grow(&mut self) {
        let mut bytes: Vec<i8> = vec![0; self.used + 64];
        let start = bytes.as_ptr().align_offset(64);
        let old = self.bytes.get(self.start..).unwrap_or(&[]);
        // The last bytes of the old ones may lie beyond the aligned part of the new ones.
        let kept = old.len().min(bytes.len() - start);
        for chunk in bytes[start..].chunks_mut(PATTERN.len()) {
            chunk.copy_from_slice(&PATTERN[..chunk.len()]);
        }
        bytes[start..][..kept].copy_from_slice(&old[..kept]);
        (self.bytes, self.start) = (bytes, start);
    }

    /// Where each pixel of an operand lies among all bytes.
    fn pixels(start: usize, operand: &Operand) -> impl Iterator<Item = std::ops::Range<usize>> {
        let [h, w, c] = operand.shape.map(|d| d as usize);
        let (first, stride) = (start + operand.offset as usize, operand.stride as usize);
        (0..h * w).map(move |pixel| first + pixel * stride..first + pixel * stride + c)
    }

    pub(crate) fn write(&mut self, operand: &Operand, tensor: &Tensor) {
        let pixels = Self::pixels(self.start, operand);
        for (to, from) in pixels.zip(tensor.data.chunks(tensor.shape[2])) {
            self.bytes[to].copy_from_slice(from);
        }
    }

    pub(crate) fn read(&self, operand: &Operand) -> Tensor {
        let mut data = vec![];
        Self::pixels(self.start, operand).for_each(|pixel| data.extend_from_slice(&self.bytes[pixel]));
        Tensor::new(operand.shape.map(|d| d as usize), data)
    }

    /// Takes note of all bytes, for [`Arena::unchanged`].
    pub(crate) fn remember(&mut self) {
        self.remembered = self.bytes.clone();
    }

    pub(crate) fn unchanged(&self) -> bool {
        self.remembered == self.bytes
    }

    /// Whether `kernel` computes here.
    pub(crate) fn fits(&mut self, kernel: &dyn Kernel) -> bool {
        let cells = Cell::from_mut(&mut self.bytes[self.start..]).as_slice_of_cells();
        kernel.fits(&Memory::new(cells, &[], &[]))
    }

    /// Runs `kernel`, which fits, and checks that nothing but the channels of `output` and the bytes of `scratch` changed.
    pub(crate) fn run(&mut self, kernel: &dyn Kernel, isa: Isa, output: &Operand, scratch: Region) -> Tensor {
        assert!(self.fits(kernel), "what computes must fit");
        self.attempt(kernel, isa, output, scratch)
    }

    /// The same, whether it fits or not.
    pub(crate) fn attempt(
        &mut self,
        kernel: &dyn Kernel,
        isa: Isa,
        output: &Operand,
        scratch: Region,
    ) -> Tensor {
        let mut expected = self.bytes.clone();
        let start = self.start;
        let cells = Cell::from_mut(&mut self.bytes[start..]).as_slice_of_cells();
        kernel.run(&Memory::new(cells, &[], &[]), isa);
        let written = start + scratch.offset as usize..start + (scratch.offset + scratch.len) as usize;
        for written in Self::pixels(start, output).chain([written]) {
            expected[written.clone()].copy_from_slice(&self.bytes[written]);
        }
        if expected != self.bytes {
            let i = (start..).find(|&i| expected[i] != self.bytes[i]).map(|i| i - start);
            panic!("byte {i:?} outside {output:?} and {scratch:?} was written");
        }
        self.read(output)
    }
}

/// Runs a kernel that must refuse: it says that it does not fit, not a byte of memory changes, and debug builds say so.
pub(crate) fn refuses(what: &str, arena: &mut Arena, kernel: &dyn Kernel) {
    // Without the backtrace, which takes Miri seconds and is of no use where a panic is expected.
    static HOOK: Once = Once::new();
    HOOK.call_once(|| set_hook(Box::new(|info| eprintln!("{info}"))));
    assert!(!arena.fits(kernel), "{what}");
    // Several threads ask a kernel about its scratch and its work before they ask whether it fits.
    if niello_kernels::threads::count() < 2 {
        niello_kernels::threads::set(2).unwrap();
    }
    assert!(arena.unchanged(), "{what}: to ask changed something");
    for isa in instruction_sets() {
        let nothing = Operand::arena(0, [0, 0, 0], 0);
        let result = catch_unwind(AssertUnwindSafe(|| arena.attempt(kernel, isa, &nothing, Region::EMPTY)));
        if let Err(panic) = &result {
            let message = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(!message.contains("was written"), "{what}: {message}");
        }
        assert_eq!(result.is_err(), cfg!(debug_assertions), "{what} on {}", isa.name());
        assert!(arena.unchanged(), "{what} on {}", isa.name());
    }
}

/// A convolution as the user sees it: weights `[cout, kh, kw, cin / groups]`, real bias, real zero point.
///
/// A transposed one reads input `i` into output `i * stride - padding + k`.
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) groups: usize,
    pub(crate) cin: usize,
    pub(crate) cout: usize,
    pub(crate) weights: Vec<i8>,
    pub(crate) bias: Vec<i32>,
    pub(crate) multipliers: Vec<Multiplier>,
    pub(crate) input_zero_point: i8,
    pub(crate) stage: OutputParams,
}

/// Arrays of a packed convolution.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    pub(crate) weights: Vec<i8>,
    pub(crate) bias: Vec<i32>,
    pub(crate) mantissa: Vec<i32>,
    pub(crate) shift: Vec<i8>,
    pub(crate) pad: Vec<i8>,
}

impl Packed {
    /// Appends one dense group whose tap `t` is `taps[t]` of the kernel.
    fn push(&mut self, conv: &Conv, layout: Layout, gather: Gather, group: usize, taps: &[usize]) {
        let (cin, cout) = (conv.cin / conv.groups, conv.cout / conv.groups);
        let (segments, k) = gather.segments(taps.len(), cin);
        let padded_k = layout.padded_k(k);
        let (w0, b0) = (self.weights.len(), self.bias.len());
        self.weights.resize(w0 + layout.packed_len(cout, segments, k), 0);
        self.bias.resize(b0 + layout.padded_channels(cout), 0);
        let offset = conv.input_zero_point as i32 + layout.activation_offset as i32;
        for n in 0..cout {
            let channel = group * cout + n;
            let mut sum = 0i32;
            for (t, tap) in taps.iter().enumerate() {
                for c in 0..cin {
                    let w = conv.weights[(channel * conv.kernel[0] * conv.kernel[1] + tap) * cin + c];
                    let (segment, at) = if gather == Gather::Indirect { (t, c) } else { (0, t * cin + c) };
                    self.weights[w0 + layout.index(segments, padded_k, n, segment, at)] = w;
                    sum += w as i32;
                }
            }
            self.bias[b0 + n] = conv.bias[channel].wrapping_sub(offset.wrapping_mul(sum));
        }
        layout.finish(&mut self.weights[w0..]);
    }

    /// Appends multipliers of one group.
    fn push_scales(&mut self, conv: &Conv, layout: Layout, group: usize) {
        let cout = conv.cout / conv.groups;
        for n in 0..layout.padded_channels(cout) {
            let m = if n < cout { conv.multipliers[group * cout + n] } else { Multiplier::ZERO };
            self.mantissa.push(m.mantissa);
            self.shift.push(m.shift as i8);
        }
    }
}

impl Conv {
    /// Runs as [`Conv2d`] in `arena` and returns the output.
    pub(crate) fn run(
        &self,
        arena: &mut Arena,
        input: &Operand,
        output: &Operand,
        layout: Layout,
        gather: Gather,
        chunk: usize,
        isa: Isa,
    ) -> Tensor {
        self.kernel(arena, input, output, layout, gather, chunk, |arena, kernel| {
            arena.run(&kernel, isa, output, kernel.scratch)
        })
    }

    /// Hands `f` the [`Conv2d`], packed, with its scratch in `arena`.
    pub(crate) fn kernel<R>(
        &self,
        arena: &mut Arena,
        input: &Operand,
        output: &Operand,
        layout: Layout,
        gather: Gather,
        chunk: usize,
        f: impl FnOnce(&mut Arena, Conv2d<'_>) -> R,
    ) -> R {
        let taps: Vec<usize> = (0..self.kernel[0] * self.kernel[1]).collect();
        let mut packed =
            Packed { pad: vec![self.input_zero_point; self.cin / self.groups], ..Packed::default() };
        for group in 0..self.groups {
            packed.push(self, layout, gather, group, &taps);
            packed.push_scales(self, layout, group);
        }
        let pair = |p: [usize; 2]| p.map(|d| d as u32);
        let scratch = arena.scratch(scratch_bytes(layout, gather, taps.len(), self.cin / self.groups, chunk));
        let kernel = Conv2d {
            input: *input,
            output: *output,
            kernel: pair(self.kernel),
            stride: pair(self.stride),
            dilation: pair(self.dilation),
            padding: pair(self.padding),
            groups: self.groups as u32,
            layout,
            gather,
            weights: &packed.weights,
            bias: &packed.bias,
            mantissa: &packed.mantissa,
            shift: &packed.shift,
            pad: &packed.pad,
            stage: self.stage,
            pixels_per_pass: chunk as u32,
            scratch,
        };
        f(arena, kernel)
    }

    /// Runs as [`TransposedConv2d`] in `arena` and returns the output.
    pub(crate) fn run_transposed(
        &self,
        arena: &mut Arena,
        input: &Operand,
        output: &Operand,
        layout: Layout,
        gather: Gather,
        chunk: usize,
        isa: Isa,
    ) -> Tensor {
        self.transposed_kernel(arena, input, output, layout, gather, chunk, |arena, kernel| {
            arena.run(&kernel, isa, output, kernel.scratch)
        })
    }

    /// Hands `f` the [`TransposedConv2d`], packed, with its scratch in `arena`.
    pub(crate) fn transposed_kernel<R>(
        &self,
        arena: &mut Arena,
        input: &Operand,
        output: &Operand,
        layout: Layout,
        gather: Gather,
        chunk: usize,
        f: impl FnOnce(&mut Arena, TransposedConv2d<'_>) -> R,
    ) -> R {
        let [kh, kw] = self.kernel;
        let [sh, sw] = self.stride;
        let mut packed = Packed { pad: vec![self.input_zero_point; self.cin], ..Packed::default() };
        for ry in 0..sh {
            for rx in 0..sw {
                let axis = |kernel, stride, r| {
                    (0..phase_taps(kernel, stride, r)).rev().map(move |j| r + stride * j).collect::<Vec<_>>()
                };
                let columns = axis(kw, sw, rx);
                let taps: Vec<usize> = axis(kh, sh, ry)
                    .iter()
                    .flat_map(|ky| columns.iter().map(move |kx| ky * kw + kx))
                    .collect();
                packed.push(self, layout, gather, 0, &taps);
            }
        }
        packed.push_scales(self, layout, 0);
        let pair = |p: [usize; 2]| p.map(|d| d as u32);
        let most = phase_taps(kh, sh, 0) * phase_taps(kw, sw, 0);
        let scratch = arena.scratch(scratch_bytes(layout, gather, most, self.cin, chunk));
        let kernel = TransposedConv2d {
            input: *input,
            output: *output,
            kernel: pair(self.kernel),
            stride: pair(self.stride),
            padding: pair(self.padding),
            layout,
            gather,
            weights: &packed.weights,
            bias: &packed.bias,
            mantissa: &packed.mantissa,
            shift: &packed.shift,
            pad: &packed.pad,
            stage: self.stage,
            pixels_per_pass: chunk as u32,
            scratch,
        };
        f(arena, kernel)
    }
}

/// Layouts and ways to gather that can be used for `cin` channels per group; for Miri, which knows no instruction set that treats layouts
/// alike but for their offset in different ways, each with one way to gather.
pub(crate) fn packings(cin: usize) -> Vec<(Layout, Gather)> {
    if cfg!(miri) {
        let gather = if cin.is_multiple_of(4) { Gather::Indirect } else { Gather::Im2col };
        return vec![
            (Layout::SCALAR, Gather::Indirect),
            (Layout::VNNI, Gather::Im2col),
            (Layout::DSP, gather),
        ];
    }
    let mut all = Vec::new();
    for &layout in Layout::ALL {
        all.push((layout, Gather::Im2col));
        if cin.is_multiple_of(layout.kr as usize) {
            all.push((layout, Gather::Indirect));
        }
    }
    all
}

/// An output stage without activation.
/// Every rounding.
pub(crate) const ROUNDINGS: [Rounding; 3] = [Rounding::TfliteDouble, Rounding::Single, Rounding::FloatEven];

pub(crate) fn stage(zero_point: i8, rounding: Rounding) -> OutputParams {
    OutputParams { zero_point, min: -128, max: 127, rounding }
}
