//! Sizes of what windows and kernels make of an image.

/// The largest size, step or margin: positions fit 32 bits with their sign.
const LARGEST: usize = i32::MAX as usize;

/// Whether every one of `values` is from 1 to [`LARGEST`].
fn are_positive(values: &[usize]) -> bool {
    values.iter().all(|value| (1..=LARGEST).contains(value))
}

/// The output size of a convolution along one axis.
///
/// ```text
/// out = floor((size + before + after - (dilation * (kernel - 1) + 1)) / stride) + 1
/// ```
pub(super) fn convolved(
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    [before, after]: [usize; 2],
) -> Result<usize, String> {
    if !are_positive(&[kernel, stride, dilation]) {
        return Err(format!(
            "expected a kernel, stride and dilation of 1 or more, got {kernel}, {stride}, {dilation}"
        ));
    }
    let span = dilation.checked_mul(kernel - 1).map(|reach| reach + 1).filter(|span| *span <= LARGEST);
    let padded =
        size.checked_add(before).and_then(|all| all.checked_add(after)).filter(|all| *all <= LARGEST);
    let rest = padded.zip(span).and_then(|(padded, span)| padded.checked_sub(span));
    let fits = rest.filter(|_| size > 0).map(|rest| rest / stride + 1);
    fits.ok_or_else(|| {
        let span = span.map_or("too many".into(), |span| span.to_string());
        format!("kernel of {span} pixels does not fit {size} with a padding of {before} and {after}")
    })
}

/// The output size of a transposed convolution along one axis.
///
/// ```text
/// out = (size - 1) * stride + kernel + more - before - after
/// ```
pub(super) fn spread(
    size: usize,
    kernel: usize,
    stride: usize,
    more: usize,
    [before, after]: [usize; 2],
) -> Result<usize, String> {
    if !are_positive(&[kernel, stride]) {
        return Err(format!("expected a kernel and stride of 1 or more, got {kernel}, {stride}"));
    }
    let whole = size.checked_sub(1).and_then(|steps| steps.checked_mul(stride));
    let whole = whole.and_then(|whole| whole.checked_add(kernel)?.checked_add(more));
    let left = whole.and_then(|whole| whole.checked_sub(before)?.checked_sub(after));
    left.filter(|out| are_positive(&[*out])).ok_or_else(|| {
        format!("padding of {before} and {after} leaves nothing of {size} pixels, or they are too many")
    })
}

/// The part of `0..size` that window `index` covers.
pub(super) fn window(
    index: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    size: usize,
) -> std::ops::Range<usize> {
    let start = index * stride;
    start.saturating_sub(padding)..(start + kernel).saturating_sub(padding).min(size)
}

/// The pixels of `0..size` that window `index` looks at, `dilation` pixels apart, with `before` pixels of padding.
pub(super) fn cells(
    index: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    size: usize,
) -> impl Iterator<Item = usize> + Clone {
    let padded = (0..kernel).map(move |tap| index * stride + tap * dilation);
    padded.filter_map(move |at| at.checked_sub(before)).filter(move |at| *at < size)
}

/// The output size of a pooling axis: PyTorch's (`pooling_output_shape` of ATen) and that of ONNX.
///
/// ```text
/// span = dilation * (kernel - 1) + 1
/// out = floor((size + before + after - span + (stride - 1 in ceil mode, else 0)) / stride) + 1
/// ```
///
/// In ceil mode the last window goes if it would start behind the image and the padding before it. A map smaller than the
/// window is allowed there, as long as one window remains. Padding must be less than the window, so that every window has a pixel.
pub(super) fn pooled(
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    [before, after]: [usize; 2],
    ceil: bool,
) -> Result<usize, String> {
    let refuse = || {
        let padding = if before == after { before.to_string() } else { format!("{before} and {after}") };
        let apart = if dilation == 1 { String::new() } else { format!(", dilation {dilation}") };
        format!("window of {kernel}, stride {stride}, padding {padding}{apart} does not fit {size} pixels")
    };
    if !are_positive(&[size, kernel, stride, dilation]) || before >= LARGEST || after >= LARGEST {
        return Err(refuse());
    }
    let span = dilation.checked_mul(kernel - 1).map(|reach| reach + 1).filter(|span| *span <= LARGEST);
    let span = span.filter(|span| before < *span && after < *span).ok_or_else(refuse)?;
    // Pixels of a window would lie on both sides of the image.
    if size < dilation && before > 0 {
        return Err(refuse());
    }
    // The `+ 1` of the formula is one more stride in the numerator, so that nothing goes below zero before the check.
    let reach = [before, after, stride, if ceil { stride - 1 } else { 0 }];
    let reach = reach.iter().try_fold(size, |sum, more| sum.checked_add(*more)).ok_or_else(refuse)?;
    let mut out = reach.checked_sub(span).ok_or_else(refuse)? / stride;
    if ceil && out > 0 && (out - 1) as u64 * stride as u64 >= (size + before) as u64 {
        out -= 1;
    }
    if out == 0 { Err(refuse()) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_and_what_overflows_are_refused_on_every_axis() {
        assert_eq!(convolved(7, 3, 2, 1, [1, 1]), Ok(4));
        assert_eq!(spread(4, 3, 2, 1, [1, 1]), Ok(8));
        assert_eq!(pooled(7, 3, 2, 1, [1, 1], false), Ok(4));
        for bad in [0, LARGEST + 1, usize::MAX] {
            for (kernel, stride, dilation) in [(bad, 1, 1), (1, bad, 1), (1, 1, bad)] {
                assert!(
                    convolved(7, kernel, stride, dilation, [0, 0]).is_err(),
                    "{kernel} {stride} {dilation}"
                );
            }
            for (kernel, stride) in [(bad, 1), (1, bad)] {
                assert!(spread(7, kernel, stride, 0, [0, 0]).is_err(), "{kernel} {stride}");
                assert!(pooled(7, kernel, stride, 1, [0, 0], true).is_err(), "{kernel} {stride}");
            }
            assert!(convolved(bad, 1, 1, 1, [0, 0]).is_err());
            assert!(spread(bad, 1, 1, 0, [0, 0]).is_err());
            assert!(pooled(bad, 1, 1, 1, [0, 0], false).is_err());
            assert!(pooled(7, 2, 1, bad, [0, 0], false).is_err());
        }
        for margin in [LARGEST, usize::MAX] {
            assert!(convolved(7, 1, 1, 1, [margin, 1]).is_err());
            assert!(convolved(7, 1, 1, 1, [1, margin]).is_err());
            assert!(spread(7, 1, 1, margin, [0, 0]).is_err());
            assert!(pooled(7, 3, 1, 1, [margin, 0], false).is_err());
            assert!(pooled(7, 3, 1, 1, [0, margin], false).is_err());
        }
        assert!(convolved(7, LARGEST, 1, LARGEST, [0, 0]).is_err());
        assert!(spread(LARGEST, 1, LARGEST, 0, [0, 0]).is_err());
    }

    /// The sizes that a literal transcription of PyTorch's and ONNX's formula, in signed numbers, gives for many more; every window has a pixel.
    #[test]
    fn pooled_sizes_follow_the_documented_formula_everywhere() {
        for case in 0..12 * 6 * 4 * 3 * 36i64 {
            let digit = |below: i64, unit: i64| case / unit % below;
            let (size, kernel, stride, dilation) =
                (digit(12, 1), digit(6, 12), digit(4, 72) + 1, digit(3, 288) + 1);
            let (before, after, span) = (digit(6, 864), digit(6, 5184), dilation * (kernel - 1) + 1);
            for ceil in [false, true] {
                let more = if ceil { stride - 1 } else { 0 };
                let mut out = (size + before + after - span + more).div_euclid(stride) + 1;
                if ceil && (out - 1) * stride >= size + before {
                    out -= 1;
                }
                let refused = size == 0 || kernel == 0 || before.max(after) >= span;
                if refused || size < dilation && before > 0 {
                    out = 0;
                }
                let [size, kernel, stride, dilation, before, after] =
                    [size, kernel, stride, dilation, before, after].map(|d| d as usize);
                let found = pooled(size, kernel, stride, dilation, [before, after], ceil).unwrap_or(0);
                let what = format!("{size} {kernel} {stride} {dilation} {before} {after} {ceil}");
                assert_eq!(found as i64, out.max(0), "{what}");
                for index in 0..found {
                    assert!(
                        cells(index, kernel, stride, dilation, before, size).next().is_some(),
                        "{what}: {index}"
                    );
                }
            }
        }
    }
}
