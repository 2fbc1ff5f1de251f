//! `niello run --dump`: intermediate maps as files.

use crate::output::{check_folder, check_writable, writing};
use clap::{Args, ValueEnum};
use niello_codegen::{
    Error, Result, Tensor, ValueId,
    emit::NewFolder,
    intermediates::{coded_intermediates, float_intermediates},
    pipeline::Build,
};
use niello_imaging::{GridScale, NpyData, write_grid_png, write_npy};
use serde::Serialize;
use std::path::PathBuf;

/// Flags of the maps to write.
#[derive(Args)]
pub(crate) struct Dump {
    /// Write the result of this layer as LAYER.npy (float32, [h, w, c]) and LAYER.png, a grid of its channels; may be
    /// repeated. `niello inspect --optimized` lists the layers
    #[arg(long = "dump", value_name = "LAYER")]
    layers: Vec<String>,
    /// Folder of these files
    #[arg(long = "dump-to", value_name = "FOLDER", default_value = ".", requires = "layers")]
    folder: PathBuf,
    /// Range from black to white in a grid: the smallest and largest value of each channel, or of the whole map
    #[arg(long = "dump-scale", value_name = "RANGE", default_value = "channel", requires = "layers")]
    scale: Scale,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scale {
    Channel,
    Map,
}

/// A map that was written.
#[derive(Serialize)]
pub(super) struct Dumped {
    layer: String,
    shape: [usize; 3],
    npy: PathBuf,
    png: PathBuf,
}

impl Dump {
    /// Whether maps are wanted.
    pub(super) fn is_wanted(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Tries whether the maps can be written.
    pub(super) fn check(&self) -> Result<()> {
        if self.layers.is_empty() {
            return Ok(());
        }
        check_folder(&self.folder)?;
        let files = self.layers.iter().flat_map(|layer| self.files(layer));
        files.filter(|_| self.folder.is_dir()).try_for_each(|path| check_writable(&path))
    }

    /// The layers' values.
    ///
    /// # Errors
    /// A layer that the network does not have.
    pub(super) fn find(&self, build: &Build) -> Result<Vec<ValueId>> {
        let find = |layer: &String| {
            let problem = |message| Error::Intermediate { flag: "--dump", layer: layer.clone(), message };
            build.quantized.graph.require(layer).map_err(problem)
        };
        self.layers.iter().map(find).collect()
    }

    /// Runs once more, with a step for every layer, and writes the maps.
    pub(super) fn write(
        &self,
        mut build: Build,
        wanted: &[ValueId],
        inputs: &[Tensor<f32>],
        float: bool,
    ) -> Result<Vec<Dumped>> {
        let maps = if wanted.is_empty() {
            vec![]
        } else if float {
            float_intermediates(&build.quantized.graph, inputs, wanted)?
        } else {
            let target = build.program.target.clone();
            build.retarget_apart(&target)?;
            coded_intermediates(&build.program, inputs, wanted)?
        };
        if self.layers.is_empty() {
            return Ok(vec![]);
        }
        let _writing = writing();
        let folder = NewFolder::at(&self.folder)?;
        let dumped: Result<Vec<Dumped>> =
            self.layers.iter().zip(&maps).map(|(layer, map)| self.write_map(layer, map)).collect();
        if dumped.is_ok() {
            folder.keep();
        }
        dumped
    }

    fn write_map(&self, layer: &str, map: &Tensor<f32>) -> Result<Dumped> {
        let [npy, png] = self.files(layer);
        let shape = [map.shape.h, map.shape.w, map.shape.c];
        write_npy(&npy, NpyData::F32(&map.data), &shape)?;
        let scale = match self.scale {
            Scale::Channel => GridScale::Channel,
            Scale::Map => GridScale::Map,
        };
        write_grid_png(&png, &map.data, shape, scale)?;
        Ok(Dumped { layer: layer.into(), shape, npy, png })
    }

    /// Array and image of a layer. Characters that could lead to another folder become `_`.
    fn files(&self, layer: &str) -> [PathBuf; 2] {
        let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name: String = layer.chars().map(plain).collect();
        ["npy", "png"].map(|ending| self.folder.join(format!("{name}.{ending}")))
    }
}

impl Dumped {
    /// One line.
    pub(super) fn text(&self) -> String {
        let [h, w, c] = self.shape;
        format!("{} {h}x{w}x{c}: {}, {}\n", self.layer, self.npy.display(), self.png.display())
    }
}
