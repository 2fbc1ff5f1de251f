//! Class colours.

/// Colours of classes, and their opacity over an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Palette {
    /// RGB per class; later classes begin again after class 0.
    pub colours: Vec<[u8; 3]>,
    /// 0 invisible to 1 opaque.
    pub alpha: f32,
    /// Classes that an overlay leaves as they are.
    pub transparent: Vec<u8>,
}

impl Default for Palette {
    /// Class 0 (background) transparent, then the colours of Okabe and Ito, which colour-blind people tell apart:
    /// vermilion, sky blue, yellow, bluish green, purple, orange, blue.
    fn default() -> Self {
        Self {
            colours: vec![
                [0, 0, 0],
                [213, 94, 0],
                [86, 180, 233],
                [240, 228, 66],
                [0, 158, 115],
                [204, 121, 167],
                [230, 159, 0],
                [0, 114, 178],
            ],
            alpha: 0.45,
            transparent: vec![0],
        }
    }
}

impl Palette {
    /// The colour of a class; black where there are none. Labels of 255 ("not scored") are gray.
    pub fn colour(&self, class: u8) -> [u8; 3] {
        match (self.colours.as_slice(), usize::from(class)) {
            (_, 255) => [128, 128, 128],
            ([], _) => [0, 0, 0],
            (colours, class) if class < colours.len() => colours[class],
            ([only], _) => *only,
            (colours, class) => colours[1 + (class - 1) % (colours.len() - 1)],
        }
    }

    /// A gray pixel under the colour of its class.
    pub fn blend(&self, gray: u8, class: u8) -> [u8; 3] {
        if self.transparent.contains(&class) || class == 255 {
            return [gray; 3];
        }
        let alpha = self.alpha.clamp(0.0, 1.0);
        self.colour(class).map(|c| (f32::from(gray) * (1.0 - alpha) + f32::from(c) * alpha).round() as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::Palette;

    #[test]
    fn every_class_has_a_colour_whatever_the_palette() {
        for colours in [vec![], vec![[1, 2, 3]], Palette::default().colours] {
            let palette = Palette { colours, ..Palette::default() };
            for class in 0..=255 {
                let _ = palette.blend(7, class);
            }
        }
        assert_eq!(Palette::default().colour(8), Palette::default().colour(1));
    }
}
