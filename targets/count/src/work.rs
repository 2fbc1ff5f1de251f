//! What is counted. Programs differ in what a mark is and where lines go.

use crate::{Buffers, Network, model::ARENA_BYTES};
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
