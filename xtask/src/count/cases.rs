//! The counted cases: networks on cores.

use crate::Result;
use std::{fs, path::Path};

/// One network on one core.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    /// As `cargo xtask test --list` has it.
    pub(super) target: &'a str,
    /// The path of a recipe, or [`KERNELS`].
    pub(super) recipe: &'a str,
}

/// In place of a recipe: the single layers of `targets/count/kernels.rs`.
pub(super) const KERNELS: &str = "kernels";

const ANAM_NET_NARROW: &str = "tests/bits/anam_net_narrow.toml";
const SQUEEZENET1_1: &str = "tests/bits/squeezenet1_1.toml";
const SQUEEZENET1_0: &str = "targets/count/recipes/squeezenet1_0.toml";
const ANAM_NET: &str = "targets/count/recipes/anam_net.toml";
const SQUEEZENET1_0_F32: &str = "targets/count/recipes/squeezenet1_0_f32.toml";
const SQUEEZENET1_0_F16: &str = "targets/count/recipes/squeezenet1_0_f16.toml";
const SQUEEZENET1_0_F16_NATIVE: &str = "targets/count/recipes/squeezenet1_0_f16_native.toml";
const SQUEEZENET1_0_F16_WINOGRAD: &str = "targets/count/recipes/squeezenet1_0_f16_winograd.toml";
const ANAM_NET_F16_WINOGRAD: &str = "targets/count/recipes/anam_net_f16_winograd.toml";
const ANAM_NET_F16_NATIVE: &str = "targets/count/recipes/anam_net_f16_native.toml";
const W251_CNN_64: &str = "targets/count/recipes/w251_cnn_64_int8.toml";
const W251_CNN_64_F32: &str = "targets/count/recipes/w251_cnn_64_f32.toml";
const W251_CNN_64_F16: &str = "targets/count/recipes/w251_cnn_64_f16.toml";
const W251_CNN: &str = "tests/bits/w251_cnn.toml";
const W251_SQUEEZENET: &str = "tests/bits/w251_squeezenet.toml";

const TINY_RESNET8: &str = "targets/count/recipes/mlperf_tiny_resnet8.toml";
const TINY_DS_CNN: &str = "targets/count/recipes/mlperf_tiny_ds_cnn.toml";
const TINY_VWW: &str = "targets/count/recipes/mlperf_tiny_vww.toml";
const TINY_AUTOENCODER: &str = "targets/count/recipes/mlperf_tiny_autoencoder.toml";

const A53: &str = "aarch64-cortex-a53";
const A72: &str = "aarch64-cortex-a72";
const A76: &str = "aarch64-cortex-a76";
const A_MAX: &str = "aarch64-max";
const M3: &str = "cortex-m3";
const M4: &str = "cortex-m4";
const M7: &str = "cortex-m7";
const M33: &str = "cortex-m33";
const M55: &str = "cortex-m55";
const HOST: &str = "host";

/// The cases of continuous integration.
pub(super) const SMALL: &[Case<'_>] =
    &[on(A72, SQUEEZENET1_1), on(A72, ANAM_NET_NARROW), on(A76, ANAM_NET_NARROW), on(M4, ANAM_NET_NARROW)];

/// Everything that `docs/performance.md` shows, the small set included. Cases of one program follow each other.
pub(super) const ALL: &[Case<'_>] = &[
    on(A72, SQUEEZENET1_1),
    on(A72, ANAM_NET_NARROW),
    on(A76, ANAM_NET_NARROW),
    on(M4, ANAM_NET_NARROW),
    on(A53, SQUEEZENET1_0),
    on(A72, SQUEEZENET1_0),
    on(A76, SQUEEZENET1_0),
    on(A_MAX, SQUEEZENET1_0),
    on(A53, ANAM_NET),
    on(A72, ANAM_NET),
    on(A76, ANAM_NET),
    on(A_MAX, ANAM_NET),
    on(A72, KERNELS),
    on(A76, KERNELS),
    on(M3, KERNELS),
    on(M4, KERNELS),
    on(M7, KERNELS),
    on(M33, KERNELS),
    on(M3, W251_CNN),
    on(M4, W251_CNN),
    on(M7, W251_CNN),
    on(M3, W251_SQUEEZENET),
    on(M4, W251_SQUEEZENET),
    on(M7, W251_SQUEEZENET),
    on(M55, W251_SQUEEZENET),
    on(M55, ANAM_NET_NARROW),
    on(HOST, SQUEEZENET1_0),
    on(HOST, ANAM_NET),
    on(A53, SQUEEZENET1_0_F32),
    on(A72, SQUEEZENET1_0_F32),
    on(A76, SQUEEZENET1_0_F32),
    on(A53, SQUEEZENET1_0_F16),
    on(A72, SQUEEZENET1_0_F16),
    on(A76, SQUEEZENET1_0_F16_NATIVE),
    on(A76, ANAM_NET_F16_NATIVE),
    on(A76, SQUEEZENET1_0_F16_WINOGRAD),
    on(A76, ANAM_NET_F16_WINOGRAD),
    on(M3, W251_CNN_64),
    on(M4, W251_CNN_64),
    on(M7, W251_CNN_64),
    on(M33, W251_CNN_64),
    on(M3, W251_CNN_64_F32),
    on(M4, W251_CNN_64_F32),
    on(M7, W251_CNN_64_F32),
    on(M33, W251_CNN_64_F32),
    on(M4, W251_CNN_64_F16),
    on(M7, W251_CNN_64_F16),
    on(HOST, SQUEEZENET1_0_F32),
    on(M4, TINY_RESNET8),
    on(M7, TINY_RESNET8),
    on(M33, TINY_RESNET8),
    on(M4, TINY_DS_CNN),
    on(M7, TINY_DS_CNN),
    on(M33, TINY_DS_CNN),
    on(M4, TINY_VWW),
    on(M7, TINY_VWW),
    on(M33, TINY_VWW),
    on(M4, TINY_AUTOENCODER),
    on(M7, TINY_AUTOENCODER),
    on(M33, TINY_AUTOENCODER),
    on(M55, TINY_RESNET8),
    on(M55, TINY_DS_CNN),
    on(M55, TINY_VWW),
    on(M55, TINY_AUTOENCODER),
];

const fn on<'a>(target: &'a str, recipe: &'a str) -> Case<'a> {
    Case { target, recipe }
}

impl Case<'_> {
    /// Weights or a model file that the recipe names and that are not there: trained weights lie in the shared data.
    ///
    /// # Errors
    /// A recipe that cannot be read.
    pub(super) fn missing(&self) -> Result<Option<String>> {
        if self.recipe == KERNELS {
            return Ok(None);
        }
        let text = fs::read_to_string(self.recipe).map_err(|e| format!("{}: {e}", self.recipe))?;
        let value = |key: &str| {
            text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        // A network without an ending is a name.
        let model = value("network").filter(|name| Path::new(name).extension().is_some());
        let file = value("weights").or(model);
        let folder = Path::new(self.recipe).parent().unwrap_or(Path::new(""));
        Ok(file.filter(|path| !folder.join(path).exists()).map(Into::into))
    }
}
