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
    /// The images, folders listed in the order of names.
    ///
    /// # Errors
    /// A folder that cannot be read, no image, two images whose results would have the same name.
    pub fn images(&self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let mut images = Vec::new();
        for input in &self.inputs {
            if input.is_dir() {
                let folder = niello_imaging::list_folder(input, false)?;
                for (path, what) in &folder.skipped {
                    eprintln!("note: {}: skipped: {what}", path.display());
                }
                images.extend(folder.images);
            } else {
                images.push(input.clone());
            }
        }
        if images.is_empty() {
            return Err("no image in the folders given".into());
        }
        let mut stems = HashMap::new();
        for image in &images {
            if let Some(other) = stems.insert(image.file_stem(), image) {
                let (a, b) = (other.display(), image.display());
                return Err(format!("{a} and {b} would be written to the same files").into());
            }
        }
        Ok(images)
    }

    /// The number of threads, at least one.
    pub fn threads(&self) -> usize {
        match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }
}
