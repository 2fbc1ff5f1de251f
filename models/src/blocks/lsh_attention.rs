//! Attention of the Reformer: Kitaev et al., ICLR 2020, arXiv 2001.04451; names as in lucidrains/reformer-pytorch.

use niello_codegen::{
    GraphBuilder, ValueId,
    ops::{Attention, Conv2d, ConvParams, Hashing},
    weights::Kind,
};

/// Parameters of the locality-sensitive hashing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LshAttention {
    /// Heads.
    pub(crate) heads: usize,
    /// Tokens of a chunk.
    pub(crate) bucket: usize,
    /// Rounds of hashing.
    pub(crate) rounds: usize,
}

impl LshAttention {
    /// `NAME.toqk` and `NAME.tov` without bias, `NAME.attend` with the constants `NAME.rotations` (`[width, rounds, buckets / 2]`),
    /// `NAME.to_out` with bias. The result is named `NAME`; the pixels of `x` are tokens.
    pub(crate) fn build(&self, b: &mut GraphBuilder<'_>, name: &str, x: ValueId) -> ValueId {
        let shape = b.shape(x);
        let (tokens, c) = (shape.area(), shape.c);
        let linear = |b: &mut GraphBuilder<'_>, module: &str, bias: bool| {
            let weight = b.tensor(&format!("{name}.{module}.weight"), &[c, c], Kind::LinearWeight);
            let bias = match bias {
                true => b.tensor(&format!("{name}.{module}.bias"), &[c], Kind::Bias),
                false => vec![0.0; c].into(),
            };
            (weight, bias)
        };
        let without = ConvParams::new(c, 1).no_bias();
        let (weight, bias) = linear(b, "toqk", false);
        let qk = b.add_op(&format!("{name}.toqk"), Conv2d::new(without, c, weight, bias), &[x]);
        let (weight, bias) = linear(b, "tov", false);
        let v = b.add_op(&format!("{name}.tov"), Conv2d::new(without, c, weight, bias), &[x]);
        let (bucket, rounds) = (self.bucket, self.rounds);
        let columns = [c / self.heads, rounds, tokens / bucket / 2];
        let rotations = b.tensor(&format!("{name}.rotations"), &columns, Kind::LshRotation);
        let attend = Attention::shared(self.heads, Some(Hashing { bucket, rounds, rotations }));
        let seen = b.add_op(&format!("{name}.attend"), attend, &[qk, v]);
        let (weight, bias) = linear(b, "to_out", true);
        b.add_op(name, Conv2d::new(ConvParams::new(c, 1), c, weight, bias), &[seen])
    }
}
