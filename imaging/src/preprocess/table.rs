//! Pre-processing as tables, for firmware.

use super::{Colour, Polarity, Preprocess};

/// What one plane of a network's input is, as a function of an 8-bit sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PlaneTable {
    /// Which channel of an RGB image it is made from; of a gray image there is but one.
    pub source: usize,
    /// The network's number for each sample.
    pub numbers: [f32; 256],
}

impl Preprocess {
    /// The tables of the network's `channels` planes, for firmware that gets 8-bit images of the right size and goes
    /// to `int8` by a look-up: polarity and numbers, without resizing. `None` where a number depends on more than its
    /// own sample (`hu`, `minmax`, `standardize`), or where there are no numbers for so many planes.
    ///
    /// ```
    /// let preprocess = niello_imaging::Preprocess::parse("unit").unwrap();
    /// assert_eq!(preprocess.table(1).unwrap()[0].numbers[51], 0.2);
    /// ```
    pub fn table(&self, channels: usize) -> Option<Vec<PlaneTable>> {
        if !self.numbers.is_per_sample() || self.numbers.check_planes(channels).is_err() {
            return None;
        }
        let plane = |plane| {
            let mut numbers = self.numbers.table(plane, &[]);
            if self.polarity == Polarity::Inverted {
                numbers.reverse();
            }
            let source = if self.colour == Colour::Gray { 0 } else { self.numbers.source(plane) };
            PlaneTable { source, numbers }
        };
        Some((0..channels).map(plane).collect())
    }
}
