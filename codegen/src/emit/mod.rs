//! Prints a program as Rust: readable, documented, deterministic.

mod api;
mod c_api;
mod files;
mod spelling;
mod weights;

pub use api::element;
pub use c_api::check_c_prefix;
#[cfg(feature = "imaging")]
pub use files::write_files;
pub use files::{NewFolder, check_crate_folder, check_dependency, overwrite_crate, write_crate};
pub use weights::weight_blocks;

use self::{
    api::api,
    spelling::{camel_case, doc, group_digits, harmless, is_named_by_models, spaced},
};
use crate::{
    error::{Error, Result},
    format::Format,
    graph::ValueId,
    program::{Program, names},
};
use niello_kernels::Float;
use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::{format_ident, quote};
use std::collections::BTreeSet;

/// How generated code finds its weights, and what else it gets.
#[derive(Clone, Debug)]
pub struct EmitOptions {
    /// The argument of `include_bytes!`: a path relative to the source, or an expression.
    pub weights: WeightsPath,
    /// One table per input channel from 8-bit samples to codes, where the pre-processing allows it.
    pub input_table: Option<Vec<[i8; 256]>>,
    /// Seed of the known-answer test.
    pub self_test_seed: u64,
    /// Checksums of the outputs for [`EmitOptions::self_test_seed`], where a calibration lock has them; absent: the program is run.
    pub answers: Option<Vec<u64>>,
    /// Whether the source can check every layer's bytes (`check_layers`). A crate of its own has that in a file of its
    /// own, behind its feature `layer-checks`, whatever this says.
    pub layer_checks: LayerChecks,
    /// The linker section of the weights; absent: `.rodata`.
    pub weights_section: Option<String>,
    /// The prefix of the names of a C API, in a crate of its own; absent: it has none. Needs the feature `c-api`.
    pub c_api: Option<String>,
    /// The linker section of a static arena, `ARENA`; absent: there is none, the model owns its arena.
    pub arena_section: Option<String>,
    /// Crates with kernels of the network's own operators, for `Cargo.toml`: see
    /// [`Networks::kernel_crates`](crate::import::network::Networks::kernel_crates).
    pub kernel_crates: Vec<(String, String)>,
}

impl Default for EmitOptions {
    fn default() -> Self {
        Self {
            weights: WeightsPath::Beside("weights.bin".into()),
            input_table: None,
            self_test_seed: 1,
            answers: None,
            layer_checks: LayerChecks::Absent,
            weights_section: None,
            c_api: None,
            arena_section: None,
            kernel_crates: vec![],
        }
    }
}

/// Where the check of every layer's bytes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerChecks {
    /// Nowhere.
    Absent,
    /// In the source.
    Inline,
    /// In a module beside it, [`Generated::layer_checks`].
    Beside,
}

/// Where the weights lie when generated code is compiled.
#[derive(Clone, Debug)]
pub enum WeightsPath {
    /// Beside the source file.
    Beside(String),
    /// In cargo's `OUT_DIR`, for build scripts.
    OutDir(String),
}

/// Generated source and the constants that it includes.
#[derive(Clone, Debug)]
pub struct Generated {
    /// A module: no inner attributes, so that it can be included.
    pub source: String,
    /// The model type's name.
    pub type_name: String,
    /// The check of every layer, as a module of its own beside the source, for [`LayerChecks::Beside`].
    pub layer_checks: Option<String>,
    /// The constants.
    pub weights: Vec<u8>,
}

/// Prints `program`.
///
/// # Errors
/// A type name that is also that of a kernel; else only on internal inconsistencies: the program cannot be run for its self-test answers.
pub fn emit(program: &Program, options: &EmitOptions) -> Result<Generated> {
    let type_name = type_name(program);
    let model = format_ident!("{type_name}");
    let names: Vec<Ident> = program
        .steps
        .iter()
        .enumerate()
        .map(|(i, s)| format_ident!("L{i:02}_{}", layer_word(&s.name).to_uppercase()))
        .collect();
    let layers = layer_statics(program, &names);
    let (of_layers, answers) = answers(program, options)?;
    let api = api(program, &model, &names, options, &answers);
    let checks = of_layers.map(|sums| api::layer_checks(program, &model, &sums));
    let checks_here = checks.as_ref().filter(|_| options.layer_checks == LayerChecks::Inline);
    let tables = options.input_table.as_deref().map(input_table);
    let arena = options.arena_section.as_deref().map(placed_arena);
    let header = header(program, options);
    let body = quote! { #header #arena #tables #api #checks_here #layers };
    let imports = imports(program, &body);
    let mut imported = BTreeSet::new();
    collect_idents(imports.clone(), &mut imported);
    if imported.contains(&type_name) {
        return Err(Error::Invalid(format!(
            "{}: give the network another name: a type of `niello` is called so",
            program.name
        )));
    }
    let source = print(program, quote! { #imports #body })?;
    let beside = checks.as_ref().filter(|_| options.layer_checks == LayerChecks::Beside).map(|checks| {
        let imports = api::layer_check_imports(program, &model);
        print(program, quote! { #imports #checks })
    });
    Ok(Generated {
        source,
        type_name,
        layer_checks: beside.transpose()?,
        weights: program.blob.bytes().to_vec(),
    })
}

/// Checksums of every layer, where they are wanted, and of the outputs. The program is only run for what no lock says.
///
/// # Errors
/// A program that gives other answers than the lock.
fn answers(program: &Program, options: &EmitOptions) -> Result<(Option<Vec<u64>>, Vec<u64>)> {
    let wants_layers = options.layer_checks != LayerChecks::Absent;
    match &options.answers {
        Some(given) if !wants_layers => Ok((None, given.clone())),
        given => {
            let (layers, outputs) = crate::check::golden::known_answers(program, options.self_test_seed)?;
            if given.as_ref().is_some_and(|given| *given != outputs) {
                let message = "the self-test has other answers than its calibration lock says: make the lock again with \
                               `niello calibrate`, or, if nothing was changed, report this";
                return Err(Error::Invalid(format!("{}: {message}", program.name)));
            }
            Ok((wants_layers.then_some(layers), outputs))
        }
    }
}

/// Formatted source with its heading.
fn print(program: &Program, tokens: TokenStream) -> Result<String> {
    let file = syn::parse2(tokens)
        .map_err(|e| Error::Invalid(format!("{}: generated code does not parse: {e}", program.name)))?;
    Ok(format!(
        "// Generated by niello {} from {}. Do not edit: change the recipe and generate again.\n\n{}",
        env!("CARGO_PKG_VERSION"),
        harmless(&program.metadata.network),
        spaced(&prettyplease::unparse(&file))
    ))
}

/// Name of the model's type: `anam_net` gives `AnamNet`, and `conv2d`, where generated code has another type of that name, `Conv2dNet`.
pub fn type_name(program: &Program) -> String {
    let name = camel_case(&names::identifier(&program.name));
    if is_named_by_models(&name) { name + "Net" } else { name }
}

/// The word behind the index in the name of a layer's static.
fn layer_word(name: &str) -> String {
    let word = names::snake_case(name);
    if word.is_empty() || word.starts_with(|c: char| c.is_ascii_digit()) { format!("_{word}") } else { word }
}

/// Constants that describe the model.
fn header(program: &Program, options: &EmitOptions) -> TokenStream {
    let arena = group_digits(program.plan.arena_bytes);
    let flash = group_digits(program.constant_bytes());
    let weights = match &options.weights {
        WeightsPath::Beside(name) => quote!(#name),
        WeightsPath::OutDir(name) => {
            let name = format!("/{name}");
            quote!(concat!(env!("OUT_DIR"), #name))
        }
    };
    let section = options.weights_section.as_ref().map(|s| {
        quote! {
            #[allow(unsafe_code, reason = "the section is one of constants, as the recipe says")]
            #[unsafe(link_section = #s)]
        }
    });
    let arena_doc = doc(format!(
        "Bytes of RAM for activations and scratch (lower bound {}).",
        program.plan.lower_bound_bytes
    ));
    quote! {
        #arena_doc
        pub const ARENA_BYTES: usize = #arena;
        #[doc = " Bytes of flash for weights, biases, multipliers and tables."]
        pub const FLASH_BYTES: usize = #flash;
        #[doc = " All constants; the layers below point into it."]
        #section
        static WEIGHTS: Aligned<FLASH_BYTES> = Aligned(*include_bytes!(#weights));
    }
}

/// An arena in a section, beside the one that a model owns: for `infer_in`.
fn placed_arena(section: &str) -> TokenStream {
    let about = doc(format!("The arena in `{section}`, for `infer_in`: taken once, zeroed then."));
    quote! {
        #[allow(unsafe_code, reason = "the section is one of memory that can be written, as the recipe says")]
        #[unsafe(link_section = #section)]
        static ARENA_MEMORY: UninitArena<ARENA_BYTES> = UninitArena::new();

        #about
        #[allow(unsafe_code, reason = "a promise about the static above, which is private")]
        // SAFETY: nothing else refers to ARENA_MEMORY.
        pub static ARENA: ArenaCell<ARENA_BYTES> = unsafe { ArenaCell::new(&ARENA_MEMORY) };
    }
}

fn input_table(tables: &[[i8; 256]]) -> TokenStream {
    let n = Literal::usize_unsuffixed(tables.len());
    let rows = tables.iter().map(|t| {
        let values = t.iter().map(|v| Literal::i8_unsuffixed(*v));
        quote!([#(#values),*])
    });
    quote! {
        #[doc = " From 8-bit samples to codes of the input, one table per channel; see [`niello::quantize::apply_table`]."]
        pub static INPUT_TABLE: [[i8; 256]; #n] = [#(#rows),*];
    }
}

/// One static per step: the kernel with all its parameters.
fn layer_statics(program: &Program, names: &[Ident]) -> TokenStream {
    let statics = program.steps.iter().zip(names).enumerate().map(|(i, (step, name))| {
        let output = &program.tensor(step.writes);
        let about = doc(format!(
            "`{}`: {} to {}, {} multiply-accumulates, {} bytes of constants.",
            step.name, step.kind, output.shape, step.macs, step.constant_bytes
        ));
        let kernel = step.call.kernel_type();
        let value = step.call.tokens(&program.bindings(i));
        let is_chain = step.call.kernels().len() > 1;
        let allowed = is_chain.then(|| {
            quote! {
                #[allow(clippy::type_complexity, reason = "it names the kernels of a chain in order")]
            }
        });
        quote! { #about #allowed static #name: #kernel = #value; }
    });
    quote!(#(#statics)*)
}

fn tensor_info(program: &Program, id: ValueId) -> TokenStream {
    let info = program.tensor(id);
    let name = &info.name;
    let [h, w, c] = [info.shape.h, info.shape.w, info.shape.c].map(Literal::usize_unsuffixed);
    let (elements, scale, zero_point) = match info.format {
        Format::Int8(q) => ("Codes", q.scale, q.zero_point),
        Format::Int16 { scale, .. } => ("Codes16", scale, 0),
        Format::Float(Float::F16) => ("F16", 1.0, 0),
        Format::Float(Float::F32) => ("F32", 1.0, 0),
        Format::Label => ("Labels", 0.0, 0),
    };
    let elements = format_ident!("{elements}");
    let (scale, zero_point) = (Literal::f32_unsuffixed(scale), Literal::i8_unsuffixed(zero_point));
    quote! {
        TensorInfo {
            name: #name,
            shape: [#h, #w, #c],
            elements: Elements::#elements,
            scale: #scale,
            zero_point: #zero_point,
        }
    }
}

fn metadata(program: &Program) -> TokenStream {
    let m = &program.metadata;
    let (network, target, preprocess) = (&m.network, &program.target, &m.preprocess);
    let format = program.format();
    let rounding = format_ident!("{}", format!("{:?}", program.rounding));
    let classes = &m.classes;
    let sources = m.sources.iter().map(|(name, hash)| quote!((#name, #hash)));
    quote! {
        Metadata {
            network: #network,
            format: #format,
            rounding: Rounding::#rounding,
            target: #target,
            classes: &[#(#classes),*],
            preprocess: #preprocess,
            sources: &[#(#sources),*],
        }
    }
}

/// `use` declarations for what `body` names.
fn imports(program: &Program, body: &TokenStream) -> TokenStream {
    let mut seen = BTreeSet::new();
    collect_idents(body.clone(), &mut seen);
    // Types that parameters are made of.
    let helpers = [
        "Bounds",
        "Float",
        "FusionLayout",
        "Gather",
        "Isa",
        "Kernel",
        "Layout",
        "Memory",
        "Multiplier",
        "Operand",
        "OutputParams",
        "FloatBounds",
        "Reduction",
        "Region",
        "Rounding",
        "Space",
        "FusedStage",
        "Width",
    ];
    let used = |h: &&&str| **h == "Kernel" || seen.contains(**h);
    let helpers = helpers.iter().filter(used).copied();
    // Those of other crates are written with their paths.
    let own = |kernel: &&str| !kernel.contains("::");
    let kernels: BTreeSet<&str> =
        program.steps.iter().flat_map(|s| s.call.kernels()).filter(own).chain(helpers).collect();
    let kernels = kernels.iter().map(|k| format_ident!("{k}"));
    let corners = seen.contains("Corners").then(|| {
        quote!(
            use niello::kernels::resize::Corners;
        )
    });
    let functions = seen.contains("Function").then(|| {
        quote!(
            use niello::kernels::float::Function;
        )
    });
    let elementary = seen.contains("Elementary").then(|| {
        quote!(
            use niello::kernels::float::Elementary;
        )
    });
    let halves = api::import_of_halves(program);
    let maps = seen.contains("Map").then(|| {
        quote!(
            use niello::kernels::row_chain::Map;
        )
    });
    let places = seen.contains("UninitArena").then(|| {
        quote!(
            use niello::{ArenaCell, UninitArena};
        )
    });
    quote! {
        #corners
        #functions
        #elementary
        #halves
        #maps
        #places
        use niello::kernels::memory::{bytes, cells};
        use niello::kernels::{#(#kernels),*};
        use niello::self_test::{Checksum, Codes};
        use niello::weights::WeightBlock;
        use niello::{
            Aligned, Arena, ArenaError, BufferError, Elements, LayerInfo, Metadata, Model, Observer, Output, SelfTestError, TensorInfo,
            WeightCheck, WeightsError, constants,
        };
    }
}

fn collect_idents(stream: TokenStream, seen: &mut BTreeSet<String>) {
    for token in stream {
        match token {
            TokenTree::Ident(id) => {
                seen.insert(id.to_string());
            }
            TokenTree::Group(g) => collect_idents(g.stream(), seen),
            _ => {}
        }
    }
}
