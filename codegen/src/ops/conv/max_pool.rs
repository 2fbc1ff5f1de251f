//! Max pooling that takes a convolution's rows as they are computed: one kernel call for two nodes.

use super::conv2d::Conv2dCall;
use crate::{
    error::Result,
    lower::Lowering,
    ops::max_pool::MaxPoolCall,
    program::{ALIGNMENT, Access, Bindings, Call, Inside, Location, TensorInfo},
};
use niello_kernels::{ConvMaxPool2d, Kernel, Region, Space};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use std::{any::Any, sync::Arc};

/// Bytes that the rows between the two may take, unless one window needs more: little beside a second-level cache.
const BAND: usize = 64 << 10;
/// A window of more rows is walked in pieces.
const TALL: usize = 8;
/// Passes of the convolution's tile per band of rows, at least: so that the ends of rows weigh little.
const PASSES: usize = 4;

/// Appends the convolution that makes the node's input and the node's own `pool` as one step; or the pooling alone, where the
/// convolution is a kernel that cannot pass its rows on.
pub(in crate::ops) fn fuse(cx: &mut Lowering<'_>, pool: MaxPoolCall) -> Result<()> {
    let (input, output) = (cx.node().inputs[0], cx.node().output());
    let (map, pooled) = (cx.graph().shape(input), cx.graph().shape(output));
    let producer = cx.take_draft::<Conv2dCall>(input).and_then(|draft| {
        let call =
            Arc::unwrap_or_clone((draft.call as Arc<dyn Any + Send + Sync>).downcast::<Conv2dCall>().ok()?);
        Some((draft.layers, call, draft.scratch, draft.macs, draft.constant_bytes))
    });
    let Some((mut layers, conv, scratch, macs, constant_bytes)) = producer else {
        cx.push(pool);
        return Ok(());
    };
    let (kernel, stride, row) = (pool.kernel[0] as usize, pool.stride[0] as usize, map.w * map.c);
    let wanted = PASSES * conv.pixels_per_pass as usize;
    let rows = if kernel <= TALL && kernel * row <= BAND {
        let of = |windows: usize| kernel + stride * (windows - 1);
        let windows = wanted.div_ceil((map.w * stride).max(1)).clamp(1, pooled.h.max(1));
        (1..=windows).rev().map(of).find(|rows| rows * row <= BAND).unwrap_or(kernel)
    } else {
        wanted.div_ceil(map.w.max(1)).min(BAND / row.max(1)).max(1)
    };
    let rows = rows.min(map.h);
    // Of one thread; each has all of it.
    let threads = cx.target().threads.max(1);
    let own = scratch / threads;
    let at = own.next_multiple_of(ALIGNMENT);
    let band = rows * row;
    let piece = if kernel > rows { pooled.w * pooled.c } else { 0 };
    layers.push(cx.node().name.clone());
    let scratch = [own, at, at + band, piece];
    let call = ConvMaxPoolCall { conv, pool, rows: rows as u32, scratch, threads: threads as u32 };
    let bytes = cx.scratch_of_threads(at + band + piece);
    let pushed = cx.push(call).named(layers, "Conv2d+MaxPool2d");
    pushed.scratch(bytes).constant_bytes(constant_bytes).macs(macs);
    Ok(())
}

/// See [`ConvMaxPool2d`].
#[derive(Debug)]
struct ConvMaxPoolCall {
    conv: Conv2dCall,
    pool: MaxPoolCall,
    rows: u32,
    /// Of the step's scratch: length of the convolution's own, start of the rows, start and length of the piece.
    scratch: [usize; 4],
    threads: u32,
}

impl ConvMaxPoolCall {
    /// Where the two calls find what they refer to: the map between them lies in the step's scratch.
    fn inner<R>(&self, b: &Bindings<'_>, f: impl FnOnce(&Bindings<'_>, Region) -> R) -> R {
        let [own, rows, piece, piece_len] = self.scratch.map(|bytes| bytes as u32);
        let mut tensors: Vec<TensorInfo> = b.tensors.to_vec();
        let map = &mut tensors[self.pool.input.value.0];
        let offset = b.scratch.offset + rows;
        map.location = Location { space: Space::Arena, offset, stride: map.shape.c as u32 };
        let scratch = Region { len: own, ..b.scratch };
        let piece = match piece_len {
            0 => Region::EMPTY,
            len => Region { offset: b.scratch.offset + piece, len },
        };
        f(&Bindings { tensors: &tensors, blob: b.blob, scratch }, piece)
    }
}

impl Call for ConvMaxPoolCall {
    fn kernel(&self) -> &'static str {
        "ConvMaxPool2d"
    }

    fn kernels(&self) -> Vec<&'static str> {
        vec![self.kernel(), self.conv.kernel(), self.pool.kernel()]
    }

    fn operands(&self) -> Vec<Access> {
        let both = self.conv.operands().into_iter().chain(self.pool.operands());
        both.filter(|access| access.value() != self.pool.input.value).collect()
    }

    fn inside<'p>(&'p self, b: &Bindings<'p>) -> Option<Inside<'p>> {
        let [own, rows, piece, piece_len] = self.scratch.map(|bytes| bytes as u32);
        let region = |from: u32, len: u32| Region { offset: b.scratch.offset + from, len };
        Some(Inside {
            calls: vec![&self.conv, &self.pool],
            buffers: vec![(self.pool.input.value, region(rows, piece - rows))],
            own: vec![region(0, own), region(piece, piece_len)],
        })
    }

    fn bound(&self, b: &Bindings<'_>, show: &mut dyn FnMut(&dyn Kernel)) {
        self.inner(b, |inner, piece| {
            self.conv.with(inner, |conv| {
                self.pool.with(inner, |pool| {
                    let (scratch, threads) = (b.scratch, self.threads);
                    show(&ConvMaxPool2d { conv, pool, rows: self.rows, piece, scratch, threads });
                });
            });
        });
    }

    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        self.inner(b, |inner, piece| {
            let (conv, pool) = (self.conv.tokens(inner), self.pool.tokens(inner));
            let region = |region: Region| {
                let [offset, len] = [region.offset, region.len].map(Literal::u32_unsuffixed);
                quote! { Region { offset: #offset, len: #len } }
            };
            let [rows, threads] = [self.rows, self.threads].map(Literal::u32_unsuffixed);
            let (piece, scratch) = (region(piece), region(b.scratch));
            quote! {
                ConvMaxPool2d {
                    conv: #conv,
                    pool: #pool,
                    rows: #rows,
                    piece: #piece,
                    scratch: #scratch,
                    threads: #threads
                }
            }
        })
    }
}
