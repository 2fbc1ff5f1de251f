//! Channels in another order.

use super::{Float, rows::by_pixels};
use crate::{Memory, Operand, base::isa::Vectorize, ops::shape::channels::Shuffle};

/// To move an element takes about as long as so many multiply-accumulates of a convolution.
const MOVE: usize = 8;

/// The channels of `groups` groups in turn, as [`ChannelShuffle`](crate::ChannelShuffle) has it. The bits of numbers do not change.
#[derive(Clone, Copy, Debug)]
pub struct ChannelShuffleFloat {
    /// `[h, w, c]`.
    pub input: Operand,
    /// Result, of the same shape, elsewhere.
    pub output: Operand,
    /// Type of `input` and `output`.
    pub float: Float,
    /// A divisor of the number of channels.
    pub groups: u32,
}

/// The shuffle of numbers of either type.
enum Walk<'m> {
    F16(Shuffle<'m, i16>),
    F32(Shuffle<'m, i32>),
}

impl Vectorize for Walk<'_> {
    const WIDE: bool = false;

    #[inline(always)]
    fn run(self) {
        match self {
            Self::F16(shuffle) => shuffle.run(),
            Self::F32(shuffle) => shuffle.run(),
        }
    }
}

impl ChannelShuffleFloat {
    fn walk<'m>(&self, mem: &Memory<'m>) -> Option<Walk<'m>> {
        let (input, out) = (mem.read(&self.input)?, mem.write(&self.output)?);
        let (channels, groups) = (self.float.count(out.shape()[2])?, self.groups as usize);
        match self.float {
            Float::F16 => Shuffle::new(input, out, channels, groups).map(Walk::F16),
            Float::F32 => Shuffle::new(input, out, channels, groups).map(Walk::F32),
        }
    }
}

by_pixels!(ChannelShuffleFloat, input, input, work: MOVE, in place: false);
