//! The size and the crop of ImageNet's evaluation, as torchvision's `Resize(n)` and `CenterCrop`.

/// The size of a `[h, w]` image once it is resized to cover `wanted` with its proportions kept: the side that needs
/// the larger factor gets its wanted length, the other is truncated to a whole number, as `Resize` does. For a square
/// that is: the shorter side gets the wanted length.
pub fn cover([h, w]: [usize; 2], wanted: [usize; 2]) -> [usize; 2] {
    if h * wanted[1] <= w * wanted[0] {
        [wanted[0], (wanted[0] * w / h).max(wanted[1])]
    } else {
        [(wanted[1] * h / w).max(wanted[0]), wanted[1]]
    }
}

/// The middle `[size[0], size[1], c]` of an `[h, w, c]` image at least that large; a margin of an odd number of
/// pixels is split as Python's `round` does, half to even.
pub fn centre_crop<T: Copy>(data: &[T], [h, w, c]: [usize; 3], size: [usize; 2]) -> Vec<T> {
    let margin = |from: usize, to: usize| (from.saturating_sub(to) as f64 / 2.0).round_ties_even() as usize;
    let (top, left) = (margin(h, size[0]), margin(w, size[1]));
    data.chunks_exact(w * c)
        .skip(top)
        .take(size[0])
        .flat_map(|row| &row[left * c..((left + size[1]) * c).min(row.len())])
        .copied()
        .collect()
}
