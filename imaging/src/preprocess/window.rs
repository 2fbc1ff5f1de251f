//! Windows: the range of Hounsfield units that becomes black to white.

/// Centre and width, in HU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    centre: f64,
    width: f64,
}

impl Window {
    /// The lung window.
    pub const LUNG: Window = Window { centre: -600.0, width: 1500.0 };

    /// `None` unless both are finite and the width is positive.
    pub fn new(centre: f64, width: f64) -> Option<Self> {
        (centre.is_finite() && width.is_finite() && width > 0.0).then_some(Self { centre, width })
    }

    /// The middle gray, in HU.
    pub fn centre(&self) -> f64 {
        self.centre
    }

    /// White less black, in HU.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// `round(255 * clip((hu - (centre - width / 2)) / width, 0, 1))`, a half to even.
    pub fn apply(&self, hu: &[f32]) -> Vec<u8> {
        let low = self.centre - self.width / 2.0;
        let gray = |v: &f32| ((f64::from(*v) - low) / self.width).clamp(0.0, 1.0) * 255.0;
        hu.iter().map(|v| gray(v).round_ties_even() as u8).collect()
    }
}
