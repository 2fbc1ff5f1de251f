//! `niello run --cam`: the place in the image where a class was seen.

use crate::output::writing;
use niello_codegen::{
    Result, Tensor,
    passes::cam::{of_class, peak},
    pipeline::Build,
};
use niello_imaging::{Image, write_heat_png};
use serde::Serialize;
use std::path::Path;

/// The maximum of a class-activation map.
#[derive(Serialize)]
pub(super) struct Seen {
    class: String,
    /// The contribution of the place to the class's score, times the number of places.
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
    /// In the map of all classes.
    pub(super) fn new(build: &Build, class: usize, map: &Tensor<f32>) -> Self {
        let (size, values) = ([map.shape.h, map.shape.w], of_class(map, class));
        let found = peak(&values, size[1]);
        let (cell, shape) = ([found.row, found.column], build.input_shape());
        let input = [shape.h, shape.w];
        let pixel = std::array::from_fn(|i| (2 * cell[i] + 1) * input[i] / (2 * size[i]));
        Self {
            class: build.classes[class].clone(),
            value: found.value,
            cell,
            map: size,
            pixel,
            input,
            values,
        }
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
            value,
            cell: [row, column],
            map: [rows, columns],
            pixel: [y, x],
            input: [h, w],
            ..
        } = self;
        format!(
            "{class}: largest at row {row}, column {column} of {rows}x{columns} ({value:.4}), around pixel ({y}, {x}) of the {h}x{w} \
             input\n"
        )
    }
}
