//! Drawings that a page shows in its own colours, and that are files of their own too.

use super::escaped;
use niello_codegen::{Error, Result};
use plotters::{
    coord::Shift,
    prelude::{DrawingArea, IntoDrawingArea, RGBColor, SVGBackend},
    style::TextStyle,
};

/// The colour of words and axes: `currentColor`, whatever that is. No plot has this one for itself.
pub(super) const INK: RGBColor = RGBColor(1, 2, 3);
/// [`INK`], as the plotting crate writes it.
const INK_WRITTEN: &str = "#010203";

/// Orange, of what is cut off and of bounds; blue, of what is measured; green, of ranges: three of Okabe and Ito's.
pub(super) const ORANGE: RGBColor = RGBColor(213, 94, 0);
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);

/// An SVG without its outermost tag.
pub(crate) struct Picture {
    inside: String,
    size: [u32; 2],
    label: String,
}

/// The ground of a plot.
pub(super) type Ground<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What drawing ends with.
pub(super) type Drawn = std::result::Result<(), Box<dyn std::error::Error>>;

/// Small words.
pub(super) fn words() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", 10)).color(&INK)
}

impl Picture {
    /// From elements of SVG; colours are `currentColor`, or such as can be seen on white and on black.
    pub(super) fn new(inside: String, size: [u32; 2], label: &str) -> Self {
        Self { inside, size, label: label.into() }
    }

    /// By the plotting crate.
    ///
    /// # Errors
    /// What that crate reports.
    pub(super) fn plot(size: [u32; 2], label: &str, draw: impl FnOnce(&Ground<'_>) -> Drawn) -> Result<Self> {
        let mut svg = String::new();
        let ground = SVGBackend::with_string(&mut svg, size.into()).into_drawing_area();
        let drawn = draw(&ground).and_then(|()| Ok(ground.present()?));
        drawn.map_err(|e| Error::Invalid(format!("cannot draw {label}: {e}")))?;
        drop(ground);
        let inside = svg.split_once('>').map_or("", |(_, inside)| inside).trim();
        let inside = inside.strip_suffix("</svg>").unwrap_or(inside).replace(INK_WRITTEN, "currentColor");
        Ok(Self::new(inside, size, label))
    }

    /// For a page.
    pub(crate) fn inline(&self) -> String {
        let ([w, h], label) = (self.size, escaped(&self.label));
        let inside = &self.inside;
        format!(
            "<svg width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" role=\"img\" aria-label=\"{label}\">{inside}</svg>"
        )
    }

    /// A whole file, on white.
    pub(crate) fn file(&self) -> String {
        let ([w, h], label) = (self.size, escaped(&self.label));
        let inside = &self.inside;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" style=\"background: #fff; color: #1a1a1a\">\
             <title>{label}</title><style>text {{ fill: currentColor; font: 10px system-ui, sans-serif }}</style>{inside}</svg>\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotters::prelude::{Rectangle, Text};

    #[test]
    fn a_plot_takes_the_colours_of_its_page() {
        let picture = Picture::plot([40, 20], "a \"<label>\"", |ground| {
            ground.draw(&Text::new("a & b", (3, 4), words()))?;
            Ok(ground.draw(&Rectangle::new([(0, 0), (9, 9)], INK))?)
        });
        let picture = picture.unwrap();
        let inline = picture.inline();
        assert!(inline.starts_with("<svg width=\"40\" height=\"20\" viewBox=\"0 0 40 20\" role=\"img\""));
        assert!(inline.contains("aria-label=\"a &quot;&lt;label&gt;&quot;\"") && inline.ends_with("</svg>"));
        assert!(inline.contains("a &amp; b") && inline.contains("stroke=\"currentColor\""), "{inline}");
        assert!(!inline.contains(INK_WRITTEN) && !inline.contains("http"));
        assert_eq!(inline.matches("svg").count(), 2);
        assert!(picture.file().contains("xmlns=") && picture.file().contains("<title>a &quot;"));
    }
}
