//! Exclusive use of a static. Needs an atomic swap, which Armv6-M (Cortex-M0) does not have.

use core::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, Ordering},
};

/// A static that is handed out once, for exclusive use.
///
/// ```
/// use niello::StaticCell;
/// static BUFFER: StaticCell<[i8; 4]> = StaticCell::new([0; 4]);
/// let buffer = BUFFER.take().unwrap();
/// buffer[0] = 1;
/// assert!(BUFFER.take().is_none());
/// ```
pub struct StaticCell<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reachable only through the one exclusive reference that `take` gives out; handing that to another
// thread is what `T: Send` allows.
unsafe impl<T: Send> Sync for StaticCell<T> {}

impl<T> StaticCell<T> {
    /// A cell of `value`, not taken yet.
    pub const fn new(value: T) -> Self {
        Self { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// The value, the first time; `None` afterwards.
    #[allow(clippy::mut_from_ref, reason = "the flag makes the reference exclusive")]
    pub fn take(&'static self) -> Option<&'static mut T> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        // SAFETY: the swap returned false exactly once, so this is the only reference ever made.
        Some(unsafe { &mut *self.value.get() })
    }
}
