//! How generated code is spelt: names, digits, empty lines.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

/// A doc comment line.
pub(super) fn doc(text: impl Into<String>) -> TokenStream {
    let text = format!(" {}", text.into());
    quote!(#[doc = #text])
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

/// `anam_net` as `AnamNet`; `Net` comes before what is nothing or begins with a digit.
pub(super) fn camel_case(name: &str) -> String {
    let mut parts = name.split('_').filter(|part| !part.is_empty()).peekable();
    let is_word = parts.peek().is_some_and(|part| !part.starts_with(|c: char| c.is_ascii_digit()));
    let mut out = String::from(if is_word { "" } else { "Net" });
    for part in parts {
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
