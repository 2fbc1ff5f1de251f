//! Between real numbers and int8 codes.

/// Shape and number format of an input or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorInfo {
    /// Name.
    pub name: &'static str,
    /// Height, width, channels; elements lie in this order, channels innermost.
    pub shape: [usize; 3],
    /// `real = scale * (code - zero_point)`; 0 for class labels, whose codes are unsigned bytes.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

impl TensorInfo {
    /// Nearest code for a real number, ties away from zero, clamped; needs floating point.
    pub fn quantize(&self, x: f32) -> i8 {
        if self.scale == 0.0 {
            return x as u8 as i8;
        }
        let scaled = x / self.scale;
        // The fraction is exact; values too large for i32 saturate and are clamped below.
        let whole = scaled as i32;
        let fraction = scaled - whole as f32;
        let nearest = whole.saturating_add((fraction >= 0.5) as i32 - (fraction <= -0.5) as i32);
        nearest.saturating_add(self.zero_point as i32).clamp(-128, 127) as i8
    }

    /// The real number of a code; needs floating point.
    pub fn dequantize(&self, code: i8) -> f32 {
        if self.scale == 0.0 {
            return code as u8 as f32;
        }
        self.scale * (code as i32 - self.zero_point as i32) as f32
    }

    /// Number of elements.
    pub const fn len(&self) -> usize {
        self.shape[0] * self.shape[1] * self.shape[2]
    }

    /// Whether there are no elements.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `codes[i] = table[sample[i]]`, one table per channel: 8-bit samples to codes without floating point.
///
/// `samples` and `codes` are `[h, w, C]`, channels innermost; as many elements as both have are converted.
pub fn apply_table<const C: usize>(table: &[[i8; 256]; C], samples: &[u8], codes: &mut [i8]) {
    for (pixel, out) in samples.chunks(C).zip(codes.chunks_mut(C)) {
        for ((s, o), t) in pixel.iter().zip(out).zip(table) {
            *o = t[*s as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantize_rounds_half_away_from_zero_and_clamps() {
        let info = TensorInfo { name: "x", shape: [1, 1, 1], scale: 0.5, zero_point: 3 };
        for (x, code) in [
            (0.0, 3),
            (0.25, 4),
            (-0.25, 2),
            (0.249_999_99, 3),
            (-0.75, 1),
            (1e9, 127),
            (-1e9, -128),
            (f32::INFINITY, 127),
            (61.9, 127),
        ] {
            assert_eq!(info.quantize(x), code, "{x}");
        }
        assert_eq!(info.dequantize(5), 1.0);
    }

    #[test]
    fn table_is_applied_per_channel() {
        let mut table = [[0i8; 256]; 2];
        table[0][7] = 1;
        table[1][7] = 2;
        let mut codes = [9i8; 4];
        apply_table(&table, &[7, 7, 0, 7], &mut codes);
        assert_eq!(codes, [1, 2, 0, 2]);
    }
}
