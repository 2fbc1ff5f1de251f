//! The model type of generated code: its metadata, `infer`, `self_test`.

use super::{
    EmitOptions, metadata,
    spelling::{doc, group_digits},
    tensor_info, weights,
};
use crate::{
    format::Format,
    graph::ValueId,
    program::{Field, In, Program},
};
use niello_kernels::Float;
use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};

/// The model type: its metadata, `infer`, `self_test`.
pub(super) fn api(
    program: &Program,
    model: &Ident,
    names: &[Ident],
    options: &EmitOptions,
    answers: &[u64],
) -> TokenStream {
    let inputs = buffers(program, &program.inputs, "input");
    let outputs = buffers(program, &program.outputs, OUTPUT);
    let lengths = inputs.iter().chain(&outputs).zip(program.inputs.iter().chain(&program.outputs)).map(
        |(Buffer { name, len, elements: n, .. }, id)| {
            let info = program.tensor(*id);
            let about = if program.cam() == Some(*id) {
                " It is the class-activation map: a channel for each class."
            } else if info.format == Format::Label {
                " Each is the index of a class."
            } else {
                ""
            };
            let (tensor, shape) = (&info.name, info.shape);
            let doc = doc(format!("Elements of `{name}` (`{tensor}`): {shape}, channels innermost.{about}"));
            let n = group_digits(*n);
            quote! { #doc pub const #len: usize = #n; }
        },
    );
    let parameters: Vec<TokenStream> = inputs
        .iter()
        .map(|Buffer { name, len, element, .. }| quote!(#name: &[#element; #len]))
        .chain(outputs.iter().map(written))
        .collect();
    let arguments: Vec<&Ident> = inputs.iter().chain(&outputs).map(|b| &b.name).collect();
    let input_names: Vec<&Ident> = inputs.iter().map(|i| &i.name).collect();
    let output_names: Vec<&Ident> = outputs.iter().map(|o| &o.name).collect();
    let input_infos = program.inputs.iter().map(|id| tensor_info(program, *id));
    let output_infos = program.outputs.iter().map(|id| tensor_info(program, *id));
    let metadata = metadata(program);
    let layer_count = Literal::usize_unsuffixed(names.len());
    let layer_infos = program.steps.iter().enumerate().map(|(i, s)| {
        let (name, kind, macs) = (&s.name, s.kind, group_digits(s.macs as usize));
        let output = In::new(s.writes).tokens(&program.bindings(i));
        quote!(LayerInfo { name: #name, kind: #kind, macs: #macs, output: #output })
    });
    let calls = names.iter().enumerate().map(|(i, name)| {
        // Nobody is shown a result that a later step adds to.
        let shown = program.completes(i).then(|| {
            let i = Literal::usize_unsuffixed(i);
            quote!(observer.layer(#i, &LAYERS[#i], Output::new(mem, &LAYERS[#i].output));)
        });
        quote!(#name.run(mem, isa); #shown)
    });
    let seed = Literal::u64_unsuffixed(options.self_test_seed);
    let weights_sum = Literal::u64_unsuffixed(niello_runtime::self_test::Checksum::of(program.blob.bytes()));
    let input_fills = input_names.iter().map(|name| quote!(codes.fill(#name);));
    let mutable: Vec<TokenStream> = inputs.iter().chain(&outputs).map(written).collect();
    let checks = output_names.iter().zip(answers).enumerate().map(|(i, (name, answer))| {
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
    let (weight_blocks, checks_of_memory) = weights::check(program, options.input_table.as_deref());
    quote! {
        #(#lengths)*

        #weight_blocks

        #[doc = " The seed of the known-answer test's input."]
        pub const SELF_TEST_SEED: u64 = #seed;

        #[doc = " The layers, in order of execution."]
        pub static LAYERS: [LayerInfo; #layer_count] = [#(#layer_infos),*];

        #(#about)*
        pub struct #model {
            pub(crate) arena: Arena<ARENA_BYTES>,
        }

        impl #model {
            #[doc = " A model with its arena, all zeros: a static one lies in `.bss`."]
            pub const fn new() -> Self {
                Self { arena: Arena::new() }
            }

            #[doc = " One inference on codes or numbers. Use [`Model::INPUTS`] and [`Model::OUTPUTS`] for what they mean."]
            pub fn infer(&mut self, #(#parameters),*) {
                self.infer_observed(#(#arguments,)* &mut ());
            }

            #[doc = " As [`Self::infer`]; `observer` sees the result of each layer."]
            pub fn infer_observed(&mut self, #(#parameters,)* observer: &mut impl Observer) {
                Self::infer_in(&mut self.arena, #(#arguments,)* observer);
            }

            #[doc = " As [`Self::infer_observed`], in an arena of the caller's, wherever it lies: see `niello::ArenaCell`."]
            #[doc = " Models that do not run at the same time may share one."]
            pub fn infer_in(arena: &mut Arena<ARENA_BYTES>, #(#parameters,)* observer: &mut impl Observer) {
                let inputs = [#(bytes(#input_names)),*];
                let outputs = [#(cells(#output_names)),*];
                Self::run(&Memory::new(arena.cells(), &inputs, &outputs), observer);
            }

            fn run(mem: &Memory<'_>, observer: &mut impl Observer) {
                let isa = Isa::detect();
                #(#calls)*
            }

            #[doc = " Known-answer test: fills the input from a seed, runs, compares checksums of weights and output."]
            #[doc = ""]
            #[doc = " The buffers are the caller's, so that the test needs no memory of its own; their contents are lost."]
            pub fn self_test(&mut self, #(#mutable),*) -> Result<(), SelfTestError> {
                Self::self_test_in(&mut self.arena, #(#arguments),*)
            }

            #[doc = " As [`Self::self_test`], in an arena of the caller's."]
            pub fn self_test_in(arena: &mut Arena<ARENA_BYTES>, #(#mutable),*) -> Result<(), SelfTestError> {
                let found = Checksum::of(&WEIGHTS.0);
                if found != #weights_sum {
                    return Err(SelfTestError::Weights { expected: #weights_sum, found });
                }
                let mut codes = Codes::new(SELF_TEST_SEED);
                #(#input_fills)*
                Self::infer_in(arena, #(#arguments,)* &mut ());
                #(#checks)*
                Ok(())
            }

            #checks_of_memory
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

            fn infer(&mut self, inputs: &[&[i8]], outputs: &mut [&mut [i8]]) -> Result<(), BufferError> {
                Self::check_buffers(inputs, outputs)?;
                // As many as the check has counted.
                if let [#(#output_names),*] = outputs {
                    let outputs = [#(cells(#output_names)),*];
                    Self::run(&Memory::new(self.arena.cells(), inputs, &outputs), &mut ());
                }
                Ok(())
            }
        }
    }
}

/// A parameter for an input or an output.
pub(super) struct Buffer {
    pub(super) name: Ident,
    /// The constant that holds the number of elements.
    pub(super) len: Ident,
    pub(super) elements: usize,
    /// `i8`, `F16` or `f32`.
    pub(super) element: Ident,
}

/// The parameter where it is written.
fn written(Buffer { name, len, element, .. }: &Buffer) -> TokenStream {
    quote!(#name: &mut [#element; #len])
}

/// Parameters for inputs or outputs. A class-activation map is called `cam`, and the other outputs as they would be without it.
pub(super) fn buffers(program: &Program, ids: &[ValueId], base: &str) -> Vec<Buffer> {
    let has_cam = base == OUTPUT && program.cam().is_some();
    let plain = ids.len() - has_cam as usize;
    ids.iter()
        .enumerate()
        .map(|(i, id)| {
            let name = match plain {
                _ if i == plain => crate::passes::cam::NAME.to_string(),
                1 => base.to_string(),
                _ => format!("{base}{i}"),
            };
            let info = program.tensor(*id);
            Buffer {
                len: format_ident!("{}_LEN", name.to_uppercase()),
                name: format_ident!("{name}"),
                elements: info.shape.len(),
                element: format_ident!("{}", element(info.format)),
            }
        })
        .collect()
}

/// Whether some layers compute in floating point.
pub(super) fn has_floats(program: &Program) -> bool {
    program.steps.iter().any(|step| matches!(program.tensor(step.writes).format, Format::Float(_)))
}

/// Whether an input or output consists of f16 values.
pub(super) fn has_halves(program: &Program) -> bool {
    let mut buffers = program.inputs.iter().chain(&program.outputs);
    buffers.any(|id| element(program.tensor(*id).format) == "F16")
}

/// Their type, where there are some.
pub(super) fn import_of_halves(program: &Program) -> Option<TokenStream> {
    has_halves(program).then(|| {
        quote!(
            use niello::F16;
        )
    })
}

/// The Rust type of an element of an input or output: `i8`, `i16`, `F16` or `f32`.
pub fn element(format: Format) -> &'static str {
    match format {
        Format::Float(Float::F16) => "F16",
        Format::Float(Float::F32) => "f32",
        Format::Int16 { .. } => "i16",
        Format::Int8(_) | Format::Label => "i8",
    }
}

/// The prefix of parameters for outputs.
pub(super) const OUTPUT: &str = "output";

/// The checksum of every layer for the known-answer test's input, and the method that compares them.
pub(super) fn layer_checks(program: &Program, model: &Ident, sums: &[u64]) -> TokenStream {
    let count = Literal::usize_unsuffixed(sums.len());
    let sums = sums.iter().map(|sum| Literal::u64_unsuffixed(*sum));
    let inputs = buffers(program, &program.inputs, "input");
    let outputs = buffers(program, &program.outputs, OUTPUT);
    let names: Vec<&Ident> = inputs.iter().chain(&outputs).map(|b| &b.name).collect();
    let parameters: Vec<TokenStream> = inputs.iter().chain(&outputs).map(written).collect();
    let fills = inputs.iter().map(|b| &b.name);
    quote! {
        #[doc = " Checksum of the result of every layer, for the input of the known-answer test; 0 where a later layer adds to"]
        #[doc = " the same result."]
        pub static LAYER_CHECKSUMS: [u64; #count] = [#(#sums),*];

        impl #model {
            #[doc = " As [`Self::self_test`], layer by layer: the error names the first layer whose bytes differ."]
            pub fn check_layers(&mut self, #(#parameters),*) -> Result<(), SelfTestError> {
                Self::check_layers_in(&mut self.arena, #(#names),*)
            }

            #[doc = " As [`Self::check_layers`], in an arena of the caller's."]
            pub fn check_layers_in(arena: &mut Arena<ARENA_BYTES>, #(#parameters),*) -> Result<(), SelfTestError> {
                let mut codes = Codes::new(SELF_TEST_SEED);
                #(codes.fill(#fills);)*
                let mut checks = niello::self_test::LayerChecks::new(&LAYER_CHECKSUMS);
                Self::infer_in(arena, #(#names,)* &mut checks);
                checks.result()
            }
        }
    }
}

/// The imports of [`layer_checks`], where it is a module of its own.
pub(super) fn layer_check_imports(program: &Program, model: &Ident) -> TokenStream {
    let inputs = buffers(program, &program.inputs, "input");
    let all: Vec<Buffer> = inputs.into_iter().chain(buffers(program, &program.outputs, OUTPUT)).collect();
    let lengths = all.iter().map(|b| &b.len);
    let halves = import_of_halves(program);
    quote! {
        #halves
        use super::model::{ARENA_BYTES, #(#lengths,)* #model, SELF_TEST_SEED};
        use niello::{Arena, SelfTestError};
        use niello::self_test::Codes;
    }
}

fn model_docs(program: &Program) -> Vec<TokenStream> {
    let m = &program.metadata;
    let mut lines = vec![
        format!(
            "{}, {}, {} layers, {} multiply-accumulates.",
            m.network,
            program.format(),
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
    if let Some(id) = program.cam() {
        let info = program.tensor(id);
        let scale = info.qparams().map_or(String::new(), |q| {
            format!(", as real numbers `{:?} * (code - {})`", q.scale, q.zero_point)
        });
        lines.push(String::new());
        lines.push(format!(
            "The last output, `cam` (`{}`, {}), is the class-activation map: what each place adds to the score of each class{scale}.",
            info.name, info.shape
        ));
        lines.push("The mean of a channel is the score of its class without its bias.".into());
    }
    lines.into_iter().map(doc).collect()
}
