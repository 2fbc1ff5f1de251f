//! Runs one of its generated models and prints a checksum of every layer's result over semihosting. Semihosting's command line names
//! the model: `NAME`, or `NAME INDEX` for the bytes of a layer too; without a name it prints all names.
//!
//! Every line is a measurement, or one that `niello golden --log` reads. The program ends with an error if a self-test fails.
#![no_std]
#![no_main]

#[path = "../../bits/src/input.rs"]
mod input;
mod report;

#[allow(unsafe_code, reason = "weights may lie in a section of their own")]
#[allow(clippy::all, missing_docs, dead_code, unused_imports, reason = "generated")]
mod models {
    use crate::input::Input::{Codes, Seed};
    include!(concat!(env!("NIELLO_GENERATED"), "/models.rs"));
}

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use cortex_m_semihosting::{
    debug::{EXIT_FAILURE, EXIT_SUCCESS, exit},
    hprintln,
};

/// The arena, inputs and outputs of one model. Zeros are a value of it.
struct Buffers<const ARENA: usize, I, O> {
    arena: niello::Arena<ARENA>,
    inputs: I,
    outputs: O,
}

/// The list of models, from the generator's entries.
macro_rules! each_model {
    ($({ $name:literal, $module:ident::$network:ident, arena: $arena:ident,
        inputs: [$($input:ident: [$in:ty; $in_len:ident]),*], outputs: [$($output:ident: [$out:ty; $out_len:ident]),*],
        cases: [$($case:expr),* $(,)?] })*) => {
        /// The memory that models write to: one runs at a time.
        union Memory {
            $($module: core::mem::ManuallyDrop<crate::Buffers<
                { crate::own_arena!($arena, $module) },
                ($([$in; $module::$in_len],)*),
                ($([$out; $module::$out_len],)*),
            >>,)*
        }

        static mut MEMORY: core::mem::MaybeUninit<Memory> = core::mem::MaybeUninit::zeroed();

        /// Every model by name, and the function that runs it. Only one may run, and once: it has all of the memory.
        pub(crate) const MODELS: &[(&str, unsafe fn(Option<usize>) -> bool)] = &[$(($name, {
            unsafe fn run(dump: Option<usize>) -> bool {
                // SAFETY: nothing else refers to it, as the caller promises; zeros are a value of every buffer.
                let buffers = unsafe { &mut (*(&raw mut MEMORY).cast::<Memory>()).$module };
                let crate::Buffers { arena, inputs: ($($input,)*), outputs: ($($output,)*) } = &mut **buffers;
                let arena = crate::arena!($arena, $module, arena);
                for (name, case) in [$($case),*] {
                    cortex_m_semihosting::hprintln!("case {}", name);
                    let mut source = case.source();
                    $(source.fill($input);)*
                    let mut print = |index: usize, info: &niello::LayerInfo, result: niello::Output<'_>| {
                        crate::report::layer(index, info, &result, dump == Some(index));
                    };
                    $module::$network::infer_in(arena, $($input,)* $($output,)* &mut print);
                    $(cortex_m_semihosting::hprintln!(
                        "output 0 {:016x}",
                        niello::self_test::Checksum::of_codes($output)
                    );)*
                    if let Codes(_) = case {
                        $(crate::report::class($output, <$module::$network as niello::Model>::METADATA.classes);)*
                    }
                }
                let self_test = $module::$network::self_test_in(arena, $($input,)* $($output),*);
                let check_layers = $module::$network::check_layers_in(arena, $($input,)* $($output),*);
                let mut check = niello::WeightCheck::new();
                let weights = loop {
                    match $module::$network::check_weights(&mut check, 4096) {
                        Ok(false) => {}
                        other => break other.map(drop),
                    }
                };
                crate::report::check("self_test", self_test)
                    & crate::report::check("check_layers", check_layers)
                    & crate::report::check("check_weights", weights)
            }
            run
        })),*];
    };
}
pub(crate) use each_model;

/// Bytes of the arena beside inputs and outputs.
macro_rules! own_arena {
    (own, $module:ident) => {
        $module::ARENA_BYTES
    };
    (placed, $module:ident) => {
        0
    };
}
pub(crate) use own_arena;

/// The arena: the model's own memory, or where the board places it.
macro_rules! arena {
    (own, $module:ident, $own:ident) => {
        $own
    };
    (placed, $module:ident, $own:ident) => {{
        let _ = $own;
        match $module::ARENA.take() {
            Some(arena) => arena,
            None => unreachable!("taken here only"),
        }
    }};
}
pub(crate) use arena;

#[entry]
fn main() -> ! {
    static mut LINE: [u8; 128] = [0; 128];

    // SAFETY: nothing of `.hot` has run yet; the script is the board's.
    unsafe { niello::load_hot_code() };
    let mut words = report::command_line(LINE).split(' ');
    let (wanted, dump) = (words.next(), words.next().and_then(|index| index.parse().ok()));
    let ok = match models::MODELS.iter().find(|(name, _)| Some(*name) == wanted) {
        Some((name, run)) => {
            hprintln!("model {}", name);
            // SAFETY: this is the only call, and `main` runs once.
            let ok = unsafe { run(dump) };
            hprintln!("stack {}", report::stack_bytes());
            ok
        }
        None => {
            models::MODELS.iter().for_each(|(name, _)| hprintln!("{}", name));
            false
        }
    };
    exit(if ok { EXIT_SUCCESS } else { EXIT_FAILURE });
    // Only reached where nothing listens to semihosting.
    loop {
        core::hint::spin_loop();
    }
}

/// Damaged code ends here.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    hprintln!("fault at {:#x}", frame.pc());
    exit(EXIT_FAILURE);
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    hprintln!("{}", info);
    exit(EXIT_FAILURE);
    loop {
        core::hint::spin_loop();
    }
}
