//! A chain as one kernel call.

use super::group::Group;
use crate::{
    graph::ValueId,
    plan::Placement,
    program::{ALIGNMENT, Bindings, Call, Field, Location, Ref, TensorInfo},
};
use niello_kernels::{Frame, Kernel, Region, RowChain, Space, Stage, by_rows::RowStage, row_chain::Map};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use std::sync::Arc;

/// See [`RowChain`].
#[derive(Debug)]
pub(super) struct ChainCall {
    calls: Vec<Arc<dyn Call>>,
    group: Group,
    /// Values that lie in one of the maps in between, with its index among them and their first channel.
    inside: Vec<(ValueId, usize, usize)>,
    /// What members refer to besides: whole maps, where they name parts of concatenations.
    operands: Vec<(&'static str, ValueId)>,
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
        let is_inside = |id: ValueId| inside.iter().any(|(inside, ..)| *inside == id);
        let all = calls.iter().flat_map(|call| call.operands()).filter(|(_, id)| !is_inside(*id));
        let operands = all.map(|(name, id)| (name, placement.root(id).0)).collect();
        Self { calls, group, inside, operands, threads: threads.max(1) as u32 }
    }

    /// Tensors, of which those in between lie in the step's scratch.
    fn tensors(&self, b: &Bindings<'_>) -> Vec<TensorInfo> {
        let mut tensors = b.tensors.to_vec();
        let mut offset = b.scratch.offset as usize + self.group.own;
        let mut maps = vec![];
        for (id, rows) in &self.group.between {
            let pixel = tensors[id.0].pixel_bytes();
            maps.push((offset, pixel));
            offset += (rows * tensors[id.0].shape.w * pixel).next_multiple_of(ALIGNMENT);
        }
        for (id, map, channel) in &self.inside {
            let (offset, pixel) = maps[*map];
            let offset = (offset + channel * tensors[id.0].format.bytes()) as u32;
            tensors[id.0].location = Location { space: Space::Arena, offset, stride: pixel as u32 };
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
        "RowChain"
    }

    fn kernels(&self) -> Vec<&'static str> {
        let members = self.calls.iter().flat_map(|call| call.kernels());
        [self.kernel()].into_iter().chain(members).collect()
    }

    fn operands(&self) -> Vec<(&'static str, ValueId)> {
        self.operands.clone()
    }

    fn bound(&self, b: &Bindings<'_>, show: &mut dyn FnMut(&dyn Kernel)) {
        let tensors = self.tensors(b);
        let inner = Bindings { tensors: &tensors, blob: b.blob, scratch: self.own(b) };
        let kernels: Vec<Box<dyn RowStage + Sync + '_>> =
            self.calls.iter().map(|call| call.by_rows(&inner).expect("members work by rows")).collect();
        let stages: Vec<Stage<&(dyn RowStage + Sync)>> = kernels
            .iter()
            .zip(&self.group.places)
            .map(|(kernel, (reads, writes))| Stage { kernel: &**kernel, reads: *reads, writes: *writes })
            .collect();
        let maps: Vec<Map> =
            self.maps().map(|(id, rows)| Map { operand: Ref::new(id).bind(&inner), rows }).collect();
        let height = tensors[self.group.output.0].shape.h as u32;
        let frame = Frame {
            maps: &maps,
            band: self.group.band as u32,
            scratch: b.scratch,
            threads: self.threads,
            rows: [0, height],
            shift: 0,
        };
        show(&RowChain { stages: &stages[..], frame });
    }

    fn kernel_type(&self) -> TokenStream {
        let stages = self.calls.iter().rev().fold(quote!(()), |rest, call| {
            let kernel = call.kernel_type();
            quote!((Stage<#kernel>, #rest))
        });
        quote!(RowChain<#stages>)
    }

    fn tokens(&self, b: &Bindings<'_>) -> TokenStream {
        let tensors = self.tensors(b);
        let inner = Bindings { tensors: &tensors, blob: b.blob, scratch: self.own(b) };
        let members = self.calls.iter().zip(&self.group.places).rev();
        let stages = members.fold(quote!(()), |rest, (call, ([first, second], writes))| {
            let kernel = call.tokens(&inner);
            let [first, second, writes] = [*first, *second, *writes].map(Literal::u8_unsuffixed);
            quote!((Stage { kernel: #kernel, reads: [#first, #second], writes: #writes }, #rest))
        });
        let maps = self.maps().map(|(id, rows)| {
            let (operand, rows) = (Ref::new(id).tokens(&inner), Literal::u32_unsuffixed(rows));
            quote!(Map { operand: #operand, rows: #rows })
        });
        let height = tensors[self.group.output.0].shape.h as u32;
        let [band, threads, height] =
            [self.group.band as u32, self.threads, height].map(Literal::u32_unsuffixed);
        let [offset, len] = [b.scratch.offset, b.scratch.len].map(Literal::u32_unsuffixed);
        quote! {
            RowChain {
                stages: #stages,
                frame: Frame {
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
