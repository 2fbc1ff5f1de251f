//! A chain as one kernel call.

use super::group::Group;
use crate::{
    graph::ValueId,
    plan::Placement,
    program::{ALIGNMENT, Access, Bindings, Call, Field, In, Inside, Location, TensorInfo},
};
use niello_kernels::{
    FusedRows, FusedStage, FusionLayout, Kernel, Region, Space, by_rows::RowKernel, row_chain::Map,
};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use std::sync::Arc;

/// See [`FusedRows`].
#[derive(Debug)]
pub(super) struct ChainCall {
    calls: Vec<Arc<dyn Call>>,
    group: Group,
    /// Values that lie in one of the maps in between, with its index among them and their first channel.
    inside: Vec<(ValueId, usize, usize)>,
    threads: u32,
}

impl ChainCall {
    pub(super) fn new(
        group: Group,
        calls: Vec<Arc<dyn Call>>,
        placement: &Placement,
        values: usize,
        threads: usize,
    ) -> Self {
        let inside: Vec<_> = (0..values)
            .map(ValueId)
            .filter_map(|id| {
                let (root, channel) = placement.root(id);
                let map = group.between.iter().position(|(map, _)| *map == root)?;
                Some((id, map, channel))
            })
            .collect();
        Self { calls, group, inside, threads: threads.max(1) as u32 }
    }

    /// The rows of each map in between that are in memory: a part of the step's scratch.
    fn buffers(&self, b: &Bindings<'_>) -> Vec<Region> {
        let mut offset = b.scratch.offset as usize + self.group.own;
        let region = |(id, rows): &(ValueId, usize)| {
            let tensor = &b.tensors[id.0];
            let len = rows * tensor.shape.w * tensor.pixel_bytes();
            let region = Region { offset: offset as u32, len: len as u32 };
            offset += len.next_multiple_of(ALIGNMENT);
            region
        };
        self.group.between.iter().map(region).collect()
    }

    /// Tensors, of which those in between lie in the step's scratch.
    fn tensors(&self, b: &Bindings<'_>) -> Vec<TensorInfo> {
        let mut tensors = b.tensors.to_vec();
        let buffers = self.buffers(b);
        for (id, map, channel) in &self.inside {
            let stride = b.tensors[self.group.between[*map].0.0].pixel_bytes() as u32;
            let offset = buffers[*map].offset + (channel * b.tensors[id.0].format.bytes()) as u32;
            tensors[id.0].location = Location { space: Space::Arena, offset, stride };
        }
        tensors
    }

    /// The members' own scratch.
    fn own(&self, b: &Bindings<'_>) -> Region {
        Region { offset: b.scratch.offset, len: self.group.own as u32 }
    }

    /// Maps in order, with the rows that are in memory; 0 for whole ones.
    fn maps(&self) -> impl Iterator<Item = (ValueId, u32)> {
        let Group { inputs, between, output, .. } = &self.group;
        let whole = |id: &ValueId| (*id, 0);
        let parts = between.iter().map(|(id, rows)| (*id, *rows as u32));
        inputs.iter().map(whole).chain(parts).chain([(*output, 0)])
    }
}

impl Call for ChainCall {
    fn kernel(&self) -> &'static str {
        "FusedRows"
    }

    fn kernels(&self) -> Vec<&'static str> {
        let members = self.calls.iter().flat_map(|call| call.kernels());
        [self.kernel()].into_iter().chain(members).collect()
    }

    fn operands(&self) -> Vec<Access> {
        let Group { inputs, output, .. } = &self.group;
        inputs.iter().map(|id| Access::Read(*id)).chain([Access::Write(*output)]).collect()
    }

    fn inside<'p>(&'p self, b: &Bindings<'p>) -> Option<Inside<'p>> {
        let maps = self.group.between.iter().map(|(id, _)| *id);
        Some(Inside {
            calls: self.calls.iter().map(|call| &**call).collect(),
            buffers: maps.zip(self.buffers(b)).collect(),
            own: vec![self.own(b)],
        })
    }

    fn bound(&self, b: &Bindings<'_>, show: &mut dyn FnMut(&dyn Kernel)) {
        let tensors = self.tensors(b);
        let inner = Bindings { tensors: &tensors, blob: b.blob, scratch: self.own(b) };
        let kernels: Vec<Box<dyn RowKernel + Sync + '_>> =
            self.calls.iter().map(|call| call.by_rows(&inner).expect("members work by rows")).collect();
        let stages: Vec<FusedStage<&(dyn RowKernel + Sync)>> = kernels
            .iter()
            .zip(&self.group.places)
            .map(|(kernel, (reads, writes))| FusedStage { kernel: &**kernel, reads: *reads, writes: *writes })
            .collect();
        let maps: Vec<Map> =
            self.maps().map(|(id, rows)| Map { operand: In::new(id).bind(&inner), rows }).collect();
        let height = tensors[self.group.output.0].shape.h as u32;
        let frame = FusionLayout {
            maps: &maps,
            band: self.group.band as u32,
            scratch: b.scratch,
            threads: self.threads,
            rows: [0, height],
            shift: 0,
        };
        show(&FusedRows { stages: &stages[..], frame });
    }

    fn kernel_type(&self) -> TokenStream {
        let stages = self.calls.iter().rev().fold(quote!(()), |rest, call| {
            let kernel = call.kernel_type();
            quote!((FusedStage<#kernel>, #rest))
        });
        quote!(FusedRows<#stages>)
    }

    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        let tensors = self.tensors(b);
        let inner = Bindings { tensors: &tensors, blob: b.blob, scratch: self.own(b) };
        let members = self.calls.iter().zip(&self.group.places).rev();
        let stages = members.fold(quote!(()), |rest, (call, ([first, second], writes))| {
            let kernel = call.tokens(&inner);
            let [first, second, writes] = [*first, *second, *writes].map(Literal::u8_unsuffixed);
            quote!((FusedStage { kernel: #kernel, reads: [#first, #second], writes: #writes }, #rest))
        });
        let maps = self.maps().map(|(id, rows)| {
            let (operand, rows) = (In::new(id).tokens(&inner), Literal::u32_unsuffixed(rows));
            quote!(Map { operand: #operand, rows: #rows })
        });
        let height = tensors[self.group.output.0].shape.h as u32;
        let [band, threads, height] =
            [self.group.band as u32, self.threads, height].map(Literal::u32_unsuffixed);
        let [offset, len] = [b.scratch.offset, b.scratch.len].map(Literal::u32_unsuffixed);
        quote! {
            FusedRows {
                stages: #stages,
                frame: FusionLayout {
                    maps: &[#(#maps),*],
                    band: #band,
                    scratch: Region { offset: #offset, len: #len },
                    threads: #threads,
                    rows: [0, #height],
                    shift: 0
                }
            }
        }
    }
}
