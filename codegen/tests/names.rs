//! Layers may be called anything: what is told of them by name is told of the right ones.

mod common;

use common::{graph, pooling, quantized};
use niello_codegen::{
    Graph, Shape,
    bench::alternate,
    check::golden::{Bundle, Golden, Source, check, record},
    emit::{EmitOptions, LayerChecks, emit, type_name, weight_blocks, write_crate},
    execute::Executor,
    lower::{Target, lower, lower_apart},
    ops::ConvParams,
    program::{Choice, Choices, Metadata, Program},
    report::report,
    tuning::{Costs, search::pick},
};
use niello_kernels::Isa;
use niello_runtime::{self_test::Checksum, weights::WeightCheck};
use proptest::prelude::*;
use std::fs;

/// What layers are called here: fused, `first` and `overlap` would be split into the names of others.
const NAMES: [(&str, &str); 7] = [
    ("first", "a+b"),
    ("overlap", "c/d e"),
    ("wide", "b"),
    ("all", ""),
    ("twice", "a"),
    ("pooled", "100 %+\n"),
    ("more", "+"),
];

fn renamed(mut graph: Graph) -> Graph {
    let names = graph.nodes.iter_mut().map(|node| &mut node.name);
    for name in names.chain(graph.values.iter_mut().map(|value| &mut value.name)) {
        if let Some((_, new)) = NAMES.iter().find(|(old, _)| old == name) {
            *name = new.to_string();
        }
    }
    graph
}

/// One step for every layer, and some layers in one step.
fn programs() -> (Graph, Program, Program) {
    let q = quantized(renamed(pooling()));
    let target = Target::find("portable").unwrap();
    let metadata = || Metadata { network: "three words\n+".into(), ..Metadata::default() };
    let [apart, together] = [lower_apart, lower].map(|lower| lower(&q, target, metadata()).unwrap());
    assert_eq!((apart.steps.len(), together.steps.len()), (7, 5));
    (q.graph, apart, together)
}

/// What a device prints.
fn log(program: &Program, seed: u64) -> String {
    let inputs = program.seeded_inputs(seed);
    let inputs: Vec<&[i8]> = inputs.iter().map(|input| &input[..]).collect();
    let mut log = format!("case seed:{seed}\n");
    let outputs = Executor::new(program).run_observed(&inputs, |i, view| {
        let step = &program.steps[i];
        let sum = Checksum::of_codes(&view.tensor(step.writes()));
        log += &format!("layer {i} {} 1x1x1 {sum:016x}\n", step.name);
    });
    for (i, output) in outputs.unwrap().iter().enumerate() {
        log += &format!("output {i} {:016x}\n", Checksum::of_codes(output));
    }
    log
}

#[test]
fn golden_files_tell_them_apart() {
    let (graph, apart, together) = programs();
    let inputs =
        [Source::Seed(3), Source::File("a b/c%20.png".into())].map(|source| (source, apart.seeded_inputs(3)));
    let (golden, codes) = record(&apart, &inputs).unwrap();
    assert_eq!(golden.cases[0].layers.len(), 7);
    let read: Golden = golden.to_string().parse().unwrap();
    assert_eq!(read, golden);
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = Bundle::new(&apart, &graph, &inputs, codes.clone()).unwrap().to_bytes().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    assert!(Bundle::open(file.path()).unwrap().layers == codes);

    for program in [&apart, &together] {
        let found = check(&read, program, Isa::scalar(), &codes, |_| Ok(program.seeded_inputs(3)));
        assert_eq!(found.unwrap(), []);
        assert_eq!(read.check_log(&log(program, 3)).unwrap(), None);
    }
    // A layer that is not seen for itself is not compared; every other one is.
    for (index, layer) in golden.cases[0].layers.iter().enumerate() {
        let mut wrong = golden.clone();
        wrong.cases[0].layers[index].checksum ^= 1;
        let hidden = ["a%2bb", "b"].contains(&&*layer.name);
        for program in [&apart, &together] {
            let seen = program.steps.iter().position(|step| step.name.ends_with(&layer.name));
            let expected = (!(hidden && program.steps.len() == 5)).then_some(layer.name.clone());
            let codes = check(&wrong, program, Isa::scalar(), &codes, |_| Ok(program.seeded_inputs(3)));
            let first = codes.unwrap().into_iter().next().map(|difference| difference.layer);
            assert_eq!(first, expected, "{:?}, {seen:?}", layer.name);
            let first = wrong.check_log(&log(program, 3)).unwrap().map(|difference| difference.layer);
            assert_eq!(first, expected, "{:?} in a log", layer.name);
        }
    }
}

#[test]
fn costs_and_choices_are_of_the_layer_that_is_meant() {
    let (_, apart, together) = programs();
    let timed = alternate(&[&apart, &together], Isa::scalar(), 1, || {}).unwrap();
    // As a runner prints them.
    for (program, timed) in [&apart, &together].into_iter().zip(&timed) {
        let lines = program.steps.iter().map(|step| format!("layer {} 1000\n", step.name));
        let printed = Costs::parse(&lines.collect::<String>()).unwrap();
        assert!(printed.steps.keys().eq(timed.steps.keys()), "{printed:?}");
        let mut layers: Vec<&String> = printed.steps.keys().flatten().collect();
        layers.sort();
        let mut all = NAMES.map(|(_, name)| name);
        all.sort();
        assert_eq!(layers, all);
    }
    // Only `a` gains; `a+b` and `b` do not.
    let costs = |cost: &dyn Fn(&[String]) -> u64| Costs {
        total: None,
        steps: together.steps.iter().map(|step| (step.layers.clone(), cost(&step.layers))).collect(),
    };
    let choice = Choice { pixels: Some(2), winograd: None };
    let choices: Choices = ["a", "b", "a+b"].map(|layer| (layer.to_string(), choice)).into();
    let candidate = costs(&|layers| if layers == ["a"] { 10 } else { 1000 });
    let picks = pick(&costs(&|_| 1000), &[(choices, candidate)], 0.1);
    assert_eq!(picks.len(), 1);
    assert_eq!((picks[0].layers.as_slice(), picks[0].choices.len()), (&["a".to_string()][..], 1));

    let q = quantized(renamed(pooling()));
    let mut target = Target::find("portable").unwrap().clone();
    target.tuning.choices = Choices::from([("a+b".into(), choice)]);
    let tuned = report(&lower(&q, &target, Metadata::default()).unwrap());
    let of_layers: Vec<_> = tuned.layers.iter().filter(|layer| !layer.tuned.is_empty()).collect();
    assert_eq!(of_layers.len(), 1);
    assert_eq!(of_layers[0].name, "a%2bb+c/d%20e");
}

/// Two layers in a network, with names for everything that has one.
fn named(network: &str, names: &[String; 4]) -> Program {
    let mut graph = graph(|b| {
        let input = b.input("input", Shape::new(3, 4, 2));
        let x = b.conv2d("one", input, ConvParams::new(4, 1));
        vec![b.conv2d("two", x, ConvParams::new(2, 3))]
    });
    graph.name = network.into();
    let mut q = quantized(graph);
    for (id, name) in names.iter().enumerate().take(q.graph.values.len()) {
        q.graph.values[id].name.clone_from(name);
    }
    q.graph.nodes.iter_mut().zip(names).for_each(|(node, name)| node.name.clone_from(name));
    let metadata = Metadata {
        network: network.into(),
        classes: names.to_vec(),
        sources: vec![(names[3].clone(), "0".into())],
        preprocess: names[2].clone(),
        cam: false,
    };
    lower(&q, Target::find("portable").unwrap(), metadata).unwrap()
}

/// Every file of a crate of that program is what it should be.
fn check_crate(program: &Program) {
    let folder = tempfile::tempdir().unwrap();
    let c_api = cfg!(feature = "c-api").then(|| program.name.clone());
    let options = EmitOptions { c_api: c_api.clone(), ..EmitOptions::default() };
    write_crate(program, &options, folder.path(), "\"0.1.0\"").unwrap();
    let read = |file: &str| fs::read_to_string(folder.path().join(file)).unwrap();
    for file in ["src/lib.rs", "src/model.rs", "src/layer_checks.rs"] {
        // Compilers refuse what turns the direction of writing round.
        let text = read(file);
        assert!(
            !text.contains(|c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')),
            "{text}"
        );
        syn::parse_file(&text).unwrap();
    }
    let model = syn::parse_file(&read("src/model.rs")).unwrap();
    let statics = model.items.iter().filter_map(|item| match item {
        syn::Item::Static(item) => Some(item.ident.to_string()),
        _ => None,
    });
    let mut statics: Vec<String> = statics.collect();
    statics.sort();
    statics.dedup();
    assert_eq!(
        statics.iter().filter(|name| name.starts_with("L0")).count(),
        program.steps.len(),
        "{statics:?}"
    );
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let package = manifest["package"]["name"].as_str().unwrap();
    assert!(package.starts_with(|c: char| c.is_ascii_lowercase()), "{package}");
    assert!(syn::parse_str::<syn::Ident>(&package.replace('-', "_")).is_ok(), "{package}");
    if let Some(prefix) = c_api {
        syn::parse_file(&read("src/ffi.rs")).unwrap();
        let header = read(&format!("include/{prefix}.h"));
        let comments = header.matches("/*").count();
        assert_eq!(
            (comments, comments),
            (header.matches("*/").count(), header.lines().filter(|l| l.contains("/*")).count())
        );
        assert!(!header.contains(['\u{202e}', '@']), "{header}");
    }
}

/// What breaks texts, and what is nobody's name.
fn any_name() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9_.+ /-]{0,12}",
        prop::sample::select(vec![
            "*/",
            "/*",
            "//",
            "\"",
            "\\",
            "\n",
            "\r",
            "\0",
            "@name@",
            "@network@",
            "{}",
            "self",
            "Self",
            "crate",
            "fn",
            "r#fn",
            "CON",
            "3d",
            "_",
            "model",
            "\u{202e}",
            "\u{2066}",
            "\u{2028}",
            "网络",
            "?\u{3f}/",
            "#",
            "'",
            "`",
            "]]>",
            "add",
            "arena",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn crates_are_well_formed_whatever_things_are_called(network in any_name(), names in prop::array::uniform4(any_name())) {
        check_crate(&named(&network, &names));
    }
}

#[test]
fn types_are_called_as_nothing_else_in_generated_code() {
    let names = ["one", "two", "three", "four"].map(String::from);
    for (network, expected) in [
        ("anam_net", "AnamNet"),
        ("squeezenet1_0", "Squeezenet1_0"),
        ("3d_unet", "Net3dUnet"),
        ("", "Net"),
        ("网络", "Net"),
        ("Self", "NetSelf"),
        ("fn", "NetFn"),
        ("model", "ModelNet"),
        ("Conv2d", "Conv2dNet"),
        ("default", "DefaultNet"),
        ("result", "ResultNet"),
        ("weight_check", "WeightCheckNet"),
    ] {
        let program = named(network, &names);
        assert_eq!(type_name(&program), expected);
        let generated =
            emit(&program, &EmitOptions { layer_checks: LayerChecks::Inline, ..EmitOptions::default() });
        assert_eq!(generated.unwrap().type_name, expected);
    }
    // The list of names has every kernel: a new one has to be added.
    let kernels = syn::parse_file(include_str!("../../kernels/src/lib.rs")).unwrap();
    let mut exported = vec![];
    for item in kernels.items {
        if let syn::Item::Use(item) = item {
            leaves(&item.tree, &mut exported);
        }
    }
    assert!(exported.len() > 50, "{exported:?}");
    for kernel in exported {
        let mut program = named("net", &names);
        program.name.clone_from(&kernel);
        // Only names in camel case can be those of a network's type.
        let own = type_name(&program);
        assert!(own != kernel, "{kernel}");
    }
}

fn leaves(tree: &syn::UseTree, found: &mut Vec<String>) {
    match tree {
        syn::UseTree::Path(path) => leaves(&path.tree, found),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, found)),
        syn::UseTree::Name(name) => found.push(name.ident.to_string()),
        _ => {}
    }
}

#[test]
fn every_thousandth_bit_of_weights_and_tables_is_told_with_its_layer() {
    let program = common::program(common::chaining(), "portable");
    let table = [std::array::from_fn::<i8, 256, _>(|i| i as i8)];
    let blocks = weight_blocks(&program, Some(&table));
    let weights: Vec<i8> = program.blob.bytes().iter().map(|byte| *byte as i8).collect();
    assert_eq!(blocks.last().unwrap().end as usize, weights.len() + 256);
    let layers: Vec<u32> = blocks.iter().map(|block| block.layer).collect();
    let with_constants = program.steps.iter().filter(|step| step.constant_bytes > 0).count();
    assert!(layers.len() > with_constants / 2 && layers.windows(2).all(|w| w[0] != w[1]), "{layers:?}");

    static NONE: [niello_runtime::LayerInfo; 0] = [];
    let all = weights.len() + 256;
    let mut bytes: Vec<i8> = weights.iter().chain(table.as_flattened()).copied().collect();
    let mut check = WeightCheck::new();
    let mut flips = 0;
    for bit in (0..8 * all).step_by(1000).chain(8 * (all - 256)..8 * all) {
        bytes[bit / 8] ^= (1u8 << (bit % 8)) as i8;
        let (weights, table) = bytes.split_at(weights.len());
        let error = loop {
            match check.next([weights, table], &blocks, &NONE, 4096) {
                Ok(false) => {}
                Ok(true) => panic!("bit {bit} is not noticed"),
                Err(error) => break error,
            }
        };
        assert!((error.offset..error.offset + error.len).contains(&(bit / 8)), "bit {bit}: {error}");
        check = WeightCheck::new();
        bytes[bit / 8] ^= (1u8 << (bit % 8)) as i8;
        flips += 1;
    }
    assert!(flips > 2048 + 100, "{flips}");
    // A block is read by the layer that it names.
    let of_layer = |i: usize| {
        let own = program.steps[i].call.tokens(&program.bindings(i)).to_string();
        own.matches("WEIGHTS").count()
    };
    assert!(layers[..layers.len() - 1].iter().all(|layer| of_layer(*layer as usize) > 0), "{layers:?}");
}
