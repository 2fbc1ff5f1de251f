//! Runs a program against a golden file.

use super::{Case, Codes, Golden, Source, observe, rows};
use crate::{
    error::{Error, Result},
    program::{
        Program,
        names::{unword, word},
    },
};
use niello_kernels::Isa;
use niello_runtime::self_test::Checksum;
use std::{collections::BTreeMap, fmt};

/// The first place where a program and a golden file differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The case.
    pub case: String,
    /// Index of the layer's step in the program; the number of steps for an output.
    pub index: usize,
    /// The layer, or `output N`.
    pub layer: String,
    /// The first row that differs.
    pub row: Option<usize>,
    /// Row, column, channel of the first element that differs, what was expected there, and what was found; where the
    /// expected bytes are known.
    pub element: Option<([usize; 3], i8, i8)>,
    /// The checksum in the file.
    pub expected: u64,
    /// The program's.
    pub found: u64,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, index, layer, expected, found, .. } = self;
        write!(
            f,
            "{case}: layer {index} `{layer}` differs first: checksum {found:016x}, expected {expected:016x}"
        )?;
        match (self.element, self.row) {
            (Some(([y, x, c], expected, found)), _) => {
                write!(f, "; element [{y}, {x}, {c}] is {found}, expected {expected}")
            }
            (None, Some(row)) => write!(f, "; the first row that differs is {row}"),
            (None, None) => Ok(()),
        }
    }
}

/// Runs every case of `golden` on `program` with `isa`. `inputs` gives the codes of cases that come from files; `codes` the
/// bytes of layers, where they were kept.
///
/// Where a layer's bytes were not kept, those of the reference kernels stand in for them, if their checksum is the expected
/// one.
///
/// # Errors
/// A golden file of another network, rounding or input, or whose layers are not those of the program. Differences are no
/// errors: the result holds the first one of each case.
pub fn check(
    golden: &Golden,
    program: &Program,
    isa: Isa,
    codes: &Codes,
    mut inputs: impl FnMut(&Source) -> Result<Vec<Vec<i8>>>,
) -> Result<Vec<Difference>> {
    let (found, expected) = (&program.metadata.network, &golden.network);
    if found != expected || program.rounding != golden.rounding {
        return Err(Error::Invalid(format!(
            "the golden file is of {expected} with rounding {:?}, the program of {found} with {:?}",
            golden.rounding, program.rounding
        )));
    }
    let mut differences = vec![];
    for case in &golden.cases {
        let inputs = match case.source {
            Source::Seed(seed) => program.seeded_inputs(seed),
            Source::File(_) => inputs(&case.source)?,
        };
        if inputs.iter().map(|i| Checksum::of_codes(i)).ne(case.inputs.iter().copied()) {
            let name = case.source.name();
            return Err(Error::Invalid(format!(
                "{name}: the input's codes are not those of the golden file"
            )));
        }
        differences.extend(check_case(case, program, isa, codes, &inputs)?);
    }
    Ok(differences)
}

fn check_case(
    case: &Case,
    program: &Program,
    isa: Isa,
    codes: &Codes,
    inputs: &[Vec<i8>],
) -> Result<Option<Difference>> {
    let mut missing: BTreeMap<&str, &super::Layer> = case.layers.iter().map(|l| (&*l.name, l)).collect();
    for step in &program.steps {
        for hidden in step.layers.iter().rev().skip(1) {
            missing.remove(&*word(hidden));
        }
    }
    let mut unknown = None;
    let mut first: Option<(Difference, Vec<i8>)> = None;
    let name = case.source.name();
    let outputs = observe(program, isa, inputs, |index, layer, bytes| {
        let Some(golden) = missing.remove(layer) else {
            unknown.get_or_insert_with(|| layer.to_string());
            return;
        };
        let found = Checksum::of_codes(bytes);
        if first.is_none() && found != golden.checksum {
            let row = rows(bytes, golden.shape).iter().zip(&golden.rows).position(|(a, b)| a != b);
            let (case, layer, expected) = (name.clone(), layer.to_string(), golden.checksum);
            let difference = Difference { case, index, layer, row, element: None, expected, found };
            first = Some((difference, bytes.to_vec()));
        }
    })?;
    let problem = match (unknown, missing.keys().next()) {
        (Some(layer), _) => Some(format!("layer `{layer}` is not in the golden file")),
        (None, Some(layer)) => Some(format!("the program has no layer `{layer}`")),
        (None, None) => None,
    };
    if let Some(problem) = problem {
        return Err(Error::Invalid(format!("{name}: {problem}")));
    }
    if let Some((mut difference, bytes)) = first {
        let key = (name, difference.layer.clone());
        let expected = match codes.get(&key) {
            Some(kept) => Some(kept.clone()),
            None => reference(program, inputs, &difference)?,
        };
        difference.element = expected.and_then(|e| element(program, difference.index, &e, &bytes));
        return Ok(Some(difference));
    }
    let sums = outputs.iter().map(|o| Checksum::of_codes(o));
    Ok(sums.zip(&case.outputs).enumerate().find(|(_, (found, expected))| found != *expected).map(
        |(i, (found, expected))| Difference {
            case: name,
            index: program.steps.len(),
            layer: format!("output {i}"),
            row: None,
            element: None,
            expected: *expected,
            found,
        },
    ))
}

/// The layer's bytes by the reference kernels, if they are those that the golden file was made of.
fn reference(program: &Program, inputs: &[Vec<i8>], wanted: &Difference) -> Result<Option<Vec<i8>>> {
    let mut found = None;
    observe(program, Isa::scalar(), inputs, |_, layer, bytes| {
        if layer == wanted.layer && Checksum::of_codes(bytes) == wanted.expected {
            found = Some(bytes.to_vec());
        }
    })?;
    Ok(found)
}

/// The first element that differs.
fn element(program: &Program, index: usize, expected: &[i8], found: &[i8]) -> Option<([usize; 3], i8, i8)> {
    let tensor = program.tensor(program.steps[index].writes);
    let at = expected.iter().zip(found).position(|(a, b)| a != b)?;
    let (pixel, byte) = (at / tensor.pixel_bytes(), at % tensor.pixel_bytes());
    Some(([pixel / tensor.shape.w, pixel % tensor.shape.w, byte], expected[at], found[at]))
}

impl Golden {
    /// Compares the lines that a device printed (`case NAME`, `layer INDEX NAME SHAPE CHECKSUM`, `output INDEX CHECKSUM`)
    /// with this file: case, layer index and name of the first difference, with expected and found checksum.
    ///
    /// # Errors
    /// One that says what is missing or cannot be read: a log without cases is no success.
    pub fn check_log(&self, log: &str) -> Result<Option<Difference>> {
        let parsed = super::text::parse_log(log)?;
        if parsed.is_empty() {
            return Err(Error::Invalid("the log holds no case".into()));
        }
        for (name, lines) in parsed {
            let case = self.cases.iter().find(|c| c.source.name() == name);
            let case = case.ok_or_else(|| Error::Invalid(format!("the golden file has no case `{name}`")))?;
            for layer in &case.layers {
                let name_of_layer = unword(&layer.name);
                let shown = |layers: &[String]| layers.last() == Some(&name_of_layer);
                let found = lines.layers.iter().find(|(_, layers, _)| shown(layers));
                if found.is_none()
                    && lines.layers.iter().any(|(_, layers, _)| layers.contains(&name_of_layer))
                {
                    continue;
                }
                let Some((index, _, found)) = found.cloned() else {
                    return Err(Error::Invalid(format!("{name}: the log has no layer `{}`", layer.name)));
                };
                if found != layer.checksum {
                    let (layer, expected) = (layer.name.clone(), layer.checksum);
                    let (row, element) = (None, None);
                    let case = name.clone();
                    return Ok(Some(Difference { case, index, layer, row, element, expected, found }));
                }
            }
            for (i, expected) in case.outputs.iter().enumerate() {
                let Some(found) = lines.outputs.get(i).copied() else {
                    return Err(Error::Invalid(format!("{name}: the log has no output {i}")));
                };
                if found != *expected {
                    let (layer, index) = (format!("output {i}"), case.layers.len());
                    let (row, element, expected) = (None, None, *expected);
                    return Ok(Some(Difference { case: name, index, layer, row, element, expected, found }));
                }
            }
        }
        Ok(None)
    }
}
