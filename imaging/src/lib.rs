//! Pictures in, pictures out: what stands between a file and a network's input, on the build machine.
//!
//! * [`load`] reads PNG, JPEG, DICOM and NPY into a [`Picture`], which remembers whether its samples are 8-bit
//!   intensities or real values (Hounsfield units).
//! * [`Preprocess`] turns a picture into the `[H, W, C]` numbers that a network was trained with; it is written as one
//!   string (`window:-600,1500 resize=none`), the same in a recipe and on the command line.
//! * [`write_label_png`], [`write_overlay_png`], [`write_legend_png`], [`write_heat_png`], [`write_grid_png`], [`write_npy`] put results on disk, whole or not at all.
//! * [`metrics`] are the figures that compare label maps.
//!
//! Nothing here knows of graphs or quantisation, and nothing of it reaches firmware: a board takes the 256-entry
//! tables of [`Preprocess::table`] instead. No input makes this crate panic; every error names the file, what was
//! expected and what was found.

mod colour;
mod error;
mod folder;
pub mod metrics;
mod palette;
mod picture;
mod preprocess;
mod read;
pub mod resize;
mod write;

pub use error::{Error, Result};
pub use folder::{Folder, list_folder, list_images};
pub use palette::Palette;
pub use picture::{MAX_SAMPLES, Picture, Samples};
pub use preprocess::{Colour, Numbers, PlaneTable, Polarity, Preprocess, ResizeMode, Window};
pub use read::{load, load_bytes};
pub use write::{
    GridScale, Legend, NpyData, write_atomic, write_files, write_grid_png, write_heat_png, write_label_png,
    write_legend_png, write_npy, write_overlay_png,
};
