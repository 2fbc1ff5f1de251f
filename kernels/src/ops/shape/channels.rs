//! Moving channels within a pixel: shuffling them between groups, and adding channels of zeros.

use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{Code, In, Out, in_blocks, put},
    },
};
use core::marker::PhantomData;

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

crate::schedule::same_rows!(
    ChannelShuffle, input, input, in place: false, one pixel: false, work: MOVE,
    walk, |shuffle, mem, isa| match shuffle.walk(mem) {
        Some(walk) => isa.vectorize(walk),
        None => debug_assert!(false, "operands outside memory, shapes differ, or groups do not divide the channels"),
    }
);

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

crate::schedule::same_rows!(
    PadChannels, input, input, in place: false, one pixel: false, work: MOVE,
    views, |pad, mem, _| {
        let Some((input, out)) = pad.views(mem) else {
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
                    put(zeros, first, [pad.zero_point; N]);
                });
            }
        }
    }
);
