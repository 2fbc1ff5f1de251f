//! Letters on an RGB image, from a font of 8x8 pixels, enlarged.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};

/// Side of a letter before it is enlarged.
pub(super) const SIDE: usize = 8;

/// An RGB image that is drawn on.
pub(super) struct Canvas {
    pub(super) rgb: Vec<u8>,
    pub(super) h: usize,
    pub(super) w: usize,
}

impl Canvas {
    /// One colour all over.
    pub(super) fn new([h, w]: [usize; 2], colour: [u8; 3]) -> Self {
        Self { rgb: colour.repeat(h * w), h, w }
    }

    /// Blends `colour` over a pixel; outside nothing happens.
    fn mix(&mut self, y: usize, x: usize, colour: [u8; 3], alpha: f32) {
        if y >= self.h || x >= self.w {
            return;
        }
        let at = (y * self.w + x) * 3;
        for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour) {
            *old = (f32::from(*old) * (1.0 - alpha) + f32::from(new) * alpha).round() as u8;
        }
    }

    /// A filled rectangle.
    pub(super) fn fill(&mut self, [y, x]: [usize; 2], [h, w]: [usize; 2], colour: [u8; 3]) {
        (y..y + h).for_each(|y| (x..x + w).for_each(|x| self.mix(y, x, colour, 1.0)));
    }

    /// A line of text, its top left at `[y, x]`, letters `SIDE * scale` high. Edges are smooth: the letters' pixels are taken as samples
    /// that are interpolated bilinearly, and values above one half are ink.
    pub(super) fn text(&mut self, [y, x]: [usize; 2], text: &str, scale: usize, colour: [u8; 3]) {
        for (i, letter) in text.chars().enumerate() {
            let rows = glyph(letter);
            let left = x + i * SIDE * scale;
            for dy in 0..SIDE * scale {
                for dx in 0..SIDE * scale {
                    let ink = coverage(&rows, dy, dx, scale);
                    if ink > 0.0 {
                        self.mix(y + dy, left + dx, colour, ink);
                    }
                }
            }
        }
    }
}

/// Pixels of a text in a row.
pub(super) fn width(text: &str, scale: usize) -> usize {
    text.chars().count() * SIDE * scale
}

/// The text, or its beginning with two dots behind it, in at most `pixels` pixels.
pub(super) fn fitted(text: &str, scale: usize, pixels: usize) -> String {
    let letters = pixels / (SIDE * scale);
    if text.chars().count() <= letters {
        return text.into();
    }
    let kept: String = text.chars().take(letters.saturating_sub(2)).collect();
    format!("{}..", kept.trim_end())
}

/// Rows of a letter, the lowest bit on the left. Unknown letters are a question mark.
fn glyph(letter: char) -> [u8; SIDE] {
    let find = |c| BASIC_FONTS.get(c).or_else(|| LATIN_FONTS.get(c)).or_else(|| GREEK_FONTS.get(c));
    find(letter).or_else(|| find('?')).unwrap_or_default()
}

/// The share of ink in an enlarged pixel.
fn coverage(rows: &[u8; SIDE], dy: usize, dx: usize, scale: usize) -> f32 {
    if scale == 1 {
        return f32::from(rows[dy] >> dx & 1);
    }
    let bit = |y: isize, x: isize| {
        let inside = (0..SIDE as isize).contains(&y) && (0..SIDE as isize).contains(&x);
        if inside { f32::from(rows[y as usize] >> x & 1) } else { 0.0 }
    };
    // Four points in each pixel.
    let mut ink = 0.0;
    for (sy, sx) in [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)] {
        let place = |d: usize, s: f32| (d as f32 + s) / scale as f32 - 0.5;
        let (y, x) = (place(dy, sy), place(dx, sx));
        let (top, left) = (y.floor(), x.floor());
        let (fy, fx) = (y - top, x - left);
        let (top, left) = (top as isize, left as isize);
        let value = bit(top, left) * (1.0 - fy) * (1.0 - fx)
            + bit(top, left + 1) * (1.0 - fy) * fx
            + bit(top + 1, left) * fy * (1.0 - fx)
            + bit(top + 1, left + 1) * fy * fx;
        ink += if value >= 0.42 { 0.25 } else { 0.0 };
    }
    ink
}

#[cfg(test)]
mod tests {
    use super::{Canvas, fitted, glyph, width};

    #[test]
    fn letters_have_ink_and_unknown_ones_are_a_question_mark() {
        for letter in "AZaz09%()äéßµ".chars() {
            assert!(glyph(letter).iter().any(|row| *row != 0), "{letter}");
        }
        assert_eq!(glyph('肺'), glyph('?'));
        assert_eq!(glyph(' '), [0; 8]);
    }

    #[test]
    fn text_stays_within_its_letters() {
        for scale in [1, 2, 3] {
            let mut canvas = Canvas::new([8 * scale + 2, width("lung", scale) + 2], [0; 3]);
            canvas.text([1, 1], "lung", scale, [255; 3]);
            let lit = canvas.rgb.chunks(3).filter(|p| p[0] > 0).count();
            assert!(lit > 40 * scale, "{lit}");
            let (h, w) = (canvas.h, canvas.w);
            let edge = |y: usize, x: usize| y == 0 || x == 0 || y == h - 1 || x == w - 1;
            let outside = (0..h * w).filter(|i| edge(i / w, i % w));
            assert!(outside.into_iter().all(|i| canvas.rgb[3 * i] == 0));
            // Past the end nothing is drawn, and nothing panics.
            canvas.text([h, w], "far", scale, [255; 3]);
        }
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(fitted("normal lung", 2, 176), "normal lung");
        assert_eq!(fitted("normal lung", 2, 175), "normal l..");
        assert_eq!(fitted("normal lung", 2, 160), "normal l..");
        assert_eq!(fitted("normal lung", 1, 0), "..");
    }
}
