//! Where voxels lie in the patient.

/// A vector in mm, in DICOM's directions: to the left, to the back, to the head (LPS).
pub type Vector = [f64; 3];

/// The most that directions of a grid may differ from a right angle, as the cosine: 0.06 degrees.
pub(super) const SQUARE: f64 = 1e-3;

/// The grid of a volume: slices, rows and columns, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Geometry {
    /// Slices, rows, columns.
    pub size: [usize; 3],
    /// Distances between the centres of neighbouring slices, rows and columns, in mm.
    pub spacing: [f64; 3],
    /// Directions in which slices, rows and columns are counted: unit vectors at right angles to each other.
    pub axes: [Vector; 3],
    /// The centre of the first voxel.
    pub origin: Vector,
}

impl Geometry {
    /// Checks a grid that `edges` span, the steps from one slice, row and column to the next.
    ///
    /// # Errors
    /// If there is no voxel, if a step has no length, or if they are not at right angles.
    pub(super) fn new(size: [usize; 3], edges: [Vector; 3], origin: Vector) -> Result<Self, String> {
        let spacing = edges.map(|edge| dot(edge, edge).sqrt());
        if spacing.iter().chain(&origin).any(|v| !v.is_finite()) || spacing.iter().any(|v| *v < 1e-6) {
            return Err(format!("steps of {spacing:?} mm between slices, rows and columns"));
        }
        let axes = [0, 1, 2].map(|i| edges[i].map(|v| v / spacing[i]));
        for (a, b, what) in
            [(0, 1, "slices and rows"), (0, 2, "slices and columns"), (1, 2, "rows and columns")]
        {
            let cosine = dot(axes[a], axes[b]);
            if cosine.abs() > SQUARE {
                let angle = cosine.acos().to_degrees();
                return Err(format!(
                    "{what} are sheared: {angle:.2} degrees instead of 90; resample it to a right grid"
                ));
            }
        }
        Ok(Self { size, spacing, axes, origin })
    }

    /// The place of a voxel's centre: slice, row, column.
    pub fn place(&self, index: [usize; 3]) -> Vector {
        let step = |axis: usize, i: usize| self.axes[i][axis] * self.spacing[i] * index[i] as f64;
        [0, 1, 2].map(|axis| self.origin[axis] + (0..3).map(|i| step(axis, i)).sum::<f64>())
    }

    /// Voxels.
    pub fn count(&self) -> usize {
        self.size.iter().product()
    }

    /// The volume of a voxel, in ml.
    pub fn voxel_ml(&self) -> f64 {
        self.spacing.iter().product::<f64>() / 1000.0
    }

    /// The volume of all voxels that have a label, in ml.
    pub fn label_ml(&self, labels: &[u8], label: u8) -> f64 {
        labels.iter().filter(|v| **v == label).count() as f64 * self.voxel_ml()
    }

    /// Where columns, rows and slices are counted to, a letter each: left, right, posterior, anterior, superior, inferior. Axial slices of
    /// DICOM as they are usually stored are `LPS`. An oblique axis has the letter of the nearest direction.
    pub fn letters(&self) -> String {
        self.axes.iter().rev().map(|axis| letter(*axis)).collect()
    }

    /// How far an axis may be from its letter of [`Geometry::letters`]: the largest angle, in degrees.
    pub fn obliqueness(&self) -> f64 {
        let along = |axis: &Vector| axis.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
        self.axes.iter().map(|axis| along(axis).min(1.0).acos().to_degrees()).fold(0.0, f64::max)
    }

    /// Where a slice lies along the normal of the slices, in mm: the table's position of an axial slice.
    pub fn position(&self, slice: usize) -> f64 {
        dot(self.axes[0], self.place([slice, 0, 0]))
    }

    /// The largest distance in mm between the corners of two grids of the same size; `None` if their sizes differ.
    pub fn distance(&self, other: &Geometry) -> Option<f64> {
        let ends = self.size.map(|n| n.saturating_sub(1));
        let corner = |i: usize| [0, 1, 2].map(|axis| if i >> axis & 1 == 1 { ends[axis] } else { 0 });
        let apart = |i: usize| {
            let (a, b) = (self.place(corner(i)), other.place(corner(i)));
            let difference = [0, 1, 2].map(|axis| a[axis] - b[axis]);
            dot(difference, difference).sqrt()
        };
        (self.size == other.size).then(|| (0..8).map(apart).fold(0.0, f64::max))
    }
}

/// The direction of the patient that a vector is nearest to.
pub(super) fn letter(axis: Vector) -> char {
    let at = (0..3).max_by(|a, b| axis[*a].abs().total_cmp(&axis[*b].abs())).unwrap_or(0);
    [['L', 'R'], ['P', 'A'], ['S', 'I']][at][usize::from(axis[at] < 0.0)]
}

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(super) fn cross([a, b, c]: Vector, [d, e, f]: Vector) -> Vector {
    [b * f - c * e, c * d - a * f, a * e - b * d]
}
