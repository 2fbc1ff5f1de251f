//! Messages for a debug probe; none without the feature `defmt`.

use niello::SelfTestError;

#[cfg(feature = "defmt")]
use {cortex_m as _, defmt_rtt as _};

/// Logs the result of the self-test. Returns whether it passed.
pub fn tested(result: Result<(), SelfTestError>) -> bool {
    #[cfg(feature = "defmt")]
    niello::trace::check("self_test", result);
    result.is_ok()
}

/// Logs the number of inferences.
pub fn inferred(count: u32) {
    #[cfg(feature = "defmt")]
    defmt::info!("{=u32} inferences done", count);
    #[cfg(not(feature = "defmt"))]
    let _ = count;
}
