//! AVX2: `vpmaddwd` on bytes widened to 16 bits, 16 products per instruction.
//!
//! It reads the layout of [`super::avx512vnni`], so that one packing serves every x86-64. `vpmaddubsw` would take bytes as
//! they are, but its 16-bit sums of two products saturate; widened, a product of an unsigned and a signed byte and the
//! sum of two of them fit 32 bits with room to spare, so the sums are exact.
//!
//! Both operands are widened ahead of the multiplications: activations once for all panels of a call, weights once for
//! all its pixels. Then the inner loop has one broadcast for eight `vpmaddwd`, which take weights from memory, and eight
//! additions: 17 instructions for 128 products.

use super::super::{Layout, Panels, Rows, Tile};
use super::avx2_block::{PANELS, PIXELS, Room, STEPS, Start, UNROLLED};
use super::avx2_stage::{self, Scale, Stage};
use crate::Isa;
use core::{arch::x86_64::__m256i, mem::MaybeUninit};

/// Proof that AVX2 can be executed.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, where `isa` has the instructions.
    pub const fn new(isa: Isa) -> Option<Self> {
        if isa.has_avx2() { Some(Self(())) } else { None }
    }
}

impl Tile for Avx2 {
    const LAYOUT: Layout = Layout::VNNI;
    const MAX_PANELS: usize = PANELS;
    const MAX_PIXELS: usize = PIXELS;

    #[inline(always)]
    fn pixels(self, _: usize) -> usize {
        PIXELS
    }

    #[inline(always)]
    unsafe fn run(
        self,
        rows: &Rows,
        constants: &Panels,
        panels: usize,
        channels: usize,
        pixels: usize,
        out: &[*mut i8],
    ) {
        // SAFETY: the token proves the instructions; the rest is the caller's promise, passed on unchanged.
        unsafe { tile(rows, constants, panels, channels, pixels, out) }
    }
}

/// # Safety
/// As for [`Tile::run`], where the instructions exist.
#[target_feature(enable = "avx2")]
unsafe fn tile(
    rows: &Rows,
    constants: &Panels,
    panels: usize,
    channels: usize,
    pixels: usize,
    out: &[*mut i8],
) {
    let mut room = MaybeUninit::<Room>::uninit();
    let room = room.as_mut_ptr();
    let total = rows.segments * (rows.k / 4);
    // Blocks of about the same length, whole rounds of the inner loop.
    let blocks = total.div_ceil(STEPS).max(1);
    let length = total.div_ceil(blocks).next_multiple_of(UNROLLED);
    let mut start = Start { segment: 0, step: 0 };
    let mut done = 0;
    loop {
        let steps = length.min(total - done);
        // SAFETY: there are `steps` more steps from `done` on, at most `STEPS`, in `rows` and in each of `panels` panels of
        // weights; `pixels` and `panels` fit the room.
        unsafe {
            let next = Room::widen_activations(room, rows, start, steps, pixels);
            let mut panel = 0;
            while panel < panels {
                let weights = constants.weights.wrapping_add(panel * constants.weights_stride + 64 * done);
                if panels - panel >= 2 {
                    Room::widen_weights::<2>(room, weights, constants.weights_stride, steps);
                    Room::sum::<2>(room, panel, steps, pixels, done == 0);
                } else {
                    Room::widen_weights::<1>(room, weights, 0, steps);
                    Room::sum::<1>(room, panel, steps, pixels, done == 0);
                }
                panel += 2;
            }
            start = next;
        }
        done += steps;
        if done >= total {
            break;
        }
    }
    let stage = Stage::new(&constants.stage);
    for panel in 0..panels {
        let n = 16 * panel;
        let live = channels.saturating_sub(n).min(16);
        // SAFETY: each of the panels has 16 constants, and its sums were written; `out` holds `pixels` pointers, and `live`
        // more channels are writable from channel `n` on.
        unsafe {
            let scale =
                Scale::panel(constants.bias.add(n), constants.mantissa.add(n), constants.shift.add(n));
            let sums = (&raw const (*room).sums).cast::<[[__m256i; 2]; PIXELS]>().add(panel);
            let sums = sums.cast::<[__m256i; 2]>();
            for p in 0..pixels {
                let out = (*out.as_ptr().add(p)).add(n);
                avx2_stage::store(out, stage.bytes(&scale, *sums.add(p)), live);
            }
        }
    }
}
