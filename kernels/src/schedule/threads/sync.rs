//! Threads and their memory: the operating system's; in tests with `--cfg loom`, a model that tries their interleavings.

#[cfg(not(all(loom, test)))]
mod real {
    pub(crate) use core::{
        cell::UnsafeCell,
        hint::spin_loop,
        sync::atomic::{AtomicBool, AtomicUsize},
    };
    pub(crate) use std::{
        sync::{Arc, Mutex, MutexGuard},
        thread::{Builder, JoinHandle, park, yield_now},
    };
}
#[cfg(all(loom, test))]
mod model {
    pub(crate) use loom::{
        cell::UnsafeCell,
        hint::spin_loop,
        sync::{
            Arc, Mutex, MutexGuard,
            atomic::{AtomicBool, AtomicUsize},
        },
        thread::{Builder, JoinHandle, park, yield_now},
    };
}

#[cfg(all(loom, test))]
pub(super) use model::*;
#[cfg(not(all(loom, test)))]
pub(super) use real::*;

/// A value that something else guards.
pub(super) struct Guarded<T>(UnsafeCell<T>);

impl<T: Copy> Guarded<T> {
    pub(super) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// # Safety
    /// Nobody writes at the same time.
    pub(super) unsafe fn get(&self) -> T {
        // SAFETY: the caller's promise, here and below.
        #[cfg(not(all(loom, test)))]
        return unsafe { *self.0.get() };
        #[cfg(all(loom, test))]
        return self.0.with(|value| unsafe { *value });
    }

    /// # Safety
    /// Nobody reads or writes at the same time.
    pub(super) unsafe fn set(&self, value: T) {
        // SAFETY: the caller's promise, here and below.
        #[cfg(not(all(loom, test)))]
        unsafe {
            *self.0.get() = value;
        }
        #[cfg(all(loom, test))]
        self.0.with_mut(|place| unsafe { *place = value });
    }
}
