//! Figures that compare label maps and scores.

/// Dice's coefficient of a class: `2 |A and B| / (|A| + |B|)` over the pixels that neither map marks with `ignore`.
/// `None` where neither map has the class, so that there is nothing to compare, or where the maps differ in length.
///
/// ```
/// use niello_imaging::metrics::dice;
/// assert_eq!(dice(&[1, 1, 0, 2], &[1, 0, 0, 2], 1, Some(255)), Some(2.0 / 3.0));
/// assert_eq!(dice(&[1, 1], &[1, 255], 1, Some(255)), Some(1.0));
/// assert_eq!(dice(&[0, 0], &[0, 0], 1, None), None);
/// ```
pub fn dice(a: &[u8], b: &[u8], class: u8, ignore: Option<u8>) -> Option<f64> {
    let mut counts = DiceCounts::default();
    (a.len() == b.len()).then(|| counts.add(a, b, class, ignore))?;
    counts.dice()
}

/// Sums for a Dice coefficient over many slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiceCounts {
    /// Pixels of the class in both maps.
    pub both: u64,
    /// Pixels of the class in the first map.
    pub first: u64,
    /// Pixels of the class in the second map.
    pub second: u64,
}

impl DiceCounts {
    /// Adds the pixels of two maps; those past the shorter one's end are left out.
    pub fn add(&mut self, a: &[u8], b: &[u8], class: u8, ignore: Option<u8>) {
        for (a, b) in a.iter().zip(b).filter(|(a, b)| ignore.is_none_or(|i| **a != i && **b != i)) {
            self.first += u64::from(*a == class);
            self.second += u64::from(*b == class);
            self.both += u64::from(*a == class && *b == class);
        }
    }

    /// The coefficient; `None` where neither map had the class.
    pub fn dice(&self) -> Option<f64> {
        let sum = self.first + self.second;
        (sum > 0).then(|| 2.0 * self.both as f64 / sum as f64)
    }
}

/// Pixels of each class below `classes`.
pub fn class_counts(labels: &[u8], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for label in labels {
        if let Some(count) = counts.get_mut(usize::from(*label)) {
            *count += 1;
        }
    }
    counts
}

/// Share of abnormal lung: `abnormal / (abnormal + normal)`; `None` where there is no lung.
pub fn abnormal_share(abnormal: u64, normal: u64) -> Option<f64> {
    let lung = abnormal + normal;
    (lung > 0).then(|| abnormal as f64 / lung as f64)
}

/// Index of the largest score, the first of equals; `None` if there are none. NaN never wins.
pub fn top_1(scores: &[f32]) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (i, score) in scores.iter().enumerate().filter(|(_, s)| !s.is_nan()) {
        if best.is_none_or(|(_, b)| *score > b) {
            best = Some((i, *score));
        }
    }
    best.map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_pixels_count_in_neither_map() {
        let (a, b) = ([1, 1, 255, 0], [1, 255, 1, 1]);
        assert_eq!(dice(&a, &b, 1, Some(255)), Some(2.0 / 3.0));
        assert_eq!(dice(&a, &b, 1, None), Some(2.0 / 5.0));
        assert_eq!(dice(&a, &b[..2], 1, None), None);
    }

    #[test]
    fn shares_and_winners() {
        assert_eq!(abnormal_share(1, 3), Some(0.25));
        assert_eq!(abnormal_share(0, 0), None);
        assert_eq!(class_counts(&[0, 1, 1, 9], 3), [1, 2, 0]);
        assert_eq!(top_1(&[f32::NAN, 1.0, 3.0, 3.0]), Some(2));
        assert_eq!(top_1(&[]), None);
    }
}
