//! Chroma at the size of luma, as libjpeg-turbo's `jdsample.c`: interpolated between the two nearest samples of each side
//! ("fancy upsampling"), repeated where a factor is not 2 or a line is at most two samples long.

use super::Sample;

/// The samples `size` of a plane with rows of `width`, enlarged by whole `factors` and cut to `full`.
pub(super) fn upsample<T: Sample>(
    samples: &[T],
    width: usize,
    size: [usize; 2],
    factors: [usize; 2],
    full: [usize; 2],
) -> Vec<T> {
    let row = |y: usize| &samples[y * width..][..size[1]];
    let wide = size[1] > 2;
    let mut out = Vec::with_capacity(full[0] * full[1]);
    for y in 0..full[0] {
        let near = y / factors[0];
        // The row on the other side of this one; beyond the image the last row again.
        let far = if y % 2 == 0 { near.saturating_sub(1) } else { (near + 1).min(size[0] - 1) };
        let sums = || row(near).iter().zip(row(far)).map(|(near, far)| 3 * (*near).into() + (*far).into());
        let at = out.len();
        match factors {
            [1, 2] if wide => across(row(near).iter().map(|v| (*v).into()), 1, [1, 2], &mut out),
            [2, 2] if wide => across(sums(), 4, [8, 7], &mut out),
            [2, 1] => out.extend(sums().map(|sum| T::of((sum + 1 + y as u32 % 2) >> 2))),
            [_, h] => out.extend(row(near).iter().flat_map(|v| std::iter::repeat_n(*v, h))),
        }
        out.truncate(at + full[1]);
    }
    out
}

/// Two results for each value: three quarters of it and a quarter of its neighbour on that side, over `unit`; `bias` rounds the
/// left and the right one.
fn across<T: Sample>(line: impl Iterator<Item = u32>, unit: u32, bias: [u32; 2], out: &mut Vec<T>) {
    let line: Vec<u32> = line.collect();
    let last = line.len() - 1;
    for (x, value) in line.iter().enumerate() {
        for (side, bias) in bias.into_iter().enumerate() {
            let neighbour = line[if side == 0 { x.saturating_sub(1) } else { (x + 1).min(last) }];
            out.push(T::of((3 * value + neighbour + bias) / (4 * unit)));
        }
    }
}
