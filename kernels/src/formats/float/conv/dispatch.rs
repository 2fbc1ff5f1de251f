//! Which tile computes a convolution.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", niello_vfp))]
use super::driver;
#[cfg(niello_vfp)]
use super::{super::Float, vfp::Vfp};
use super::{CheckedConv, tile};
use crate::Isa;

/// Computes it with the best tile that `isa` grants for its panels, or by its definition.
pub(super) fn run(checked: CheckedConv<'_, '_>, isa: Isa) {
    if !isa.is_reference() && tile::is_ordinary(checked.conv.range) && with_tile(checked, isa) {
        return;
    }
    isa.vectorize(checked);
}

/// `false` if there is none.
#[allow(unused_variables, unreachable_code, reason = "targets have few tiles each, some none")]
fn with_tile(checked: CheckedConv<'_, '_>, isa: Isa) -> bool {
    let (conv, halves) = (&checked.conv, checked.conv.weights.is_empty());
    #[cfg(target_arch = "aarch64")]
    if conv.panel == 16 {
        if conv.native {
            return super::fp16::Fp16::new(isa).map(|tile| driver::run(checked, tile)).is_some();
        }
        return super::neon::Neon::new(isa).map(|tile| driver::run(checked, tile)).is_some();
    }
    #[cfg(target_arch = "x86_64")]
    if conv.panel == 16 {
        if let Some(tile) = super::avx512::Avx512::new(isa) {
            match (conv.native, halves) {
                (true, _) => driver::run(checked, super::avx512::Native(tile)),
                (_, true) => driver::run(checked, super::avx512::Halves(tile)),
                _ => driver::run(checked, tile),
            }
            return true;
        }
        if let Some(tile) = super::avx2::Avx2::new(isa) {
            match (conv.native, halves) {
                (true, _) => driver::run(checked, super::avx2::Native(tile)),
                (_, true) => driver::run(checked, super::avx2::Halves(tile)),
                _ => driver::run(checked, tile),
            }
            return true;
        }
    }
    #[cfg(niello_vfp)]
    if conv.panel == 4 && !conv.native {
        // Loads of several registers want words.
        let is_word = |address: usize| address.is_multiple_of(4);
        let input = is_word(checked.input.as_ptr() as usize) && is_word(checked.input.stride());
        if !(input || conv.types[0] == Float::F16) {
            return false;
        }
        if !halves {
            return Vfp::<f32>::new(isa).map(|tile| driver::run(checked, tile)).is_some();
        }
        if is_word(conv.halves.as_ptr() as usize) {
            return Vfp::<u16>::new(isa).map(|tile| driver::run(checked, tile)).is_some();
        }
    }
    false
}
