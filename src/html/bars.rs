//! Bars of layers, a line each, as a file: a page has them in its tables.

use super::picture::{BLUE, INK, ORANGE, Picture, words};
use niello_codegen::Result;
use plotters::prelude::{Color, PathElement, RGBColor, Rectangle, Text};

/// A line: a name, and one or two bars with their words.
pub(crate) type Line = (String, Vec<(f64, String)>);

/// Pixels of a line, of the longest bar, of names.
const LINE: i32 = 14;
const LONGEST: f64 = 420.0;
const NAMES: i32 = 230;
/// Letters that have room among the names.
const LETTERS: usize = 40;
/// Colours of the first bar and of the second.
const COLOURS: [RGBColor; 2] = [BLUE, ORANGE];

/// The bars; `of` names what the first one and the second one show.
pub(crate) fn bars(label: &str, of: &[&str], lines: &[Line]) -> Result<Picture> {
    let values = lines.iter().flat_map(|(_, bars)| bars).map(|(value, _)| *value);
    let most = values.filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let thick = (LINE - 2) / of.len().max(1) as i32;
    let size = [(NAMES + LONGEST as i32 + 90) as u32, (LINE * (lines.len() as i32 + 2)) as u32];
    Picture::plot(size, label, |ground| {
        for (i, (name, colour)) in of.iter().zip(COLOURS).enumerate() {
            let x = NAMES + 160 * i as i32;
            ground.draw(&Rectangle::new([(x, 3), (x + 9, 12)], colour.filled()))?;
            ground.draw(&Text::new(name.to_string(), (x + 14, 2), words()))?;
        }
        for (i, (name, bars)) in lines.iter().enumerate() {
            let y = LINE * (i as i32 + 1) + 4;
            let name = match name.char_indices().nth(LETTERS) {
                Some((at, _)) => format!("{}…", &name[..at]),
                None => name.clone(),
            };
            ground.draw(&Text::new(name, (4, y), words()))?;
            for (k, ((value, text), colour)) in bars.iter().zip(COLOURS).enumerate() {
                let (top, long) = (y + k as i32 * thick, (LONGEST * (value / most).clamp(0.0, 1.0)) as i32);
                let corners = [(NAMES, top), (NAMES + long, top + thick)];
                ground.draw(&Rectangle::new(corners, colour.filled()))?;
                if k == 0 {
                    ground.draw(&Text::new(text.clone(), (NAMES + LONGEST as i32 + 6, y), words()))?;
                }
            }
        }
        let axis = vec![(NAMES, LINE), (NAMES, LINE * (lines.len() as i32 + 1) + 4)];
        Ok(ground.draw(&PathElement::new(axis, INK.mix(0.5)))?)
    })
}
