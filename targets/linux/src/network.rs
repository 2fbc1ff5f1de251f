//! The trait that a program implements for its generated model.

use niello::Model;

/// A generated model with one input and one output, as a thread uses it.
///
/// ```text
/// impl Network for AnamNet {
///     fn boxed() -> Box<Self> {
///         Box::default()
///     }
///     fn run(&mut self, input: &[i8], output: &mut [i8]) -> bool {
///         let (Ok(input), Ok(output)) = (input.try_into(), output.try_into()) else { return false };
///         self.infer(input, output);
///         true
///     }
/// }
/// ```
pub trait Network: Model {
    /// A model on the heap, with its arena. Called by the thread that uses it, whose stack has room for it: a build
    /// without optimisation makes it there first.
    fn boxed() -> Box<Self>;

    /// One inference on codes, `[H, W, C]`; false if a slice has another length than the model's.
    fn run(&mut self, input: &[i8], output: &mut [i8]) -> bool;
}
