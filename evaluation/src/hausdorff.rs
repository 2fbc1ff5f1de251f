//! The distance between two masks.

use crate::quantile::quantile;

/// The 95th percentile of the distances, in pixels, from each border pixel of either mask `[h, w]` to the nearest border pixel of the other: MedPy's
/// `hd95`. A pixel is of the border if a neighbour above, below, left or right is not of the mask or not of the image. `None` where a mask is empty or
/// has another size.
///
/// ```
/// use niello_evaluation::hausdorff_95;
/// let (a, b) = ([true, false, false, false], [false, false, false, true]);
/// assert_eq!(hausdorff_95(&a, &b, [1, 4]), Some(3.0));
/// assert_eq!(hausdorff_95(&a, &[false; 4], [1, 4]), None);
/// ```
pub fn hausdorff_95(a: &[bool], b: &[bool], size: [usize; 2]) -> Option<f64> {
    let count = size[0].checked_mul(size[1])?;
    if a.len() != count || b.len() != count {
        return None;
    }
    let (a, b) = (border(a, size), border(b, size));
    if !a.contains(&true) || !b.contains(&true) {
        return None;
    }
    let mut distances = vec![];
    for (from, to) in [(&a, &b), (&b, &a)] {
        let squares = squared_distances(to, size);
        let of_border = squares.iter().zip(from).filter(|(_, is_border)| **is_border);
        distances.extend(of_border.map(|(square, _)| (*square as f64).sqrt()));
    }
    distances.sort_unstable_by(f64::total_cmp);
    quantile(&distances, 0.95)
}

/// The pixels of a mask with a neighbour that is outside.
fn border(mask: &[bool], [h, w]: [usize; 2]) -> Vec<bool> {
    let inside = |y: usize, x: usize| {
        y > 0 && x > 0 && y + 1 < h && x + 1 < w && {
            let at = y * w + x;
            mask[at - 1] && mask[at + 1] && mask[at - w] && mask[at + w]
        }
    };
    mask.iter().enumerate().map(|(i, is_set)| *is_set && !inside(i / w, i % w)).collect()
}

/// Squared distance of each pixel to the nearest one that is set, exactly, by the method of Meijster, Roerdink and Hesselink (2000).
fn squared_distances(set: &[bool], [h, w]: [usize; 2]) -> Vec<i64> {
    // Farther than any pixel, so that columns without a set pixel never win.
    let far = (h + w) as i64;
    let mut column = vec![far; h * w];
    for x in 0..w {
        let mut distance = far;
        for y in (0..h).chain((0..h).rev()) {
            distance = if set[y * w + x] { 0 } else { (distance + 1).min(far) };
            let at = &mut column[y * w + x];
            *at = distance.min(*at);
        }
    }
    let mut squares = vec![0; h * w];
    // Columns whose parabolas form the lower envelope, and where each begins.
    let (mut sites, mut starts) = (vec![0i64; w], vec![0i64; w]);
    for (row, squares) in column.chunks(w).zip(squares.chunks_mut(w)) {
        let value = |site: i64, x: i64| (x - site).pow(2) + row[site as usize].pow(2);
        let mut last = 0;
        (sites[0], starts[0]) = (0, 0);
        for x in 1..w as i64 {
            while last > 0 && value(sites[last], starts[last]) > value(x, starts[last]) {
                last -= 1;
            }
            let site = sites[last];
            if value(site, starts[last]) > value(x, starts[last]) {
                (sites[0], starts[0]) = (x, 0);
                continue;
            }
            let numerator = x * x - site * site + row[x as usize].pow(2) - row[site as usize].pow(2);
            let start = 1 + numerator.div_euclid(2 * (x - site));
            if start < w as i64 {
                last += 1;
                (sites[last], starts[last]) = (x, start);
            }
        }
        for x in (0..w as i64).rev() {
            squares[x as usize] = value(sites[last], x);
            if x == starts[last] && last > 0 {
                last -= 1;
            }
        }
    }
    squares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn distances_are_those_to_the_nearest_pixel(h in 1usize..9, w in 1usize..9, bits: u128) {
            let set: Vec<bool> = (0..h * w).map(|i| bits >> i & 1 == 1 && i % 3 != 1).collect();
            prop_assume!(set.contains(&true));
            let nearest = |i: usize| {
                let square = |j: usize| (i / w).abs_diff(j / w).pow(2) + (i % w).abs_diff(j % w).pow(2);
                (0..h * w).filter(|j| set[*j]).map(square).min().unwrap() as i64
            };
            let expected: Vec<i64> = (0..h * w).map(nearest).collect();
            prop_assert_eq!(squared_distances(&set, [h, w]), expected);
        }
    }
}
