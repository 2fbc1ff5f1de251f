//! Loops that 16-bit codes and floating point share: element by element, from one operand or from two.

use crate::{
    Memory, Operand,
    base::{
        isa::Vectorize,
        memory::{ByEncoding, Encoding, In, Out, in_elements},
    },
};

/// Input, output, and how many elements a pixel of both has; `None` if they lie outside memory, or channel counts differ.
#[inline]
pub(super) fn views<'m>(
    mem: &Memory<'m>,
    [input, output]: [&Operand; 2],
    from: impl Encoding,
    to: impl Encoding,
) -> Option<(In<'m>, Out<'m>, usize)> {
    let (input, out) = (mem.read(input)?, mem.write(output)?);
    let channels = from.count(input.shape()[2])?;
    (to.count(out.shape()[2])? == channels).then_some((input, out, channels))
}

/// As [`views`], of the same height and width.
#[inline]
pub(super) fn same_pixels<'m>(
    mem: &Memory<'m>,
    operands: [&Operand; 2],
    from: impl Encoding,
    to: impl Encoding,
) -> Option<(In<'m>, Out<'m>, usize)> {
    views(mem, operands, from, to).filter(|(input, out, _)| input.shape()[..2] == out.shape()[..2])
}

/// A function of the elements of one pixel. `of` must be `#[inline(always)]`: it stands in loops that are to vectorise.
pub(super) trait Mapping<A, B> {
    /// Whether channels differ.
    const BY_CHANNEL: bool;
    /// Whether it is short, so that there may be copies of it.
    const SHORT: bool = true;

    /// The results for channels `first..first + N`.
    fn of<const N: usize>(&self, first: usize, elements: [A; N]) -> [B; N];
}

/// A [`Mapping`] of all pixels.
pub(super) struct Map<'m, A, B, F> {
    input: In<'m>,
    out: Out<'m>,
    from: A,
    to: B,
    /// Elements of a pixel.
    channels: usize,
    mapping: F,
}

impl<'m, A: Encoding, B: Encoding, F: Mapping<A::Value, B::Value>> Map<'m, A, B, F> {
    /// `None` if operands lie outside memory, or differ in height, width or channels.
    pub(super) fn between(
        mem: &Memory<'m>,
        operands: [&Operand; 2],
        from: A,
        to: B,
        mapping: F,
    ) -> Option<Self> {
        let (input, out, channels) = same_pixels(mem, operands, from, to)?;
        let [h, w, _] = out.shape();
        let mut map = Self { input, out, from, to, channels, mapping };
        if let (false, Some(input), Some(out)) = (F::BY_CHANNEL, input.joined(), out.joined()) {
            map = Self { input, out, channels: h * w * channels, ..map };
        }
        Some(map)
    }

    /// Elements of a pixel; of all pixels where channels do not differ and nothing lies between them.
    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    /// Does it, between codes and numbers.
    #[inline(always)]
    pub(super) fn convert(&self) {
        self.of(self.from, self.to);
    }

    #[inline(always)]
    fn of(&self, from: A, to: B) {
        let [h, w, _] = self.out.shape();
        for i in 0..h * w {
            let (cells, values) = (self.out.nth(i), self.input.nth(i));
            in_elements!(A::IS_FLOAT || B::IS_FLOAT, first in self.channels, N => {
                to.put(cells, first, self.mapping.of(first, from.block::<N>(values, first)));
            });
        }
    }
}

impl<'m, E: Encoding, F: Mapping<E::Value, E::Value>> Map<'m, E, E, F> {
    /// [`Map::between`] encodings of one kind.
    pub(super) fn new(
        mem: &Memory<'m>,
        operands: [&Operand; 2],
        [from, to]: [E; 2],
        mapping: F,
    ) -> Option<Self> {
        Self::between(mem, operands, from, to, mapping)
    }
}

impl<E: Encoding, F: Mapping<E::Value, E::Value>> ByEncoding<E, 2> for Map<'_, E, E, F> {
    #[inline(always)]
    fn each(&self, [from, to]: [E; 2]) {
        self.of(from, to);
    }
}

impl<E: Encoding, F: Mapping<E::Value, E::Value>> Vectorize for Map<'_, E, E, F> {
    const WIDE: bool = !E::IS_FLOAT;

    #[inline(always)]
    fn run(self) {
        let encodings = [self.from, self.to];
        if F::SHORT {
            E::specialize(encodings, &self);
        } else {
            self.each(encodings);
        }
    }
}

/// A function of two elements. `of` must be `#[inline(always)]`.
pub(super) trait BinaryOp<V> {
    fn of(&self, a: V, b: V) -> V;
}

/// A function of all pairs of elements of two operands: of the second, one pixel may meet all pixels, or one channel as many of the first.
pub(super) struct Broadcast<'m, E, F> {
    a: In<'m>,
    b: In<'m>,
    out: Out<'m>,
    encodings: [E; 3],
    /// Elements of a pixel of the result, and of the second operand.
    channels: [usize; 2],
    function: F,
}

impl<'m, E: Encoding, F: BinaryOp<E::Value>> Broadcast<'m, E, F> {
    /// `None` where an operand lies outside memory, or something does not fit together.
    pub(super) fn new(
        mem: &Memory<'m>,
        operands: [&Operand; 3],
        encodings: [E; 3],
        function: F,
    ) -> Option<Self> {
        let (a, b, out) = (mem.read(operands[0])?, mem.read(operands[1])?, mem.write(operands[2])?);
        let ([ah, aw, a_bytes], [bh, bw, b_bytes], [h, w, bytes]) = (a.shape(), b.shape(), out.shape());
        let channels @ [c, factors] = [encodings[2].count(bytes)?, encodings[1].count(b_bytes)?];
        let is_whole = [bh, bw, factors] == [h, w, c];
        let repeats =
            [bh, bw, factors] == [1, 1, c] || [bh, bw] == [h, w] && c.checked_rem(factors) == Some(0);
        if !(is_whole || repeats) || [ah, aw, encodings[0].count(a_bytes)?] != [h, w, c] {
            return None;
        }
        let mut pairs = Self { a, b, out, encodings, channels, function };
        if let (true, Some(a), Some(b), Some(out)) = (is_whole, a.joined(), b.joined(), out.joined()) {
            pairs = Self { a, b, out, channels: [h * w * c; 2], ..pairs };
        }
        Some(pairs)
    }
}

impl<E: Encoding, F: BinaryOp<E::Value>> ByEncoding<E, 3> for Broadcast<'_, E, F> {
    #[inline(always)]
    fn each(&self, [of_a, of_b, to]: [E; 3]) {
        let ([h, w, _], [channels, factors]) = (self.out.shape(), self.channels);
        let is_pixel = self.b.shape()[..2] == [1, 1];
        // Channels that share an element of the second operand.
        let group = channels.checked_div(factors).unwrap_or(0);
        for i in 0..h * w {
            let (cells, left) = (self.out.nth(i), self.a.nth(i));
            let right = self.b.nth(if is_pixel { 0 } else { i });
            if group == 1 {
                in_elements!(E::IS_FLOAT, first in channels, N => {
                    let mut block = of_a.block::<N>(left, first);
                    for (a, b) in block.iter_mut().zip(of_b.block::<N>(right, first)) {
                        *a = self.function.of(*a, b);
                    }
                    to.put(cells, first, block);
                });
                continue;
            }
            for factor in 0..factors {
                let [b] = of_b.block::<1>(right, factor);
                in_elements!(E::IS_FLOAT, offset in group, N => {
                    let first = factor * group + offset;
                    let mut block = of_a.block::<N>(left, first);
                    for a in &mut block {
                        *a = self.function.of(*a, b);
                    }
                    to.put(cells, first, block);
                });
            }
        }
    }
}

impl<E: Encoding, F: BinaryOp<E::Value>> Vectorize for Broadcast<'_, E, F> {
    const WIDE: bool = !E::IS_FLOAT;

    #[inline(always)]
    fn run(self) {
        E::specialize(self.encodings, &self);
    }
}
