//! Packs quantised filters for the tile of a target.

use super::filters::fold_bias;
use niello_kernels::{Layout, Multiplier};

/// Constants of a convolution as the tile reads them: weights, folded biases, mantissas and shifts, padded to whole
/// panels; the groups or phases of one layer follow each other.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) weights: Vec<i8>,
    pub(super) bias: Vec<i32>,
    pub(super) mantissa: Vec<i32>,
    pub(super) shift: Vec<i8>,
}

impl Packed {
    /// Packs the filters of one group or phase, `rows` of `[segments][k]`.
    pub(super) fn new(
        layout: Layout,
        segments: usize,
        k: usize,
        rows: &[Vec<i8>],
        bias: &[i32],
        multiplier: &[Multiplier],
        zero_point: i8,
    ) -> Self {
        let padded_k = layout.padded_k(k);
        let offset = layout.activation_offset;
        let mut packed = Self::constants(layout.nr as usize, rows, bias, multiplier, zero_point, offset);
        packed.weights = vec![0; layout.packed_len(rows.len(), segments, k)];
        for (n, row) in rows.iter().enumerate() {
            for (i, w) in row.iter().enumerate() {
                packed.weights[layout.index(segments, padded_k, n, i / k, i % k)] = *w;
            }
        }
        layout.finish(&mut packed.weights);
        packed
    }

    /// All but the weights, for panels of `panel` channels.
    pub(super) fn constants(
        panel: usize,
        rows: &[Vec<i8>],
        bias: &[i32],
        multiplier: &[Multiplier],
        zero_point: i8,
        activation_offset: u8,
    ) -> Self {
        let channels = rows.len().next_multiple_of(panel);
        let mut packed = Self {
            weights: vec![],
            bias: vec![0; channels],
            mantissa: vec![0; channels],
            shift: vec![0; channels],
        };
        for (n, row) in rows.iter().enumerate() {
            packed.bias[n] = fold_bias(bias[n], row.iter().copied(), zero_point, activation_offset);
            packed.mantissa[n] = multiplier[n].mantissa;
            packed.shift[n] = multiplier[n].shift as i8;
        }
        packed
    }

    /// Appends the next group.
    pub(super) fn append(&mut self, next: Self) {
        self.weights.extend(next.weights);
        self.bias.extend(next.bias);
        self.mantissa.extend(next.mantissa);
        self.shift.extend(next.shift);
    }

    /// Appends the next phase: its outputs have the multipliers of the phases before.
    pub(super) fn append_phase(&mut self, next: Self) {
        self.weights.extend(next.weights);
        self.bias.extend(next.bias);
        (self.mantissa, self.shift) = (next.mantissa, next.shift);
    }

    /// Size of all constants.
    pub(super) fn bytes(&self) -> usize {
        self.weights.len() + 4 * (self.bias.len() + self.mantissa.len()) + self.shift.len()
    }
}
