//! In configuration files: the text form, or a table of the same words.
//!
//! ```toml
//! preprocess = "window:-600,1500 resize=stretch"
//! preprocess = { numbers = "window:-600,1500", resize = "stretch" }
//! ```

use super::Preprocess;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

impl Serialize for Preprocess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Preprocess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Preprocess;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pre-processing as text, or as a table with the key `numbers`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Preprocess, E> {
        Preprocess::parse(text).map_err(E::custom)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Preprocess, A::Error> {
        let mut words: Vec<(String, String)> = Vec::new();
        while let Some(entry) = map.next_entry()? {
            words.push(entry);
        }
        let numbers = words.iter().position(|(key, _)| key == "numbers");
        let numbers = numbers.ok_or_else(|| de::Error::missing_field("numbers"))?;
        let mut preprocess = Preprocess::parse(&words.remove(numbers).1).map_err(de::Error::custom)?;
        for (key, value) in words {
            preprocess.set(&key, &value).map_err(de::Error::custom)?;
        }
        Ok(preprocess)
    }
}
