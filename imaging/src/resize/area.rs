//! Area resizing: each result pixel is the mean of the source area that it covers, as OpenCV's `INTER_AREA`.
//! Source: OpenCV, `modules/imgproc/src/resize.cpp`.

use super::Sample;

/// Resizes `[h, w, c]` to `[size[0], size[1], c]`.
///
/// On 8-bit pictures an exact half rounds to even, except when both sides are halved: then up, as OpenCV's fast path.
/// Enlarging blends at the borders of the source pixels.
pub fn area<T: Sample>(data: &[T], [h, w, c]: [usize; 3], size: [usize; 2]) -> Vec<T> {
    let rows: Vec<Vec<(usize, f32)>> = (0..size[0]).map(|i| overlaps(i, h, size[0])).collect();
    let columns: Vec<Vec<(usize, f32)>> = (0..size[1]).map(|i| overlaps(i, w, size[1])).collect();
    let half_up = h == 2 * size[0] && w == 2 * size[1];
    let mut out = Vec::with_capacity(size[0] * size[1] * c);
    for row in &rows {
        for column in &columns {
            for channel in 0..c {
                let mut sum = 0.0f32;
                for (y, wy) in row {
                    let line: f32 =
                        column.iter().map(|(x, wx)| data[(y * w + x) * c + channel].to_f32() * wx).sum();
                    sum += line * wy;
                }
                out.push(T::round(sum, half_up));
            }
        }
    }
    out
}

/// Source pixels and the share of result pixel `index` that each covers.
fn overlaps(index: usize, from: usize, to: usize) -> Vec<(usize, f32)> {
    // In units of 1 / to source pixels, so that borders are exact.
    let (start, end) = (index * from, (index + 1) * from);
    (start / to..end.div_ceil(to))
        .map(|i| {
            let covered = end.min((i + 1) * to) - start.max(i * to);
            (i, covered as f32 / from as f32)
        })
        .collect()
}
