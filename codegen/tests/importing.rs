//! The operators that model files may have, in `docs/importing.md`: printed from the importers' own tables.
//! `NIELLO_UPDATE=1 cargo test -p niello-codegen --test importing` writes them again.

#[path = "common/page.rs"]
mod page;

use niello_codegen::import::{onnx, tflite};
use std::{collections::BTreeSet, fs, path::Path};

/// Operators of ONNX's own domain, up to opset 24, that a CNN on a microcontroller does without: kind, names, why. One that is imported all the
/// same is not left out.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    (
        "control flow",
        "If Loop Scan",
        "a crate is a fixed list of steps, whose time and memory are known; export the branch that is taken",
    ),
    (
        "sequences and optional values",
        "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct SequenceEmpty SequenceErase \
         SequenceInsert SequenceLength SequenceMap SplitToSequence",
        "a tensor has one shape, which is known when the crate is made",
    ),
    (
        "text",
        "RegexFullMatch StringConcat StringNormalizer StringSplit TfIdfVectorizer",
        "a network computes with numbers; do this before it",
    ),
    ("files of images", "ImageDecoder", "do this before the network"),
    (
        "random numbers",
        "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike",
        "the same input gives the same bytes; make the numbers an input",
    ),
    ("training", "NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", "inference only"),
    (
        "sizes that depend on data",
        "Compress NonMaxSuppression NonZero TopK Unique",
        "memory is planned at build time; end the network before it",
    ),
    (
        "recurrent layers",
        "GRU LSTM RNN ReverseSequence",
        "state between calls is left to the program that calls the network",
    ),
    (
        "language models",
        "Attention RotaryEmbedding TensorScatter Einsum Trilu CumSum",
        "products of two tensors that both depend on the input, and caches; niello has attention in networks of its own",
    ),
    (
        "positions that depend on data",
        "AffineGrid DeformConv GatherElements GatherND GridSample MaxRoiPool OneHot RoiAlign Scatter ScatterElements",
        "reads at computed addresses have no int8 kernel; `Gather` of constant indices is imported",
    ),
    (
        "integers as numbers",
        "BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor",
        "activations stand for real numbers",
    ),
    (
        "quantised on the fly",
        "ConvInteger DynamicQuantizeLinear MatMulInteger",
        "scales are known at build time; use static quantisation",
    ),
    (
        "signals",
        "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT",
        "features are computed before the network; windows and filters are constants of it",
    ),
    (
        "rare functions and norms",
        "Acos Acosh Asin Asinh Atan Atanh CenterCropPad Col2Im Cosh Det EyeLike GlobalLpPool Hardmax IsInf IsNaN LRN LpPool \
         MeanVarianceNormalization ReduceLogSumExp Sinh Tan",
        "no network of the field has them; an operator of one's own takes their place",
    ),
];

/// Operators of the domain up to that opset.
const STANDARD: usize = 198;

#[test]
fn every_operator_of_the_standard_is_imported_or_left_out_on_purpose() {
    let imported: BTreeSet<&str> = onnx::OPERATORS.iter().map(|op| op.name).collect();
    let (mut all, mut rows) = (imported.clone(), vec![]);
    for (kind, names, why) in LEFT_OUT {
        let names: Vec<&str> = names.split_whitespace().collect();
        all.extend(&names);
        let names: Vec<String> =
            names.iter().filter(|name| !imported.contains(*name)).map(|name| format!("`{name}`")).collect();
        if !names.is_empty() {
            rows.push(vec![(*kind).into(), names.len().to_string(), names.join(", "), (*why).into()]);
        }
    }
    rows.iter().for_each(|cells| page::row("left-out", cells));
    page::row("operators", &[imported.len().to_string(), STANDARD.to_string()]);
    assert_eq!(
        all.len(),
        STANDARD,
        "an operator of another opset, a name that is wrong, or one that is missing"
    );
    let rows: Vec<String> = rows.iter().map(|cells| page::markdown(cells)).collect();
    assert!(
        page::written("left-out").get(2..).unwrap_or_default() == rows,
        "docs/conformance.md is out of date: `cargo xtask conformance` writes it again"
    );
}

/// Operators, those with the same limits in one row.
fn table(operators: impl Iterator<Item = (String, &'static str)>) -> String {
    let mut rows: Vec<(&str, Vec<String>)> = vec![("", vec![])];
    for (name, limits) in operators {
        match rows.iter_mut().find(|(of, _)| *of == limits) {
            Some((_, names)) => names.push(name),
            None => rows.push((limits, vec![name])),
        }
    }
    let row = |(limits, names): (&str, Vec<String>)| format!("| {} | {limits} |\n", names.join(", "));
    format!("| operators | limits |\n|---|---|\n{}", rows.into_iter().map(row).collect::<String>())
}

/// What stands between the marks of the page.
fn tables() -> String {
    let of_tflite = tflite::OPERATORS.iter().map(|op| (format!("`{}`", op.name), op.limits));
    // Files begin with the first opset that is read.
    let later =
        |since: i64| if since > *onnx::OPSETS.start() { format!(" ({since})") } else { String::new() };
    let of_onnx = onnx::OPERATORS.iter().map(|op| (format!("`{}`{}", op.name, later(op.since)), op.limits));
    let (first, last) = onnx::OPSETS.into_inner();
    format!(
        "### TensorFlow Lite\n\n{}\nBetween activations of 16 bits: {}.\n\n### ONNX\n\nOpsets {first} to {last}; a number in brackets is the opset that an operator came with.\n\n{}",
        table(of_tflite),
        tflite::TAKE_INT16.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        table(of_onnx)
    )
}

#[test]
fn the_page_lists_the_operators_that_are_imported() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/importing.md");
    let page = fs::read_to_string(&path).expect("the page");
    let (begin, end) = ("<!-- begin: codegen/tests/importing.rs -->\n", "<!-- end -->");
    let (head, rest) = page.split_once(begin).expect("the mark where the tables begin");
    let (_, tail) = rest.split_once(end).expect("the mark where they end");
    let new = format!("{head}{begin}{}{end}{tail}", tables());
    if std::env::var_os("NIELLO_UPDATE").is_some() {
        fs::write(&path, new).expect("the page can be written");
    } else {
        assert!(page == new, "docs/importing.md is out of date: NIELLO_UPDATE=1 writes it again");
    }
}
