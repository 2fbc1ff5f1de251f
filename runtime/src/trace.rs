//! Logging over [defmt](https://defmt.ferrous-systems.com): layers and results of checks. Feature `defmt`.
//!
//! defmt sends indices of format strings and raw arguments; the text stays in the ELF file on the host. `DEFMT_LOG` at build
//! time decides which levels are compiled in; without it, only errors are: `DEFMT_LOG=niello=debug` shows layers.
//!
//! Lines for layers have the form that `niello golden --log` reads, so that a decoded log (`defmt-print --log-format '{s}'`)
//! can be compared with a golden file.

use crate::{
    Elements, LayerInfo, Metadata, Observer, Output, SelfTestError, TensorInfo, WeightsError,
    kernels::Rounding,
};
use defmt::{Format, Formatter};

/// An observer that logs every layer: index, name, shape and checksum of its result at level `debug`, before that operator
/// and multiply-accumulates at level `trace`.
///
/// A checksum reads the whole result; where `debug` is not compiled in, it is not computed.
///
/// ```no_run
/// use niello::trace::{self, Trace};
///
/// let mut trace = Trace;
/// // model.infer_observed(&input, &mut output, &mut trace);
/// // DEBUG layer 0 conv1_block 16x16x4 de79edcdff05342e
/// # let self_test = Ok(());
/// // let self_test = model.self_test(&mut input, &mut output);
/// assert!(trace::check("self_test", self_test));
/// // INFO  self_test ok
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace;

impl Observer for Trace {
    fn layer(&mut self, index: usize, info: &LayerInfo, output: Output<'_>) {
        let [h, w, c] = output.shape();
        defmt::trace!("{}", info);
        defmt::debug!(
            "layer {=usize} {=str} {=usize}x{=usize}x{=usize} {=u64:016x}",
            index,
            info.name,
            h,
            w,
            c,
            output.checksum()
        );
    }
}

/// Logs how a check of a model ended, at level `info`, or `error` where it failed. Returns whether it passed.
pub fn check(name: &str, result: Result<(), SelfTestError>) -> bool {
    match &result {
        Ok(()) => defmt::info!("{=str} ok", name),
        Err(error) => defmt::error!("{=str} failed: {}", name, error),
    }
    result.is_ok()
}

impl Format for SelfTestError {
    fn format(&self, f: Formatter<'_>) {
        match *self {
            Self::Weights { expected, found } => {
                defmt::write!(f, "weights: checksum {=u64:016x}, expected {=u64:016x}", found, expected);
            }
            Self::Output { index, expected, found } => {
                defmt::write!(
                    f,
                    "output {=usize}: checksum {=u64:016x}, expected {=u64:016x}",
                    index,
                    found,
                    expected
                );
            }
            Self::Layer { index, name, expected, found } => {
                defmt::write!(
                    f,
                    "layer {=usize} `{=str}`: checksum {=u64:016x}, expected {=u64:016x}",
                    index,
                    name,
                    found,
                    expected
                );
            }
        }
    }
}

impl Format for WeightsError {
    fn format(&self, f: Formatter<'_>) {
        let Self { index, name, offset, len, expected, found } = *self;
        defmt::write!(
            f,
            "weights of layer {=usize} `{=str}` ({=usize} bytes from {=usize}): {=u64:016x}, expected {=u64:016x}",
            index,
            name,
            len,
            offset,
            found,
            expected
        );
    }
}

impl Format for LayerInfo {
    fn format(&self, f: Formatter<'_>) {
        defmt::write!(f, "{=str}: {=str}, {=u64} multiply-accumulates", self.name, self.kind, self.macs);
    }
}

impl Format for TensorInfo {
    fn format(&self, f: Formatter<'_>) {
        let Self { name, shape: [h, w, c], elements, scale, zero_point } = *self;
        let elements = match elements {
            Elements::Codes => "codes",
            Elements::Codes16 => "codes of 16 bits",
            Elements::Labels => "labels",
            Elements::F16 => "f16",
            Elements::F32 => "f32",
        };
        defmt::write!(
            f,
            "{=str} {=usize}x{=usize}x{=usize} {=str}, scale {=f32}, zero point {=i8}",
            name,
            h,
            w,
            c,
            elements,
            scale,
            zero_point
        );
    }
}

/// Network, number format, rounding (in a recipe's words), packing, classes.
impl Format for Metadata {
    fn format(&self, f: Formatter<'_>) {
        let rounding = match self.rounding {
            Rounding::TfliteDouble => "tflite-double",
            Rounding::Single => "single",
            Rounding::FloatEven => "float-even",
        };
        defmt::write!(
            f,
            "{=str}, {=str}, rounding {=str}, packed for {=str}, classes {=[?]}",
            self.network,
            self.format,
            rounding,
            self.target,
            self.classes
        );
    }
}
