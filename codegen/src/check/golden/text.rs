//! Golden files as text: one line per layer, so that a change is a readable diff.

use super::{Case, Golden, Layer, Source};
use crate::{
    error::{Error, Result},
    program::names::{step_layers, unword, word},
};
use niello_kernels::Rounding;
use std::fmt::{self, Write};

/// First line of every golden file.
const HEADING: &str = "# niello golden 1";

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{HEADING}: FNV-1a checksums of the results of every layer, byte by byte, in [h, w, c] order"
        )?;
        writeln!(f, "network {}", word(&self.network))?;
        writeln!(f, "rounding {}", rounding_name(self.rounding))?;
        for case in &self.cases {
            writeln!(f, "\ncase {}", case.source.name())?;
            for (i, sum) in case.inputs.iter().enumerate() {
                writeln!(f, "input {i} {sum:016x}")?;
            }
            for Layer { index, name, shape: [h, w, c], checksum, rows } in &case.layers {
                writeln!(f, "layer {index} {name} {h}x{w}x{c} {checksum:016x}")?;
                let mut line = String::new();
                rows.iter().try_for_each(|r| write!(line, " {r:08x}"))?;
                writeln!(f, "rows{line}")?;
            }
            for (i, sum) in case.outputs.iter().enumerate() {
                writeln!(f, "output {i} {sum:016x}")?;
            }
        }
        Ok(())
    }
}

fn rounding_name(rounding: Rounding) -> &'static str {
    match rounding {
        Rounding::TfliteDouble => "tflite-double",
        Rounding::Single => "single",
        Rounding::FloatEven => "float-even",
    }
}

impl std::str::FromStr for Golden {
    type Err = Error;

    /// # Errors
    /// One that names the line, what was expected there and what was found.
    fn from_str(text: &str) -> Result<Self> {
        if !text.starts_with(HEADING) {
            return Err(Error::Invalid(format!("golden file: expected `{HEADING}` in the first line")));
        }
        let mut golden = Golden { network: String::new(), rounding: Rounding::TfliteDouble, cases: vec![] };
        for (number, line) in (1..).zip(text.lines()) {
            read_line(&mut golden, line).ok_or_else(|| {
                Error::Invalid(format!("golden file: line {number}: cannot make sense of `{line}`"))
            })?;
        }
        if golden.network.is_empty() || golden.cases.is_empty() {
            return Err(Error::Invalid("golden file: expected a network and at least one case".into()));
        }
        Ok(golden)
    }
}

fn read_line(golden: &mut Golden, line: &str) -> Option<()> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    match words[..] {
        [] => {}
        [first, ..] if first.starts_with('#') => {}
        ["network", name] => golden.network = unword(name),
        ["rounding", "tflite-double"] => golden.rounding = Rounding::TfliteDouble,
        ["rounding", "single"] => golden.rounding = Rounding::Single,
        ["rounding", "float-even"] => golden.rounding = Rounding::FloatEven,
        ["case", name] => {
            let source = match name.split_once(':')? {
                ("seed", seed) => Source::Seed(seed.parse().ok()?),
                ("file", name) => Source::File(unword(name)),
                _ => return None,
            };
            golden.cases.push(Case { source, inputs: vec![], layers: vec![], outputs: vec![] });
        }
        ["input", _, sum] => golden.cases.last_mut()?.inputs.push(hex(sum)?),
        ["layer", index, name, shape, sum] => {
            let sides: Vec<usize> = shape.split('x').map_while(|s| s.parse().ok()).collect();
            let shape: [usize; 3] = sides.try_into().ok()?;
            let (index, name, checksum) = (index.parse().ok()?, name.into(), hex(sum)?);
            golden.cases.last_mut()?.layers.push(Layer { index, name, shape, checksum, rows: vec![] });
        }
        ["rows", ..] => {
            let rows = words[1..].iter().map(|r| u32::from_str_radix(r, 16).ok());
            golden.cases.last_mut()?.layers.last_mut()?.rows = rows.collect::<Option<_>>()?;
        }
        ["output", _, sum] => golden.cases.last_mut()?.outputs.push(hex(sum)?),
        _ => return None,
    }
    Some(())
}

/// The output of a device for one case.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Index, the layers of the step, checksum.
    pub(super) layers: Vec<(usize, Vec<String>, u64)>,
    pub(super) outputs: Vec<u64>,
}

/// The cases of a device's log; other lines are skipped.
pub(super) fn parse_log(log: &str) -> Result<Vec<(String, Lines)>> {
    let mut cases: Vec<(String, Lines)> = vec![];
    for line in log.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bad = || Error::Invalid(format!("log: cannot make sense of `{line}`"));
        let hex = |text: &str| u64::from_str_radix(text, 16).map_err(|_| bad());
        match words[..] {
            ["case", name] => cases.push((name.into(), Lines::default())),
            ["layer", index, name, _, sum] => {
                let case = &mut cases.last_mut().ok_or_else(bad)?.1;
                case.layers.push((index.parse().map_err(|_| bad())?, step_layers(name), hex(sum)?));
            }
            ["output", _, sum] => cases.last_mut().ok_or_else(bad)?.1.outputs.push(hex(sum)?),
            _ => {}
        }
    }
    Ok(cases)
}
