//! Whole scans: volumes from DICOM series, multi-frame files and NIfTI, and masks of the same geometry.
//!
//! * [`list_series`] says which series a folder holds, [`read_scan`] reads one of them, or a file.
//! * [`lung_sides`] tells left from right lung by where voxels lie.
//! * [`write_nifti`] and [`write_segmentation`] write a volume's labels so that they lie where the volume lies.
//!
//! Nothing is guessed: slices that are missing, doubled, of another size or oblique to their stack, several scans in one folder, and
//! voxels without a place or a spacing are errors that name the files.

mod align;
mod geometry;
mod nifti;
mod segmentation;
mod series;
mod sides;
mod stack;
mod write_nifti;

pub use geometry::{Geometry, Vector};
pub use segmentation::{Segment, write_segmentation};
pub use series::{Series, list_series};
pub use sides::{Side, lung_sides};
pub use write_nifti::{Voxels, write_nifti};

use crate::{Error, Image, Result, Samples, folder, image::MAX_SAMPLES, read};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The largest volume that is read, in voxels (512 Mi).
pub const MAX_VOXELS: usize = 8 * MAX_SAMPLES;

/// A scan: real values on a grid.
#[derive(Clone, Debug)]
pub struct Volume {
    name: PathBuf,
    geometry: Geometry,
    voxels: Vec<f32>,
    notes: Vec<String>,
    layout: Layout,
    source: Option<series::Source>,
}

/// How the axes of a file become slices, rows and columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layout {
    /// For slices, rows and columns: the axis of the file, 0 for the one that runs fastest.
    axis: [usize; 3],
    /// Whether the file counts in the opposite direction.
    turned: [bool; 3],
}

impl Layout {
    /// Columns run fastest, then rows, then slices, as in DICOM.
    const PLAIN: Layout = Layout { axis: [2, 1, 0], turned: [false; 3] };
}

impl Volume {
    /// A volume from its parts; `name` is its name in errors, `voxels` are `[slices, rows, columns]`.
    ///
    /// # Errors
    /// If the number of voxels is not that of the geometry, or if one is not finite.
    pub fn new(name: impl Into<PathBuf>, geometry: Geometry, voxels: Vec<f32>) -> Result<Self> {
        let name = name.into();
        if voxels.len() != geometry.count() || voxels.is_empty() {
            let message =
                format!("{:?} voxels as slices, rows, columns, found {}", geometry.size, voxels.len());
            return Err(Error::file(name, format!("expected {message}")));
        }
        if let Some(i) = voxels.iter().position(|v| !v.is_finite()) {
            let slice = i / (geometry.size[1] * geometry.size[2]);
            return Err(Error::file(
                name,
                format!("every voxel must be finite, found {} in slice {slice}", voxels[i]),
            ));
        }
        Ok(Self { name, geometry, voxels, notes: Vec::new(), layout: Layout::PLAIN, source: None })
    }

    /// Its name in errors: the file or folder.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Where its voxels lie.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Values, `[slices, rows, columns]`: Hounsfield units of a CT.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// What was noticed of the file and is no error.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Where the axes of the file are counted to, the one that runs fastest first, as letters of [`Geometry::letters`]: `RAS` for NIfTI of that order.
    pub fn stored_letters(&self) -> String {
        let mut letters = [' '; 3];
        for (target, axis) in self.layout.axis.into_iter().enumerate() {
            let sign = if self.layout.turned[target] { -1.0 } else { 1.0 };
            letters[axis] = geometry::letter(self.geometry.axes[target].map(|v| sign * v));
        }
        letters.iter().collect()
    }

    /// Series Instance UID, if it came from DICOM.
    pub fn series(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.series_uid.as_str())
    }

    /// The DICOM file of a slice, if it came from one.
    pub fn slice_file(&self, slice: usize) -> Option<&Path> {
        self.source.as_ref()?.slices.get(slice).map(|slice| slice.path.as_path())
    }

    /// One slice, `[rows, columns, 1]`, for pre-processing.
    ///
    /// # Errors
    /// If there is no such slice, or if it is larger than an image may be.
    pub fn slice(&self, slice: usize) -> Result<Image> {
        let [slices, h, w] = self.geometry.size;
        if slice >= slices {
            return Err(Error::file(&self.name, format!("expected a slice below {slices}, found {slice}")));
        }
        let name = format!("{} slice {slice}", self.name.display());
        Image::new(name, [h, w, 1], Samples::Real(self.voxels[slice * h * w..][..h * w].to_vec()))
    }
}

/// Reads a scan: a folder of DICOM slices, a DICOM file of several frames (or of one), or NIfTI (`.nii`, `.nii.gz`).
///
/// Slices of DICOM are sorted along their normal. The axes of NIfTI are turned so that columns run to the left, rows to the back and slices to
/// the head, as in axial slices of DICOM, as far as its grid is along them; what is written for the volume has the file's own axes.
/// Of a folder with several series, `series` names the one to read: the start of its identifier. Masks beside a scan do not count.
///
/// # Errors
/// If the file is none of these, or damaged; if a folder holds several series and none is named; if slices are missing, doubled, of
/// several sizes, of several directions or sheared (gantry tilt); if there is no spacing, position or direction; if the grid has no
/// right angles; if there are more than [`MAX_VOXELS`].
pub fn read_scan(path: impl AsRef<Path>, series: Option<&str>) -> Result<Volume> {
    let path = path.as_ref();
    if path.is_dir() {
        return series::choose(path, series)?.read();
    }
    let bytes = fs::read(path).map_err(Error::io("cannot read", path))?;
    read_scan_bytes(path, &bytes)
}

/// [`read_scan`] of a file's bytes; `name` is its name in errors.
///
/// # Errors
/// As there.
pub fn read_scan_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Volume> {
    let name = name.as_ref();
    if read::is_dicom(bytes) { series::read_file(name, bytes) } else { nifti::read(name, bytes) }
}

/// DICOM files of a folder.
fn dicom_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let files = folder::list_folder(dir, true)?.images;
    let is_dicom = |path: &PathBuf| {
        let mut head = Vec::new();
        let read = fs::File::open(path)
            .and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, 132), &mut head));
        read.is_ok() && read::is_dicom(&head)
    };
    Ok(files.into_iter().filter(is_dicom).collect())
}
