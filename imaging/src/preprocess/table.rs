//! Pre-processing as tables, for firmware.

use super::{Colour, Polarity, Preprocess};

/// One plane of a network's input, as a function of an 8-bit sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneTable {
    /// The channel of an RGB image that it is made from; a gray image has only one.
    pub source: usize,
    /// The real input for each sample.
    pub values: [f32; 256],
}

impl Preprocess {
    /// The tables of the network's `channels` planes, for firmware that gets 8-bit images of the right size and goes
    /// to `int8` by a look-up: polarity and normalization, without resizing. `None` where a real input depends on more
    /// than its own sample (`hu`, `minmax`, `standardize`), or where the normalization is not defined for so many planes.
    ///
    /// ```
    /// let preprocess = niello_imaging::Preprocess::parse("unit").unwrap();
    /// assert_eq!(preprocess.table(1).unwrap()[0].values[51], 0.2);
    /// ```
    pub fn table(&self, channels: usize) -> Option<Vec<PlaneTable>> {
        if !self.normalization.is_per_sample() || self.normalization.check_planes(channels).is_err() {
            return None;
        }
        let plane = |plane| {
            let mut values = self.normalization.table(plane, &[]);
            if self.polarity == Polarity::Inverted {
                values.reverse();
            }
            let source = if self.colour == Colour::Gray { 0 } else { self.normalization.source(plane) };
            PlaneTable { source, values }
        };
        Some((0..channels).map(plane).collect())
    }
}
