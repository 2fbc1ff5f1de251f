//! The counted work. Programs differ in their marks and their output.

use crate::models::{ARENA_BYTES, Buffers, Network};
use core::fmt::Arguments;
use niello::{Arena, LayerInfo, Model, Output, kernels::Isa};

/// One inference that nobody counts, one between two marks, one with a mark after each layer that an observer is shown.
///
/// Then prints the compiler, the instruction set, a line `layer NAME KIND MACS` for each mark of the third inference, and the checksum of the
/// outputs. A layer that only adds to the result of a later one is counted with that one: `NAME+NAME`.
pub(crate) fn layers(
    arena: &mut Arena<ARENA_BYTES>,
    buffers: &mut Buffers,
    mark: fn(),
    mut print: impl FnMut(Arguments<'_>),
) {
    buffers.fill();
    buffers.infer(arena, &mut ());
    mark();
    buffers.infer(arena, &mut ());
    mark();
    let mut shown = [false; Network::LAYERS.len()];
    buffers.infer(arena, &mut |index: usize, _: &LayerInfo, _: Output<'_>| {
        shown[index] = true;
        mark();
    });

    print(format_args!("compiler {}\nisa {}\n", env!("NIELLO_COUNT_RUSTC"), Isa::detect().name()));
    let (mut joint, mut macs) = ("layer ", 0);
    for (layer, shown) in Network::LAYERS.iter().zip(shown) {
        print(format_args!("{joint}{}", layer.name));
        macs += layer.macs;
        if shown {
            print(format_args!(" {} {macs}\n", layer.kind));
            (joint, macs) = ("layer ", 0);
        } else {
            joint = "+";
        }
    }
    print(format_args!("output {:016x}\n", buffers.checksum()));
}

/// The model's type, and all that it reads and writes in one struct: networks differ in their number of inputs.
macro_rules! each_model {
    ({ $name:literal, $module:ident::$network:ident, arena: $arena:ident,
        inputs: [$($input:ident: [$in:ty; $in_len:ident]),*], outputs: [$($output:ident: [$out:ty; $out_len:ident]),*],
        cases: [$($case:expr),* $(,)?] }) => {
        /// The generated model.
        pub(crate) type Network = $module::$network;
        pub(crate) use $module::ARENA_BYTES;

        /// All that it reads and writes.
        pub(crate) struct Buffers {
            $($input: [$in; $module::$in_len],)*
            $($output: [$out; $module::$out_len],)*
        }

        impl Buffers {
            /// Zeros.
            pub(crate) const fn new() -> Self {
                use niello::kernels::memory::Element;
                Self {
                    $($input: [<$in as Element>::ZERO; $module::$in_len],)*
                    $($output: [<$out as Element>::ZERO; $module::$out_len],)*
                }
            }

            /// Pseudo-random inputs.
            pub(crate) fn fill(&mut self) {
                let mut codes = niello::self_test::Codes::new(7);
                $(codes.fill(&mut self.$input);)*
            }

            /// One inference.
            pub(crate) fn infer(
                &mut self,
                arena: &mut niello::Arena<ARENA_BYTES>,
                observer: &mut impl niello::Observer,
            ) {
                Network::infer_in(arena, $(&self.$input,)* $(&mut self.$output,)* observer);
            }

            /// The checksum of the outputs.
            pub(crate) fn checksum(&self) -> u64 {
                0 $(^ niello::self_test::Checksum::of_codes(&self.$output))*
            }
        }
    };
}
pub(crate) use each_model;
