//! Channels in another order.

use super::Float;
use crate::{
    Operand,
    ops::{elementwise::copy::MOVE, shape::channels::Shuffle},
};

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

crate::schedule::kernel!(ChannelShuffleFloat, |shuffle| {
    check: |mem| shuffle.float.of_width(
        || Shuffle::<i16>::new(mem, [&shuffle.input, &shuffle.output], shuffle.groups),
        || Shuffle::<i32>::new(mem, [&shuffle.input, &shuffle.output], shuffle.groups),
    ),
    run: |shuffle, isa| isa.vectorize(shuffle),
    reads: [input],
    cost: MOVE,
});
