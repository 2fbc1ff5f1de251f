//! Filters of convolutions as the codes of a file, whatever its format is.

/// Weights of a convolution as codes less their zero point, `[out][taps][channels of a group]`.
pub(in crate::import) struct Codes {
    pub(in crate::import) out: usize,
    pub(in crate::import) taps: usize,
    /// Input channels of a group.
    pub(in crate::import) channels: usize,
    pub(in crate::import) groups: usize,
    pub(in crate::import) codes: Vec<i64>,
    /// One for each output channel.
    pub(in crate::import) scale: Vec<f32>,
}

/// Biases of a file as kernels take them.
pub(in crate::import) fn biases(codes: &[i64]) -> Result<Vec<i32>, String> {
    let fits =
        |bias: &i64| i32::try_from(*bias).map_err(|_| format!("a bias of {bias} does not fit 32 bits"));
    codes.iter().map(fits).collect()
}

/// The largest magnitude of a weight that kernels take.
const LARGEST: i64 = 127;

/// Weights that kernels take, in the same order.
pub(in crate::import) struct Fitting {
    pub(in crate::import) codes: Vec<i64>,
    /// Input channels of a group.
    pub(in crate::import) channels: usize,
    /// The channels of the input that are read, if not all of them once.
    pub(in crate::import) picked: Option<Vec<i32>>,
}

impl Codes {
    /// Weights beyond 127 as sums of several: the input has the channels that they meet more than once then, which is as exact.
    pub(in crate::import) fn fitting(self) -> Fitting {
        let Self { out, taps, channels, groups, codes, .. } = self;
        let parts = codes
            .iter()
            .map(|w| (w.unsigned_abs() as usize).div_ceil(LARGEST as usize))
            .max()
            .unwrap_or(0)
            .max(1);
        if parts == 1 {
            return Fitting { codes, channels, picked: None };
        }
        let part = |w: i64, n: usize| {
            let rest = w.abs() - LARGEST * n as i64;
            w.signum() * rest.clamp(0, LARGEST)
        };
        // Which channels of a group are read again for each part; groups read the same.
        let needs =
            |n: usize, i: usize| n == 0 || (0..out * taps).any(|row| part(codes[row * channels + i], n) != 0);
        let reads: Vec<(usize, usize)> = (0..parts)
            .flat_map(|n| {
                (0..channels).filter(move |i| needs(n, *i)).map(move |i| (n, i)).collect::<Vec<_>>()
            })
            .collect();
        let picked = (0..groups)
            .flat_map(|group| reads.iter().map(move |(_, i)| (group * channels + i) as i32))
            .collect();
        let split = (0..out * taps)
            .flat_map(|row| reads.iter().map(move |(n, i)| (row, *n, *i)))
            .map(|(row, n, i)| part(codes[row * channels + i], n))
            .collect();
        Fitting { codes: split, channels: reads.len(), picked: Some(picked) }
    }
}
