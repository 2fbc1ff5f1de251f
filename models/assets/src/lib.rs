//! Small trained weights, their calibration lock, and test slices: a crate of its own, so that a program that only needs a slice does not
//! compile the code generator.
//!
//! Research material: **not a medical device, not for diagnosis.** Each folder says where its files come from and under
//! which licence (`CARD.md`, `ATTRIBUTION.md`).

use std::path::PathBuf;

/// A file that is part of this crate.
#[derive(Clone, Copy)]
pub struct Asset {
    /// Path below `models/assets/`: `ct/val_03_image.png`.
    pub name: &'static str,
    /// Its contents.
    pub bytes: &'static [u8],
}

impl Asset {
    /// The path of the file in the source tree that this crate was built from; that tree may be gone by now, while
    /// [`Asset::bytes`] is always there.
    pub fn path(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), self.name].iter().collect()
    }
}

impl std::fmt::Debug for Asset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Asset({}, {} bytes)", self.name, self.bytes.len())
    }
}

macro_rules! asset {
    ($name:expr) => {
        Asset { name: $name, bytes: include_bytes!(concat!("../", $name)) }
    };
}

/// Anam-Net, 4,631,555 parameters in `f16`, trained on CT with synthetic lesions; input: lung window, u8 / 255.
pub static ANAM_NET_WEIGHTS: Asset = asset!("anam_net/weights.f16.safetensors");

/// Ranges of [`ANAM_NET_WEIGHTS`] at 512x512, calibrated on [`CT_SLICES`] (text).
pub static ANAM_NET_LOCK: Asset = asset!("anam_net/anam_net.lock");

/// The training data of [`ANAM_NET_WEIGHTS`], their figures and their failures (Markdown).
pub static ANAM_NET_CARD: Asset = asset!("anam_net/CARD.md");

/// `input_u8` (`[128, 128]`) and PyTorch's `logits_f32` (`[3, 128, 128]`) of the same weights before rounding to `f16`.
pub static ANAM_NET_GOLDEN_CROP: Asset = asset!("ct/golden_crop128.safetensors");

/// Source and licence of the slices (Markdown).
pub static CT_ATTRIBUTION: Asset = asset!("ct/ATTRIBUTION.md");

/// A CT slice that the bundled weights have not seen in training; three 512x512 PNGs, 8 bits of grey.
#[derive(Clone, Copy, Debug)]
pub struct CtSlice {
    /// `val_03`.
    pub name: &'static str,
    /// Lung window (centre -600 HU, width 1500 HU).
    pub image: Asset,
    /// True classes: 0 background, 1 abnormal lung, 2 normal lung; 255 is not to be scored.
    pub label: Asset,
    /// PyTorch's answer in `f32`.
    pub reference: Asset,
}

macro_rules! slice {
    ($name:literal) => {
        CtSlice {
            name: $name,
            image: asset!(concat!("ct/", $name, "_image.png")),
            label: asset!(concat!("ct/", $name, "_label.png")),
            reference: asset!(concat!("ct/", $name, "_f32_argmax.png")),
        }
    };
}

/// Held-out slices, in the order of the volume.
pub static CT_SLICES: [CtSlice; 3] = [slice!("val_03"), slice!("val_05"), slice!("val_07")];
