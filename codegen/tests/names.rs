//! Networks, layers and inputs may be called what they like: the generated source is Rust all the same.

mod common;

use niello_codegen::{
    GraphBuilder, Shape,
    emit::{EmitOptions, LayerChecks, emit},
    graph::ConvParams,
    lower::{Target, lower},
    program::Metadata,
    weights::Seeded,
};

const NAMES: &[&str] = &[
    "",
    "_",
    "self",
    "fn",
    "3d",
    "3",
    "a b",
    "naïve",
    "\"",
    "\\",
    "{x}",
    "*/ //",
    "line\nbreak",
    "`a`",
    "memory",
    "conv2d",
    "option",
    "Ünet",
    "r#type",
    "input",
    "output",
    "arena",
];

#[test]
fn any_name_gives_source_that_is_rust() {
    for name in NAMES {
        let mut weights = Seeded::new();
        let mut b = GraphBuilder::new(*name, &mut weights);
        let x = b.input(name, Shape::new(5, 4, 2));
        let y = b.input(&format!("{name} too"), Shape::new(5, 4, 2));
        let x = b.conv2d(name, x, ConvParams::new(3, 3));
        let y = b.conv2d(name, y, ConvParams::new(3, 3));
        let graph = b.finish(&[x, y]).unwrap();
        let metadata = Metadata {
            network: (*name).into(),
            classes: vec![(*name).into()],
            preprocess: (*name).into(),
            ..Metadata::default()
        };
        let program = lower(&common::quantized(graph), Target::find("host").unwrap(), metadata).unwrap();
        let options = EmitOptions { layer_checks: LayerChecks::Inline, ..EmitOptions::default() };
        let made = emit(&program, &options).unwrap_or_else(|error| panic!("{name:?}: {error}"));
        let file = syn::parse_file(&made.source)
            .unwrap_or_else(|error| panic!("{name:?}: {error}\n{}", made.source));
        // What is imported is not what is defined.
        let mut defined = 0;
        for item in &file.items {
            match item {
                syn::Item::Struct(item) => defined += (item.ident == made.type_name) as u32,
                syn::Item::Use(item) => {
                    let text = quote::quote!(#item).to_string();
                    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                    assert!(!words.contains(&made.type_name.as_str()), "{name:?}: {text}");
                }
                _ => {}
            }
        }
        assert_eq!(defined, 1, "{name:?}");
        assert!(!["Option", "Self", "Result"].contains(&made.type_name.as_str()), "{name:?}");
    }
}
