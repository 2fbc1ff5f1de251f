//! The text form of a pre-processing: `NAME[:ARGUMENTS] [resize=…] [colour=…] [polarity=…] [window=…]`.

use super::{Colour, Normalization, Polarity, Preprocess, ResizeMode, Window};
use crate::{Error, Result};
use std::{fmt, str::FromStr};

const NAMES: &str =
    "imagenet, unit, raw, window:CENTRE,WIDTH, hu:OFFSET, minmax, standardize, caffe, mean-std:M,S";

impl Preprocess {
    /// Reads the text form.
    ///
    /// # Errors
    /// If a word is unknown or an argument is wrong; the error lists the alternatives.
    pub fn parse(text: &str) -> Result<Self> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let mut preprocess = Self::from(parse_normalization(first)?);
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| {
                Error::Invalid(format!(
                    "pre-processing `{text}`: expected an option KEY=VALUE, found `{word}`"
                ))
            })?;
            preprocess.set(key, value)?;
        }
        Ok(preprocess)
    }

    /// Sets one option: `resize`, `colour`, `polarity` or `window`.
    ///
    /// # Errors
    /// If there is no such option, or not with that value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let wrong = |expected: &str| {
            Error::Invalid(format!("pre-processing: expected {key}={expected}, found `{value}`"))
        };
        match key {
            "resize" => {
                self.resize = Some(parse_resize(value).ok_or_else(|| {
                    wrong("none, stretch, area, shorter-side-crop or shorter-side-crop:RATIO (1 to 8, or as 256/224)")
                })?);
            }
            "colour" => {
                self.colour = match value {
                    "auto" => Colour::Auto,
                    "gray" => Colour::Gray,
                    _ => return Err(wrong("auto or gray")),
                }
            }
            "polarity" => {
                self.polarity = match value {
                    "normal" => Polarity::Normal,
                    "inverted" => Polarity::Inverted,
                    _ => return Err(wrong("normal or inverted")),
                }
            }
            "window" => {
                self.window =
                    Some(parse_window(value).ok_or_else(|| wrong("CENTRE,WIDTH (HU, a width above 0)"))?);
            }
            _ => {
                return Err(Error::Invalid(format!(
                    "pre-processing has no option `{key}`; there are resize, colour, polarity and window"
                )));
            }
        }
        Ok(())
    }
}

impl FromStr for Preprocess {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Preprocess {
    /// The text form; [`Preprocess::parse`] gives the same back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.normalization.name())?;
        match &self.normalization {
            Normalization::Window(w) => write!(f, ":{},{}", w.centre(), w.width())?,
            Normalization::Hu { offset } => write!(f, ":{offset}")?,
            Normalization::MeanStd { mean, std } if *mean == [mean[0]; 3] && *std == [std[0]; 3] => {
                write!(f, ":{},{}", mean[0], std[0])?;
            }
            Normalization::MeanStd { mean: [a, b, c], std: [x, y, z] } => {
                write!(f, ":{a},{b},{c},{x},{y},{z}")?
            }
            _ => {}
        }
        match self.resize {
            None => {}
            Some(ResizeMode::None) => f.write_str(" resize=none")?,
            Some(ResizeMode::Stretch) => f.write_str(" resize=stretch")?,
            Some(ResizeMode::Area) => f.write_str(" resize=area")?,
            Some(ResizeMode::ShorterSideCrop { ratio }) => write!(f, " resize=shorter-side-crop:{ratio}")?,
        }
        if self.colour == Colour::Gray {
            f.write_str(" colour=gray")?;
        }
        if self.polarity == Polarity::Inverted {
            f.write_str(" polarity=inverted")?;
        }
        if let Some(w) = self.window {
            write!(f, " window={},{}", w.centre(), w.width())?;
        }
        Ok(())
    }
}

/// `NAME[:ARGUMENTS]`
fn parse_normalization(word: &str) -> Result<Normalization> {
    let (name, arguments) = match word.split_once(':') {
        Some((name, arguments)) => (name, Some(arguments)),
        None => (word, None),
    };
    let wrong =
        |expected: &str| Error::Invalid(format!("pre-processing: expected `{expected}`, found `{word}`"));
    let normalization = match name {
        "imagenet" => Normalization::ImageNet,
        "unit" => Normalization::Unit,
        "raw" => Normalization::Raw,
        "minmax" => Normalization::MinMax,
        "standardize" => Normalization::Standardize,
        "caffe" => Normalization::Caffe,
        "window" => {
            let window = arguments.and_then(parse_window);
            return window.map(Normalization::Window).ok_or_else(|| wrong("window:CENTRE,WIDTH"));
        }
        "hu" => {
            return match arguments.and_then(floats).as_deref() {
                Some([offset]) => Ok(Normalization::Hu { offset: *offset }),
                _ => Err(wrong("hu:OFFSET")),
            };
        }
        "mean-std" => {
            let (mean, std) = match arguments.and_then(floats).as_deref() {
                Some(&[m, s]) => ([m; 3], [s; 3]),
                Some(&[a, b, c, x, y, z]) => ([a, b, c], [x, y, z]),
                _ => return Err(wrong("mean-std:M,S or mean-std:M,M,M,S,S,S")),
            };
            if std.contains(&0.0) {
                return Err(wrong("mean-std:M,S with S other than 0"));
            }
            return Ok(Normalization::MeanStd { mean, std });
        }
        _ => {
            let found = if word.is_empty() { "nothing".to_string() } else { format!("`{word}`") };
            return Err(Error::Invalid(format!("pre-processing: expected one of {NAMES}; found {found}")));
        }
    };
    if arguments.is_some() { Err(wrong(name)) } else { Ok(normalization) }
}

/// `CENTRE,WIDTH`
fn parse_window(text: &str) -> Option<Window> {
    let (centre, width) = text.split_once(',')?;
    Window::new(centre.trim().parse().ok()?, width.trim().parse().ok()?)
}

/// Finite numbers with commas between.
fn floats(text: &str) -> Option<Vec<f32>> {
    text.split(',').map(|n| n.trim().parse().ok().filter(|n: &f32| n.is_finite())).collect()
}

fn parse_resize(text: &str) -> Option<ResizeMode> {
    match text.split_once(':') {
        None => match text {
            "none" => Some(ResizeMode::None),
            "stretch" => Some(ResizeMode::Stretch),
            "area" => Some(ResizeMode::Area),
            "shorter-side-crop" => Some(ResizeMode::ShorterSideCrop { ratio: 1.0 }),
            _ => None,
        },
        Some(("shorter-side-crop", ratio)) => {
            let ratio = match ratio.split_once('/') {
                Some((n, d)) => n.parse::<f64>().ok()? / d.parse::<f64>().ok()?,
                None => ratio.parse().ok()?,
            };
            (1.0..=8.0).contains(&ratio).then_some(ResizeMode::ShorterSideCrop { ratio })
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_a_round_trip() {
        for text in [
            "imagenet",
            "unit resize=area",
            "raw resize=area colour=gray",
            "window:-600,1500 resize=none",
            "hu:1024",
            "minmax polarity=inverted",
            "standardize resize=stretch window=40,400",
            "caffe resize=shorter-side-crop:1.125",
            "mean-std:0.45,0.225 resize=stretch colour=gray",
            "mean-std:0.1,0.2,0.3,0.4,0.5,0.6",
        ] {
            let parsed = Preprocess::parse(text).unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(Preprocess::parse(&parsed.to_string()).unwrap(), parsed);
        }
        let ratio = Preprocess::parse("raw resize=shorter-side-crop:256/224").unwrap();
        assert_eq!(ratio.resize, Some(ResizeMode::IMAGENET));
        assert_eq!(Preprocess::parse(&ratio.to_string()).unwrap(), ratio);
    }

    #[test]
    fn wrong_texts_say_what_was_expected() {
        for (text, word) in [
            ("", "found nothing"),
            ("imagnet", "expected one of imagenet"),
            ("unit:3", "expected `unit`"),
            ("window", "window:CENTRE,WIDTH"),
            ("window:1", "window:CENTRE,WIDTH"),
            ("window:1,0", "window:CENTRE,WIDTH"),
            ("window:nan,3", "window:CENTRE,WIDTH"),
            ("hu:x", "hu:OFFSET"),
            ("hu:inf", "hu:OFFSET"),
            ("mean-std:1,0", "other than 0"),
            ("mean-std:1,2,3", "mean-std:M,S"),
            ("unit stretch", "KEY=VALUE"),
            ("unit size=3", "no option `size`"),
            ("unit resize=bicubic", "shorter-side-crop"),
            ("unit resize=shorter-side-crop:0.5", "RATIO"),
            ("unit resize=shorter-side-crop:1/0", "RATIO"),
            ("unit colour=rgb", "auto or gray"),
            ("unit polarity=x", "inverted"),
            ("unit window=3", "CENTRE,WIDTH"),
        ] {
            let error = Preprocess::parse(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
