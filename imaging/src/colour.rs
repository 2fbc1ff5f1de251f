//! From colour to gray.

/// Luma of interleaved RGB, ITU-R 601: `round(0.299 R + 0.587 G + 0.114 B)` in 16-bit fixed point, bit for bit PIL's
/// `convert("L")` (Pillow, `libImaging/Convert.c`, `L24`).
pub(crate) fn luma(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3)
        .map(|p| {
            let sum = u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000;
            (sum >> 16) as u8
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::luma;

    #[test]
    fn equal_channels_keep_their_value() {
        for v in 0..=255 {
            assert_eq!(luma(&[v, v, v]), [v]);
        }
    }

    #[test]
    fn primaries_are_as_in_pil() {
        assert_eq!(luma(&[255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 200, 30]), [76, 150, 29, 124]);
    }
}
