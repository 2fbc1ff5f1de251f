//! `[input]`: size, channels, and how an image becomes the input.

use super::Input;
use serde::{Deserialize, Deserializer, de};

impl Input {
    /// The pre-processing that the keys describe.
    ///
    /// # Errors
    /// If a word or an argument is unknown.
    #[cfg(feature = "imaging")]
    pub fn preprocessing(&self) -> crate::Result<niello_imaging::Preprocess> {
        let problem = |e: niello_imaging::Error| crate::Error::Invalid(e.to_string());
        let text = self.preprocess.as_deref().unwrap_or("unit");
        let mut preprocess = niello_imaging::Preprocess::parse(text).map_err(problem)?;
        let options = [
            ("resize", &self.resize),
            ("colour", &self.colour),
            ("polarity", &self.polarity),
            ("window", &self.window),
        ];
        for (key, value) in options {
            if let Some(value) = value {
                preprocess.set(key, value).map_err(problem)?;
            }
        }
        Ok(preprocess)
    }

    pub(super) fn problem(&self) -> Option<String> {
        if let Some([h, w]) = self.size.filter(|size| size.contains(&0)) {
            return Some(format!("`input.size` is [{h}, {w}], expected a height and a width above 0"));
        }
        if self.channels == Some(0) {
            return Some("`input.channels` is 0, expected a number above 0".into());
        }
        #[cfg(feature = "imaging")]
        if let Err(error) = self.preprocessing() {
            return Some(format!("`input`: {error}"));
        }
        None
    }
}

/// Two numbers and no more: an array would be filled from the first two of three.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[usize; 2]>, D::Error> {
    let sides = Vec::<usize>::deserialize(deserializer)?;
    let expected = "expected a height and a width";
    <[usize; 2]>::try_from(sides)
        .map(Some)
        .map_err(|s| de::Error::custom(format!("{expected}, found {} numbers", s.len())))
}
