//! Where weights come from: a checkpoint file, or a seed.

/// What a builder asks for.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The checkpoint's tensor name.
    pub name: &'a str,
    /// PyTorch's shape.
    pub shape: &'a [usize],
    /// What it is for.
    pub kind: Kind,
}

/// What a tensor is for; a seeded source draws from a range that suits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Convolution, `[out, in / groups, kh, kw]`.
    ConvWeight,
    /// Transposed convolution, `[in, out, kh, kw]`.
    ConvTransposeWeight,
    /// Fully connected, `[out, in]`.
    LinearWeight,
    /// Any bias.
    Bias,
    /// Batch norm's factor.
    BatchNormWeight,
    /// Batch norm's offset.
    BatchNormBias,
    /// Batch norm's running mean.
    BatchNormMean,
    /// Batch norm's running variance.
    BatchNormVariance,
}

/// Tensors by name.
pub trait WeightSource {
    /// Where the tensors come from, for error messages.
    fn describe(&self) -> String;

    /// The tensor as `f32`, in C order; else one line that says what is wrong, without the tensor's name.
    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String>;

    /// Names that were never asked for, except those that a network is known to leave unused.
    fn unused(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The names nearest to `name` by edit distance, best first, at most three.
pub fn near_matches<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<(usize, &str)> = candidates.into_iter().map(|c| (edit_distance(name, c), c)).collect();
    scored.sort();
    scored.retain(|(distance, _)| *distance <= name.len().max(6) / 2);
    scored.into_iter().take(3).map(|(_, c)| c).collect()
}

/// Levenshtein distance in bytes.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + (x != y) as usize;
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
