//! What is compared on: images, tensors, or drawn numbers.

use crate::{
    inputs::{images, is_tensors},
    networks,
};
use niello_codegen::{
    Error, Result, Tensor,
    pipeline::{Build, Pair, find_network},
    recipe::Recipe,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// What is compared: an image, or tensors.
pub(super) enum Source {
    Image(PathBuf),
    Tensors(Vec<Tensor<f32>>),
}

impl Source {
    /// One tensor for every input of the network.
    pub(super) fn inputs(&self, build: &Build) -> Result<Vec<Tensor<f32>>> {
        Ok(match self {
            Source::Image(file) => vec![build.input(&niello_imaging::load(file)?)?],
            Source::Tensors(inputs) => inputs.clone(),
        })
    }
}

/// A case: its name, and how its input comes about.
pub(super) type Case = (String, Source);

/// Data to compare on, as a command names it.
pub(crate) struct Given<'a> {
    data: Option<&'a Path>,
    pub(super) expected: Option<&'a Path>,
    /// The images.
    files: Vec<PathBuf>,
    generates: bool,
}

impl<'a> Given<'a> {
    /// Data for what a recipe builds, looked for before minutes of building.
    ///
    /// # Errors
    /// Images that are not there, or not named though the network reads them.
    pub(crate) fn new(recipe: &Recipe, data: Option<&'a Path>, expected: Option<&'a Path>) -> Result<Self> {
        let generates = find_network(recipe, networks())?.generates();
        let files = match data {
            Some(data) if !generates && !is_tensors(data) => images(data)?,
            None if !generates => {
                return Err(Error::Invalid(format!(
                    "{} reads images: give `--data` (images, or a safetensors file of inputs)",
                    recipe.network_name()
                )));
            }
            _ => vec![],
        };
        Ok(Self { data, expected, files, generates })
    }

    /// The inputs, and what another framework made of them.
    pub(super) fn cases(&self, build: &Build) -> Result<(Vec<Case>, BTreeMap<String, Pair>)> {
        let mut expected = match self.expected {
            Some(path) => build.pairs(path)?,
            None => BTreeMap::new(),
        };
        let cases = match self.data {
            Some(data) if self.generates || is_tensors(data) => {
                let mut cases = vec![];
                for (name, pair) in build.pairs(data)? {
                    if pair.inputs.is_empty() {
                        return Err(Error::file(data, format!("case `{name}` has an output and no input")));
                    }
                    cases.push((name.clone(), Source::Tensors(pair.inputs)));
                    if let Some(output) = pair.output {
                        expected.entry(name).or_default().output.get_or_insert(output);
                    }
                }
                cases
            }
            Some(_) => {
                let name =
                    |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.files.iter().map(|file| (name(file), Source::Image(file.clone()))).collect()
            }
            None => {
                let drawn = |i| (i, Source::Tensors(build.drawn(i as u64, i)));
                (0..build.classes.len()).map(drawn).map(|(i, s)| (i.to_string(), s)).collect()
            }
        };
        Ok((cases, expected))
    }
}
