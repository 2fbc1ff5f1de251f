//! Tuning files: choices in TOML, to be kept with a recipe.

use super::Tuning;
use crate::{
    Error, Result,
    error::{parse_toml, read_text},
    program::Choice,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// A tuning file, as `niello tune` writes it and a recipe's `target.tuning` names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TuningFile {
    /// The network of the layers.
    pub network: String,
    /// The target of the choices.
    pub target: String,
    /// The device that costs were measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<String>,
    /// The unit of the costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Cost of an inference with every choice by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Cost of an inference with these choices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Layers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layer: BTreeMap<String, TunedLayer>,
}

/// A layer that is not lowered as by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedLayer {
    /// See [`Choice::pixels`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pixels: Option<usize>,
    /// See [`Choice::winograd`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winograd: Option<bool>,
    /// Cost of the layer by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Cost of the layer as chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Other layers that both costs include, where they cannot be separated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
}

/// The comment above the choices.
const HEADER: &str = "# Written by `niello tune`; a recipe names it as `tuning` of its `[target]`. Choices change speed and scratch, never a result.\n";

impl TuningFile {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is no tuning file: one that names the file, the line and the key.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, &read_text(path, "a tuning file (TOML)")?)
    }

    /// Reads a file's text; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`TuningFile::read`].
    pub fn parse(name: &Path, text: &str) -> Result<Self> {
        let file: Self = parse_toml(name, text)?;
        let problem = file.layer.iter().find_map(|(layer, tuned)| match tuned {
            TunedLayer { pixels: Some(0), .. } => Some(format!("layer `{layer}`: `pixels` is 0")),
            TunedLayer { pixels: None, winograd: None, .. } => {
                Some(format!("layer `{layer}`: expected `pixels` or `winograd`, found neither"))
            }
            _ => None,
        });
        problem.map_or(Ok(file), |problem| Err(Error::file(name, problem)))
    }

    /// The text; [`TuningFile::parse`] gives the same file back.
    ///
    /// # Errors
    /// A number too large for TOML.
    pub fn to_toml(&self) -> Result<String> {
        let text = toml::to_string(self)
            .map_err(|e| Error::Invalid(format!("tuning of `{}`: cannot be written: {e}", self.network)))?;
        Ok(format!("{HEADER}{text}"))
    }

    /// The choices, for a program of `network` for `target`; `name` stands for the file in errors.
    ///
    /// # Errors
    /// Another network or target than the file's.
    pub fn tuning(&self, name: &Path, network: &str, target: &str) -> Result<Tuning> {
        for (what, found, expected) in [("network", network, &self.network), ("target", target, &self.target)]
        {
            if found != expected {
                let message = format!("tunes {what} `{expected}`, the recipe has {what} `{found}`");
                return Err(Error::file(name, message));
            }
        }
        let choice = |tuned: &TunedLayer| Choice { pixels: tuned.pixels, winograd: tuned.winograd };
        let choices = self.layer.iter().map(|(layer, tuned)| (layer.clone(), choice(tuned)));
        Ok(Tuning { source: name.to_string_lossy().into_owned(), choices: choices.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> TuningFile {
        let with = vec!["fire.expand1x1".into()];
        let tuned =
            TunedLayer { pixels: Some(96), winograd: Some(false), before: Some(9), after: Some(8), with };
        TuningFile {
            network: "net".into(),
            target: "aarch64-neon".into(),
            runner: Some("this machine".into()),
            unit: Some("ns".into()),
            before: Some(100),
            after: Some(99),
            layer: BTreeMap::from([
                ("fire.expand3x3".into(), tuned),
                ("stem".into(), TunedLayer { pixels: Some(4), ..TunedLayer::default() }),
            ]),
        }
    }

    #[test]
    fn files_survive_a_round_trip() {
        let named = TuningFile { network: "net".into(), target: "host".into(), ..TuningFile::default() };
        for file in [full(), named] {
            let text = file.to_toml().unwrap();
            assert_eq!(TuningFile::parse(Path::new("t"), &text).unwrap(), file, "{text}");
        }
        assert!(
            full().to_toml().unwrap().contains("[layer.\"fire.expand3x3\"]\npixels = 96\nwinograd = false\n")
        );
    }

    #[test]
    fn layers_may_be_called_anything() {
        let mut file = full();
        for name in ["a+b", "", "line\nfeed", "\"\"\"'''\\", "]\r\u{7f}", "网络"] {
            let tuned = TunedLayer { pixels: Some(3), with: vec![name.into()], ..TunedLayer::default() };
            file.layer.insert(name.into(), tuned);
        }
        assert_eq!(TuningFile::parse(Path::new("t"), &file.to_toml().unwrap()).unwrap(), file);
    }

    #[test]
    fn every_mistake_names_the_file() {
        let text = full().to_toml().unwrap();
        for (from, to, words) in [
            ("pixels = 96", "pixels = 0", "layer `fire.expand3x3`: `pixels` is 0"),
            ("pixels = 4\n", "", "layer `stem`: expected `pixels` or `winograd`, found neither"),
            (
                "pixels = 96",
                "pixel = 96",
                "line 10: unknown field `pixel`, expected one of `pixels`, `winograd`",
            ),
            ("winograd = false", "winograd = 1", "invalid type: integer `1`, expected a boolean"),
            ("network = \"net\"\n", "", "missing field `network`"),
        ] {
            assert!(text.contains(from), "{from}");
            let error =
                TuningFile::parse(Path::new("t.toml"), &text.replace(from, to)).unwrap_err().to_string();
            assert!(error.starts_with("t.toml: ") && error.contains(words), "{error}");
        }
        let other =
            |network, target| full().tuning(Path::new("t.toml"), network, target).unwrap_err().to_string();
        assert_eq!(other("web", "aarch64-neon"), "t.toml: tunes network `net`, the recipe has network `web`");
        assert_eq!(
            other("net", "portable"),
            "t.toml: tunes target `aarch64-neon`, the recipe has target `portable`"
        );
    }
}
