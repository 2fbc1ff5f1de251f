//! Instruction sets as capabilities: a value that can only be had where the instructions exist.

/// Whether this is compiled for Armv7-M, or Armv8-M with its main extension: cores that may have caches.
pub const IS_M_MAINLINE: bool = cfg!(niello_thumb2);

/// The instruction set of the running core. A kernel picks its tile by it; results never depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Isa(Level, Extra);

/// Extensions that a core can have at any level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Extra {
    None,
    /// Half-precision arithmetic (FEAT_FP16).
    #[cfg(target_arch = "aarch64")]
    Fp16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Level {
    Scalar,
    Portable,
    #[cfg(niello_dsp)]
    Dsp,
    #[cfg(niello_mve)]
    Mve,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "aarch64")]
    Dotprod,
    #[cfg(target_arch = "aarch64")]
    I8mm,
}

#[cfg(target_arch = "aarch64")]
impl Extra {
    /// The features of the compilation target.
    const COMPILED: Self = if cfg!(target_feature = "fp16") { Self::Fp16 } else { Self::None };
}

impl Isa {
    /// The readable reference for every tile, slow. Always available.
    pub const fn scalar() -> Self {
        Self(Level::Scalar, Extra::None)
    }

    /// The best set that the compilation target promises, without looking at the machine.
    pub const fn compiled() -> Self {
        #[cfg(all(
            target_arch = "x86_64",
            target_feature = "avx512f",
            target_feature = "avx512bw",
            target_feature = "avx512vl",
            target_feature = "avx512vnni"
        ))]
        return Self(Level::Avx512Vnni, Extra::None);
        #[cfg(all(
            target_arch = "x86_64",
            target_feature = "avx2",
            target_feature = "fma",
            target_feature = "f16c"
        ))]
        #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
        return Self(Level::Avx2, Extra::None);
        #[cfg(all(target_arch = "aarch64", target_feature = "dotprod", target_feature = "i8mm"))]
        return Self(Level::I8mm, Extra::COMPILED);
        #[cfg(all(target_arch = "aarch64", target_feature = "dotprod"))]
        #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
        return Self(Level::Dotprod, Extra::COMPILED);
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
        return Self(Level::Neon, Extra::COMPILED);
        #[cfg(niello_mve)]
        return Self(Level::Mve, Extra::None);
        #[cfg(niello_dsp)]
        #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
        return Self(Level::Dsp, Extra::None);
        #[allow(unreachable_code, reason = "reached where nothing above was compiled")]
        Self(Level::Portable, Extra::None)
    }

    /// The best set of the machine that this runs on (with feature `std`), else [`Isa::compiled`].
    pub fn detect() -> Self {
        #[cfg(all(feature = "std", target_arch = "x86_64"))]
        {
            use std::is_x86_feature_detected as has;
            if has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni") {
                return Self(Level::Avx512Vnni, Extra::None);
            }
            // Cores with AVX2 have the other two, except a few rare ones.
            if has!("avx2") && has!("fma") && has!("f16c") {
                return Self(Level::Avx2, Extra::None);
            }
        }
        #[cfg(all(feature = "std", target_arch = "aarch64"))]
        {
            use std::arch::is_aarch64_feature_detected as has;
            let extra = if has!("fp16") { Extra::Fp16 } else { Extra::COMPILED };
            if has!("dotprod") && has!("i8mm") {
                return Self(Level::I8mm, extra);
            }
            if has!("dotprod") {
                return Self(Level::Dotprod, extra);
            }
            if let Self(Level::Neon, _) = Self::compiled() {
                return Self(Level::Neon, extra);
            }
        }
        Self::compiled()
    }

    /// Every set that this machine can execute, weakest first: what tests and benchmarks loop over.
    pub fn available() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        [
            Level::Scalar,
            Level::Portable,
            #[cfg(niello_dsp)]
            Level::Dsp,
            #[cfg(niello_mve)]
            Level::Mve,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni,
            #[cfg(target_arch = "aarch64")]
            Level::Neon,
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod,
            #[cfg(target_arch = "aarch64")]
            Level::I8mm,
        ]
        .into_iter()
        .filter(move |level| *level <= best.0)
        // Extensions, on the best of them.
        .map(|level| Self(level, Extra::None))
        .chain((best.1 != Extra::None).then_some(best))
    }

    /// Short name, as in reports: `scalar`, `portable`, `dsp`, `mve`, `avx2`, `avx512vnni`, `neon`, `dotprod`, `i8mm`; with `-fp16` behind it
    /// where there is half-precision arithmetic (FEAT_FP16).
    pub const fn name(self) -> &'static str {
        #[cfg(target_arch = "aarch64")]
        match self {
            Self(Level::Neon, Extra::Fp16) => return "neon-fp16",
            Self(Level::Dotprod, Extra::Fp16) => return "dotprod-fp16",
            Self(Level::I8mm, Extra::Fp16) => return "i8mm-fp16",
            _ => {}
        }
        match self.0 {
            Level::Scalar => "scalar",
            Level::Portable => "portable",
            #[cfg(niello_dsp)]
            Level::Dsp => "dsp",
            #[cfg(niello_mve)]
            Level::Mve => "mve",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => "avx512vnni",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Level::Dotprod => "dotprod",
            #[cfg(target_arch = "aarch64")]
            Level::I8mm => "i8mm",
        }
    }

    /// Whether this is [`Isa::scalar`].
    pub(crate) const fn is_reference(self) -> bool {
        matches!(self.0, Level::Scalar)
    }

    /// Whether this is a small core: neither the reference nor one with vectors of 128 bits or more that plain Rust is compiled for. One with
    /// Helium counts as small: what has no kernel of its own for it runs the small cores'.
    pub(crate) const fn has_no_vectors(self) -> bool {
        match self.0 {
            Level::Portable => true,
            #[cfg(niello_dsp)]
            Level::Dsp => true,
            #[cfg(niello_mve)]
            Level::Mve => true,
            _ => false,
        }
    }

    /// Whether Helium may be used.
    #[cfg(niello_mve)]
    pub(crate) const fn has_mve(self) -> bool {
        matches!(self.0, Level::Mve)
    }

    /// Whether AVX2 may be used.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn has_avx2(self) -> bool {
        matches!(self.0, Level::Avx2 | Level::Avx512Vnni)
    }

    /// Whether AVX-512 F, BW, VL and VNNI may be used.
    #[cfg(target_arch = "x86_64")]
    pub(crate) const fn has_avx512_vnni(self) -> bool {
        matches!(self.0, Level::Avx512Vnni)
    }

    /// Whether NEON may be used.
    #[cfg(target_arch = "aarch64")]
    pub(crate) const fn has_neon(self) -> bool {
        matches!(self.0, Level::Neon | Level::Dotprod | Level::I8mm)
    }

    /// Whether NEON with half-precision arithmetic may be used.
    #[cfg(target_arch = "aarch64")]
    pub(crate) const fn has_fp16(self) -> bool {
        self.has_neon() && matches!(self.1, Extra::Fp16)
    }

    /// Whether NEON with dot products may be used.
    #[cfg(target_arch = "aarch64")]
    pub(crate) const fn has_dotprod(self) -> bool {
        matches!(self.0, Level::Dotprod | Level::I8mm)
    }

    /// Whether NEON with matrix products may be used.
    #[cfg(target_arch = "aarch64")]
    pub(crate) const fn has_i8mm(self) -> bool {
        matches!(self.0, Level::I8mm)
    }

    /// Does `work`, compiled for these instructions: plain loops in it vectorise as wide as they allow.
    #[inline(always)]
    pub(crate) fn vectorize<W: Vectorize>(self, work: W) {
        #[cfg(target_arch = "x86_64")]
        if W::WIDE && self.has_avx512_vnni() {
            // SAFETY: the capability proves the instructions.
            unsafe { with_avx512(work) };
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if self.has_avx2() {
            // SAFETY: the capability proves the instructions.
            unsafe { with_avx2(work) };
            return;
        }
        work.run();
    }
}

/// Something that [`Isa::vectorize`] compiles once per instruction set. `run` must be `#[inline(always)]`: only code
/// that is inlined gets the instructions.
pub(crate) trait Vectorize {
    /// Whether it is worth another copy for AVX-512, beside that for AVX2. Compilers take their time for each.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there is one copy"))]
    const WIDE: bool = true;

    /// Does it.
    fn run(self);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn with_avx512(work: impl Vectorize) {
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn with_avx2(work: impl Vectorize) {
    work.run();
}
