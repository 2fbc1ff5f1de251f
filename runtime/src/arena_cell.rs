//! An arena in a memory of the linker's choice. Needs an atomic swap, as `StaticCell` does.

use crate::Arena;
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    sync::atomic::{AtomicBool, Ordering},
};

/// Memory of an arena, for a static in any section, also one that no start-up code initialises (`NOLOAD`: tightly coupled
/// memory, external RAM). [`ArenaCell`] hands it out.
#[repr(transparent)]
pub struct UninitArena<const N: usize>(UnsafeCell<MaybeUninit<Arena<N>>>);

// SAFETY: the memory is reachable only through a `ArenaCell`, which gives out one exclusive reference; bytes may go to any
// thread.
unsafe impl<const N: usize> Sync for UninitArena<N> {}

impl<const N: usize> UninitArena<N> {
    /// Not initialised.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }
}

impl<const N: usize> Default for UninitArena<N> {
    fn default() -> Self {
        Self::new()
    }
}

/// Hands out an [`UninitArena`] once, for exclusive use. The flag lies here, in ordinary `.bss`, because memory that is not
/// initialised cannot hold one.
///
/// ```
/// use niello::{UninitArena, ArenaCell};
///
/// // On a board: #[unsafe(link_section = ".dtcm")]
/// static MEMORY: UninitArena<1024> = UninitArena::new();
/// // SAFETY: no other place refers to MEMORY.
/// static ARENA: ArenaCell<1024> = unsafe { ArenaCell::new(&MEMORY) };
///
/// let arena = ARENA.take().unwrap();
/// // covid::Squeezenet1_0::infer_in(arena, &input, &mut output, &mut ());
/// assert!(arena.cells().iter().all(|c| c.get() == 0));
/// assert!(ARENA.take().is_none());
/// ```
pub struct ArenaCell<const N: usize> {
    taken: AtomicBool,
    memory: &'static UninitArena<N>,
}

impl<const N: usize> ArenaCell<N> {
    /// A cell of `memory`, not taken yet.
    ///
    /// # Safety
    /// No other place refers to `memory`.
    pub const unsafe fn new(memory: &'static UninitArena<N>) -> Self {
        Self { taken: AtomicBool::new(false), memory }
    }

    /// The arena, zeroed where it lies, the first time; `None` afterwards.
    #[allow(clippy::mut_from_ref, reason = "the flag makes the reference exclusive")]
    pub fn take(&'static self) -> Option<&'static mut Arena<N>> {
        if self.taken.swap(true, Ordering::AcqRel) {
            return None;
        }
        let arena = self.memory.0.get().cast::<Arena<N>>();
        // SAFETY: the memory is a live static; an arena is bytes, of which zeros are valid. The swap returned false exactly
        // once and no other place refers to the memory (`new`'s contract), so this is the only reference ever made.
        Some(unsafe {
            arena.write_bytes(0, 1);
            &mut *arena
        })
    }
}
