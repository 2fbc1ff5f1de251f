//! Slices of one series to a grid: sorted along their normal, with everything named that is out of place.

use super::{
    Geometry, Vector,
    geometry::{cross, dot},
    series::Slice,
};

/// The place of a slice, as far as its file says.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    pub slice: Slice,
    /// Rows, columns.
    pub size: [usize; 2],
    pub position: Option<[f64; 3]>,
    /// The direction along a row, then that along a column.
    pub orientation: Option<[f64; 6]>,
    /// Between rows, between columns.
    pub spacing: Option<[f64; 2]>,
    pub between: Option<f64>,
    pub thickness: Option<f64>,
    /// Degrees.
    pub tilt: Option<f64>,
}

/// All slices of a series.
#[derive(Default)]
pub(super) struct Stack {
    pub planes: Vec<Plane>,
}

impl Plane {
    /// Its name in errors.
    fn name(&self) -> String {
        let file = self.slice.path.file_name().unwrap_or(self.slice.path.as_os_str()).to_string_lossy();
        self.slice.frame.map_or(file.to_string(), |frame| format!("{file} frame {frame}"))
    }
}

/// At most five names, and how many more there are.
fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names[..names.len().min(5)].join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}

impl Stack {
    /// The grid, and the slices in its order.
    pub(super) fn geometry(&self) -> Result<(Geometry, Vec<usize>), String> {
        let Some(first) = self.planes.first() else { return Err("no slices".into()) };
        let odd =
            |wrong: &dyn Fn(&Plane) -> bool| list(self.planes.iter().filter(|p| wrong(p)).map(Plane::name));
        for (missing, what) in [
            (&(|p: &Plane| p.position.is_none()) as &dyn Fn(&Plane) -> bool, "position (0020,0032)"),
            (&|p: &Plane| p.orientation.is_none(), "orientation (0020,0037)"),
            (&|p: &Plane| p.spacing.is_none(), "pixel spacing (0028,0030)"),
        ] {
            let names = odd(missing);
            if !names.is_empty() {
                return Err(format!("no {what} in {names}, and it is not guessed"));
            }
        }
        let size = self.usual(|p| p.size);
        let names = odd(&|p| p.size != size);
        if !names.is_empty() {
            return Err(format!(
                "slices of several sizes: most are {}x{}, but not {names}",
                size[0], size[1]
            ));
        }
        let directions = self.usual(|p| p.orientation.unwrap_or_default());
        let turned = |p: &Plane| {
            p.orientation.unwrap_or_default().iter().zip(directions).any(|(a, b)| (a - b).abs() > 1e-3)
        };
        let names = odd(&turned);
        if !names.is_empty() {
            return Err(format!(
                "slices of several directions, a localizer perhaps: most are {directions:?}, but not {names}"
            ));
        }
        let spacing = self.usual(|p| p.spacing.unwrap_or_default());
        let other = |p: &Plane| {
            p.spacing.unwrap_or_default().iter().zip(spacing).any(|(a, b)| (a - b).abs() > 1e-4 * b)
        };
        let names = odd(&other);
        if !names.is_empty() {
            return Err(format!(
                "slices of several pixel spacings: most have {spacing:?} mm, but not {names}"
            ));
        }
        if spacing.iter().any(|v| *v <= 0.0) {
            return Err(format!("the pixel spacing (0028,0030) is {spacing:?} mm"));
        }
        let [a, b, c, d, e, f] = directions;
        let [along, down] = [[a, b, c], [d, e, f]];
        for (direction, what) in [(along, "row"), (down, "column")] {
            if (dot(direction, direction) - 1.0).abs() > 1e-2 {
                return Err(format!(
                    "the direction of a {what} (0020,0037) is {direction:?}, which is no unit vector"
                ));
            }
        }
        let normal = cross(along, down);
        let order = self.sorted(normal);
        let at = |i: usize| self.planes[i].position.unwrap_or_default();
        let step = match order.as_slice() {
            [] | [_] => match first.between.or(first.thickness).filter(|v| *v > 0.0) {
                Some(distance) => normal.map(|v| v * distance),
                None => return Err("one slice without a thickness (0018,0050), which is not guessed".into()),
            },
            [start, .., end] => {
                self.gaps(&order, normal)?;
                let count = (order.len() - 1) as f64;
                let step = [0, 1, 2].map(|axis| (at(*end)[axis] - at(*start)[axis]) / count);
                self.check_shear(step, normal)?;
                step
            }
        };
        let edges = [step, down.map(|v| v * spacing[0]), along.map(|v| v * spacing[1])];
        let geometry = Geometry::new([order.len(), size[0], size[1]], edges, at(order[0]))?;
        Ok((geometry, order))
    }

    /// What is worth knowing of slices that make a grid.
    pub(super) fn notes(&self) -> Vec<String> {
        let tilted = self.planes.iter().filter_map(|p| p.tilt.filter(|t| t.abs() > 0.05)).next();
        let tilt = tilted.map(|t| {
            format!("the gantry tilt (0018,1120) is {t} degrees, but the slices lie straight above each other: they were resampled")
        });
        tilt.into_iter().collect()
    }

    /// The value that most slices have.
    fn usual<T: PartialEq + Copy>(&self, value: impl Fn(&Plane) -> T) -> T {
        let mut counts: Vec<(T, usize)> = Vec::new();
        for plane in &self.planes {
            let value = value(plane);
            match counts.iter_mut().find(|(v, _)| *v == value) {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max();
        counts
            .into_iter()
            .find(|(_, count)| Some(*count) == most)
            .map_or_else(|| value(&self.planes[0]), |(v, _)| v)
    }

    fn height(&self, i: usize, normal: Vector) -> f64 {
        dot(self.planes[i].position.unwrap_or_default(), normal)
    }

    fn sorted(&self, normal: Vector) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.planes.len()).collect();
        order.sort_by(|a, b| self.height(*a, normal).total_cmp(&self.height(*b, normal)));
        order
    }

    /// Doubled, missing and odd slices.
    fn gaps(&self, order: &[usize], normal: Vector) -> Result<(), String> {
        let gaps: Vec<f64> =
            order.windows(2).map(|w| self.height(w[1], normal) - self.height(w[0], normal)).collect();
        let mut sorted = gaps.clone();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted[sorted.len() / 2];
        let between = |wrong: &dyn Fn(f64) -> bool| {
            let pairs = order.windows(2).zip(&gaps).filter(|(_, gap)| wrong(**gap));
            list(pairs.map(|(w, gap)| {
                format!("{} and {} ({gap:.3} mm)", self.planes[w[0]].name(), self.planes[w[1]].name())
            }))
        };
        let doubled = between(&|gap| gap < (usual * 0.01).max(1e-3));
        if !doubled.is_empty() {
            return Err(format!(
                "doubled slices: {doubled} lie at the same place; are these two scans in one series?"
            ));
        }
        let missing = between(&|gap| gap > 1.5 * usual);
        if !missing.is_empty() {
            return Err(format!("missing slices, as others are {usual:.3} mm apart: between {missing}"));
        }
        let odd = between(&|gap| (gap - usual).abs() > (0.02 * usual).max(0.011));
        if !odd.is_empty() {
            return Err(format!("odd slices, as others are {usual:.3} mm apart: {odd}"));
        }
        Ok(())
    }

    /// Slices that are not straight above each other.
    fn check_shear(&self, step: Vector, normal: Vector) -> Result<(), String> {
        let along = dot(step, normal);
        let aside = [0, 1, 2].map(|axis| step[axis] - along * normal[axis]);
        let aside = dot(aside, aside).sqrt();
        let angle = (aside / along).atan().to_degrees();
        if angle > 0.05 {
            let named = match self.planes.iter().find_map(|p| p.tilt.filter(|t| t.abs() > 0.0)) {
                Some(tilt) => format!("the gantry tilt (0018,1120) is {tilt} degrees"),
                None => "a gantry tilt that the files do not name".into(),
            };
            return Err(format!(
                "each slice lies {aside:.3} mm aside of the one before, {angle:.2} degrees ({named}); resample the scan to a right grid"
            ));
        }
        Ok(())
    }
}
