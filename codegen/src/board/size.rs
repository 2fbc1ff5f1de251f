//! Numbers of bytes.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// A number of bytes or an address: `1024`, `0x400`, `"1K"`, `"2M"`, `"8G"` (powers of 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of bytes, e.g. 1024, \"512K\" or \"2M\"")
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Size, E> {
        u64::try_from(n).map(Size).map_err(|_| E::invalid_value(de::Unexpected::Signed(n), &self))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Size, E> {
        Ok(Size(n))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'K') => (&text[..text.len() - 1], 10),
            Some(b'M') => (&text[..text.len() - 1], 20),
            Some(b'G') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        let number = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift));
        number.map(Size).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
