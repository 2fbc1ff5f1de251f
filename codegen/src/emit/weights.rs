//! Checksums of the weights in blocks, each of one layer: for `check_weights`.

use crate::program::Program;
use niello_runtime::weights::{WeightBlock, WeightSum};
use proc_macro2::{Literal, TokenStream, TokenTree};
use quote::quote;
use std::collections::BTreeMap;

/// The blocks of `program`, and behind them that of the table of its input.
pub fn weight_blocks(program: &Program, input_table: Option<&[[i8; 256]]>) -> Vec<WeightBlock> {
    // Bytes before the first constant and between constants belong to the constant before.
    let mut starts = BTreeMap::from([(0, 0)]);
    for (i, step) in program.steps.iter().enumerate().rev() {
        let mut own = vec![];
        constants(step.call.tokens(&program.bindings(i)), &mut own);
        starts.extend(own.into_iter().map(|start| (start, i)));
    }
    let len = program.blob.len();
    let mut starts: Vec<(usize, usize)> = starts.into_iter().filter(|(start, _)| *start < len).collect();
    starts.dedup_by_key(|(_, layer)| *layer);
    let weights: &[i8] = bytemuck::cast_slice(program.blob.bytes());
    let ends = starts.iter().skip(1).map(|(next, _)| *next).chain([len]);
    let blocks =
        starts.iter().zip(ends).map(|((start, layer), end)| block(*layer, end, &weights[*start..end]));
    let mut blocks: Vec<WeightBlock> = blocks.collect();
    if let Some(tables) = input_table {
        let bytes = tables.as_flattened();
        blocks.push(block(program.steps.len(), len + bytes.len(), bytes));
    }
    blocks
}

fn block(layer: usize, end: usize, bytes: &[i8]) -> WeightBlock {
    let mut sum = WeightSum::new();
    sum.add(bytes);
    WeightBlock { layer: layer as u32, end: end as u32, sum: sum.value() }
}

/// Offsets of the constants that an expression names: `(&WEIGHTS, OFFSET, LEN)`.
fn constants(expression: TokenStream, found: &mut Vec<usize>) {
    for token in expression {
        let TokenTree::Group(group) = token else { continue };
        match &group.stream().into_iter().collect::<Vec<_>>()[..] {
            [_, TokenTree::Ident(name), _, TokenTree::Literal(offset), ..] if name == WEIGHTS => {
                found.extend(offset.to_string().parse::<usize>());
            }
            _ => constants(group.stream(), found),
        }
    }
}

/// The static of all constants.
const WEIGHTS: &str = "WEIGHTS";

/// The static, and the method that reads it.
pub(super) fn check(program: &Program, input_table: Option<&[[i8; 256]]>) -> (TokenStream, TokenStream) {
    let blocks = weight_blocks(program, input_table);
    let count = Literal::usize_unsuffixed(blocks.len());
    let blocks = blocks.iter().map(|WeightBlock { layer, end, sum }| {
        let (layer, end) = (Literal::u32_unsuffixed(*layer), Literal::u32_unsuffixed(*end));
        let sum = Literal::u64_unsuffixed(*sum);
        quote!(WeightBlock { layer: #layer, end: #end, sum: #sum })
    });
    let table = if input_table.is_some() { quote!(INPUT_TABLE.as_flattened()) } else { quote!(&[]) };
    let blocks = quote! {
        #[doc = " Checksums of the constants, layer by layer."]
        pub static WEIGHT_BLOCKS: [WeightBlock; #count] = [#(#blocks),*];
    };
    let method = quote! {
        #[doc = " Checks up to `bytes` more bytes of constants, for a task in the background: `true` when all have been read since the"]
        #[doc = " beginning, and the next call begins again. The error names the layer; the next call goes on behind it."]
        pub fn check_weights(check: &mut WeightCheck, bytes: usize) -> Result<bool, WeightsError> {
            let weights = constants::i8s(&WEIGHTS, 0, FLASH_BYTES);
            check.next([weights, #table], &WEIGHT_BLOCKS, &LAYERS, bytes)
        }

        #[doc = " Whether the memory around the arena is untouched: always, unless `niello` has its feature `canaries`. To be called after"]
        #[doc = " inferences, whose results are otherwise not to be trusted."]
        pub fn check_arena(&self) -> Result<(), ArenaError> {
            self.arena.check()
        }
    };
    (blocks, method)
}
