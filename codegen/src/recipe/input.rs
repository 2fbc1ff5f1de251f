//! `[input]`: size, channels, and how an image becomes the input.

use serde::{Deserialize, Deserializer, Serialize, de};

/// `[input]`. The pre-processing's options may stand in its text or as keys of their own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Input {
    /// Height and width; absent: the network's own.
    #[serde(deserialize_with = "size", skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Channels; absent: the network's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// The pre-processing of an image: `unit`, `window:-600,1500`, …; absent: `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<String>,
    /// `none`, `stretch`, `area`, `shorter-side-crop`, `shorter-side-crop:RATIO`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
    /// `auto` or `gray`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<String>,
    /// `normal` or `inverted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub polarity: Option<String>,
    /// `CENTRE,WIDTH` in HU, before everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

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
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[usize; 2]>, D::Error> {
    let sides = Vec::<usize>::deserialize(deserializer)?;
    let expected = "expected a height and a width";
    <[usize; 2]>::try_from(sides)
        .map(Some)
        .map_err(|s| de::Error::custom(format!("{expected}, found {} numbers", s.len())))
}
