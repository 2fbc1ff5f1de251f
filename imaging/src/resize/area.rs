//! Area resizing, to the bit that of OpenCV's `resize` with `INTER_AREA` (4.x and 5.0 agree). Source: OpenCV,
//! `modules/imgproc/src/resize.cpp`.
//!
//! It has three ways. Both sides shrunk by whole factors: the plain mean of a block. Both shrunk, or kept: the mean of the
//! covered area. As soon as one side grows, both are interpolated linearly between two pixels, with weights that blend
//! only at the borders of the source pixels; the side that shrinks then skips pixels.

use super::Sample;

/// Resizes `[h, w, c]` to `[size[0], size[1], c]`.
///
/// On 8-bit images an exact half rounds to even, except when both sides are halved: then up, as OpenCV's fast path.
pub fn area<T: Sample>(data: &[T], [h, w, c]: [usize; 3], size: [usize; 2]) -> Vec<T> {
    let mut out = Vec::with_capacity(size[0] * size[1] * c);
    let at = |y: usize, x: usize, channel: usize| data[(y * w + x) * c + channel];
    if size[0] > h || size[1] > w {
        let columns: Vec<_> = (0..size[1]).map(|x| Blend::new(x, w, size[1])).collect();
        for row in (0..size[0]).map(|y| Blend::new(y, h, size[0])) {
            for column in &columns {
                let rows = |channel| row.from.map(|y| column.from.map(|x| at(y, x, channel)));
                out.extend((0..c).map(|channel| T::mix(rows(channel), [row.weight, column.weight])));
            }
        }
    } else if h % size[0] == 0 && w % size[1] == 0 {
        let (down, across) = (h / size[0], w / size[1]);
        // The fast path is for images, of one, three or four channels.
        let halved = down == 2 && across == 2 && matches!(c, 1 | 3 | 4);
        let mut block = Vec::with_capacity(down * across);
        for i in 0..size[0] * size[1] * c {
            let (y, x, channel) = (i / c / size[1] * down, i / c % size[1] * across, i % c);
            block.clear();
            block.extend((0..down).flat_map(|dy| (0..across).map(move |dx| at(y + dy, x + dx, channel))));
            out.push(T::mean(&block, halved));
        }
    } else {
        let columns: Vec<_> = (0..size[1]).map(|x| overlaps(x, w, size[1])).collect();
        let mut sums = vec![0.0f32; size[1] * c];
        for y in 0..size[0] {
            sums.fill(0.0);
            for (row, share) in overlaps(y, h, size[0]) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let line = columns[i / c].iter();
                    let line = line.fold(0.0, |sum, (x, share)| sum + at(row, *x, i % c).to_f32() * share);
                    *sum += share * line;
                }
            }
            out.extend(sums.iter().map(|sum| T::nearest(*sum)));
        }
    }
    out
}

/// The factor of one side, with the roundings of the original: the reciprocal of a reciprocal.
fn scale(from: usize, to: usize) -> f64 {
    1.0 / (to as f64 / from as f64)
}

/// Source pixels and the share of result pixel `index` that each covers; less than a thousandth of a pixel is left out.
fn overlaps(index: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
    let scale = scale(from, to);
    let start = index as f64 * scale;
    let end = start + scale;
    let cell = scale.min(from as f64 - start);
    let last = (end.floor() as usize).min(from - 1);
    let first = (start.ceil() as usize).min(last);
    let mut shares = Vec::with_capacity(last + 2 - first);
    if first as f64 - start > 1e-3 {
        shares.push((first - 1, ((first as f64 - start) / cell) as f32));
    }
    shares.extend((first..last).map(|i| (i, (1.0 / cell) as f32)));
    if end - last as f64 > 1e-3 {
        shares.push((last, ((end - last as f64).min(1.0).min(cell) / cell) as f32));
    }
    shares
}

/// Two source pixels of a result pixel, and the weight of the second.
struct Blend {
    from: [usize; 2],
    weight: f32,
}

impl Blend {
    fn new(index: usize, from: usize, to: usize) -> Self {
        let start = (index as f64 * scale(from, to)).floor();
        let weight = ((index + 1) as f64 - (start + 1.0) * (to as f64 / from as f64)) as f32;
        let first = (start as usize).min(from - 1);
        Self {
            from: [first, (first + 1).min(from - 1)],
            weight: if weight <= 0.0 { 0.0 } else { weight - weight.floor() },
        }
    }
}
