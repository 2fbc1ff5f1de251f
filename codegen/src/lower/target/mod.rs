//! The known targets, and the search by name.

mod auto;

use crate::{
    error::{Error, Result},
    tuning::Tuning,
};
use niello_kernels::Layout;

/// The target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Name, as in recipes.
    pub name: &'static str,
    /// One line of explanation.
    pub summary: &'static str,
    /// How convolution weights are packed.
    pub layout: Layout,
    /// Output pixels that a convolution processes per pass: scratch against speed.
    pub chunk: usize,
    /// Output channels that lie together in the weights of convolutions in floating point.
    pub float_panel: usize,
    /// Whether 3x3 convolutions may be lowered to Winograd's algorithm: fewer products, more constants.
    pub winograd: bool,
    /// Threads that a layer may be shared out among: scratch for each.
    pub threads: usize,
    /// Layers that are lowered otherwise.
    pub tuning: Tuning,
}

/// Known targets. The bits do not depend on the choice, only speed and scratch do.
pub const TARGETS: &[Target] = &[
    Target {
        name: "x86-vnni",
        summary: "x86-64: AVX-512 VNNI, or AVX2",
        layout: Layout::VNNI,
        chunk: 192,
        float_panel: 16,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "aarch64-dotprod",
        summary: "64-bit Arm with dot products (Cortex-A55, A76, A78), or without",
        layout: Layout::NEON,
        chunk: 60,
        float_panel: 16,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "aarch64-neon",
        summary: "64-bit Arm without dot products (Cortex-A53, A57, A72), or with",
        layout: Layout::NEON,
        chunk: 60,
        float_panel: 16,
        winograd: true,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "cortex-m-dsp",
        summary: "Cortex-M4, M7, M33, M55 (DSP)",
        layout: Layout::DSP,
        chunk: 12,
        float_panel: 4,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "cortex-m-mve",
        summary: "Cortex-M52, M55, M85 with Helium (MVE)",
        layout: Layout::MVE,
        chunk: 24,
        float_panel: 4,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
    Target {
        name: "portable",
        summary: "any core, plain Rust",
        layout: Layout::SCALAR,
        chunk: 4,
        float_panel: 4,
        winograd: false,
        threads: 1,
        tuning: Tuning::NONE,
    },
];

/// The name that stands for the target of the machine that is built for: see [`Target::find`].
pub const AUTO: &str = "auto";

impl Target {
    /// The target of that name. `host` is the best one for this machine. `auto` is the one of the machine that a build script builds
    /// for, whatever machine it runs on, and `host` outside a build script.
    ///
    /// | in a build script, `auto` is | for |
    /// |---|---|
    /// | `cortex-m-dsp` | `thumbv7em`; `thumbv8m.main` with a `-C target-cpu` that has DSP instructions |
    /// | `cortex-m-mve` | `thumbv8m.main-none-eabihf` with a `-C target-cpu` that has Helium |
    /// | `aarch64-neon` | `aarch64`; `aarch64-dotprod` with `-C target-feature=+dotprod` or a `target-cpu` that has it |
    /// | `x86-vnni` | `x86_64` |
    /// | `portable` | any other |
    ///
    /// # Errors
    /// Another name.
    pub fn find(name: &str) -> Result<&'static Target> {
        let host_is = |names: &[&str]| names.contains(&niello_kernels::Isa::detect().name());
        let built_for = || auto::target(|name| std::env::var(name).ok()).unwrap_or("host");
        let wanted = match if name == AUTO { built_for() } else { name } {
            "host" if host_is(&["avx512vnni", "avx2"]) => "x86-vnni",
            "host" if host_is(&["dotprod", "i8mm", "dotprod-fp16", "i8mm-fp16"]) => "aarch64-dotprod",
            "host" if cfg!(target_arch = "aarch64") => "aarch64-neon",
            "host" => "portable",
            other => other,
        };
        TARGETS.iter().find(|t| t.name == wanted).ok_or_else(|| {
            let names: Vec<&str> = TARGETS.iter().map(|t| t.name).collect();
            Error::Invalid(format!("no target `{name}`; known: auto, host, {}", names.join(", ")))
        })
    }
}
