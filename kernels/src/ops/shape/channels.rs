//! Moving channels within a pixel: shuffling them between groups, and adding channels of zeros.

use crate::{
    Isa, Memory, Operand, Region,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, put},
    },
    schedule::by_rows::{self, ByRows, Reach, Windowed, elements},
};
use core::{marker::PhantomData, ops::Range};

/// To move an element takes about as long as so many multiply-accumulates of a convolution.
const MOVE: usize = 8;

/// The channels of `groups` groups in turn: output channel `i * groups + g` is input channel `g * channels / groups + i`. PyTorch's
/// `channel_shuffle`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelShuffle {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Result, of the same shape, elsewhere.
    pub output: Operand,
    /// A divisor of the number of channels.
    pub groups: u32,
}

crate::schedule::kernel!(ChannelShuffle);

impl ChannelShuffle {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Shuffle<'m, i8>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let channels = out.shape()[2];
        Shuffle::new(input, out, channels, self.groups as usize)
    }
}

/// Channels of either width in turn.
pub(crate) struct Shuffle<'m, T> {
    input: In<'m>,
    out: Out<'m>,
    groups: usize,
    /// How many channels a group has.
    in_group: usize,
    code: PhantomData<T>,
}

impl<'m, T> Shuffle<'m, T> {
    /// Of views with pixels of `channels` codes; `None` if they do not fit, or the groups do not divide the channels.
    pub(crate) fn new(input: In<'m>, out: Out<'m>, channels: usize, groups: usize) -> Option<Self> {
        let in_group = channels.checked_div(groups)?;
        let fits = input.shape() == out.shape() && in_group * groups == channels;
        fits.then_some(Self { input, out, groups, in_group, code: PhantomData })
    }
}

impl<T: Code> Vectorize for Shuffle<'_, T> {
    #[inline(always)]
    fn run(self) {
        let Self { input, out, groups, in_group, .. } = self;
        let [h, w, _] = out.shape();
        for y in 0..h {
            for x in 0..w {
                let (cells, values) = (out.pixel(y, x), input.pixel(y, x));
                // A group after the other lies apart in the result.
                for group in 0..groups {
                    for i in 0..in_group {
                        T::put(cells, group + i * groups, T::block::<1>(values, group * in_group + i));
                    }
                }
            }
        }
    }
}

// SAFETY: a part writes its rows and reads the same rows of the input.
unsafe impl ByRows for ChannelShuffle {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn work(&self) -> usize {
        elements(self.output.shape).saturating_mul(MOVE)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.walk(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, isa: Isa) {
        match self.walk(mem) {
            Some(walk) => isa.vectorize(walk),
            None => debug_assert!(
                false,
                "operands outside memory, shapes differ, or groups do not divide the channels"
            ),
        }
    }
}

impl Windowed for ChannelShuffle {
    fn reach(&self) -> Reach {
        Reach::SAME
    }

    fn over(&self, _: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        Self { input: reads[0], output, ..*self }
    }
}

/// The channels of the input, then channels of zeros.
#[derive(Clone, Copy, Debug)]
pub struct PadChannels {
    /// `[h, w, c]`.
    pub input: Operand,
    /// `[h, w, c or more]`, elsewhere.
    pub output: Operand,
    /// The code of 0.
    pub zero_point: i8,
}

crate::schedule::kernel!(PadChannels);

impl PadChannels {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        ([h, w] == [oh, ow] && c <= oc).then_some((input, out))
    }
}

// SAFETY: a part writes its rows and reads the same rows of the input.
unsafe impl ByRows for PadChannels {
    fn output(&self) -> Operand {
        self.output
    }

    fn reads(&self) -> [Operand; 2] {
        [self.input; 2]
    }

    fn work(&self) -> usize {
        elements(self.output.shape).saturating_mul(MOVE)
    }

    fn fits(&self, mem: &Memory<'_>) -> bool {
        self.views(mem).is_some()
    }

    fn part(&self, rows: Range<usize>, index: usize) -> Self {
        by_rows::part(self, rows, index)
    }

    #[cfg_attr(target_pointer_width = "32", inline(always))]
    fn alone(&self, mem: &Memory<'_>, _: Isa) {
        let Some((input, out)) = self.views(mem) else {
            debug_assert!(false, "operands outside memory, or shapes that do not fit");
            return;
        };
        let [h, w, channels] = input.shape();
        for y in 0..h {
            for x in 0..w {
                let (cells, values) = (out.pixel(y, x), input.pixel(y, x));
                in_blocks!(first in channels, N => {
                    put(cells, first, values.block::<N>(first));
                });
                let zeros = cells.get(channels..).unwrap_or_default();
                in_blocks!(first in zeros.len(), N => {
                    put(zeros, first, [self.zero_point; N]);
                });
            }
        }
    }
}

impl Windowed for PadChannels {
    fn reach(&self) -> Reach {
        Reach::SAME
    }

    fn over(&self, _: usize, reads: [Operand; 2], output: Operand, _: Region) -> Self {
        Self { input: reads[0], output, ..*self }
    }
}
