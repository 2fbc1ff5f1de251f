//! How generated code is spelt: names, digits, empty lines.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// A doc comment line.
pub(super) fn doc(text: impl AsRef<str>) -> TokenStream {
    let text = format!(" {}", harmless(text.as_ref()));
    quote!(#[doc = #text])
}

/// Text for a comment: without line ends and without changes of the direction of writing, which compilers reject.
pub(super) fn harmless(text: &str) -> String {
    let is_harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_harmful, " ")
}

/// Whether generated code may name a type or a trait so: a kernel or what it is made of, the runtime's, the prelude's.
pub(super) fn is_named_by_models(name: &str) -> bool {
    const NAMES: &str = "Width WeightsError WeightCheck WeightBlock Watch UninitArena TensorInfo Lut Sync Sub SquaredDifference LinearPair QuantizeLinear Status FusedStage Space \
        Some Softmax Sized Send SelfTestError FusedRows Rounding Result ResizeNearest ResizeBilinear Reshape Requantize Region FloatBounds \
        ReduceSum ReduceExtremum Reduction LogSoftmax L2Normalize Interpolate \
        PadChannels PRelu OutputParams Output Option Operand Ok Observer None Multiplier Mul Model Misuse Metadata Memory Map Layout \
        LayerInfo Kernel Isa Gather Function FusionLayout Float F16 Err Embedding Elements Default Extremum Corners CopyElements Copy \
        Codes Checksum ChannelShuffle CStr Constant Index Permute Elementary AddRepeated BufferError Buffer Bounds \
        Attention ArgMax ArenaError ArenaCell Arena Aligned Add";
    // Kernels of several dimensions and formats.
    ["2d", "Float", "Int16"].iter().any(|kind| name.ends_with(kind))
        || NAMES.split_whitespace().any(|taken| taken == name)
}

/// `1234567` as `1_234_567`.
pub(super) fn group_digits(n: usize) -> Literal {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, d) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('_');
        }
        text.push(d);
    }
    text.parse().expect("digits are a literal")
}

pub(super) fn camel_case(name: &str) -> String {
    let mut out = String::new();
    for part in name.split('_').filter(|part| !part.is_empty()) {
        // `squeezenet1_0` is not `Squeezenet10`.
        if out.ends_with(|c: char| c.is_ascii_digit()) && part.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('_');
        }
        out.push_str(&part[..1].to_uppercase());
        out.push_str(&part[1..]);
    }
    out
}

/// With an empty line before each item and method, as people write them.
pub(super) fn spaced(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + source.len() / 16);
    let mut previous = "";
    for line in source.lines() {
        let starts_item =
            ["///", "pub ", "static ", "impl "].iter().any(|s| line.trim_start().starts_with(s));
        let after_item = matches!(previous.trim_end(), "}" | "};" | "];" | "    }")
            || previous.ends_with(';') && !previous.starts_with("        ") && !previous.starts_with("use ");
        let after_use = previous.starts_with("use ") || previous == "};";
        if (starts_item && (after_item || after_use)) && !line.starts_with("use ") {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
        previous = line;
    }
    out
}
