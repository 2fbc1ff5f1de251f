//! What the program is compared with.

use super::tensors::{in_order, rows};
use niello_codegen::{
    Error, Result, Tensor,
    pipeline::Build,
    weights::{read_tensors, sha256_of},
};
use niello_imaging::Array;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The other side.
pub(super) enum Against {
    /// The float network.
    Float,
    /// Outputs of another framework, by name.
    Outputs { file: PathBuf, sha256: String, tensors: BTreeMap<String, Array> },
}

impl Against {
    /// `float`, or a file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "float" {
            return Ok(Self::Float);
        }
        let tensors = read_tensors(path)?;
        let tensors =
            tensors.into_iter().map(|(name, t)| (name, Array { shape: t.shape, data: t.data })).collect();
        let bytes = std::fs::read(path).map_err(Error::io("cannot read", path))?;
        Ok(Self::Outputs { file: path.into(), sha256: sha256_of(&bytes), tensors })
    }

    /// The same for the same outputs, wherever their file lies.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Float => "float".into(),
            Self::Outputs { file, sha256, .. } => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                format!("{name} (sha256 {})", &sha256[..12])
            }
        }
    }

    /// The output for a case: the tensor `CASE` or `CASE/OUTPUT`, the case's name with or without the file's ending; or row `row` of the only tensor.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn output(
        &self,
        build: &Build,
        id: &str,
        row: Option<(usize, usize)>,
        input: &Tensor<f32>,
    ) -> Result<Tensor<f32>, String> {
        let (file, tensors) = match self {
            Self::Float => {
                let outputs = build.quantized.graph.eval_f32(std::slice::from_ref(input));
                return outputs.map_err(|e| e.to_string())?.into_iter().next().ok_or("no output".into());
            }
            Self::Outputs { file, tensors, .. } => (file, tensors),
        };
        let (end, shape) = (&build.outputs()[0], build.program.tensor(build.program.outputs[0]).shape);
        let fail = |what: String| format!("{}: {what}", file.display());
        let stem =
            id.rsplit_once('.').filter(|(_, ending)| !ending.contains('/')).map_or(id, |(stem, _)| stem);
        let names =
            [id.to_string(), format!("{id}/{}", end.name), stem.to_string(), format!("{stem}/{}", end.name)];
        if let Some((name, array)) = names.iter().find_map(|name| tensors.get_key_value(name)) {
            return in_order(end, shape, &array.shape, &array.data)
                .map_err(|e| fail(format!("tensor `{name}`: {e}")));
        }
        let only = tensors.values().next().filter(|_| tensors.len() == 1);
        if let (Some((row, all)), Some(array)) = (row, only) {
            let (row_shape, found) = rows(array);
            if found.len() == all {
                return in_order(end, shape, &row_shape, found[row])
                    .map_err(|e| fail(format!("row {row}: {e}")));
            }
        }
        Err(fail(format!("no tensor `{id}`")))
    }
}

/// That tensors are compared with which no case is named as.
///
/// # Errors
/// None of the cases has a tensor: the file is of other data.
pub(super) fn check_names<'a>(
    against: Option<&Against>,
    mut ids: impl Iterator<Item = &'a str>,
    are_rows: bool,
) -> Result<()> {
    let Some(Against::Outputs { file, tensors, .. }) = against else { return Ok(()) };
    if are_rows && tensors.len() == 1 {
        return Ok(());
    }
    let is_of = |id: &str| {
        let stem = id.rsplit_once('.').map_or(id, |(stem, _)| stem);
        tensors.keys().any(|name| name.starts_with(stem))
    };
    let names: Vec<&str> = tensors.keys().take(3).map(String::as_str).collect();
    if ids.any(is_of) {
        return Ok(());
    }
    Err(Error::file(file, format!("expected tensors with the names of cases, found {}", names.join(", "))))
}
