//! Left and right lung, by where voxels lie in the patient.

use super::Geometry;

/// The patient's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The patient's right.
    Right,
    /// The patient's left.
    Left,
}

/// The most of a connected part that may lie across the plane between the lungs while the part still belongs to one lung.
const ACROSS: f64 = 0.05;

/// The most voxels on the plane between the lungs, as a share of those on the fullest sagittal plane of either side.
const BETWEEN: f64 = 0.5;

/// The lung that each voxel belongs to; `lung` says which voxels are lung, `[slices, rows, columns]`.
///
/// The plane between the lungs is the sagittal plane with the fewest voxels of lung, among those in the middle third of the lungs' extent
/// from right to left; the middle one where several have equally few. A part of the lungs, voxels that touch by a face, belongs to the side on which
/// it lies; one of which more than 5 % lies on either side, as where both lungs touch, is cut at the plane.
///
/// `None` if the lungs cannot be told apart: there is no lung, the number of values is not that of the voxels, or the plane has half
/// as many voxels as the fullest plane of either side, as within a single lung.
pub fn lung_sides(geometry: &Geometry, lung: &[bool]) -> Option<Vec<Option<Side>>> {
    if lung.len() != geometry.count() {
        return None;
    }
    let [_, h, w] = geometry.size;
    let to_left = |i: usize| geometry.place([i / (h * w), i / w % h, i % w])[0];
    let middle = plane_between(geometry, lung, &to_left)?;
    let side = |i: usize| if to_left(i) > middle { Side::Left } else { Side::Right };
    let mut sides: Vec<Option<Side>> = vec![None; lung.len()];
    let mut part: Vec<usize> = vec![];
    for start in (0..lung.len()).filter(|i| lung[*i]) {
        if sides[start].is_some() {
            continue;
        }
        // Every voxel of the part gets a side when it is found, which says that it was.
        part.clear();
        part.push(start);
        sides[start] = Some(side(start));
        let mut next = 0;
        while let Some(at) = part.get(next).copied() {
            next += 1;
            for neighbour in neighbours(geometry.size, at).into_iter().flatten() {
                if lung[neighbour] && sides[neighbour].is_none() {
                    sides[neighbour] = Some(side(neighbour));
                    part.push(neighbour);
                }
            }
        }
        let left = part.iter().filter(|i| sides[**i] == Some(Side::Left)).count() as f64 / part.len() as f64;
        let whole = match left {
            _ if left <= ACROSS => Some(Side::Right),
            _ if left >= 1.0 - ACROSS => Some(Side::Left),
            _ => None,
        };
        if whole.is_some() {
            part.iter().for_each(|i| sides[*i] = whole);
        }
    }
    Some(sides)
}

/// The voxels that share a face with one.
fn neighbours([n, h, w]: [usize; 3], at: usize) -> [Option<usize>; 6] {
    let [slice, row, column] = [at / (h * w), at / w % h, at % w];
    [
        (column > 0).then(|| at - 1),
        (column + 1 < w).then_some(at + 1),
        (row > 0).then(|| at - w),
        (row + 1 < h).then_some(at + w),
        (slice > 0).then(|| at - h * w),
        (slice + 1 < n).then_some(at + h * w),
    ]
}

/// Where the plane between the lungs is, in mm to the left.
fn plane_between(geometry: &Geometry, lung: &[bool], to_left: &impl Fn(usize) -> f64) -> Option<f64> {
    let voxels = || (0..lung.len()).filter(|i| lung[*i]);
    let (first, last) = voxels().map(to_left).fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
    // Planes are as far apart as voxels along the axis that runs most from right to left.
    let step = (0..3).map(|i| geometry.spacing[i] * geometry.axes[i][0].abs()).fold(0.0, f64::max);
    let bins = ((last - first) / step + 1.5).floor();
    if !(3.0..1e6).contains(&bins) {
        return None;
    }
    let mut counts = vec![0usize; bins as usize];
    voxels().for_each(|i| counts[((to_left(i) - first) / step).round() as usize] += 1);
    let third = counts.len() / 3;
    let range = third..counts.len() - third;
    let fewest = *counts[range.clone()].iter().min()?;
    let planes: Vec<usize> = range.filter(|i| counts[*i] == fewest).collect();
    let plane = planes[planes.len() / 2];
    let fullest = |side: &[usize]| side.iter().max().copied().unwrap_or(0) as f64;
    let sides = [fullest(&counts[..plane]), fullest(&counts[plane + 1..])];
    let is_between = sides.iter().all(|side| (fewest as f64) < BETWEEN * side);
    is_between.then_some(first + plane as f64 * step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slice of one row, columns to the left or to the right.
    fn sides(text: &str, mirrored: bool) -> Option<String> {
        let lung: Vec<bool> = text.bytes().map(|b| b == b'#').collect();
        let way = if mirrored { -1.0 } else { 1.0 };
        let edges = [[0.0, 0.0, 2.0], [0.0, 0.5, 0.0], [0.7 * way, 0.0, 0.0]];
        let rows = 5;
        let geometry = Geometry::new([1, rows, text.len()], edges, [-30.0, 0.0, 4.0]).unwrap();
        let sides = lung_sides(&geometry, &lung.repeat(rows))?;
        let letter = |side: &Option<Side>| side.map_or('.', |s| if s == Side::Left { 'L' } else { 'R' });
        Some(sides[..text.len()].iter().map(letter).collect())
    }

    #[test]
    fn sides_follow_from_places_not_from_columns() {
        assert_eq!(sides(".####..###.", false).unwrap(), ".RRRR..LLL.");
        assert_eq!(sides(".####..###.", true).unwrap(), ".LLLL..RRR.");
        // A single lung, none, and two columns.
        assert_eq!(sides("..#########", false), None);
        assert_eq!(sides("...........", false), None);
        assert_eq!(sides("....##.....", false), None);
    }

    #[test]
    fn lungs_that_touch_are_cut_and_others_are_whole() {
        let rows = ["######..#####", "######..#####", "######..#####", "############."];
        let of = |rows: &[&str]| {
            let lung: Vec<bool> = rows.concat().bytes().map(|b| b == b'#').collect();
            let edges = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
            let geometry = Geometry::new([1, rows.len(), 13], edges, [0.0; 3]).unwrap();
            let sides = lung_sides(&geometry, &lung).unwrap();
            let count = |side| sides.iter().filter(|s| **s == Some(side)).count();
            assert_eq!(count(Side::Left) + count(Side::Right), lung.iter().filter(|l| **l).count());
            [count(Side::Right), count(Side::Left)]
        };
        // The plane is column 7, the second of two with one voxel each.
        assert_eq!(of(&rows), [18 + 8, 15 + 4]);
        // A tongue of the right lung across the plane stays with it.
        let tongue = ["######..#####"; 12].map(String::from);
        let mut tongue: Vec<String> = tongue.into();
        tongue.push("##########..#".into());
        let tongue: Vec<&str> = tongue.iter().map(String::as_str).collect();
        let mut apart = tongue.clone();
        apart.insert(12, "######.......");
        assert_eq!(of(&apart), [12 * 6 + 6 + 10, 12 * 5 + 1]);
    }
}
