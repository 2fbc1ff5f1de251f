//! Volumes and masks as NIfTI-1, in the axes of the file that the scan came from.

use super::{Volume, geometry::cross, geometry::dot};
use crate::{Error, Result, write_atomic};
use flate2::{Compression, GzBuilder};
use std::{io::Write, path::Path};

/// Values for the voxels of a volume, `[slices, rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub enum Voxels<'a> {
    /// Labels.
    U8(&'a [u8]),
    /// Real values.
    F32(&'a [f32]),
}

impl Voxels<'_> {
    fn len(&self) -> usize {
        match self {
            Voxels::U8(v) => v.len(),
            Voxels::F32(v) => v.len(),
        }
    }
}

/// Writes values for a volume's voxels as NIfTI of the same geometry: for a scan from NIfTI with its axes, sizes and affine; for one from
/// DICOM with columns, rows and slices as its axes. Qform and sform are equal. A name that ends in `.gz` is gzipped.
///
/// # Errors
/// If the number of values is not that of the voxels, if a side is longer than NIfTI can have, or if the file cannot be written.
pub fn write_nifti(path: impl AsRef<Path>, volume: &Volume, values: Voxels<'_>) -> Result<()> {
    let path = path.as_ref();
    let bytes = encode(volume, values).map_err(|message| Error::file(path, message))?;
    let gzipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    if !gzipped {
        return write_atomic(path, &bytes);
    }
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    write_atomic(path, &packed.map_err(Error::io("cannot compress", path))?)
}

fn encode(volume: &Volume, values: Voxels<'_>) -> Result<Vec<u8>, String> {
    let (geometry, layout) = (&volume.geometry, volume.layout);
    if values.len() != geometry.count() {
        return Err(format!("{} values for {} voxels", values.len(), geometry.count()));
    }
    // The axes of the file: the target that each is, its size, its step.
    let mut target = [0; 3];
    for (t, axis) in layout.axis.into_iter().enumerate() {
        target[axis] = t;
    }
    let size = target.map(|t| geometry.size[t]);
    let sides = size.map(i16::try_from);
    if sides.iter().any(|side| side.is_err()) {
        return Err(format!("sides of {size:?} voxels, of which NIfTI has at most 32767"));
    }
    let first = [0, 1, 2].map(|t| if layout.turned[t] { geometry.size[t] - 1 } else { 0 });
    let right = |v: [f64; 3]| [-v[0], -v[1], v[2]];
    let origin = right(geometry.place(first));
    let axes = target.map(|t| right(geometry.axes[t].map(|v| if layout.turned[t] { -v } else { v })));
    let spacing = target.map(|t| geometry.spacing[t]);
    let hand = if dot(cross(axes[0], axes[1]), axes[2]) < 0.0 { -1.0 } else { 1.0 };
    let quaternion = quaternion([axes[0], axes[1], axes[2].map(|v| v * hand)]);

    let mut header = vec![0u8; 352];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let (code, bits) = match values {
        Voxels::U8(_) => (2i16, 8i16),
        Voxels::F32(_) => (16, 32),
    };
    put(0, &348i32.to_le_bytes());
    put(38, b"r");
    for (i, n) in [Ok(3), sides[0], sides[1], sides[2], Ok(1), Ok(1), Ok(1), Ok(1)].into_iter().enumerate() {
        put(40 + 2 * i, &n.unwrap_or(1).to_le_bytes());
    }
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    let floats = |list: &[f64]| list.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect::<Vec<u8>>();
    put(76, &floats(&[hand, spacing[0], spacing[1], spacing[2]]));
    put(108, &floats(&[352.0, 1.0, 0.0]));
    put(123, &[2]);
    put(148, b"niello");
    put(252, &1i16.to_le_bytes());
    put(254, &1i16.to_le_bytes());
    put(256, &floats(&quaternion));
    put(268, &floats(&origin));
    for row in 0..3 {
        let [x, y, z] = [0, 1, 2].map(|i| axes[i][row] * spacing[i]);
        put(280 + 16 * row, &floats(&[x, y, z, origin[row]]));
    }
    put(344, b"n+1\0");

    // Values in the order of the file.
    let strides = [geometry.size[1] * geometry.size[2], geometry.size[2], 1];
    let at = |axis: usize, i: usize| {
        let t = target[axis];
        strides[t] * if layout.turned[t] { geometry.size[t] - 1 - i } else { i }
    };
    header.reserve(values.len() * usize::from(bits as u16 / 8));
    for k in 0..size[2] {
        for j in 0..size[1] {
            let start = at(2, k) + at(1, j);
            let places = (0..size[0]).map(|i| start + at(0, i));
            match values {
                Voxels::U8(values) => header.extend(places.map(|at| values[at])),
                Voxels::F32(values) => header.extend(places.flat_map(|at| values[at].to_le_bytes())),
            }
        }
    }
    Ok(header)
}

/// The last three parts of the quaternion of a rotation, whose columns are given; the first part is not negative.
fn quaternion([x, y, z]: [[f64; 3]; 3]) -> [f64; 3] {
    let (r11, r21, r31) = (x[0], x[1], x[2]);
    let (r12, r22, r32) = (y[0], y[1], y[2]);
    let (r13, r23, r33) = (z[0], z[1], z[2]);
    // Four times the square of each part; the largest one is divided by.
    let squares =
        [1.0 + r11 + r22 + r33, 1.0 + r11 - r22 - r33, 1.0 - r11 + r22 - r33, 1.0 - r11 - r22 + r33];
    let largest = (0..4).max_by(|a, b| squares[*a].total_cmp(&squares[*b])).unwrap_or(0);
    let twice = squares[largest].max(0.0).sqrt();
    let [a, b, c, d] = match largest {
        0 => [twice * twice, r32 - r23, r13 - r31, r21 - r12],
        1 => [r32 - r23, twice * twice, r12 + r21, r13 + r31],
        2 => [r13 - r31, r12 + r21, twice * twice, r23 + r32],
        _ => [r21 - r12, r13 + r31, r23 + r32, twice * twice],
    };
    let sign = if a < 0.0 { -1.0 } else { 1.0 };
    [b, c, d].map(|v| sign * v / (2.0 * twice))
}
