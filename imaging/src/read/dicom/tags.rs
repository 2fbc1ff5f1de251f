//! The elements that are read (PS3.6, section 6).

use super::elements::Tag;

pub(crate) const SOP_CLASS: Tag = (0x0002, 0x0002);
pub(crate) const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
pub(crate) const MODALITY: Tag = (0x0008, 0x0060);
pub(crate) const SAMPLES_PER_PIXEL: Tag = (0x0028, 0x0002);
pub(crate) const PHOTOMETRIC: Tag = (0x0028, 0x0004);
pub(crate) const PLANAR: Tag = (0x0028, 0x0006);
pub(crate) const FRAMES: Tag = (0x0028, 0x0008);
pub(crate) const ROWS: Tag = (0x0028, 0x0010);
pub(crate) const COLUMNS: Tag = (0x0028, 0x0011);
pub(crate) const BITS_ALLOCATED: Tag = (0x0028, 0x0100);
pub(crate) const BITS_STORED: Tag = (0x0028, 0x0101);
pub(crate) const HIGH_BIT: Tag = (0x0028, 0x0102);
pub(crate) const PIXEL_REPRESENTATION: Tag = (0x0028, 0x0103);
pub(crate) const INTERCEPT: Tag = (0x0028, 0x1052);
pub(crate) const SLOPE: Tag = (0x0028, 0x1053);
/// Descriptors and data of the palette of each colour.
pub(crate) const PALETTE: [[Tag; 2]; 3] = [
    [(0x0028, 0x1101), (0x0028, 0x1201)],
    [(0x0028, 0x1102), (0x0028, 0x1202)],
    [(0x0028, 0x1103), (0x0028, 0x1203)],
];
pub(crate) const SEGMENTED_PALETTE: Tag = (0x0028, 0x1221);
pub(crate) const MODALITY_LUT: Tag = (0x0028, 0x3000);
pub(crate) const LUT_DESCRIPTOR: Tag = (0x0028, 0x3002);
pub(crate) const LUT_DATA: Tag = (0x0028, 0x3006);
pub(crate) const VALUE_TRANSFORMATION: Tag = (0x0028, 0x9145);
pub(crate) const SHARED_GROUPS: Tag = (0x5200, 0x9229);
pub(crate) const FRAME_GROUPS: Tag = (0x5200, 0x9230);
pub(crate) const EXTENDED_OFFSETS: Tag = (0x7fe0, 0x0001);
pub(crate) const EXTENDED_LENGTHS: Tag = (0x7fe0, 0x0002);
pub(crate) const FLOAT_PIXEL_DATA: Tag = (0x7fe0, 0x0008);
pub(crate) const DOUBLE_PIXEL_DATA: Tag = (0x7fe0, 0x0009);

/// What volumes are made with.
#[cfg(feature = "scans")]
mod scans {
    use super::Tag;

    pub(crate) const STORED_CLASS: Tag = (0x0008, 0x0016);
    pub(crate) const INSTANCE: Tag = (0x0008, 0x0018);
    pub(crate) const DESCRIPTION: Tag = (0x0008, 0x103e);
    pub(crate) const THICKNESS: Tag = (0x0018, 0x0050);
    pub(crate) const BETWEEN: Tag = (0x0018, 0x0088);
    pub(crate) const TILT: Tag = (0x0018, 0x1120);
    pub(crate) const SERIES: Tag = (0x0020, 0x000e);
    pub(crate) const POSITION: Tag = (0x0020, 0x0032);
    pub(crate) const ORIENTATION: Tag = (0x0020, 0x0037);
    pub(crate) const POSITION_GROUP: Tag = (0x0020, 0x9113);
    pub(crate) const ORIENTATION_GROUP: Tag = (0x0020, 0x9116);
    pub(crate) const PIXEL_SPACING: Tag = (0x0028, 0x0030);
    pub(crate) const MEASURES_GROUP: Tag = (0x0028, 0x9110);
}

#[cfg(feature = "scans")]
pub(crate) use scans::*;
