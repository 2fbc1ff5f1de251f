//! Volumes of one grid whose axes are stored in other orders.

use super::{Geometry, Volume, geometry::dot};
use crate::{Error, Result};

/// The most that corners of two grids may lie apart, as a share of the smallest distance between voxels.
const APART: f64 = 0.1;

impl Volume {
    /// The values at the voxels of another volume on the same grid, `[slices, rows, columns]` of the other one: axes may be counted in other
    /// orders and directions, places may differ by a tenth of the smallest distance between voxels.
    ///
    /// # Errors
    /// If the grids are not the same.
    pub fn on_grid_of(&self, other: &Volume) -> Result<Vec<f32>> {
        let (own, wanted) = (&self.geometry, &other.geometry);
        let fail = |what: String| {
            let name = other.name.display();
            Error::file(&self.name, format!("expected the grid of {name}, {}; {what}", words(wanted)))
        };
        // For each axis that is wanted, the own one along it.
        let axis = wanted.axes.map(|way| {
            let along = |i: &usize| dot(own.axes[*i], way).abs();
            (0..3).max_by(|a, b| along(a).total_cmp(&along(b))).unwrap_or(0)
        });
        let turned = [0, 1, 2].map(|i| dot(own.axes[axis[i]], wanted.axes[i]) < 0.0);
        let mut first = [0; 3];
        for i in 0..3 {
            first[axis[i]] = if turned[i] { own.size[axis[i]] - 1 } else { 0 };
        }
        let sign = |i: usize| if turned[i] { -1.0 } else { 1.0 };
        let found = Geometry {
            size: axis.map(|i| own.size[i]),
            spacing: axis.map(|i| own.spacing[i]),
            axes: [0, 1, 2].map(|i| own.axes[axis[i]].map(|v| v * sign(i))),
            origin: own.place(first),
        };
        let is_order = (0..3).all(|i| axis.contains(&i));
        let distance = found.distance(wanted).filter(|_| is_order);
        let smallest = wanted.spacing.iter().fold(f64::MAX, |a, b| a.min(*b));
        match distance {
            None => return Err(fail(format!("found {}", words(own)))),
            Some(apart) if apart > APART * smallest => {
                return Err(fail(format!(
                    "found {}, which lies up to {apart:.2} mm away from it; a flipped axis, or another scan",
                    words(own)
                )));
            }
            Some(_) => {}
        }
        let strides = [own.size[1] * own.size[2], own.size[2], 1];
        let at =
            |i: usize, n: usize| strides[axis[i]] * if turned[i] { own.size[axis[i]] - 1 - n } else { n };
        let [slices, h, w] = wanted.size;
        let mut values = Vec::with_capacity(wanted.count());
        for slice in 0..slices {
            for row in 0..h {
                let start = at(0, slice) + at(1, row);
                values.extend((0..w).map(|column| self.voxels[start + at(2, column)]));
            }
        }
        Ok(values)
    }
}

/// `41 slices of 512x512, 2.500 x 0.703 x 0.703 mm, axes LPS, from (-180.0, -171.7, -340.0)`.
fn words(geometry: &Geometry) -> String {
    let Geometry { size: [n, h, w], spacing: [z, y, x], origin: [a, b, c], .. } = geometry;
    let letters = geometry.letters();
    format!(
        "{n} slices of {h}x{w}, {z:.3} x {y:.3} x {x:.3} mm, axes {letters}, from ({a:.1}, {b:.1}, {c:.1})"
    )
}
