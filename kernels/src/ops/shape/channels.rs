//! Moving channels within a pixel: shuffling them between groups, and adding channels of zeros.

use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, map1, put},
    },
    ops::elementwise::copy::MOVE,
};
use core::marker::PhantomData;

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

crate::schedule::kernel!(ChannelShuffle, |shuffle| {
    check: |mem| Shuffle::<i8>::new(mem, [&shuffle.input, &shuffle.output], shuffle.groups),
    run: |shuffle, isa| isa.vectorize(shuffle),
    reads: [input],
    cost: MOVE,
});

/// Channels of any width in turn.
pub(crate) struct Shuffle<'m, T> {
    input: In<'m>,
    out: Out<'m>,
    groups: usize,
    /// How many channels a group has.
    in_group: usize,
    code: PhantomData<T>,
}

impl<'m, T: Code> Shuffle<'m, T> {
    /// `None` if operands lie outside memory, shapes differ, or the groups do not divide the channels.
    pub(crate) fn new(mem: &Memory<'m>, [input, output]: [&Operand; 2], groups: u32) -> Option<Self> {
        let (input, out, groups) = (mem.read(input)?, mem.write(output)?, groups as usize);
        let channels = T::count(out.shape()[2])?;
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

impl PadChannels {
    fn views<'m>(&self, mem: &Memory<'m>) -> Option<(In<'m>, Out<'m>)> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let ([h, w, c], [oh, ow, oc]) = (input.shape(), out.shape());
        ([h, w] == [oh, ow] && c <= oc).then_some((input, out))
    }
}

crate::schedule::kernel!(PadChannels, |pad| {
    check: |mem| pad.views(mem),
    run: |(input, out), _| {
        let [h, w, channels] = input.shape();
        for y in 0..h {
            for x in 0..w {
                let (cells, values) = (out.pixel(y, x), input.pixel(y, x));
                let (copies, zeros) = cells.split_at_checked(channels).unwrap_or_default();
                map1(copies, values, |v| v);
                in_blocks!(first in zeros.len(), N => {
                    put(zeros, first, [pad.zero_point; N]);
                });
            }
        }
    },
    reads: [input],
    cost: MOVE,
});
