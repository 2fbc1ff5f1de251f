//! DICOM slices of a folder, by series.

use super::{
    Layout, MAX_VOXELS, Volume, dicom_files,
    stack::{Plane, Stack},
};
use crate::{Error, Result, Samples, read::dicom};
use dicom::{DataSet, Dicom, tags};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A series of a folder.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Series {
    /// Series Instance UID.
    pub uid: String,
    /// `CT`, `MR`, …
    pub modality: String,
    /// Series Description, or nothing.
    pub description: String,
    /// Files in which frames are, by path.
    pub files: Vec<PathBuf>,
    folder: PathBuf,
}

/// What of its source a volume needs for files that refer to it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub series_uid: String,
    /// Elements of the patient and the study, as they are stored.
    pub study: BTreeMap<(u16, u16), Vec<u8>>,
    pub slices: Vec<Slice>,
}

/// The frame of a slice.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub path: PathBuf,
    pub class: String,
    pub uid: String,
    /// From 1; `None` if the file has no other.
    pub frame: Option<usize>,
}

/// Elements of the patient, the study and the space that a mask has in common with its scan, with their representations.
pub(super) const STUDY: [((u16, u16), &str); 12] = [
    ((0x0008, 0x0005), "CS"),
    ((0x0008, 0x0020), "DA"),
    ((0x0008, 0x0030), "TM"),
    ((0x0008, 0x0050), "SH"),
    ((0x0008, 0x0090), "PN"),
    ((0x0010, 0x0010), "PN"),
    ((0x0010, 0x0020), "LO"),
    ((0x0010, 0x0030), "DA"),
    ((0x0010, 0x0040), "CS"),
    ((0x0020, 0x000d), "UI"),
    ((0x0020, 0x0010), "SH"),
    ((0x0020, 0x0052), "UI"),
];

/// The series of a folder and its folders, by identifier. Files of other kinds are left out.
///
/// # Errors
/// If the folder cannot be read or holds no DICOM image, or if a DICOM file is damaged.
pub fn list_series(dir: impl AsRef<Path>) -> Result<Vec<Series>> {
    let dir = dir.as_ref();
    let mut found: BTreeMap<String, Series> = BTreeMap::new();
    for path in dicom_files(dir)? {
        let bytes = fs::read(&path).map_err(Error::io("cannot read", &path))?;
        let [uid, modality, description] = dicom::with(&path, &bytes, |file| {
            let text = |tag| file.set.text(tag).unwrap_or_default();
            Ok([text(tags::SERIES), text(tags::MODALITY), text(tags::DESCRIPTION)])
        })?;
        let series =
            Series { uid: uid.clone(), modality, description, files: Vec::new(), folder: dir.into() };
        found.entry(uid).or_insert(series).files.push(path);
    }
    if found.is_empty() {
        return Err(Error::file(dir, "expected DICOM slices, found none in it"));
    }
    Ok(found.into_values().collect())
}

/// The one series of a folder, beside which masks may lie, or the named one.
pub(super) fn choose(dir: &Path, name: Option<&str>) -> Result<Series> {
    let all = list_series(dir)?;
    let list = |series: &[Series]| {
        let one =
            |s: &Series| format!("{} ({} `{}`, {} files)", s.uid, s.modality, s.description, s.files.len());
        series.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    let mut right: Vec<Series> =
        all.iter().filter(|s| name.is_none_or(|n| s.uid.starts_with(n))).cloned().collect();
    // A mask that lies beside its scan is none.
    if name.is_none() && right.iter().any(|s| s.modality != "SEG") {
        right.retain(|s| s.modality != "SEG");
    }
    // A whole identifier may be the start of another one.
    if let Some(exact) = right.iter().position(|s| Some(s.uid.as_str()) == name) {
        right = vec![right.swap_remove(exact)];
    }
    match (right.pop(), right.as_slice()) {
        (Some(series), []) => Ok(series),
        (None, _) => {
            let message =
                format!("no series begins with `{}`; it holds {}", name.unwrap_or_default(), list(&all));
            Err(Error::file(dir, message))
        }
        (Some(last), _) => {
            right.push(last);
            let message = format!("{} series, of which one must be named: {}", right.len(), list(&right));
            Err(Error::file(dir, message))
        }
    }
}

/// The frames of one file.
pub(super) fn read_file(name: &Path, bytes: &[u8]) -> Result<Volume> {
    dicom::with(name, bytes, |file| {
        let mut stack = Stack::default();
        planes(name, file, &mut stack.planes)?;
        let (geometry, order) = stack.geometry().map_err(|message| Error::file(name, message))?;
        let size = geometry.size[1] * geometry.size[2];
        let mut voxels = Vec::with_capacity(geometry.count());
        for index in &order {
            extend(&mut voxels, file, *index, size)?;
        }
        volume(name, geometry, voxels, &stack, &order, source(file))
    })
}

impl Series {
    /// The volume of its slices, sorted along their normal.
    ///
    /// # Errors
    /// As [`super::read_scan`].
    pub fn read(&self) -> Result<Volume> {
        let mut stack = Stack::default();
        let mut first = None;
        for path in &self.files {
            let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
            dicom::with(path, &bytes, |file| {
                first.get_or_insert_with(|| source(file));
                planes(path, file, &mut stack.planes)
            })?;
        }
        let (geometry, order) = stack.geometry().map_err(|message| Error::file(&self.folder, message))?;
        let size = geometry.size[1] * geometry.size[2];
        let mut voxels = vec![0.0; geometry.count()];
        // Each file once, whatever the order of its frames.
        for path in &self.files {
            let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
            dicom::with(path, &bytes, |file| {
                for (slice, index) in
                    order.iter().enumerate().filter(|(_, i)| &stack.planes[**i].slice.path == path)
                {
                    let mut values = Vec::with_capacity(size);
                    let frame = stack.planes[*index].slice.frame.map_or(0, |frame| frame - 1);
                    extend(&mut values, file, frame, size)?;
                    voxels[slice * size..][..size].copy_from_slice(&values);
                }
                Ok(())
            })?;
        }
        let source = first.unwrap_or_else(|| Source {
            series_uid: self.uid.clone(),
            study: BTreeMap::new(),
            slices: Vec::new(),
        });
        volume(&self.folder, geometry, voxels, &stack, &order, source)
    }
}

fn volume(
    name: &Path,
    geometry: super::Geometry,
    voxels: Vec<f32>,
    stack: &Stack,
    order: &[usize],
    source: Source,
) -> Result<Volume> {
    let slices = order.iter().map(|i| stack.planes[*i].slice.clone()).collect();
    let source = Some(Source { slices, ..source });
    Ok(Volume { layout: Layout::PLAIN, notes: stack.notes(), source, ..Volume::new(name, geometry, voxels)? })
}

/// Adds the values of a frame, which must be one channel of `size` samples.
fn extend(voxels: &mut Vec<f32>, file: &Dicom<'_>, frame: usize, size: usize) -> Result<()> {
    let image = file.image(frame)?;
    match image.samples() {
        _ if image.channels() != 1 || image.height() * image.width() != size => {
            return Err(Error::file(image.name(), "expected a gray slice, found colours"));
        }
        Samples::U8(values) => voxels.extend(values.iter().map(|v| f32::from(*v))),
        Samples::Real(values) => voxels.extend(values),
    }
    Ok(())
}

fn source(file: &Dicom<'_>) -> Source {
    let study = STUDY.iter().filter_map(|(tag, _)| Some((*tag, file.set.value(*tag)?.to_vec()))).collect();
    Source { series_uid: file.set.text(tags::SERIES).unwrap_or_default(), study, slices: Vec::new() }
}

/// The place of each frame of a file.
fn planes(path: &Path, file: &Dicom<'_>, planes: &mut Vec<Plane>) -> Result<()> {
    let problem = |message: String| Error::file(path, format!("DICOM: {message}"));
    let pixels = &file.pixels;
    if pixels.h * pixels.w * (planes.len() + pixels.frames) > MAX_VOXELS {
        return Err(problem(format!("a volume of more than {MAX_VOXELS} voxels")));
    }
    let text = |tag| file.set.text(tag).unwrap_or_default();
    let [class, uid] = [tags::STORED_CLASS, tags::INSTANCE].map(text);
    for frame in 0..pixels.frames {
        let groups = [file.frame_groups.get(frame), file.shared_groups.as_ref()];
        let several = pixels.frames > 1;
        // Of the frame, or of all frames.
        let find = |sequence| -> Result<Option<DataSet<'_>>, String> {
            for group in groups.into_iter().flatten() {
                if let Some(item) = group.item(sequence)? {
                    return Ok(Some(item));
                }
            }
            Ok(None)
        };
        let read = || -> Result<Plane, String> {
            // Where the file lies is not where each of several frames does.
            let place = find(tags::POSITION_GROUP)?;
            let place = place.as_ref().or((!several).then_some(&file.set));
            let position = place.map(|set| set.decimals(tags::POSITION, "image position")).transpose()?;
            let directions = find(tags::ORIENTATION_GROUP)?;
            let directions = directions.as_ref().unwrap_or(&file.set);
            let orientation = directions.decimals(tags::ORIENTATION, "image orientation")?;
            let measures = find(tags::MEASURES_GROUP)?;
            let measures = measures.as_ref().unwrap_or(&file.set);
            let slice = Slice {
                path: path.into(),
                class: class.clone(),
                uid: uid.clone(),
                frame: several.then_some(frame + 1),
            };
            Ok(Plane {
                slice,
                size: [pixels.h, pixels.w],
                position: position.flatten(),
                orientation,
                spacing: measures.decimals(tags::PIXEL_SPACING, "pixel spacing")?,
                between: measures.decimal(tags::BETWEEN, "spacing between slices")?,
                thickness: measures.decimal(tags::THICKNESS, "slice thickness")?,
                tilt: file.set.decimal(tags::TILT, "gantry tilt")?,
            })
        };
        planes.push(read().map_err(problem)?);
    }
    Ok(())
}
