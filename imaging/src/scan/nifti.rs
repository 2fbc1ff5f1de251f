//! NIfTI-1 and NIfTI-2 in one file, also gzipped: the headers of 348 and 540 bytes of their definitions (nifti1.h, nifti2.h).
//!
//! No crate: the one for it takes the memory that a header claims, and brings matrix libraries.

use super::{Geometry, Layout, MAX_VOXELS, Vector, Volume};
use crate::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::{io::Read, path::Path};

/// The most bytes between header and voxels: extensions.
const MAX_OFFSET: usize = 1 << 24;

pub(super) fn read(name: &Path, bytes: &[u8]) -> Result<Volume> {
    let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
    let mut plain = bytes;
    let mut inflated = MultiGzDecoder::new(bytes);
    let mut source: &mut dyn Read = if gzipped { &mut inflated } else { &mut plain };
    let volume = parse(&mut source).map_err(|message| Error::file(name, message))?;
    let Parsed { geometry, layout, voxels, notes } = volume;
    Ok(Volume { layout, notes, ..Volume::new(name, geometry, voxels)? })
}

struct Parsed {
    geometry: Geometry,
    layout: Layout,
    voxels: Vec<f32>,
    notes: Vec<String>,
}

/// Reads as many bytes, without taking memory for more than there are.
fn take(source: &mut dyn Read, count: usize, what: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    source.take(count as u64).read_to_end(&mut bytes).map_err(|e| format!("damaged gzip: {e}"))?;
    match bytes.len() == count {
        true => Ok(bytes),
        false => Err(format!("damaged NIfTI: {what} takes {count} bytes, found {}", bytes.len())),
    }
}

fn parse(source: &mut dyn Read) -> Result<Parsed, String> {
    let header = Header::read(source)?;
    let [ni, nj, nk] = header.size()?;
    let count = ni * nj * nk;
    let kind = Kind::of(header.kind)?;
    let offset = header.offset;
    if !(offset >= header.bytes as f64 && offset <= MAX_OFFSET as f64 && offset.fract() == 0.0) {
        let least = header.bytes + 4;
        return Err(format!("the voxels begin at byte {offset} (vox_offset), expected {least} or more"));
    }
    let mut notes = Vec::new();
    let (edges, origin) = header.affine(&mut notes)?;
    let (geometry, layout) = turn([ni, nj, nk], edges, origin)?;
    take(source, offset as usize - header.bytes, "what stands before the voxels")?;
    let data = take(source, count * kind.bytes(), &format!("{ni}x{nj}x{nk} voxels of {kind:?}"))?;
    // The end, where gzip has its checksum.
    source.read(&mut [0; 16]).map_err(|e| format!("damaged gzip: {e}"))?;
    let (slope, intercept) = match header.scale {
        [slope, intercept] if slope != 0.0 && slope.is_finite() => {
            (slope, if intercept.is_finite() { intercept } else { 0.0 })
        }
        _ => (1.0, 0.0),
    };
    let [slices, rows, columns] = geometry.size;
    let strides = [1, ni, ni * nj];
    let mut voxels = Vec::with_capacity(count);
    let at = |target: usize, i: usize| {
        let i = if layout.turned[target] { geometry.size[target] - 1 - i } else { i };
        i * strides[layout.axis[target]]
    };
    for slice in 0..slices {
        for row in 0..rows {
            let start = at(0, slice) + at(1, row);
            voxels.extend((0..columns).map(|column| {
                let at = (start + at(2, column)) * kind.bytes();
                (kind.read(&data[at..at + kind.bytes()], header.big) * slope + intercept) as f32
            }));
        }
    }
    Ok(Parsed { geometry, layout, voxels, notes })
}

/// The grid with its columns to the left, its rows to the back, its slices to the head, as far as it lies that way.
fn turn(size: [usize; 3], edges: [Vector; 3], origin: Vector) -> Result<(Geometry, Layout), String> {
    const ORDERS: [[usize; 3]; 6] = [[2, 1, 0], [2, 0, 1], [1, 2, 0], [1, 0, 2], [0, 2, 1], [0, 1, 2]];
    let length = |edge: Vector| edge.iter().map(|v| v * v).sum::<f64>().sqrt();
    // Slices go along the third direction of the patient, rows along the second, columns along the first.
    let along = |order: &[usize; 3]| -> f64 {
        order
            .iter()
            .zip([2, 1, 0])
            .map(|(axis, way)| edges[*axis][way].abs() / length(edges[*axis]).max(1e-9))
            .sum()
    };
    let best = ORDERS.iter().max_by(|a, b| along(a).total_cmp(&along(b)).then(std::cmp::Ordering::Greater));
    let axis = *best.unwrap_or(&ORDERS[0]);
    let turned = [0, 1, 2].map(|target| edges[axis[target]][2 - target] < 0.0);
    let mut start = origin;
    let mut steps = [[0.0; 3]; 3];
    for target in 0..3 {
        let edge = edges[axis[target]];
        steps[target] = if turned[target] { edge.map(|v| -v) } else { edge };
        if turned[target] {
            let last = (size[axis[target]] - 1) as f64;
            start = [0, 1, 2].map(|i| start[i] + last * edge[i]);
        }
    }
    let geometry = Geometry::new(axis.map(|axis| size[axis]), steps, start)?;
    Ok((geometry, Layout { axis, turned }))
}

/// What a header says, of either version.
struct Header {
    big: bool,
    bytes: usize,
    /// The number of dimensions, then voxels along each.
    dim: [i64; 8],
    /// Type and bits of a voxel.
    kind: [i64; 2],
    /// Handedness, then distances along each axis.
    pixdim: [f64; 8],
    /// Where voxels begin.
    offset: f64,
    /// Slope and intercept.
    scale: [f64; 2],
    qform: i64,
    sform: i64,
    quaternion: [f64; 3],
    place: [f64; 3],
    rows: [[f64; 4]; 3],
    units: i64,
}

/// Where the fields of a version are, and how wide its whole and its real numbers are.
struct Fields {
    bytes: usize,
    magic: usize,
    /// Bytes of dimensions, of the codes of forms, of real numbers.
    widths: [usize; 3],
    dim: usize,
    kind: usize,
    pixdim: usize,
    scale: usize,
    forms: usize,
    quaternion: usize,
    rows: usize,
    units: usize,
}

const FIRST: Fields = Fields {
    bytes: 348,
    magic: 344,
    widths: [2, 2, 4],
    dim: 40,
    kind: 70,
    pixdim: 76,
    scale: 112,
    forms: 252,
    quaternion: 256,
    rows: 280,
    units: 123,
};

const SECOND: Fields = Fields {
    bytes: 540,
    magic: 4,
    widths: [8, 4, 8],
    dim: 16,
    kind: 12,
    pixdim: 104,
    scale: 176,
    forms: 344,
    quaternion: 352,
    rows: 400,
    units: 500,
};

impl Header {
    fn read(source: &mut dyn Read) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let mut read = |bytes: &mut Vec<u8>, count: usize| {
            source.take(count as u64).read_to_end(bytes).map_err(|e| format!("damaged gzip: {e}"))
        };
        read(&mut bytes, 4)?;
        let size = bytes.first_chunk::<4>().copied().unwrap_or_default();
        let (fields, big) = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => (FIRST, false),
            (_, 348) => (FIRST, true),
            (540, _) => (SECOND, false),
            (_, 540) => (SECOND, true),
            _ => return Err("expected a DICOM file or NIfTI (.nii, .nii.gz), found another".into()),
        };
        read(&mut bytes, fields.bytes - 4)?;
        if bytes.len() < fields.bytes {
            let (expected, found) = (fields.bytes, bytes.len());
            return Err(format!("damaged NIfTI: the header takes {expected} bytes, found {found}"));
        }
        match &bytes[fields.magic..fields.magic + 4] {
            b"n+1\0" | b"n+2\0" => Ok(Self::parse(&bytes, fields, big)),
            b"ni1\0" | b"ni2\0" => {
                Err("NIfTI in two files (.hdr, .img), which is not read; save it as one".into())
            }
            _ => Err("an Analyze 7.5 header, which does not say where voxels lie; save it as NIfTI".into()),
        }
    }

    fn parse(bytes: &[u8], fields: Fields, big: bool) -> Self {
        let [dimension, code, real] = fields.widths;
        let whole = |at: usize, width: usize| {
            let join = |word: u64, b: &u8| word << 8 | u64::from(*b);
            let bytes = &bytes[at..at + width];
            let word = if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
            let unused = 64 - 8 * width;
            (word << unused) as i64 >> unused
        };
        let number = |at: usize, i: usize| match (whole(at + real * i, real), real) {
            (word, 4) => f64::from(f32::from_bits(word as u32)),
            (word, _) => f64::from_bits(word as u64),
        };
        let three = |at: usize| [0, 1, 2].map(|i| number(at, i));
        let later = fields.bytes == SECOND.bytes;
        Self {
            big,
            bytes: fields.bytes,
            dim: [0, 1, 2, 3, 4, 5, 6, 7].map(|i| whole(fields.dim + dimension * i, dimension)),
            kind: [0, 2].map(|at| whole(fields.kind + at, 2)),
            pixdim: [0, 1, 2, 3, 4, 5, 6, 7].map(|i| number(fields.pixdim, i)),
            offset: if later { whole(168, 8) as f64 } else { number(108, 0) },
            scale: [0, 1].map(|i| number(fields.scale, i)),
            qform: whole(fields.forms, code),
            sform: whole(fields.forms + code, code),
            quaternion: three(fields.quaternion),
            place: three(fields.quaternion + 3 * real),
            rows: [0, 1, 2].map(|row| [0, 1, 2, 3].map(|i| number(fields.rows, 4 * row + i))),
            units: whole(fields.units, if later { 4 } else { 1 }),
        }
    }

    /// Voxels along each axis of the file.
    fn size(&self) -> Result<[usize; 3], String> {
        let dim = self.dim;
        let known = usize::try_from(dim[0]).unwrap_or(0);
        if !(2..=7).contains(&known) || dim[1..=known].iter().any(|n| *n < 1) {
            return Err(format!("damaged NIfTI: dimensions {dim:?}"));
        }
        if known > 3 && dim[4..=known].iter().any(|n| *n != 1) {
            return Err(format!(
                "several volumes in one file, dimensions {:?}; save one of them",
                &dim[1..=known]
            ));
        }
        let n = |i: usize| if i <= known { usize::try_from(dim[i]).unwrap_or(usize::MAX) } else { 1 };
        let size = [n(1), n(2), n(3)];
        let count = size.iter().try_fold(1usize, |count, n| count.checked_mul(*n));
        match count.filter(|count| *count <= MAX_VOXELS) {
            Some(_) => Ok(size),
            None => Err(format!("expected at most {MAX_VOXELS} voxels, found {size:?}")),
        }
    }

    /// Steps along the axes of the file and the centre of its first voxel, in mm, to the left, the back and the head.
    fn affine(&self, notes: &mut Vec<String>) -> Result<([Vector; 3], Vector), String> {
        let millimetres = match self.units & 7 {
            0 | 2 => 1.0,
            1 => 1000.0,
            3 => 0.001,
            unit => return Err(format!("a unit of length {unit} (xyzt_units), which is none")),
        };
        if self.units & 7 == 0 {
            notes.push("the file names no unit of length: millimetres are taken".into());
        }
        let rows = match (self.qform > 0, self.sform > 0) {
            (false, false) => {
                return Err("neither qform nor sform says where voxels lie, and it is not guessed".into());
            }
            (q, true) => {
                if q && self.rotation().is_ok_and(|other| differ(&self.rows, &other)) {
                    notes.push("qform and sform are different places: that of the sform is taken".into());
                }
                self.rows
            }
            (true, false) => self.rotation()?,
        };
        if rows.iter().flatten().any(|v| !v.is_finite()) {
            return Err("an affine that is not finite".into());
        }
        // To the right and the front there, to the left and the back here.
        let column = |i: usize| {
            [0, 1, 2].map(|axis| rows[axis][i] * if axis < 2 { -millimetres } else { millimetres })
        };
        Ok(([0, 1, 2].map(column), column(3)))
    }

    /// The affine of the qform.
    fn rotation(&self) -> Result<[[f64; 4]; 3], String> {
        let [b, c, d] = self.quaternion;
        let rest = 1.0 - (b * b + c * c + d * d);
        if rest < -1e-5 || rest.is_nan() {
            return Err(format!("a qform of {b}, {c}, {d}, which is no rotation"));
        }
        let a = rest.max(0.0).sqrt();
        let hand = if self.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
        let scale = [self.pixdim[1], self.pixdim[2], self.pixdim[3] * hand];
        let turn = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        Ok([0, 1, 2].map(|row| {
            let [x, y, z] = [0, 1, 2].map(|i| turn[row][i] * scale[i]);
            [x, y, z, self.place[row]]
        }))
    }
}

/// Whether two affines differ by more than rounding.
fn differ(a: &[[f64; 4]; 3], b: &[[f64; 4]; 3]) -> bool {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.into_iter().any(|(a, b)| (a - b).abs() > 1e-3 * (1.0 + a.abs().max(b.abs())))
}

/// Types of voxels.
#[derive(Clone, Copy, Debug)]
enum Kind {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

impl Kind {
    fn of([code, bits]: [i64; 2]) -> Result<Self, String> {
        let kind = match code {
            2 => Kind::U8,
            4 => Kind::I16,
            8 => Kind::I32,
            16 => Kind::F32,
            64 => Kind::F64,
            256 => Kind::I8,
            512 => Kind::U16,
            768 => Kind::U32,
            1024 => Kind::I64,
            1280 => Kind::U64,
            _ => {
                let name = match code {
                    1 => " (bits)",
                    32 | 1792 | 2048 => " (complex numbers)",
                    128 | 2304 => " (colours)",
                    1536 => " (128-bit numbers)",
                    _ => "",
                };
                return Err(format!(
                    "voxels of type {code}{name}, expected integers or floating-point numbers"
                ));
            }
        };
        match usize::try_from(bits) == Ok(8 * kind.bytes()) {
            true => Ok(kind),
            false => Err(format!("damaged NIfTI: {bits} bits a voxel of {kind:?} (bitpix)")),
        }
    }

    fn bytes(self) -> usize {
        match self {
            Kind::U8 | Kind::I8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }

    fn read(self, bytes: &[u8], big: bool) -> f64 {
        let join = |word: u64, b: &u8| word << 8 | u64::from(*b);
        let word = if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        match self {
            Kind::U8 | Kind::U16 | Kind::U32 | Kind::U64 => word as f64,
            Kind::I8 => f64::from(word as u8 as i8),
            Kind::I16 => f64::from(word as u16 as i16),
            Kind::I32 => f64::from(word as u32 as i32),
            Kind::I64 => word as i64 as f64,
            Kind::F32 => f32::from_bits(word as u32).into(),
            Kind::F64 => f64::from_bits(word),
        }
    }
}
