//! Colours of a JPEG file to RGB, in the fixed point of libjpeg (`jdcolor.c`) and, for the four inks, of PIL (`Convert.c`).

/// The colour space of a file's components.
pub(super) enum Colours {
    Gray,
    Rgb,
    Ycc,
    /// As Adobe stores it: 255 is no ink.
    Cmyk,
    Ycck,
}

/// Planes to interleaved samples: gray or RGB.
pub(super) fn interleave(planes: Vec<Vec<u8>>, colours: Colours) -> (usize, Vec<u8>) {
    let pixels = |pixel: &dyn Fn([u8; 4]) -> [u8; 3]| {
        let at = |plane: usize, i: usize| planes.get(plane).map_or(0, |p| p[i]);
        let all = 0..planes[0].len();
        all.flat_map(|i| pixel([at(0, i), at(1, i), at(2, i), at(3, i)])).collect::<Vec<u8>>()
    };
    match colours {
        Colours::Gray => (1, planes.into_iter().next().unwrap_or_default()),
        Colours::Rgb => (3, pixels(&|[r, g, b, _]| [r, g, b])),
        Colours::Ycc => (3, pixels(&|[y, cb, cr, _]| ycc([y, cb, cr]))),
        Colours::Cmyk => (3, pixels(&|[c, m, y, k]| inks([c, m, y], k))),
        Colours::Ycck => (3, pixels(&|[y, cb, cr, k]| inks(ycc([y, cb, cr]).map(|v| 255 - v), k))),
    }
}

/// JFIF's YCbCr, with 16 fractional bits.
fn ycc([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let [y, cb, cr] = [i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128];
    let red = y + ((91881 * cr + HALF) >> 16);
    let green = y + ((-46802 * cr - 22554 * cb + HALF) >> 16);
    let blue = y + ((116130 * cb + HALF) >> 16);
    [red, green, blue].map(|v| v.clamp(0, 255) as u8)
}

/// Inverted inks to RGB: the light that black leaves, less the share that each ink absorbs.
fn inks(inverted: [u8; 3], black: u8) -> [u8; 3] {
    let left = u32::from(black);
    inverted.map(|v| {
        let product = u32::from(255 - v) * left + 128;
        left.saturating_sub((product + (product >> 8)) >> 8) as u8
    })
}
