//! RLE lossless (PS3.5, annex G): a run-length code of each byte plane.

/// The samples of a frame, little endian, by pixel: `[h, w, c]` of `bytes` bytes each.
pub(super) fn decode(frame: &[u8], [h, w, c]: [usize; 3], bytes: usize) -> Result<Vec<u8>, String> {
    let cut = || format!("RLE: a frame of {} bytes ends within its header", frame.len());
    let (head, _) = frame.split_first_chunk::<64>().ok_or_else(cut)?;
    let words: Vec<usize> =
        head.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b).try_into().unwrap_or(usize::MAX)).collect();
    let planes = c * bytes;
    if words[0] != planes || planes > 15 {
        return Err(format!("RLE: expected {planes} byte planes, found {}", words[0]));
    }
    let mut segments = Vec::with_capacity(planes);
    for plane in 0..planes {
        let end = if plane + 1 < planes { words[plane + 2] } else { frame.len() };
        let segment = frame.get(words[plane + 1]..end).filter(|_| words[plane + 1] >= 64);
        segments.push(segment.ok_or_else(|| format!("RLE: byte plane {plane} is not within its frame"))?);
    }
    // Two bytes hold at most 128: a shorter segment cannot be whole, whatever it says.
    if segments.iter().any(|segment| segment.len() * 64 < h * w) {
        return Err(format!("RLE: {} bytes cannot hold {h}x{w}x{c} samples", frame.len()));
    }
    let mut out = vec![0; h * w * planes];
    for (plane, segment) in segments.into_iter().enumerate() {
        // The highest byte of a sample comes first.
        let to = plane / bytes * bytes + (bytes - 1 - plane % bytes);
        let mut values = out.iter_mut().skip(to).step_by(planes);
        let mut rest = segment;
        let mut missing = h * w;
        let more = || format!("RLE: byte plane {plane} has more than its {h}x{w} samples");
        while missing > 0 {
            let cut = || format!("RLE: byte plane {plane} ends before its {h}x{w} samples");
            let (code, tail) = rest.split_first().ok_or_else(cut)?;
            let (count, taken, repeat) = match code {
                0..128 => (usize::from(*code) + 1, usize::from(*code) + 1, false),
                128 => (0, 0, false),
                129.. => (257 - usize::from(*code), 1, true),
            };
            let (run, after) = tail.split_at_checked(taken).ok_or_else(cut)?;
            if count > missing {
                return Err(more());
            }
            for i in 0..count {
                if let Some(value) = values.next() {
                    *value = run[if repeat { 0 } else { i }];
                }
            }
            missing -= count;
            rest = after;
        }
        // Segments are filled up with zeros.
        if rest.iter().any(|b| *b != 0) {
            return Err(more());
        }
    }
    Ok(out)
}
