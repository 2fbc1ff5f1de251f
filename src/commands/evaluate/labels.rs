//! What names and values of the data mean: classes.

use niello_codegen::{Error, Result};
use niello_imaging::{Image, Palette, Samples};
use std::collections::{BTreeMap, BTreeSet};

/// A pixel that is not scored.
pub(super) const NOT_SCORED: u8 = 255;

/// The class of a name, or that it is not to be scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Class(usize),
    NotScored,
}

/// Names of classes, those of the network and those of the data.
pub(super) struct Labels {
    classes: Vec<String>,
    given: BTreeMap<String, Meaning>,
}

impl Labels {
    /// The network's classes, and what `--map` says.
    pub(super) fn new(classes: Vec<String>, map: &[String]) -> Result<Self> {
        let mut labels = Self { classes, given: BTreeMap::new() };
        for text in map {
            let Some((name, class)) = text.split_once('=') else {
                return Err(Error::Invalid(format!("--map {text}: expected NAME=CLASS")));
            };
            let meaning = match class {
                "-" => Some(Meaning::NotScored),
                _ => labels.named(class).or_else(|| labels.index(class)).map(Meaning::Class),
            };
            let Some(meaning) = meaning else {
                let known = labels.known();
                return Err(Error::Invalid(format!("--map {text}: no class `{class}`; known: {known}")));
            };
            if labels.given.insert(name.to_lowercase(), meaning).is_some() {
                return Err(Error::Invalid(format!("--map {text}: `{name}` is given twice")));
            }
        }
        Ok(labels)
    }

    pub(super) fn count(&self) -> usize {
        self.classes.len()
    }

    /// The names of all classes, for errors.
    pub(super) fn known(&self) -> String {
        self.classes.join(", ")
    }

    fn named(&self, name: &str) -> Option<usize> {
        let exact = self.classes.iter().position(|class| class == name);
        exact.or_else(|| self.classes.iter().position(|class| class.to_lowercase() == name.to_lowercase()))
    }

    fn index(&self, text: &str) -> Option<usize> {
        text.parse().ok().filter(|index| *index < self.classes.len())
    }

    /// The meaning of a folder's name.
    pub(super) fn of_folder(&self, name: &str) -> Option<Meaning> {
        self.given.get(&name.to_lowercase()).copied().or_else(|| self.named(name).map(Meaning::Class))
    }

    /// The meaning of a label: a name, or the index of a class where none has that name.
    pub(super) fn of_label(&self, text: &str) -> Option<Meaning> {
        self.of_folder(text).or_else(|| self.index(text).map(Meaning::Class))
    }

    /// The class of each value of a mask, [`NOT_SCORED`] for those that are none.
    ///
    /// # Errors
    /// Values that stand for no class, in words.
    pub(super) fn of_values(&self, values: &[f32]) -> Result<Vec<u8>, String> {
        let whole =
            |value: f32| (value.fract() == 0.0 && (0.0..=255.0).contains(&value)).then_some(value as u8);
        let mut seen = [false; 256];
        let mut strange = BTreeSet::new();
        let mut found = vec![];
        for value in values {
            match whole(*value) {
                Some(value) => {
                    seen[usize::from(value)] = true;
                    found.push(value);
                }
                None => {
                    strange.insert(value.to_string());
                }
            }
        }
        let mut table = [NOT_SCORED; 256];
        for value in (0..=255u8).filter(|value| seen[usize::from(*value)]) {
            let given = self.given.get(&value.to_string()).copied();
            let meaning = given.or(match (value, self.count()) {
                // How masks of one class are usually stored.
                (255, 2) if !seen[1] => Some(Meaning::Class(1)),
                (255, 3..) => Some(Meaning::NotScored),
                _ => self.index(&value.to_string()).map(Meaning::Class),
            });
            match meaning {
                Some(Meaning::Class(class)) => table[usize::from(value)] = class as u8,
                Some(Meaning::NotScored) => {}
                None => {
                    strange.insert(value.to_string());
                }
            }
        }
        if !strange.is_empty() {
            let shown: Vec<&str> = strange.iter().take(5).map(String::as_str).collect();
            let more = if strange.len() > 5 { ", …" } else { "" };
            let last = self.count() - 1;
            return Err(format!(
                "a mask has the values 0 to {last}, one for each class; found {}{more} (`--map VALUE=CLASS` names others)",
                shown.join(", ")
            ));
        }
        Ok(found.into_iter().map(|value| table[usize::from(value)]).collect())
    }

    /// The class of each pixel of a mask's image: of grey values, or of colours that `--map` or niello's own label maps have.
    ///
    /// # Errors
    /// As [`Labels::of_values`].
    pub(super) fn of_mask(&self, mask: &Image) -> Result<Vec<u8>, String> {
        match (mask.samples(), mask.channels()) {
            (Samples::U8(values), 1) => {
                self.of_values(&values.iter().map(|v| f32::from(*v)).collect::<Vec<_>>())
            }
            (Samples::Real(values), 1) => self.of_values(values),
            (Samples::U8(values), 3) => {
                let pixels = values.as_chunks::<3>().0;
                if pixels.iter().all(|[r, g, b]| r == g && g == b) {
                    return self.of_values(&pixels.iter().map(|p| f32::from(p[0])).collect::<Vec<_>>());
                }
                let mut known = BTreeMap::new();
                pixels.iter().map(|pixel| *known.entry(*pixel).or_insert_with(|| self.of_colour(*pixel))).map(|found| {
                    found.ok_or(())
                }).collect::<Result<Vec<u8>, ()>>().map_err(|()| {
                    let strange = known.iter().filter(|(_, class)| class.is_none()).map(|([r, g, b], _)| format!("#{r:02x}{g:02x}{b:02x}"));
                    let strange: Vec<String> = strange.take(5).collect();
                    format!("a coloured mask, with colours that stand for no class: {} (`--map #rrggbb=CLASS` names them)", strange.join(", "))
                })
            }
            (_, channels) => Err(format!("a mask has one value per pixel, found {channels}")),
        }
    }

    fn of_colour(&self, [r, g, b]: [u8; 3]) -> Option<u8> {
        match self.given.get(&format!("#{r:02x}{g:02x}{b:02x}")) {
            Some(Meaning::Class(class)) => Some(*class as u8),
            Some(Meaning::NotScored) => Some(NOT_SCORED),
            None => (0..self.count().min(Palette::default().colours.len()) as u8)
                .find(|class| Palette::default().colour(*class) == [r, g, b]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(classes: &[&str], map: &[&str]) -> Result<Labels> {
        let owned = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        Labels::new(owned(classes), &owned(map))
    }

    #[test]
    fn names_indices_and_given_words() {
        let found = labels(&["Covid", "Normal"], &["Flu=normal", "other=-"]).unwrap();
        for (text, expected) in [
            ("COVID", Some(Meaning::Class(0))),
            ("1", Some(Meaning::Class(1))),
            ("flu", Some(Meaning::Class(1))),
            ("other", Some(Meaning::NotScored)),
            ("2", None),
            ("Pneumonia", None),
        ] {
            assert_eq!(found.of_label(text), expected, "{text}");
        }
        assert_eq!(found.of_folder("1"), None);
        for map in ["Flu", "Flu=Cold", "x=Covid x=Normal"] {
            assert!(labels(&["Covid", "Normal"], &map.split(' ').collect::<Vec<_>>()).is_err(), "{map}");
        }
    }

    #[test]
    fn grey_values_of_masks() {
        let two = labels(&["not lung", "lung"], &[]).unwrap();
        assert_eq!(two.of_values(&[0.0, 255.0]).unwrap(), [0, 1]);
        assert_eq!(two.of_values(&[0.0, 1.0]).unwrap(), [0, 1]);
        for values in [&[0.0, 1.0, 255.0][..], &[0.0, 128.0], &[0.5], &[-1.0], &[f32::NAN]] {
            assert!(two.of_values(values).unwrap_err().contains("0 to 1"), "{values:?}");
        }
        let three = labels(&["a", "b", "c"], &["128=c"]).unwrap();
        assert_eq!(three.of_values(&[2.0, 255.0, 128.0]).unwrap(), [2, NOT_SCORED, 2]);
        assert!(three.of_values(&[3.0, 4.0]).unwrap_err().contains("found 3, 4 ("));
    }

    #[test]
    fn colours_of_masks() {
        let three = labels(&["a", "b", "c"], &["#0000ff=b", "#ffffff=-"]).unwrap();
        let mask = |pixels: &[[u8; 3]]| {
            Image::new("mask", [1, pixels.len(), 3], Samples::U8(pixels.concat())).unwrap()
        };
        let own = Palette::default().colour(2);
        let found = three.of_mask(&mask(&[[0, 0, 255], own, [255; 3], [0; 3]]));
        assert_eq!(found.unwrap(), [1, 2, NOT_SCORED, 0]);
        assert!(three.of_mask(&mask(&[[1, 2, 3], own])).unwrap_err().contains("#010203"));
    }
}
