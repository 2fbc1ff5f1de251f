//! The command line.

use clap::Parser;
use std::{collections::HashMap, error::Error, path::PathBuf, thread};

/// Segments lung-CT slices with Anam-Net in int8, on the CPU.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// PNG, JPEG, DICOM or NPY, or folders of them
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder for NAME_mask.png and NAME_overlay.png
    #[arg(long, value_name = "DIR", default_value = "out")]
    pub out: PathBuf,
    /// Slices at a time, each with an arena of its own; 0: one for each core
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub threads: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// The pictures, folders listed in the order of names.
    ///
    /// # Errors
    /// A folder that cannot be read, no picture, two pictures whose results would have the same name.
    pub fn pictures(&self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let mut pictures = Vec::new();
        for input in &self.inputs {
            if input.is_dir() {
                let folder = niello_imaging::list_folder(input, false)?;
                for (path, what) in &folder.skipped {
                    eprintln!("note: {}: passed over: {what}", path.display());
                }
                pictures.extend(folder.pictures);
            } else {
                pictures.push(input.clone());
            }
        }
        if pictures.is_empty() {
            return Err("no picture in the folders given".into());
        }
        let mut stems = HashMap::new();
        for picture in &pictures {
            if let Some(other) = stems.insert(picture.file_stem(), picture) {
                let (a, b) = (other.display(), picture.display());
                return Err(format!("{a} and {b} would be written to the same files").into());
            }
        }
        Ok(pictures)
    }

    /// The number of threads, at least one.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
