//! Executed instructions, by SysTick: QEMU's `-icount shift=0` lets every instruction take a nanosecond.

/// Control and status, reload value, current value.
const CSR: *mut u32 = 0xe000_e010 as *mut u32;
const RVR: *mut u32 = 0xe000_e014 as *mut u32;
const CVR: *mut u32 = 0xe000_e018 as *mut u32;
/// The initial value of the counter, which counts down.
const TOP: u32 = 0x00ff_ffff;

/// Quarters of an instruction per tick: no machine here has a clock that needs finer ones.
pub(crate) struct Counter {
    quarters: u32,
}

impl Counter {
    /// Asks the machine, which differ in their clocks.
    pub(crate) fn new() -> Self {
        let ticks = ticks(|| {
            // SAFETY: a loop of 2 * 200000 instructions, and few around it.
            unsafe {
                core::arch::asm!("2:", "subs {n}, #1", "bne 2b", n = inout(reg) 200_000u32 => _, options(nomem, nostack));
            }
        });
        Self { quarters: (4 * 400_000 + ticks / 2) / ticks.max(1) }
    }

    /// The instructions of `work`, to a tick.
    pub(crate) fn count(&self, work: impl FnOnce()) -> u64 {
        u64::from(ticks(work)) * u64::from(self.quarters) / 4
    }
}

fn ticks(work: impl FnOnce()) -> u32 {
    // SAFETY: SysTick's registers, which every core here has and nobody else uses.
    unsafe {
        CSR.write_volatile(0);
        RVR.write_volatile(TOP);
        CVR.write_volatile(0);
        CSR.write_volatile(0b101);
    }
    work();
    // SAFETY: as above.
    TOP - unsafe { CVR.read_volatile() }
}
