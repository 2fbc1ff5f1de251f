//! Images on the build machine: from a file to a network's input, and from results to files.
//!
//! * [`load`] reads PNG, JPEG, DICOM and NPY into an [`Image`], which remembers whether its samples are 8-bit
//!   intensities or real values (Hounsfield units).
//! * [`Preprocess`] turns an image into the real input `[H, W, C]` that a network was trained with; it is written as one
//!   string (`window:-600,1500 resize=none`), the same in a recipe and on the command line.
//! * [`write_label_png`], [`write_overlay_png`], [`write_legend_png`], [`write_heat_png`], [`write_grid_png`], [`write_npy`] put results on disk,
//!   whole or not at all.
//! * `scan` (with the feature `scans`) reads whole volumes, and writes masks that lie where they lie.
//! * [`metrics`] are the figures that compare label maps.
//!
//! Nothing here knows of graphs or quantisation, and nothing of it reaches firmware: a board takes the 256-entry
//! tables of [`Preprocess::table`] instead. No input makes this crate panic; every error names the file, what was
//! expected and what was found.

mod colour;
mod error;
mod folder;
mod image;
pub mod metrics;
mod palette;
mod preprocess;
mod read;
pub mod resize;
#[cfg(feature = "scans")]
pub mod scan;
mod write;

pub use error::{Error, Result};
pub use folder::{Folder, list_folder, list_images};
pub use image::{Image, MAX_SAMPLES, Samples};
pub use palette::Palette;
pub use preprocess::{Colour, Normalization, PlaneTable, Polarity, Preprocess, ResizeMode, Window};
pub use read::{Array, Stored, load, load_bytes, load_frames, stored_samples};
pub use write::{
    GridScale, Legend, NpyData, grid_png, heat_png, overlay_png, write_atomic, write_files, write_grid_png,
    write_heat_png, write_label_png, write_legend_png, write_npy, write_overlay_png,
};
