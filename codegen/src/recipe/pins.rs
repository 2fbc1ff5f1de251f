//! The keys of a recipe on which calibration depends; they are part of the origin of a [`crate::lock`].

use super::{Calibrate, Recipe, Target};
use crate::tensor::Shape;
use std::{collections::BTreeMap, path::PathBuf};

impl Recipe {
    /// Those keys as `section.key`, with their values, for a network of `classes` classes whose `inputs` are made by `preprocess`.
    /// Keys that are as by default have no entry. Files are left out, their contents are hashed; so are the target, which changes no byte of a
    /// result, and the rounding, on which only the answers of the self-test depend.
    pub(crate) fn pins(
        &self,
        classes: usize,
        preprocess: &str,
        inputs: &[Shape],
    ) -> BTreeMap<String, String> {
        let mut recipe = self.clone();
        recipe.classes = vec![];
        recipe.weights = None;
        recipe.target = Target::default();
        recipe.base_dir = PathBuf::new();
        recipe.calibrate = Calibrate { images: None, lock: None, ..recipe.calibrate };
        recipe.format.rounding = Default::default();
        // The resolved value, whichever key decides it.
        recipe.input = Default::default();
        let mut pins = BTreeMap::new();
        // A recipe that could be read can be written.
        if let Ok(toml::Value::Table(table)) = toml::Value::try_from(&recipe) {
            flatten(&mut pins, "", &table);
        }
        pins.remove("format.rounding");
        let shapes: Vec<String> = inputs.iter().map(Shape::to_string).collect();
        for (key, value) in [
            ("classes", classes.to_string()),
            ("input", shapes.join(", ")),
            ("input.preprocess", preprocess.into()),
        ] {
            pins.insert(key.into(), value);
        }
        pins
    }
}

fn flatten(pins: &mut BTreeMap<String, String>, prefix: &str, table: &toml::Table) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => flatten(pins, &format!("{prefix}{key}."), inner),
            toml::Value::String(text) => drop(pins.insert(format!("{prefix}{key}"), text.clone())),
            other => drop(pins.insert(format!("{prefix}{key}"), other.to_string())),
        }
    }
}
