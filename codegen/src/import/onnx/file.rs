//! A file's nodes, in an order in which they can be computed: functions inlined, names looked up, what leads to no result left out.

use super::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, standard,
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
};

/// Versions of ONNX's own operators that are known.
pub const OPSETS: std::ops::RangeInclusive<i64> = 1..=26;

/// The most nodes of a file, its functions inlined.
const NODES: usize = 100_000;

/// The most functions that call each other.
const CALLS: usize = 16;

/// A node with the version of its set of operators.
pub(super) struct Step {
    /// The node.
    pub node: NodeProto,
    /// The version; 0 for a set that is not imported.
    pub version: i64,
}

impl Step {
    /// Its name in errors.
    pub(super) fn label(&self) -> String {
        label(&self.node)
    }
}

/// Name and operator of a node.
fn label(node: &NodeProto) -> String {
    let set = node.set();
    let op = if set.is_empty() { node.op().into() } else { format!("{set}::{}", node.op()) };
    match node.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => format!("node `{name}` ({op})"),
        None => format!("node without a name that makes {} ({op})", quoted(&node.output)),
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

type Versions = Rc<HashMap<String, i64>>;

fn versions(sets: &[OperatorSetIdProto]) -> Versions {
    let of = |set: &OperatorSetIdProto| {
        (standard(set.domain.as_deref().unwrap_or_default()).to_string(), set.version.unwrap_or_default())
    };
    Rc::new(sets.iter().map(of).collect())
}

/// The nodes of the graph that lead to one of its outputs, each behind those that it reads.
///
/// # Errors
/// An unknown version of the operators, names that stand for two values or none, nodes that need each other.
pub(super) fn steps(model: &mut ModelProto, graph: &mut GraphProto) -> Result<Vec<Step>, Vec<String>> {
    let sets = versions(&model.opset_import);
    match sets.get("") {
        None => return Err(vec!["no opset_import: the version of the operators is not known".into()]),
        Some(version) if !OPSETS.contains(version) => {
            let (first, last) = OPSETS.into_inner();
            return Err(vec![format!(
                "opset {version}, expected {first} to {last}; export with one of these"
            )]);
        }
        Some(_) => {}
    }
    let mut inlined = Inlined { functions: &model.functions, steps: vec![], calls: 0 };
    let nodes = std::mem::take(&mut graph.node);
    inlined.add(nodes, &sets, 0).map_err(|problem| vec![problem])?;
    let steps = inlined.steps;
    let given: HashSet<&str> = (graph.initializer.iter().filter_map(|t| t.name.as_deref()))
        .chain(graph.input.iter().filter_map(|v| v.name.as_deref()))
        .collect();
    let maker = makers(graph, &steps)?;
    let mut problems = vec![];
    let outputs = graph.output.iter().filter_map(|v| v.name.as_deref());
    for output in outputs.clone().filter(|name| !given.contains(name) && !maker.contains_key(name)) {
        problems.push(format!("output `{output}` of the graph is made by no node"));
    }
    // What leads to an output, found backwards.
    let mut needed = vec![false; steps.len()];
    let mut open: Vec<usize> = outputs.filter_map(|name| maker.get(name)).copied().collect();
    while let Some(i) = open.pop() {
        if std::mem::replace(&mut needed[i], true) {
            continue;
        }
        for input in steps[i].node.input.iter().filter(|name| !name.is_empty()) {
            match maker.get(input.as_str()) {
                Some(from) => open.push(*from),
                None if given.contains(input.as_str()) => {}
                None => problems.push(format!(
                    "{} reads `{input}`, which is made by no node, and no input or initializer",
                    steps[i].label()
                )),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let order = sorted(&steps, &needed, &maker)?;
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|i| steps[i].take()).collect())
}

/// Which node makes each value.
fn makers<'s>(graph: &GraphProto, steps: &'s [Step]) -> Result<HashMap<&'s str, usize>, Vec<String>> {
    let (mut maker, mut problems) = (HashMap::<&str, usize>::new(), vec![]);
    let initializers: HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
    let inputs: HashSet<&str> = graph.input.iter().filter_map(|v| v.name.as_deref()).collect();
    for (i, step) in steps.iter().enumerate() {
        if step.node.output.iter().all(|name| name.is_empty()) {
            problems.push(format!("{}: no output has a name", step.label()));
        }
        for name in step.node.output.iter().filter(|name| !name.is_empty()) {
            let twice = |other: &str| format!("`{name}` is made by {} and is {other}", step.label());
            if initializers.contains(name.as_str()) {
                problems.push(twice("an initializer too"));
            } else if inputs.contains(name.as_str()) {
                problems.push(twice("an input of the graph too"));
            } else if let Some(other) = maker.insert(name, i) {
                problems.push(twice(&format!("made by {} too", steps[other].label())));
            }
        }
    }
    if problems.is_empty() { Ok(maker) } else { Err(problems) }
}

/// The needed nodes, each behind those that it reads; of those that could be next, the first of the file.
fn sorted(steps: &[Step], needed: &[bool], maker: &HashMap<&str, usize>) -> Result<Vec<usize>, Vec<String>> {
    let sources = |i: usize| -> HashSet<usize> {
        steps[i].node.input.iter().filter_map(|name| maker.get(name.as_str()).copied()).collect()
    };
    let mut waits: Vec<usize> = vec![0; steps.len()];
    let mut readers: Vec<Vec<usize>> = vec![vec![]; steps.len()];
    for i in (0..steps.len()).filter(|i| needed[*i]) {
        for from in sources(i) {
            readers[from].push(i);
            waits[i] += 1;
        }
    }
    let mut ready: VecDeque<usize> = (0..steps.len()).filter(|i| needed[*i] && waits[*i] == 0).collect();
    let mut order = vec![];
    while let Some(i) = ready.pop_front() {
        order.push(i);
        for reader in &readers[i] {
            waits[*reader] -= 1;
            if waits[*reader] == 0 {
                ready.push_back(*reader);
            }
        }
    }
    // Nodes that wait on each other: walk from one of them to one that it waits on, until one comes again.
    let Some(mut at) = (0..steps.len()).find(|i| waits[*i] > 0) else { return Ok(order) };
    let mut path = vec![];
    while !path.contains(&at) && path.len() < 100 {
        path.push(at);
        at = sources(at).into_iter().filter(|i| waits[*i] > 0).min().unwrap_or(at);
    }
    let start = path.iter().position(|i| *i == at).unwrap_or_default();
    let names: Vec<String> = path[start..].iter().map(|i| steps[*i].label()).collect();
    Err(vec![format!("a cycle: {}, each of which reads what another of them makes", names.join(", "))])
}

/// Nodes with the bodies of functions in the place of their calls.
struct Inlined<'m> {
    functions: &'m [FunctionProto],
    steps: Vec<Step>,
    calls: usize,
}

impl Inlined<'_> {
    fn add(&mut self, nodes: Vec<NodeProto>, sets: &Versions, depth: usize) -> Result<(), String> {
        for node in nodes {
            let is_it = |f: &&FunctionProto| {
                f.name.as_deref() == Some(node.op())
                    && standard(f.domain.as_deref().unwrap_or_default()) == node.set()
            };
            if let Some(function) = self.functions.iter().find(is_it) {
                if depth == CALLS {
                    return Err(format!(
                        "{}: more than {CALLS} functions that call each other",
                        label(&node)
                    ));
                }
                self.calls += 1;
                if self.calls > NODES {
                    return Err(format!("more than {NODES} calls of functions"));
                }
                let body = self.body(function, &node)?;
                self.add(body, &versions(&function.opset_import), depth + 1)?;
            } else {
                if self.steps.len() == NODES {
                    return Err(format!("more than {NODES} nodes"));
                }
                let version = sets.get(node.set()).copied().unwrap_or_default();
                self.steps.push(Step { node, version });
            }
        }
        Ok(())
    }

    /// The nodes of a function with the names and attributes of its caller.
    fn body(&self, function: &FunctionProto, call: &NodeProto) -> Result<Vec<NodeProto>, String> {
        let mut names: HashMap<&str, String> = HashMap::new();
        let pairs = |inner: &'_ [String], outer: &[String]| -> Vec<(String, String)> {
            let outer = outer.iter().cloned().chain(std::iter::repeat(String::new()));
            inner.iter().cloned().zip(outer).collect()
        };
        if call.input.len() > function.input.len() || call.output.len() > function.output.len() {
            return Err(format!("{}: more inputs or outputs than the function has", label(call)));
        }
        let inputs = pairs(&function.input, &call.input);
        let outputs = pairs(&function.output, &call.output);
        let outputs = outputs.iter().filter(|(_, outer)| !outer.is_empty());
        inputs.iter().chain(outputs).for_each(|(inner, outer)| {
            names.insert(inner, outer.clone());
        });
        let prefix = match call.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => format!("{name}/"),
            None => format!("{}/", call.output.first().map_or("", |name| name)),
        };
        let renamed = |name: &String| match names.get(name.as_str()) {
            _ if name.is_empty() => String::new(),
            Some(outer) => outer.clone(),
            // The number keeps apart two calls under one name.
            None => format!("{prefix}{}/{name}", self.calls),
        };
        let given = |name: &str| {
            let all = call.attribute.iter().chain(&function.attribute_proto);
            all.clone().find(|a| a.name.as_deref() == Some(name))
        };
        let attribute =
            |own: &AttributeProto| match own.ref_attr_name.as_deref().filter(|name| !name.is_empty()) {
                None => Some(own.clone()),
                Some(name) => {
                    given(name).map(|found| AttributeProto { name: own.name.clone(), ..found.clone() })
                }
            };
        let node = |node: &NodeProto| NodeProto {
            input: node.input.iter().map(renamed).collect(),
            output: node.output.iter().map(renamed).collect(),
            name: node.name.as_ref().filter(|name| !name.is_empty()).map(|name| format!("{prefix}{name}")),
            attribute: node.attribute.iter().filter_map(attribute).collect(),
            ..node.clone()
        };
        Ok(function.node.iter().map(node).collect())
    }
}
