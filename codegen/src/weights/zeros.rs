//! Zeros: for figures that depend on shapes only.

use super::{Request, WeightSource};

/// Zeros for every tensor, without the time that others take: to count parameters, to look at shapes.
///
/// ```
/// use niello_codegen::weights::{Kind, Request, WeightSource, Zeros};
///
/// let request = Request { name: "fc.bias", shape: &[3], kind: Kind::Bias };
/// assert_eq!(Zeros.load(&request), Ok(vec![0.0; 3]));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Zeros;

impl WeightSource for Zeros {
    fn describe(&self) -> String {
        "zeros".into()
    }

    fn load(&mut self, request: &Request<'_>) -> Result<Vec<f32>, String> {
        Ok(vec![0.0; request.shape.iter().product()])
    }
}
