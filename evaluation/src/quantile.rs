//! Quantiles by linear interpolation: numpy's default, type 7 of Hyndman and Fan (1996).

/// The quantile of sorted values; `None` if there are none.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    weighted(sorted.len() as u64, [q], sorted.iter().map(|value| (*value, 1))).map(|[value]| value)
}

/// Quantiles, in rising order, of sorted values that each occur so often; `total` is the sum of the counts. `None` where that is 0.
pub(crate) fn weighted<const N: usize>(
    total: u64,
    quantiles: [f64; N],
    sorted: impl Iterator<Item = (f64, u32)>,
) -> Option<[f64; N]> {
    if total == 0 {
        return None;
    }
    let places = quantiles.map(|q| q * (total - 1) as f64);
    // The values on both sides of each place, in rising order.
    let mut found = [[0.0; 2]; N];
    let wanted = places.iter().flat_map(|place| [place.floor() as u64, place.ceil() as u64]);
    let mut open = found.as_flattened_mut().iter_mut().zip(wanted).peekable();
    let mut passed = 0u64;
    for (value, count) in sorted {
        passed += u64::from(count);
        while let Some((found, _)) = open.next_if(|(_, wanted)| *wanted < passed) {
            *found = value;
        }
        if open.peek().is_none() {
            break;
        }
    }
    Some(std::array::from_fn(|i| between(found[i][0], found[i][1], places[i].fract())))
}

/// As numpy rounds it.
fn between(low: f64, high: f64, t: f64) -> f64 {
    if t >= 0.5 { high - (high - low) * (1.0 - t) } else { low + (high - low) * t }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_for_repeated_values() {
        let repeated = [1.0, 1.0, 1.0, 2.5, 7.0, 7.0];
        let counted = [(1.0, 3), (2.0, 0), (2.5, 1), (7.0, 2)];
        let found = weighted(6, [0.1, 0.5, 0.75, 1.0], counted.into_iter()).unwrap();
        assert_eq!(Some(found[1]), quantile(&repeated, 0.5));
        assert_eq!(found, [1.0, 1.75, 5.875, 7.0]);
        assert_eq!(quantile(&[], 0.5), None);
    }
}
