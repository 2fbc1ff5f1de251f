//! NIfTI-1 in one file, also gzipped: the header of 348 bytes of its definition (nifti1.h).
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
    let mut start = Vec::new();
    source.take(348).read_to_end(&mut start).map_err(|e| format!("damaged gzip: {e}"))?;
    let header = Header::new(start)?;
    let [ni, nj, nk] = header.size()?;
    let count = ni * nj * nk;
    let kind = Kind::of(header.i16(70), header.i16(72))?;
    let offset = header.f32(108);
    if !(offset >= 348.0 && offset <= MAX_OFFSET as f32 && offset.fract() == 0.0) {
        return Err(format!("the voxels begin at byte {offset} (vox_offset), expected 352 or more"));
    }
    let mut notes = Vec::new();
    let (edges, origin) = header.affine(&mut notes)?;
    let (geometry, layout) = turn([ni, nj, nk], edges, origin)?;
    take(source, offset as usize - 348, "what stands before the voxels")?;
    let data = take(source, count * kind.bytes(), &format!("{ni}x{nj}x{nk} voxels of {kind:?}"))?;
    // The end, where gzip has its checksum.
    source.read(&mut [0; 16]).map_err(|e| format!("damaged gzip: {e}"))?;
    let (slope, intercept) = match [header.f32(112), header.f32(116)] {
        [slope, intercept] if slope != 0.0 && slope.is_finite() => {
            (f64::from(slope), if intercept.is_finite() { f64::from(intercept) } else { 0.0 })
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

/// The first 348 bytes.
struct Header {
    bytes: Vec<u8>,
    big: bool,
}

impl Header {
    fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let size = bytes.first_chunk::<4>().copied().unwrap_or_default();
        let big = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => false,
            (_, 348) => true,
            (540, _) | (_, 540) => return Err("NIfTI-2, which is not read; save it as NIfTI-1".into()),
            _ => return Err("expected a DICOM file or NIfTI (.nii, .nii.gz), found another".into()),
        };
        if bytes.len() < 348 {
            return Err(format!("damaged NIfTI: the header takes 348 bytes, found {}", bytes.len()));
        }
        match &bytes[344..348] {
            b"n+1\0" => Ok(Self { bytes, big }),
            b"ni1\0" => Err("NIfTI in two files (.hdr, .img), which is not read; save it as one".into()),
            _ => Err("an Analyze 7.5 header, which does not say where voxels lie; save it as NIfTI".into()),
        }
    }

    fn i16(&self, at: usize) -> i16 {
        let b = [self.bytes[at], self.bytes[at + 1]];
        if self.big { i16::from_be_bytes(b) } else { i16::from_le_bytes(b) }
    }

    fn f32(&self, at: usize) -> f32 {
        let b = [0, 1, 2, 3].map(|i| self.bytes[at + i]);
        if self.big { f32::from_be_bytes(b) } else { f32::from_le_bytes(b) }
    }

    /// Voxels along each axis of the file.
    fn size(&self) -> Result<[usize; 3], String> {
        let dim: Vec<i16> = (0..8).map(|i| self.i16(40 + 2 * i)).collect();
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
        let n = |i: usize| if i <= known { dim[i] as usize } else { 1 };
        let size = [n(1), n(2), n(3)];
        match size[0] * size[1] * size[2] {
            count if count <= MAX_VOXELS => Ok(size),
            count => Err(format!("expected at most {MAX_VOXELS} voxels, found {count}")),
        }
    }

    /// Steps along the axes of the file and the centre of its first voxel, in mm, to the left, the back and the head.
    fn affine(&self, notes: &mut Vec<String>) -> Result<([Vector; 3], Vector), String> {
        let millimetres = match self.bytes[123] & 7 {
            0 | 2 => 1.0,
            1 => 1000.0,
            3 => 0.001,
            unit => return Err(format!("a unit of length {unit} (xyzt_units), which is none")),
        };
        if self.bytes[123] & 7 == 0 {
            notes.push("the file names no unit of length: millimetres are taken".into());
        }
        let [qform, sform] = [self.i16(252), self.i16(254)];
        let rows = match (qform > 0, sform > 0) {
            (false, false) => {
                return Err("neither qform nor sform says where voxels lie, and it is not guessed".into());
            }
            (q, true) => {
                let rows = [280, 296, 312].map(|at| [0, 1, 2, 3].map(|i| f64::from(self.f32(at + 4 * i))));
                if q && self.quaternion().is_ok_and(|other| differ(&rows, &other)) {
                    notes.push("qform and sform are different places: that of the sform is taken".into());
                }
                rows
            }
            (true, false) => self.quaternion()?,
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
    fn quaternion(&self) -> Result<[[f64; 4]; 3], String> {
        let [b, c, d] = [256, 260, 264].map(|at| f64::from(self.f32(at)));
        let rest = 1.0 - (b * b + c * c + d * d);
        if rest < -1e-5 || rest.is_nan() {
            return Err(format!("a qform of {b}, {c}, {d}, which is no rotation"));
        }
        let a = rest.max(0.0).sqrt();
        let hand = if self.f32(76) < 0.0 { -1.0 } else { 1.0 };
        let scale = [f64::from(self.f32(80)), f64::from(self.f32(84)), f64::from(self.f32(88)) * hand];
        let turn = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        let offset = [268, 272, 276].map(|at| f64::from(self.f32(at)));
        Ok([0, 1, 2].map(|row| {
            let [x, y, z] = [0, 1, 2].map(|i| turn[row][i] * scale[i]);
            [x, y, z, offset[row]]
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
    fn of(code: i16, bits: i16) -> Result<Self, String> {
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
