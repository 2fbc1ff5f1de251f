//! `niello run --cam`, `--cam-layer`: the place in the image where a class was seen.

use super::class_index;
use crate::output::{check_writable, writing};
use clap::{ArgGroup, Args, ValueEnum};
use niello_codegen::{
    Error, Result, Tensor, ValueId,
    grad_cam::{self, grad_cam, usual_layer},
    passes::cam::{of_class, peak},
    pipeline::{Build, Task},
};
use niello_imaging::{Image, NpyData, write_heat_png, write_npy};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The layer that is chosen for the user.
const AUTO: &str = "auto";

/// Flags of maps that say where a class was seen.
#[derive(Args)]
#[command(group(ArgGroup::new("map").args(["cam", "cam_layer"]).multiple(true)))]
pub(crate) struct Cam {
    /// Print the place in the image where this class (its name or index) was seen: the maximum of its class-activation map
    #[arg(long, value_name = "CLASS")]
    cam: Option<String>,
    /// Make that map by Grad-CAM from this layer, in float, for networks of any kind; `auto`: the last of the smallest maps. Without `--cam`, of the
    /// class that the network gives the image. `niello inspect --optimized` lists the layers
    #[arg(long, value_name = "LAYER")]
    cam_layer: Option<String>,
    /// What Grad-CAM takes for the score of a class where each pixel has one: the sum of all, or of those of the pixels that are given the class
    #[arg(long, value_name = "PIXELS", default_value = "image", requires = "cam_layer")]
    cam_over: Over,
    /// Write the map of the class, [h, w]
    #[arg(long, value_name = "NPY", requires = "map")]
    cam_npy: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Over {
    Image,
    Mask,
}

/// What is looked for in a network.
pub(super) struct Wanted {
    /// Absent: what the network gives.
    class: Option<usize>,
    /// For Grad-CAM.
    layer: Option<ValueId>,
    /// Of the classes.
    names: Vec<String>,
}

impl Cam {
    /// Whether a map is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.cam.is_some() || self.cam_layer.is_some()
    }

    /// Whether the program makes it.
    pub(super) fn is_output(&self) -> bool {
        self.cam.is_some() && self.cam_layer.is_none()
    }

    /// Whether files are wanted.
    pub(super) fn writes(&self) -> bool {
        self.cam_npy.is_some()
    }

    /// Tries whether they can be written.
    pub(super) fn check(&self) -> Result<()> {
        self.cam_npy.iter().try_for_each(|path| check_writable(path))
    }

    /// Class and layer in a network.
    ///
    /// # Errors
    /// A class or a layer that it does not have; no class where each pixel has one.
    pub(super) fn find(&self, build: &Build) -> Result<Option<Wanted>> {
        if !self.is_wanted() {
            return Ok(None);
        }
        let names = if self.is_output() { build.classes.clone() } else { build.label_names() };
        let class = self.cam.as_deref().map(|class| class_index(&names, class)).transpose()?;
        if class.is_none() && build.task == Task::Segmentation {
            let name = &build.program.name;
            return Err(Error::Invalid(format!(
                "{name} gives each pixel a class: `--cam` says which one is meant"
            )));
        }
        let graph = &build.quantized.graph;
        let find = |name: &String| match &name[..] {
            AUTO => usual_layer(graph).ok_or_else(|| "no layer is a map".to_string()),
            _ => graph.require(name),
        };
        let problem = |name: &String, message| Error::Intermediate {
            flag: "--cam-layer",
            layer: name.clone(),
            message,
        };
        let layer = self.cam_layer.as_ref().map(|name| find(name).map_err(|why| problem(name, why)));
        Ok(Some(Wanted { class, layer: layer.transpose()?, names }))
    }

    /// Where the class was seen, from inputs and outputs of the program.
    ///
    /// # Errors
    /// Those of [`grad_cam`].
    pub(super) fn see(
        &self,
        build: &Build,
        wanted: &Wanted,
        inputs: &[Tensor<f32>],
        outputs: &[Tensor<f32>],
    ) -> Result<Seen> {
        let class = wanted.class.unwrap_or_else(|| build.class(&outputs[0].data));
        let graph = &build.quantized.graph;
        let over = match self.cam_over {
            Over::Image => grad_cam::Over::Image,
            Over::Mask => grad_cam::Over::Mask,
        };
        let of_layer = |id| Ok::<_, Error>(grad_cam(graph, inputs, id, class, over)?.map);
        let map = wanted.layer.map(of_layer).transpose()?;
        let (map, channel) = map.as_ref().map_or((&outputs[outputs.len() - 1], class), |map| (map, 0));
        let layer = wanted.layer.map(|id| graph.values[id.0].name.clone());
        Ok(Seen::new(
            build,
            wanted.names[class].clone(),
            layer,
            [map.shape.h, map.shape.w],
            of_class(map, channel),
        ))
    }

    /// Writes the map.
    pub(super) fn write(&self, seen: &Seen) -> Result<()> {
        let Some(path) = &self.cam_npy else { return Ok(()) };
        let _writing = writing();
        Ok(write_npy(path, NpyData::F32(&seen.values), &seen.map)?)
    }
}

/// The maximum of a class-activation map.
#[derive(Serialize)]
pub(super) struct Seen {
    class: String,
    /// Whose map it is, by Grad-CAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    layer: Option<String>,
    /// The contribution of the place to the class's score, times the number of places; the value of Grad-CAM.
    value: f32,
    /// Row and column of the map.
    cell: [usize; 2],
    /// Rows and columns of the map.
    map: [usize; 2],
    /// The middle of that place in the network's input: row and column.
    pixel: [usize; 2],
    /// Height and width of the network's input.
    input: [usize; 2],
    #[serde(skip)]
    values: Vec<f32>,
}

impl Seen {
    fn new(build: &Build, class: String, layer: Option<String>, map: [usize; 2], values: Vec<f32>) -> Self {
        let found = peak(&values, map[1]);
        let (cell, shape) = ([found.row, found.column], build.input_shape());
        let input = [shape.h, shape.w];
        let pixel = std::array::from_fn(|i| (2 * cell[i] + 1) * input[i] / (2 * map[i]));
        Self { class, layer, value: found.value, cell, map, pixel, input, values }
    }

    /// Writes the map over the image.
    pub(super) fn overlay(&self, build: &Build, image: &Image, path: &Path) -> Result<()> {
        let gray = build.preprocess.view(image, self.input)?;
        let _writing = writing();
        Ok(write_heat_png(path, &gray, self.input, &self.values, self.map)?)
    }

    /// One line.
    pub(super) fn text(&self) -> String {
        let Self {
            class,
            layer,
            value,
            cell: [row, column],
            map: [rows, columns],
            pixel: [y, x],
            input: [h, w],
            ..
        } = self;
        let at = layer.as_ref().map(|layer| format!(" at `{layer}`")).unwrap_or_default();
        if layer.is_some() && *value == 0.0 {
            return format!("{class}{at}: nothing speaks for it\n");
        }
        format!(
            "{class}{at}: largest at row {row}, column {column} of {rows}x{columns} ({value:.4}), around pixel ({y}, {x}) of the {h}x{w} \
             input\n"
        )
    }
}
