//! The C API of a generated crate: `src/ffi.rs` from the template `ffi.rs.in`, and the header that cbindgen makes of it.

#[cfg(feature = "c-api")]
mod header;

#[cfg(feature = "c-api")]
use self::header::header;
use super::{
    EmitOptions,
    api::{Buffer, OUTPUT, buffers, element, has_halves},
    spelling::{group_digits, harmless},
    type_name,
};
use crate::{
    error::{Error, Result},
    format::{Format, QParams},
    graph::ValueId,
    program::{Program, names},
};
use std::fmt::Write;

/// The files of a C API.
pub(super) struct CApi {
    /// `src/ffi.rs`.
    pub(super) ffi: String,
    /// `include/PREFIX.h`.
    pub(super) header: String,
}

/// Whether `prefix` can begin C's names and be a crate's: a lower-case identifier that is nobody else's ([`names::identifier`]).
///
/// # Errors
/// It cannot.
pub fn check_c_prefix(prefix: &str) -> Result<()> {
    let possible = names::identifier(prefix);
    if prefix == possible {
        return Ok(());
    }
    let expected = format!(
        "expected a letter, then letters, digits or `_`, all lower-case, and no word that Rust, cargo or Windows have taken: `{possible}`, say"
    );
    Err(Error::Invalid(format!("C API: `{prefix}` cannot begin names in C: {expected}")))
}

/// Source and header for names that begin with `prefix`.
pub(super) fn c_api(program: &Program, options: &EmitOptions, prefix: &str) -> Result<CApi> {
    check_c_prefix(prefix)?;
    let ffi = ffi(program, options, prefix);
    syn::parse_file(&ffi).map_err(|e| Error::Invalid(format!("{prefix}: the C API does not parse: {e}")))?;
    let header = header(program, &ffi, prefix)?;
    Ok(CApi { ffi, header })
}

fn ffi(program: &Program, options: &EmitOptions, prefix: &str) -> String {
    let inputs = tensors(program, &program.inputs, "input");
    let outputs = tensors(program, &program.outputs, OUTPUT);
    let each = |tensors: &[Tensor<'_>], separator: &str, f: &dyn Fn(&Tensor<'_>) -> String| {
        tensors.iter().map(f).collect::<Vec<_>>().join(separator)
    };
    let all: Vec<Tensor<'_>> = inputs.iter().chain(&outputs).cloned().collect();
    let pointers = |tensors: &[Tensor<'_>], kind: &str| {
        each(tensors, "", &|t| {
            let (name, element) = (&t.name, t.c_element());
            format!("    {name}: *{kind} {element},\n    {name}_len: usize,\n")
        })
    };
    let array = |kind: &'static str| {
        move |t: &Tensor<'_>| format!("&'a {kind}[{}; {}]", element(t.info.format), t.len)
    };
    let reference = |star: &'static str| move |t: &Tensor<'_>| format!("{star}{}.cast()", t.name);
    let has_table = options.input_table.is_some() && inputs.len() == 1;
    let lists = [
        ("@lengths@", each(&all, ", ", &|t| t.len.clone())),
        ("@names@", each(&all, ", ", &|t| t.name.clone())),
        ("@arguments@", each(&all, ", ", &|Tensor { name, .. }| format!("{name}, {name}_len"))),
        ("@read_parameters@", pointers(&inputs, "const")),
        ("@written_parameters@", pointers(&inputs, "mut")),
        ("@output_parameters@", pointers(&outputs, "mut")),
        ("@read_types@", each(&inputs, ", ", &array(""))),
        ("@written_types@", each(&inputs, ", ", &array("mut "))),
        ("@output_types@", each(&outputs, ", ", &array("mut "))),
        ("@read_references@", each(&inputs, ", ", &reference("&*"))),
        ("@written_references@", each(&inputs, ", ", &reference("&mut *"))),
        ("@output_references@", each(&outputs, ", ", &reference("&mut *"))),
        ("@input_buffers@", each(&inputs, ", ", &buffer)),
        ("@output_buffers@", each(&outputs, ", ", &buffer)),
        (
            "@layer_names@",
            program.steps.iter().map(|s| format!("        {},\n", c_string(&s.name))).collect(),
        ),
        ("@class_names@", class_names(&program.metadata.classes)),
        ("@halves@", if has_halves(program) { "F16, ".into() } else { String::new() }),
        (
            "@table@",
            if has_table { " (@NAME@_LAYERS: the table of @name@_prepare)".into() } else { String::new() },
        ),
        ("@samples@", if has_table { SAMPLES.into() } else { String::new() }),
        ("@constants@", constants(program, &all)),
        ("@version@", env!("CARGO_PKG_VERSION").into()),
        ("@type@", type_name(program)),
        // Marks that the other texts contain come last; texts of the user contain none.
        ("@name@", prefix.into()),
        ("@NAME@", prefix.to_uppercase()),
        ("@network@", comment(&program.metadata.network)),
    ];
    lists.iter().fold(include_str!("ffi.rs.in").into(), |text: String, (mark, by)| text.replace(mark, by))
}

fn buffer(Tensor { name, len, .. }: &Tensor<'_>) -> String {
    format!("Buffer::new({name}, {name}_len, {len})")
}

/// An input or an output.
#[derive(Clone)]
struct Tensor<'p> {
    /// The parameter: `input`, or `input0` where there are several.
    name: String,
    /// The constant with its length in the model's source: `INPUT_LEN`.
    len: String,
    info: &'p crate::program::TensorInfo,
}

impl Tensor<'_> {
    /// The type of an element in C's functions: a half is its bits.
    fn c_element(&self) -> &'static str {
        match element(self.info.format) {
            "F16" => "u16",
            other => other,
        }
    }

    /// The type of an element in C.
    #[cfg(feature = "c-api")]
    fn c_type(&self) -> &'static str {
        match element(self.info.format) {
            "F16" => "uint16_t",
            "f32" => "float",
            "i16" => "int16_t",
            _ => "int8_t",
        }
    }

    /// The element type, in words.
    fn about(&self) -> &'static str {
        match element(self.info.format) {
            "F16" => "numbers in half precision, as the bits of an IEEE 754 binary16,",
            "f32" => "numbers in single precision",
            "i16" => "int16 codes",
            _ => "int8 codes",
        }
    }
}

fn tensors<'p>(program: &'p Program, ids: &[ValueId], base: &str) -> Vec<Tensor<'p>> {
    let named = buffers(program, ids, base).into_iter().zip(ids);
    named
        .map(|(Buffer { name, len, .. }, id)| Tensor {
            name: name.to_string(),
            len: len.to_string(),
            info: program.tensor(*id),
        })
        .collect()
}

/// Sizes and number formats, and the proof that they are the model's.
fn constants(program: &Program, tensors: &[Tensor<'_>]) -> String {
    let mut text = String::new();
    let mut checks = vec![
        (
            "ARENA_BYTES".to_string(),
            "size_of::<Arena<ARENA_BYTES>>() - Arena::<ARENA_BYTES>::CANARY_BYTES".to_string(),
        ),
        ("ARENA_ALIGN".into(), "align_of::<Arena<ARENA_BYTES>>()".into()),
        ("LAYERS".into(), "LAYERS.len()".into()),
    ];
    let mut add = |doc: &str, name: &str, ty: &str, value: &str| {
        let _ = writeln!(text, "/// {doc}\npub const @NAME@_{name}: {ty} = {value};\n");
    };
    let arena = program.plan.arena_bytes.next_multiple_of(align_of::<niello_runtime::Arena<0>>());
    let arena = group_digits(arena).to_string();
    add("Bytes of the arena: RAM for activations and scratch.", "ARENA_BYTES", "usize", &arena);
    add("What the address of the arena is a multiple of.", "ARENA_ALIGN", "usize", "64");
    let canaries = "What a library with the feature `canaries` adds to @NAME@_ARENA_BYTES: it watches these bytes around the arena.";
    add(canaries, "CANARY_BYTES", "usize", "128");
    add("Number of layers.", "LAYERS", "usize", &program.steps.len().to_string());
    if !program.metadata.classes.is_empty() {
        let classes = &program.metadata.classes;
        let doc = format!("Number of classes: {}.", comment(&classes.join(", ")));
        add(&doc, "CLASSES", "usize", &classes.len().to_string());
        checks.push(("CLASSES".into(), "@type@::METADATA.classes.len()".into()));
    }
    for (i, tensor @ Tensor { name, len, info }) in tensors.iter().enumerate() {
        let (upper, about) = (name.to_uppercase(), tensor.about());
        let n = group_digits(info.shape.len()).to_string();
        let mut doc =
            format!("Elements of `{name}`: {about} of [height, width, channels], channels innermost.");
        if info.format == Format::Label {
            doc += " Each is the index of a class.";
        }
        add(&doc, &format!("{upper}_LEN"), "usize", &n);
        for (side, value) in [("HEIGHT", info.shape.h), ("WIDTH", info.shape.w), ("CHANNELS", info.shape.c)] {
            let doc = format!("{}{} of `{name}`.", &side[..1], side[1..].to_lowercase());
            add(&doc, &format!("{upper}_{side}"), "usize", &value.to_string());
        }
        checks.push((format!("{upper}_LEN"), len.clone()));
        let codes = match info.format {
            Format::Int8(q) => Some(q),
            Format::Int16 { scale, .. } => Some(QParams { scale, zero_point: 0 }),
            Format::Float(_) | Format::Label => None,
        };
        if let Some(q) = codes {
            let doc = format!("Of `{name}`: real number = scale * (code - zero point).");
            add(&doc, &format!("{upper}_SCALE"), "f32", &format!("{:?}", q.scale));
            add(
                &format!("The code of 0 in `{name}`."),
                &format!("{upper}_ZERO_POINT"),
                "i8",
                &q.zero_point.to_string(),
            );
            let (kind, inputs) = ("INPUTS", program.inputs.len());
            let (kind, i) = if i < inputs { (kind, i) } else { ("OUTPUTS", i - inputs) };
            let info = format!("@type@::{kind}[{i}]");
            checks.push((format!("{upper}_ZERO_POINT"), format!("{info}.zero_point")));
            checks.push((format!("{upper}_SCALE"), format!("{info}.scale")));
        }
    }
    checks.push(("CANARY_BYTES".into(), "128 && Arena::<ARENA_BYTES>::CANARY_BYTES <= 128".into()));
    text += "// They are the model's own.\nconst _: () = {\n";
    for (name, expected) in checks {
        let _ = writeln!(text, "    assert!(@NAME@_{name} == {expected});");
    }
    text + "};\n"
}

/// Text for a comment of C: nothing that ends it or begins another, no mark of a template.
fn comment(text: &str) -> String {
    harmless(text).replace("*/", "* /").replace("/*", "/ *").replace('@', "(at)")
}

fn class_names(classes: &[String]) -> String {
    if classes.is_empty() {
        return String::new();
    }
    let names: String = classes.iter().map(|class| format!("        {},\n", c_string(class))).collect();
    format!(
        "
/// Name of a class, ending with a zero byte; NULL if there are fewer classes.
#[unsafe(no_mangle)]
pub extern \"C\" fn @name@_class_name(index: u32) -> *const c_char {{
    static NAMES: [&CStr; @NAME@_CLASSES] = [
{names}    ];
    NAMES.get(index as usize).map_or(ptr::null(), |name| name.as_ptr())
}}
"
    )
}

/// A C string literal of Rust, without a mark of a template; a zero byte within would end it.
fn c_string(text: &str) -> String {
    format!("c{:?}", text.replace('\0', " ")).replace('@', "\\u{40}")
}

/// Where samples become codes by tables.
const SAMPLES: &str = r#"
/// From 8-bit samples, [height, width, channels], to codes of the input, by a table: what the recipe's pre-processing does to
/// an image of the input's size. Both lengths are @NAME@_INPUT_LEN. Memory as for @name@_infer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn @name@_prepare(
    samples: *const u8,
    samples_len: usize,
    input: *mut i8,
    input_len: usize,
) -> @name@_status {
    let read = Buffer::new(samples, samples_len, INPUT_LEN);
    if let Err(misuse) = check(&[Buffer::new(input, input_len, INPUT_LEN)], &[read]) {
        return status(misuse);
    }
    // SAFETY: checked: neither is null, both are as long as the types, and they do not overlap.
    let (samples, input): (&[u8; INPUT_LEN], &mut [i8; INPUT_LEN]) = unsafe { (&*samples.cast(), &mut *input.cast()) };
    niello::quantize::apply_table(&crate::INPUT_TABLE, samples, input);
    Status::@NAME@_OK
}
"#;

#[cfg(not(feature = "c-api"))]
fn header(_: &Program, _: &str, _: &str) -> Result<String> {
    Err(Error::Invalid(
        "C API: this build of niello-codegen has no header generator (feature `c-api`)".into(),
    ))
}
