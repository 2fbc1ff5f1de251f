//! The model type of generated code: its metadata, `infer`, `self_test`.

use super::{
    EmitOptions, metadata, self_test_answers,
    spelling::{doc, group_digits},
    tensor_info,
};
use crate::{
    error::Result,
    graph::ValueId,
    program::{Field, Program, Ref},
};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// The model type: its metadata, `infer`, `self_test`.
pub(super) fn api(
    program: &Program,
    model: &Ident,
    names: &[Ident],
    options: &EmitOptions,
) -> Result<TokenStream> {
    let many = |ids: &[ValueId], base: &str| -> Vec<(Ident, Ident, usize)> {
        ids.iter()
            .enumerate()
            .map(|(i, id)| {
                let suffix = if ids.len() == 1 { String::new() } else { i.to_string() };
                let upper = format_ident!("{}{suffix}_LEN", base.to_uppercase());
                (format_ident!("{base}{suffix}"), upper, program.tensor(*id).shape.len())
            })
            .collect()
    };
    let inputs = many(&program.inputs, "input");
    let outputs = many(&program.outputs, "output");
    let lengths = inputs.iter().chain(&outputs).zip(program.inputs.iter().chain(&program.outputs)).map(
        |((name, len, n), id)| {
            let info = program.tensor(*id);
            let doc =
                doc(format!("Elements of `{name}` (`{}`): {}, channels innermost.", info.name, info.shape));
            let n = group_digits(*n);
            quote! { #doc pub const #len: usize = #n; }
        },
    );
    let parameters: Vec<TokenStream> = inputs
        .iter()
        .map(|(name, len, _)| quote!(#name: &[i8; #len]))
        .chain(outputs.iter().map(|(name, len, _)| quote!(#name: &mut [i8; #len])))
        .collect();
    let arguments: Vec<&Ident> = inputs.iter().chain(&outputs).map(|(name, ..)| name).collect();
    let input_names: Vec<&Ident> = inputs.iter().map(|i| &i.0).collect();
    let output_names: Vec<&Ident> = outputs.iter().map(|o| &o.0).collect();
    let input_infos = program.inputs.iter().map(|id| tensor_info(program, *id));
    let output_infos = program.outputs.iter().map(|id| tensor_info(program, *id));
    let metadata = metadata(program);
    let layer_count = Literal::usize_unsuffixed(names.len());
    let layer_infos = program.steps.iter().enumerate().map(|(i, s)| {
        let (name, kind, macs) = (&s.name, s.kind, group_digits(s.macs as usize));
        let output = Ref::new(s.writes).tokens(&program.bindings(i));
        quote!(LayerInfo { name: #name, kind: #kind, macs: #macs, output: #output })
    });
    let calls = names.iter().enumerate().map(|(i, name)| {
        let i = Literal::usize_unsuffixed(i);
        quote! {
            #name.run(&mem, isa);
            observer.layer(#i, &LAYERS[#i], Output::new(&mem, &LAYERS[#i].output));
        }
    });
    let answers = self_test_answers(program, options.self_test_seed)?;
    let seed = Literal::u64_unsuffixed(options.self_test_seed);
    let weights_sum = Literal::u64_unsuffixed(niello_runtime::self_test::Checksum::of(program.blob.bytes()));
    let input_fills = inputs.iter().map(|(name, ..)| quote!(codes.fill(#name);));
    let mutable = inputs.iter().map(|(name, len, _)| quote!(#name: &mut [i8; #len]));
    let mutable: Vec<TokenStream> =
        mutable.chain(outputs.iter().map(|(name, len, _)| quote!(#name: &mut [i8; #len]))).collect();
    let checks = outputs.iter().zip(&answers).enumerate().map(|(i, ((name, ..), answer))| {
        let (i, answer) = (Literal::usize_unsuffixed(i), Literal::u64_unsuffixed(*answer));
        quote! {
            let found = Checksum::of_codes(#name);
            if found != #answer {
                return Err(SelfTestError::Output { index: #i, expected: #answer, found });
            }
        }
    });
    let about = model_docs(program);
    let name = &program.name;
    Ok(quote! {
        #(#lengths)*

        #[doc = " The layers, in order of execution."]
        pub static LAYERS: [LayerInfo; #layer_count] = [#(#layer_infos),*];

        #(#about)*
        pub struct #model {
            arena: Arena<ARENA_BYTES>,
        }

        impl #model {
            #[doc = " A model with its arena, all zeros: a static one lies in `.bss`."]
            pub const fn new() -> Self {
                Self { arena: Arena::new() }
            }

            #[doc = " One inference on codes. Use [`Model::INPUTS`] and [`Model::OUTPUTS`] for what they mean."]
            pub fn infer(&mut self, #(#parameters),*) {
                self.infer_observed(#(#arguments,)* &mut ());
            }

            #[doc = " As [`Self::infer`]; `observer` sees the result of each layer."]
            pub fn infer_observed(&mut self, #(#parameters,)* observer: &mut impl Observer) {
                let inputs = [#(&#input_names[..]),*];
                let outputs = [#(Cell::from_mut(&mut #output_names[..]).as_slice_of_cells()),*];
                let mem = Memory::new(self.arena.cells(), &inputs, &outputs);
                let isa = Isa::detect();
                #(#calls)*
            }

            #[doc = " Known-answer test: fills the input from a seed, runs, compares checksums of weights and output."]
            #[doc = ""]
            #[doc = " The buffers are the caller's, so that the test needs no memory of its own; their contents are lost."]
            pub fn self_test(&mut self, #(#mutable),*) -> Result<(), SelfTestError> {
                let found = Checksum::of(&WEIGHTS.0);
                if found != #weights_sum {
                    return Err(SelfTestError::Weights { expected: #weights_sum, found });
                }
                let mut codes = Codes::new(#seed);
                #(#input_fills)*
                self.infer(#(#arguments),*);
                #(#checks)*
                Ok(())
            }
        }

        impl Default for #model {
            fn default() -> Self {
                Self::new()
            }
        }

        impl Model for #model {
            const NAME: &'static str = #name;
            const ARENA_BYTES: usize = ARENA_BYTES;
            const FLASH_BYTES: usize = FLASH_BYTES;
            const INPUTS: &'static [TensorInfo] = &[#(#input_infos),*];
            const OUTPUTS: &'static [TensorInfo] = &[#(#output_infos),*];
            const LAYERS: &'static [LayerInfo] = &LAYERS;
            const METADATA: Metadata = #metadata;
        }
    })
}

fn model_docs(program: &Program) -> Vec<TokenStream> {
    let m = &program.metadata;
    let mut lines = vec![
        format!(
            "{}, int8, {} layers, {} multiply-accumulates.",
            m.network,
            program.steps.len(),
            program.macs()
        ),
        String::new(),
        format!("Rounding: `{:?}`. Weights packed for target `{}`.", program.rounding, program.target),
    ];
    if !m.preprocess.is_empty() {
        lines.push(format!("Input preparation: `{}`.", m.preprocess));
    }
    if !m.classes.is_empty() {
        lines.push(format!("Classes: {}.", m.classes.join(", ")));
    }
    lines.into_iter().map(doc).collect()
}
