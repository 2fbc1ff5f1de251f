//! The text of locks: TOML with one line per tensor, and a hash of all lines in the last one.

use super::{Lock, MEND, Origin};
use crate::{precision::int16::Wide, quantize::ranges::ValueRange, weights::sha256_of};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// The version of the format.
const FORMAT: i64 = 1;

/// The beginning of the last line.
const SEAL: &str = "# sha256 of the lines above: ";

/// The text as serde reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[allow(dead_code, reason = "has been read before anything else")]
    format: i64,
    niello: String,
    weights: RawSource,
    inputs: RawInputs,
    recipe: BTreeMap<String, String>,
    #[serde(default)]
    int16: RawWide,
    ranges: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    biases: BTreeMap<String, String>,
    #[serde(default, rename = "self-test")]
    answers: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInputs {
    count: usize,
    sha256: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWide {
    results: BTreeSet<String>,
    weights: BTreeSet<String>,
}

pub(super) fn render(lock: &Lock) -> String {
    let Lock { origin, ranges, wide, corrections, answers } = lock;
    let mut text = format!(
        "# What calibration decided, made by `niello calibrate`. Review and commit it; to change it, calibrate again.\n\
         format = {FORMAT}\nniello = {}\n\n[weights]\nname = {}\nsha256 = {}\n\n[inputs]\ncount = {}\nsha256 = {}\n\n\
         # The keys of the recipe on which the rest depends.\n[recipe]\n",
        quoted(&origin.niello),
        quoted(&origin.weights.0),
        quoted(&origin.weights.1),
        origin.inputs.0,
        quoted(&origin.inputs.1),
    );
    let line = |text: &mut String, key: &str, value: &str| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{} = {value}", quoted(key));
    };
    for (key, value) in &origin.recipe {
        line(&mut text, key, &quoted(value));
    }
    if *wide != Wide::default() {
        text += "\n# Layers that the error budget gave 16 bits.\n[int16]\n";
        for (key, names) in [("results", &wide.activations), ("weights", &wide.weights)] {
            let names: String = names.iter().map(|name| format!("    {},\n", quoted(name))).collect();
            line(&mut text, key, &if names.is_empty() { "[]".into() } else { format!("[\n{names}]") });
        }
    }
    text += "\n# Smallest and largest value that 8 bits cover; then the ones that were seen, where they differ.\n[ranges]\n";
    for (name, ValueRange { chosen, seen }) in ranges {
        let seen = if seen == chosen { None } else { Some(seen) };
        let numbers: Vec<String> =
            [Some(chosen), seen].into_iter().flatten().flat_map(|r| [number(r.0), number(r.1)]).collect();
        line(&mut text, name, &format!("[{}]", numbers.join(", ")));
    }
    if !corrections.is_empty() {
        text += "\n# Steps added to the bias of each channel: DIGITS:VALUES, so many digits of base 64 a value, the lowest bit its sign.\n[biases]\n";
        for (name, steps) in corrections {
            line(&mut text, name, &quoted(&encode(steps)));
        }
    }
    if !answers.is_empty() {
        text += "\n# Checksums of the outputs that the self-test expects, by rounding.\n[self-test]\n";
        for (rounding, sums) in answers {
            let sums: Vec<String> = sums.iter().map(|sum| format!("\"{sum:016x}\"")).collect();
            line(&mut text, rounding, &format!("[{}]", sums.join(", ")));
        }
    }
    let sum = sha256_of(text.as_bytes());
    text + SEAL + &sum + "\n"
}

/// The hash in the last line.
pub(super) fn checksum(text: &str) -> Option<String> {
    Some(text.trim_end().lines().last()?.strip_prefix(SEAL)?.to_string())
}

pub(super) fn parse(text: &str) -> Result<Lock, String> {
    // Checked out by git on Windows, perhaps.
    let text = text.replace("\r\n", "\n");
    let format = text.lines().find_map(|line| line.strip_prefix("format = ")?.trim().parse::<i64>().ok());
    match format {
        None => return Err(format!("is no calibration lock: it has no line `format = {FORMAT}`; {MEND}")),
        Some(newer) if newer > FORMAT => {
            return Err(format!(
                "was made by a newer niello: its format is {newer}, this niello ({}) reads up to {FORMAT}; update \
                 niello, or calibrate again",
                env!("CARGO_PKG_VERSION")
            ));
        }
        Some(_) => {}
    }
    let Some(seal) = checksum(&text) else {
        return Err(format!("is cut off: its last line is not `{}…`; {MEND}", SEAL));
    };
    let body = text.rfind(SEAL).map_or("", |at| &text[..at]);
    if seal != sha256_of(body.as_bytes()) {
        return Err(format!(
            "has been edited or damaged: its lines do not have the hash in the last one; {MEND}"
        ));
    }
    let raw: Raw = toml::from_str(&text).map_err(|error| {
        let line =
            error.span().and_then(|span| text.get(..span.start)).map_or(0, |t| t.matches('\n').count() + 1);
        format!("line {line}: {}; {MEND}", error.message().trim().replace('\n', ", "))
    })?;
    Ok(Lock {
        ranges: each(raw.ranges, |numbers: &Vec<f64>| range(numbers))?,
        corrections: each(raw.biases, |digits| decode(digits).ok_or_else(|| "cannot be read".into()))?,
        answers: each(raw.answers, |sums| {
            let sum =
                |sum: &String| u64::from_str_radix(sum, 16).map_err(|_| format!("`{sum}` is no checksum"));
            sums.iter().map(sum).collect()
        })?,
        wide: Wide { activations: raw.int16.results, weights: raw.int16.weights },
        origin: Origin {
            niello: raw.niello,
            weights: (raw.weights.name, raw.weights.sha256),
            inputs: (raw.inputs.count, raw.inputs.sha256),
            recipe: raw.recipe,
        },
    })
}

/// Converts every value of a table; errors name the key.
fn each<T, U>(
    table: BTreeMap<String, T>,
    convert: impl Fn(&T) -> Result<U, String>,
) -> Result<BTreeMap<String, U>, String> {
    let one = |(key, value): (String, T)| match convert(&value) {
        Ok(value) => Ok((key, value)),
        Err(why) => Err(format!("`{key}`: {why}; {MEND}")),
    };
    table.into_iter().map(one).collect()
}

fn range(numbers: &[f64]) -> Result<ValueRange, String> {
    let pair = |min: f64, max: f64| {
        let (min, max) = (min as f32, max as f32);
        if !(min.is_finite() && max.is_finite() && min <= max) {
            return Err(format!("{min} to {max} is no range, expected two numbers, the smaller one first"));
        }
        Ok((min, max))
    };
    match *numbers {
        [min, max] => pair(min, max).map(|both| ValueRange { chosen: both, seen: both }),
        [min, max, seen_min, seen_max] => {
            Ok(ValueRange { chosen: pair(min, max)?, seen: pair(seen_min, seen_max)? })
        }
        _ => Err(format!("expected two or four numbers, found {}", numbers.len())),
    }
}

/// A number that reads back the same.
fn number(x: f32) -> String {
    let short = format!("{x:?}");
    if short.parse::<f64>().is_ok_and(|read| read as f32 == x) { short } else { format!("{:?}", x as f64) }
}

/// As a text of TOML in one line, which can be a key.
fn quoted(text: &str) -> String {
    let usual = toml::Value::String(text.into()).to_string();
    if ["\"\"\"", "'''"].iter().any(|quotes| usual.starts_with(quotes)) || text.contains(char::is_control) {
        // Several lines cannot be a key. What JSON escapes is escaped the same way in TOML, which also wants DEL escaped.
        return serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f");
    }
    usual
}

const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/";

/// `DIGITS:VALUES`; 5 is 10 and -5 is 9 before it becomes digits, highest first.
fn encode(steps: &[i32]) -> String {
    let codes: Vec<u32> = steps.iter().map(|x| ((x << 1) ^ (x >> 31)) as u32).collect();
    let largest = codes.iter().copied().max().unwrap_or(0);
    let digits = (32 - largest.leading_zeros()).div_ceil(6).max(1);
    let digit = |code: u32, at: u32| DIGITS[(code >> (6 * at)) as usize % 64] as char;
    let values = codes.iter().flat_map(|code| (0..digits).rev().map(move |at| digit(*code, at)));
    format!("{digits}:{}", values.collect::<String>())
}

fn decode(text: &str) -> Option<Vec<i32>> {
    let (digits, values) = text.split_once(':')?;
    let digits = digits.parse::<usize>().ok().filter(|n| (1..=6).contains(n))?;
    let values = values.as_bytes();
    let one = |chunk: &[u8]| {
        let mut code = 0u64;
        for digit in chunk {
            code = 64 * code + DIGITS.iter().position(|d| d == digit)? as u64;
        }
        let code = u32::try_from(code).ok()?;
        Some((code >> 1) as i32 ^ -((code & 1) as i32))
    };
    values.len().is_multiple_of(digits).then(|| values.chunks(digits).map(one).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Lock {
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
        let range = |chosen, seen| ValueRange { chosen, seen };
        Lock {
            origin: Origin {
                niello: "0.1.0".into(),
                weights: ("w \"x\".safetensors".into(), "ab".repeat(32)),
                inputs: (3, "cd".repeat(32)),
                recipe: [("network".to_string(), "net".to_string())].into(),
            },
            ranges: [
                ("a.0".to_string(), range((-0.1, f32::MAX), (-1e-42, 3.4e38))),
                ("b".to_string(), range((0.0, 0.1), (0.0, 0.1))),
            ]
            .into(),
            wide: Wide { activations: names(&["a.0"]), weights: names(&[]) },
            corrections: [("a.0".to_string(), vec![0, -1, 5, i32::MIN, i32::MAX])].into(),
            answers: [("single".to_string(), vec![u64::MAX, 7])].into(),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        assert_eq!(parse(&render(&sample())), Ok(sample()));
        assert_eq!(parse(&render(&sample()).replace('\n', "\r\n")), Ok(sample()));
        for steps in [vec![], vec![0], vec![31, -32], vec![32], vec![-33, 2047], vec![1 << 20, -7]] {
            assert_eq!(decode(&encode(&steps)), Some(steps));
        }
        assert_eq!(encode(&[1, -1, 2]), "1:214");
    }

    proptest! {
        #[test]
        fn any_name_reads_back(names in prop::collection::vec(prop_oneof![any::<String>(), "[\"'\\\\\n\r\t\u{7f}\u{85}#=a\\[]{0,6}"], 3)) {
            let mut lock = sample();
            let range = lock.ranges["b"];
            lock.ranges = names.iter().map(|name| (name.clone(), range)).collect();
            lock.corrections = names.iter().map(|name| (name.clone(), vec![1, -2])).collect();
            lock.wide.weights = names.iter().cloned().collect();
            lock.origin.weights.0.clone_from(&names[0]);
            lock.origin.recipe.insert(names[1].clone(), names[2].clone());
            prop_assert_eq!(parse(&render(&lock)), Ok(lock));
        }
    }

    #[test]
    fn every_cut_and_every_edit_is_noticed() {
        let text = render(&sample());
        for end in 0..text.len() - 1 {
            let error = parse(&text[..end]).expect_err("cut");
            assert!(error.contains("niello calibrate") || error.contains("newer"), "{end}: {error}");
        }
        let at = text.find("0.1]").expect("a range");
        for (place, with) in [(at, "0.2]"), (at, "nan]"), (text.find("format").unwrap(), "farmot")] {
            let mut edited = text.clone();
            edited.replace_range(place..place + with.len(), with);
            assert!(parse(&edited).is_err(), "{with}");
        }
    }

    /// With a hash that fits.
    fn sealed(from: &str, to: &str) -> Result<Lock, String> {
        let text = render(&sample());
        assert!(text.contains(from), "{from}");
        let body = text[..text.rfind(SEAL).unwrap()].replace(from, to);
        parse(&format!("{body}{SEAL}{}\n", sha256_of(body.as_bytes())))
    }

    #[test]
    fn impossible_contents_are_errors_that_say_where() {
        for (from, to, expected) in [
            ("[0.0, 0.1]", "[nan, 0.1]", "`b`: NaN to 0.1 is no range"),
            ("[0.0, 0.1]", "[0.2, 0.1]", "`b`: 0.2 to 0.1 is no range"),
            ("[0.0, 0.1]", "[0.0, inf]", "`b`: 0 to inf is no range"),
            ("[0.0, 0.1]", "[0.0]", "`b`: expected two or four numbers, found 1"),
            ("format = 1", "format = 2", "newer niello: its format is 2"),
            ("\"6:", "\"9:", "`a.0`: cannot be read"),
            ("\"6:", "\"6:!", "`a.0`: cannot be read"),
            ("count = 3", "count = -3", "line "),
            ("count = 3", "count = 3\nmore = 1", "unknown field `more`"),
        ] {
            let error = sealed(from, to).expect_err(to);
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
