//! Layers may be called anything: what is told of them by name is told of the right ones.

mod common;

use common::{pooling, quantized};
use niello_codegen::{
    Graph,
    bench::alternate,
    execute::Executor,
    golden::{Bundle, Golden, Source, check, record},
    lower::{Target, lower, lower_apart},
    program::{Metadata, Program},
    report::report,
    tuning::{Choice, Choices, Costs, search::pick},
};
use niello_kernels::Isa;
use niello_runtime::self_test::Checksum;

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
        let sum = Checksum::of_codes(&view.tensor(step.writes));
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
