//! Cases that are whole scans.

use super::{
    against::Against,
    data::{Finder, Item, Source, Truth, name, some},
    labels::Labels,
};
use crate::{inputs::input_use, progress, scans};
use niello_codegen::{Error, Result, pipeline::Build};
use niello_evaluation::{InputUse, LeftOut, Line, MaskCase, MaskOutcome};
use niello_imaging::metrics::class_counts;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The name of a scan or mask without its ending.
fn stem(name: &str) -> &str {
    let lower = name.to_lowercase();
    let ending = [".nii.gz", ".nii", ".dcm", ".dicom"].into_iter().find(|ending| lower.ends_with(ending));
    ending.and_then(|ending| name.get(..name.len() - ending.len())).unwrap_or(name)
}

/// Folders, NIfTI and DICOM files of a folder, sorted; others are named.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).map_err(Error::io("cannot list folder", folder))? {
        let path = entry.map_err(Error::io("cannot list folder", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() || stem(&name) != name {
            found.push(path);
        } else {
            progress::note(&format!("{}: skipped: neither a folder nor NIfTI nor DICOM", path.display()));
        }
    }
    found.sort();
    Ok(found)
}

impl Finder<'_> {
    /// The one scan that a mask's file is of, or the scans of a folder with masks of their names.
    pub(super) fn scans(&self, masks: &Path) -> Result<Vec<Item>> {
        if !self.is_segmentation() {
            let network = &self.build.program.metadata.network;
            let message = "classifies slices: `--scans` is for segmentations; `niello scan` gives the class of each slice";
            return Err(Error::Invalid(format!("{network} {message}")));
        }
        if masks.is_file() {
            let id = self.root.file_name().unwrap_or(self.root.as_os_str()).to_string_lossy().into();
            let source = Source::Scan(self.root.into());
            return Ok(vec![Item { id, source, truth: Truth::Mask(masks.into()) }]);
        }
        if self.root.is_file() {
            return Err(Error::file(masks, "expected the mask of one scan, found no file"));
        }
        let mut of_stem: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for mask in entries(masks)? {
            of_stem.entry(stem(&name(&mask, masks)).into()).or_default().push(mask);
        }
        let mut items = vec![];
        for path in entries(self.root)?.into_iter().filter(|path| path != masks) {
            let id = name(&path, self.root);
            let names = [stem(&id).to_string(), format!("{}_mask", stem(&id))];
            let found: Vec<PathBuf> =
                names.iter().filter_map(|name| of_stem.remove(name)).flatten().collect();
            let (source, truth) = match &found[..] {
                [] => (Source::Problem(format!("no mask in {}", masks.display())), Truth::Unknown),
                [mask] => (Source::Scan(path), Truth::Mask(mask.clone())),
                several => {
                    let several: Vec<String> = several.iter().map(|mask| name(mask, masks)).collect();
                    (Source::Problem(format!("several masks: {}", some(&several))), Truth::Unknown)
                }
            };
            items.push(Item { id, source, truth });
        }
        for mask in of_stem.into_values().flatten() {
            let source = Source::Problem(format!("a mask without a scan in {}", self.root.display()));
            items.push(Item { id: mask.display().to_string(), source, truth: Truth::Unknown });
        }
        Ok(items)
    }
}

/// The result of a scan, its slices on all cores; what is wrong with the scan leaves it out.
pub(super) fn line(
    build: &Build,
    labels: &Labels,
    against: Option<&Against>,
    item: &Item,
    path: &Path,
) -> Line {
    let found = match against {
        Some(Against::Outputs { .. }) => Err("scans are compared with `--against float`".into()),
        _ => case(build, labels, against.is_some(), item, path).map_err(|e| e.to_string()),
    };
    found.map_or_else(|why| Line::LeftOut(LeftOut { id: item.id.clone(), why }), Line::Mask)
}

fn case(build: &Build, labels: &Labels, is_compared: bool, item: &Item, path: &Path) -> Result<MaskCase> {
    let volume = scans::read(path, None)?;
    let truth = match &item.truth {
        Truth::Mask(mask) => {
            let values = scans::read(mask, None)?.on_grid_of(&volume)?;
            Some(labels.of_values(&values).map_err(|message| Error::file(mask, message))?)
        }
        _ => None,
    };
    let slices = scans::each_slice(build, &volume, None, |_, input, output| {
        let own = scans::slice_labels(build, &volume, output)?;
        let mut other = None;
        if is_compared {
            let float = build.quantized.graph.eval_f32(std::slice::from_ref(input))?;
            other = Some(scans::slice_labels(build, &volume, &float[0])?);
        }
        Ok((own, other, input_use(build, input)))
    })?;
    let (mut own, mut other, mut input) = (vec![], vec![], InputUse::default());
    for (slice, of_other, used) in slices {
        own.extend(slice);
        other.extend(of_other.into_iter().flatten());
        input.values += used.values;
        input.below += used.below;
        input.above += used.above;
    }
    let classes = labels.count();
    let truth = truth.as_deref();
    let other = is_compared.then_some(&other[..]);
    Ok(MaskCase {
        id: item.id.clone(),
        found: class_counts(&own, classes),
        outcome: truth.map(|truth| MaskOutcome::of_volume(truth, &own, classes)),
        against: truth.zip(other).map(|(truth, other)| MaskOutcome::of_volume(truth, other, classes)),
        agreement: other.map(|other| MaskOutcome::of_volume(other, &own, classes)),
        input,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_without_endings() {
        for (name, expected) in [("a.nii.gz", "a"), ("a.b.NII", "a.b"), ("series", "series"), ("ä.dcm", "ä")]
        {
            assert_eq!(super::stem(name), expected);
        }
    }
}
