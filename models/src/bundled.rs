//! The bundled files (`niello-assets`, in `models/assets/`), as the code generator takes them.

pub use niello_assets::*;

use niello_codegen::{Result, import::network::Bundled, weights::SafeTensorsFile};

/// [`ANAM_NET_WEIGHTS`], parsed.
///
/// # Errors
/// None while the bundled file is whole; it goes through the same checks as a user's.
pub fn anam_net_weights() -> Result<SafeTensorsFile> {
    SafeTensorsFile::from_bytes(ANAM_NET_WEIGHTS.name, ANAM_NET_WEIGHTS.bytes.to_vec())
}

/// Anam-Net's trained weights, the slices to calibrate them on, and the lock.
pub fn anam_net() -> Bundled {
    Bundled {
        weights: (ANAM_NET_WEIGHTS.name, ANAM_NET_WEIGHTS.bytes),
        calibration: CT_SLICES.iter().map(|slice| (slice.image.name, slice.image.bytes)).collect(),
        lock: std::str::from_utf8(ANAM_NET_LOCK.bytes).ok().map(|text| (ANAM_NET_LOCK.name, text)),
    }
}
