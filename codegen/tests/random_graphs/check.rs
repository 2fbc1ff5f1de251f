//! From bytes through the whole of niello, and what must hold on the way.

use super::{
    bounds::{Layer, range, reals},
    bytes::Rng,
    make::{Format as Wanted, Made, Setup, make, too_large},
};
use niello_codegen::{
    Error, Graph, Tensor, ValueId,
    check::{compare::verify, warnings},
    emit::{EmitOptions, emit},
    execute::Executor,
    format::{Format, Mode},
    lock::{Lock, Origin},
    lower::{TARGETS, Target, lower, lower_apart},
    passes::{cam, optimize},
    precision::{
        float,
        int16::{Wide, choose, widen},
    },
    program::{Metadata, Program},
    quantize::{
        QGraph, QuantizeOptions, RangeMethod,
        calibrate::{Calibration, calibrate},
        quantize,
        ranges::Ranges,
        with_ranges,
    },
    tuning::Tuning,
};
use niello_kernels::{Isa, Rounding, threads};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, Once, OnceLock},
    time::Instant,
};

/// How far a graph came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It ran; so many layers were within their bounds, of so many there is none.
    Ran { checked: usize, unbounded: usize },
    /// It was refused with a message that is documented, by its kind.
    Refused(&'static str),
    /// Parameters that make no sense were refused.
    Invalid,
}

/// A graph that broke a rule: which one.
pub(crate) type Failure = String;

/// What valid graphs may be refused for: the numbers do not allow an exact integer meaning, or a format has no such operator.
/// The first word that a message contains names the kind.
const REFUSALS: &[(&str, &str)] = &[
    ("calibration:", "calibration: not finite"),
    ("does not fit 32 bits", "sum or bias beyond 32 bits"),
    ("accumulator can reach", "sum or bias beyond 32 bits"),
    ("scale factor", "scale factor out of range"),
    ("input scale", "softmax: scale out of range"),
    ("between logits is out of range", "attention: scale out of range"),
    ("scale of the result is too fine", "attention: scale out of range"),
    ("beyond half precision", "beyond half precision"),
    ("holds labels", "labels are no numbers"),
    ("is label, ", "labels are no numbers"),
    ("dB above the noise", "budget not met"),
    ("classes, got", "too many classes"),
    ("has no form in integers", "no form in integers"),
    ("(SquaredDifference): cannot compute in", "no form in floating point"),
    ("(Table): cannot compute in", "no form in floating point"),
    // The source of weights has no more.
    ("`: too large", "too many weights"),
];

/// What no user can make sense of.
const INTERNAL: &[&str] = &["bug in niello", "unreachable", "panicked", "internal", "unwrap", "assertion"];

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
    static CHECKS: Cell<bool> = const { Cell::new(false) };
    static MACS: Cell<u64> = const { Cell::new(0) };
}

/// Keeps messages of panics in [`check`] instead of printing them.
pub(crate) fn quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !CHECKS.get() {
                return print(info);
            }
            let trace = match std::env::var("RANDOM_GRAPHS_TRACE") {
                Ok(_) => format!("\n{}", std::backtrace::Backtrace::force_capture()),
                Err(_) => String::new(),
            };
            PANIC.with(|p| *p.borrow_mut() = format!("{info}{trace}"));
        }));
    });
}

/// Checks everything of the graph that `bytes` say; `log` gets the calls of the builder.
pub(crate) fn check(bytes: &[u8], log: &mut Vec<String>) -> Result<Outcome, Failure> {
    let start = seconds();
    MACS.set(0);
    PANIC.with(|p| p.borrow_mut().clear());
    CHECKS.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| whole(bytes, log)))
        .unwrap_or_else(|_| Err(format!("panic: {}", PANIC.with(|p| p.borrow().replace('\n', " | ")))));
    CHECKS.set(false);
    let hostile = log.first().is_some_and(|line| line.contains("hostile: true"));
    let outcome = outcome.map_err(|failure| if hostile { format!("hostile: {failure}") } else { failure });
    let taken = seconds() - start;
    // Everything of the slow ones is many times as much.
    let most = if log.first().is_some_and(|line| line.contains("slow: true")) { 120.0 } else { 5.0 };
    // Dozens of evaluations, most of them by the scalar kernels with debug assertions.
    let most = most + 5e-8 * MACS.get() as f64;
    if outcome.is_ok() && taken > most {
        return Err(format!("time: {taken:.1} s"));
    }
    outcome
}

/// Time that this thread has computed; where the system does not say, that of the clock.
fn seconds() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let computed = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let computed = computed.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    computed.map_or_else(|| START.get_or_init(Instant::now).elapsed().as_secs_f64(), |ns| 1e-9 * ns)
}

/// A refusal, which has a message for users; of a graph that is not `hostile`, one that is documented.
fn refused(error: &Error, hostile: bool) -> Result<Outcome, Failure> {
    sane(error)?;
    if hostile {
        return Ok(Outcome::Invalid);
    }
    let text = error.to_string();
    match REFUSALS.iter().find(|(word, _)| text.contains(word)) {
        Some((_, kind)) => Ok(Outcome::Refused(kind)),
        None => Err(format!("refused, and nothing says that it may be: {text}")),
    }
}

fn whole(bytes: &[u8], log: &mut Vec<String>) -> Result<Outcome, Failure> {
    let Made { graph, setup, samples } = match make(bytes, log) {
        Ok(made) => made,
        Err(error) => return refused(&error, log.first().is_some_and(|line| line.contains("hostile: true"))),
    };
    MACS.set(graph.macs());
    let mut rng = setup.rng;
    let refused = |error: Error| refused(&error, setup.hostile);
    if too_large(&graph) {
        let program = match setup.format {
            Wanted::Float(mode) => {
                lower(&float::everywhere(graph, MODES[mode]), &TARGETS[0], Metadata::default())
            }
            _ => return Ok(Outcome::Invalid),
        };
        return program.map_or_else(refused, |_| Ok(Outcome::Invalid));
    }
    let graph = if setup.optimize {
        let before = graph.clone();
        let optimized = optimize(graph);
        same_function(&before, &optimized, &samples[0])?;
        optimized
    } else {
        graph
    };
    // The class-activation map of those that have one.
    let graph = match cam::with_map(graph.clone()) {
        Ok(with_map) if rng.next().is_multiple_of(2) => with_map,
        Ok(_) => graph,
        Err(error) => {
            sane(&error)?;
            graph
        }
    };
    let (q, calibrated) = match quantized(graph, &setup, &samples, &mut rng) {
        Ok(made) => made,
        Err(error) => return refused(error),
    };
    let target = &TARGETS[rng.next() as usize % TARGETS.len()];
    let apart = match lower_apart(&q, target, Metadata::default()) {
        Ok(program) => program,
        Err(error) => {
            // The bits do not depend on the target, and neither does what is refused.
            let other = &TARGETS[rng.next() as usize % TARGETS.len()];
            return match lower(&q, other, Metadata::default()) {
                Ok(_) => Err(format!("refused for {}, not for {}: {error}", target.name, other.name)),
                Err(_) => refused(error),
            };
        }
    };
    let formats = apart.tensors.iter().map(|t| format!("{} {}", t.name, t.format.name()));
    log.push(format!("lowered for {}: {}", target.name, formats.collect::<Vec<_>>().join(", ")));
    if let Some(calibrated) = &calibrated
        && (setup.slow || rng.next().is_multiple_of(8))
    {
        told(&q, &apart, calibrated, &samples)?;
    }
    // A calibration sample, and any codes.
    let coded = |(id, tensor): (&ValueId, &Tensor<f32>)| apart.tensor(*id).quantize(&tensor.data);
    let inputs: [Vec<Vec<i8>>; 2] = [
        apart.inputs.iter().zip(&samples[0]).map(coded).collect(),
        any_inputs(&apart, &samples[0], &mut rng),
    ];
    let (mut checked, mut unbounded) = (0, 0);
    let mut expected = vec![];
    for (i, inputs) in inputs.iter().enumerate() {
        let run = run_apart(&q, &apart, inputs, i == 0 || setup.slow)?;
        checked += run.checked;
        unbounded += run.unbounded;
        expected.push(run);
    }
    for target in TARGETS {
        // Each second one: a million graphs meet all of them often enough.
        if rng.next().is_multiple_of(2) && !setup.slow {
            continue;
        }
        let mut target = target.clone();
        if rng.next().is_multiple_of(4) {
            target.threads = 1 + rng.next() as usize % 4;
        }
        let program = must(lower(&q, &target, Metadata::default()), &target)?;
        same_bytes(&program, &inputs, &expected, setup.slow)?;
        if setup.slow || rng.next().is_multiple_of(16) {
            tuned(&q, &target, &program, &inputs, &expected, &mut rng)?;
        }
        if setup.slow {
            threaded(&q, &target, &inputs, &expected)?;
            let program = must(lower_apart(&q, &target, Metadata::default()), &target)?;
            same_bytes(&program, &inputs, &expected, true)?;
        }
    }
    if setup.slow {
        emit(&apart, &EmitOptions::default()).map_err(|error| format!("text: {error}"))?;
    }
    Ok(Outcome::Ran { checked, unbounded })
}

const MODES: [Mode; 4] = [Mode::F32, Mode::F16, Mode::F16Native, Mode::F16Winograd];

/// A message that helps a user.
fn sane(error: &Error) -> Result<(), Failure> {
    let text = error.to_string();
    let lower = text.to_lowercase();
    if text.trim().is_empty() || INTERNAL.iter().any(|word| lower.contains(word)) {
        return Err(format!("no message for users: {text}"));
    }
    Ok(())
}

fn must(program: niello_codegen::Result<Program>, target: &Target) -> Result<Program, Failure> {
    program
        .map_err(|error| format!("lowered layer by layer, and not for {} as a whole: {error}", target.name))
}

/// Passes keep what a graph computes, but for the rounding of folded weights to single precision.
fn same_function(before: &Graph, after: &Graph, sample: &[Tensor<f32>]) -> Result<(), Failure> {
    // Decisions may turn by rounding.
    let decides = ["ArgMax", "MaxPosition2d", "LshAttention", "Embedding"];
    if before.nodes.iter().any(|node| decides.contains(&node.op.kind())) {
        return Ok(());
    }
    let inputs: Vec<Tensor<f64>> = sample.iter().map(|t| t.map(f64::from)).collect();
    let mut largest = 0f64;
    let run = |graph: &Graph, largest: &mut f64| {
        let observe = |_, t: &Tensor<f64>| *largest = t.data.iter().fold(*largest, |m, x| m.max(x.abs()));
        graph.observe_f64(&inputs, observe).map_err(|error| format!("float: {error}"))
    };
    let (one, other) = (run(before, &mut largest)?, run(after, &mut largest)?);
    for (a, b) in one.iter().zip(&other) {
        if a.shape != b.shape {
            return Err(format!("passes change the shape {} to {}", a.shape, b.shape));
        }
        for (a, b) in a.data.iter().zip(&b.data) {
            if (a - b).abs() > 1e-5 * largest && a.is_finite() {
                return Err(format!("passes change the result {a} to {b}"));
            }
        }
    }
    Ok(())
}

/// What a calibration saw, and chose; the graph that it saw, where all have 8 bits.
struct Calibrated {
    calibration: Calibration,
    ranges: Ranges,
    graph: Option<Graph>,
}

/// With number formats.
fn quantized(
    graph: Graph,
    setup: &Setup,
    samples: &[Vec<Tensor<f32>>],
    rng: &mut Rng,
) -> niello_codegen::Result<(QGraph, Option<Calibrated>)> {
    if let Wanted::Float(mode) = setup.format {
        return Ok((float::everywhere(graph, MODES[mode]), None));
    }
    let calibration = calibrate(&graph, samples.iter().map(|s| Ok(s.clone())), |_| {})?;
    // Searches take longer than all the rest.
    let method = match setup.method {
        0..20 => RangeMethod::MinMax,
        20..26 => RangeMethod::Percentile(99.0),
        26..29 => RangeMethod::Fixed { min: -4.0, max: 4.0 },
        29 => RangeMethod::LeastSquares,
        _ => RangeMethod::Auto(99.99),
    };
    let mut options = QuantizeOptions {
        method,
        bias_correction: setup.bias_correction,
        rounding: if setup.single { Rounding::Single } else { Rounding::TfliteDouble },
        ..QuantizeOptions::default()
    };
    for _ in 0..setup.overrides {
        let value = &graph.values[rng.next() as usize % graph.values.len()];
        let odd =
            [(1.0, -1.0), (f32::NAN, f32::NAN), (f32::NEG_INFINITY, f32::INFINITY), (f32::MIN, f32::MAX)];
        let plain = [(-1.0, 1.0), (0.0, 6.0), (-30.0, 2.0), (2.0, 3.0), (-1e-6, 1e-6), (-3.0, 0.0)];
        let (min, max) = match setup.hostile {
            true => odd[rng.next() as usize % odd.len()],
            false => plain[rng.next() as usize % plain.len()],
        };
        options.overrides.insert(value.name.clone(), RangeMethod::Fixed { min, max });
    }
    let narrow = (setup.format == Wanted::Int8).then(|| graph.clone());
    let ranges = Ranges::choose(&graph, &calibration, &options)?;
    let mut q = quantize(graph, &calibration, &options)?;
    match setup.format {
        Wanted::Mixed { wide, float } => {
            if wide {
                widened(&mut q, &calibration, rng)?;
            }
            if float {
                // Of one name, the first value is found.
                let found = |n: &&niello_codegen::graph::Node| q.graph.find(&n.name) == Some(n.output());
                let makers = q.graph.nodes.iter().filter(found).filter(|_| rng.next().is_multiple_of(3));
                let makers: Vec<String> = makers.map(|n| q.graph.values[n.output().0].name.clone()).collect();
                let named = makers.into_iter().map(|name| (name, MODES[rng.next() as usize % 4])).collect();
                float::layers(&mut q, &named)?;
            }
        }
        Wanted::Budget => {
            choose(&mut q, &calibration, samples, 35.0)?;
        }
        _ => {}
    }
    Ok((q, Some(Calibrated { calibration, ranges, graph: narrow })))
}

/// What users are told makes sense, and a lock makes the same program again.
fn told(
    q: &QGraph,
    program: &Program,
    Calibrated { calibration, ranges, graph }: &Calibrated,
    samples: &[Vec<Tensor<f32>>],
) -> Result<(), Failure> {
    let odd = |message: &str| message.contains("NaN") || INTERNAL.iter().any(|word| message.contains(word));
    let found = verify(&q.graph, program, samples.iter().map(|s| Ok(s.clone())), |_, _| Ok(()));
    let found = found.map_err(|error| format!("verification: {error}"))?;
    let outputs: Vec<&str> = program.outputs.iter().map(|id| &*program.tensor(*id).name).collect();
    let warnings = warnings::of_ranges(q, program, calibration).into_iter();
    if let Some(warning) =
        warnings.chain(warnings::of_verification(&found, &outputs, false)).find(|w| odd(&w.message))
    {
        return Err(format!("no warning for users: {warning}"));
    }
    let Some(graph) = graph else { return Ok(()) };
    let origin = Origin {
        niello: "0".into(),
        weights: ("random".into(), String::new()),
        inputs: (samples.len(), String::new()),
        recipe: BTreeMap::new(),
    };
    let lock = Lock::of_graph(origin, q, ranges, Wide::default(), &program.corrections);
    let again = |lock: &Lock| -> niello_codegen::Result<(bool, QGraph)> {
        let read = Lock::parse("random.lock".as_ref(), &lock.to_text())?;
        let mut made = with_ranges(graph.clone(), &read.ranges_of(graph)?, q.rounding)?;
        read.correct(&mut made)?;
        Ok((read == *lock, made))
    };
    let (same, made) = again(&lock).map_err(|error| format!("lock: {error}"))?;
    if !same {
        return Err("lock: it is read otherwise than it was written".into());
    }
    let target = TARGETS.iter().find(|target| target.name == program.target).expect("it was lowered for it");
    let made = lower_apart(&made, target, Metadata::default()).map_err(|error| format!("lock: {error}"))?;
    if made.blob.bytes() != program.blob.bytes() || made.tensors.len() != program.tensors.len() {
        return Err("lock: it makes another program".into());
    }
    Ok(())
}

/// About half of what can have 16 bits has them.
fn widened(q: &mut QGraph, calibration: &Calibration, rng: &mut Rng) -> niello_codegen::Result<()> {
    let mut all = Wide::default();
    let names: Vec<String> = q.graph.values.iter().map(|v| v.name.clone()).collect();
    for name in names {
        let choice = rng.next();
        let activation = Wide { activations: [name.clone()].into(), ..Wide::default() };
        if choice & 1 == 1 && widen(&mut q.clone(), calibration, &activation).is_ok() {
            all.activations.insert(name.clone());
        }
        let weight = Wide { weights: [name.clone()].into(), ..Wide::default() };
        if choice & 2 == 2 && widen(&mut q.clone(), calibration, &weight).is_ok() {
            all.weights.insert(name);
        }
    }
    widen(q, calibration, &all)
}

/// Numbers that are treated in some way of their own, somewhere.
const SPECIAL: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    -0.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -1e-45,
    65519.0,
    -65520.0,
    6e-8,
    2.9e-8,
];

/// Any codes; numbers of about the size of the sample's.
fn any_inputs(program: &Program, sample: &[Tensor<f32>], rng: &mut Rng) -> Vec<Vec<i8>> {
    let any = |(id, tensor): (&ValueId, &Tensor<f32>)| {
        let info = program.tensor(*id);
        match info.format {
            Format::Float(_) => {
                let special = rng.next().is_multiple_of(4);
                let mut number = |x: &f32| match rng.next() as usize % 64 {
                    i if special && i < SPECIAL.len() => SPECIAL[i],
                    _ => x * 1.5 * rng.unit(),
                };
                info.quantize(&tensor.data.iter().map(&mut number).collect::<Vec<f32>>())
            }
            Format::Label => (0..info.bytes()).map(|_| (rng.next() & 127) as i8).collect(),
            _ => (0..info.bytes()).map(|_| rng.next() as i8).collect(),
        }
    };
    program.inputs.iter().zip(sample).map(any).collect()
}

/// What a program gives that keeps each layer's result.
struct Run {
    /// By value; absent for those that nobody makes.
    values: Vec<Option<Vec<i8>>>,
    outputs: Vec<Vec<i8>>,
    checked: usize,
    unbounded: usize,
}

fn views(inputs: &[Vec<i8>]) -> Vec<&[i8]> {
    inputs.iter().map(|i| &i[..]).collect()
}

/// Runs layer by layer with the readable kernels; each value must stay what it is until its last reader, and be what the float reference
/// gives for the operands that the layer got.
fn run_apart(q: &QGraph, program: &Program, inputs: &[Vec<i8>], watch: bool) -> Result<Run, Failure> {
    let count = program.tensors.len();
    let mut values: Vec<Option<Vec<i8>>> = vec![None; count];
    program.inputs.iter().zip(inputs).for_each(|(id, codes)| values[id.0] = Some(codes.clone()));
    // The step after which a value is whole, and the last one that reads it.
    let (mut whole, mut last) = (vec![0; count], vec![0; count]);
    for (i, step) in program.steps.iter().enumerate() {
        step.reads().iter().for_each(|id| last[id.0] = i);
        whole[step.writes().0] = i;
    }
    for node in q.graph.nodes.iter().filter(|node| node.op.places_inputs()) {
        for id in &node.inputs {
            whole[node.output().0] = whole[node.output().0].max(whole[id.0]);
        }
    }
    program.outputs.iter().for_each(|id| last[id.0] = program.steps.len());
    let mut broken = None;
    let mut executor = Executor::with_isa(program, Isa::scalar());
    let outputs = executor.run_observed(&views(inputs), |i, view| {
        let made = program.steps[i].writes();
        for id in (0..count).map(ValueId) {
            if whole[id.0] > i || broken.is_some() {
                continue;
            }
            let given = program.inputs.contains(&id);
            if values[id.0].is_none() {
                let joined = whole[id.0] == i && (id == made || is_joined(q, id));
                values[id.0] = joined.then(|| view.tensor(id));
            } else if watch
                && last[id.0] > i
                && !given
                && view.tensor(id) != *values[id.0].as_ref().expect("it was seen")
            {
                let names = (&program.tensors[id.0].name, &program.steps[i].name);
                broken = Some(format!("step `{}` destroys `{}`, which is read later", names.1, names.0));
            }
        }
    });
    if let Some(broken) = broken {
        return Err(broken);
    }
    let outputs = outputs.map_err(|error| format!("execution: {error}"))?;
    for (id, output) in program.outputs.iter().zip(&outputs) {
        match &values[id.0] {
            Some(value) if value != output && !value.is_empty() => {
                return Err(format!("output `{}` is not what its layer made", program.tensor(*id).name));
            }
            _ => values[id.0] = Some(output.clone()),
        }
    }
    let (mut checked, mut unbounded) = (0, 0);
    for node in &q.graph.nodes {
        match layer(q, program, node, &values, Tamper::Nothing)? {
            true => checked += 1,
            false => unbounded += 1,
        }
    }
    Ok(Run { values, outputs, checked, unbounded })
}

/// Whether nobody but its operands may write it.
fn is_joined(q: &QGraph, id: ValueId) -> bool {
    q.graph.producer(id).is_some_and(|at| q.graph.nodes[at].op.places_inputs())
}

/// What is made wrong before a layer is checked, as a wrong kernel would do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tamper {
    Nothing,
    /// The zero point of the first operand, by one.
    ZeroPoint,
    /// One element, by two steps or a hundredth.
    Element,
    /// The first two channels are swapped.
    Channels,
    /// The last row is that before it.
    Row,
}

/// Of the layers of the graph, their kinds and whether the check notices what is made wrong of them.
pub(crate) fn noticed(bytes: &[u8], tamper: Tamper) -> Option<Vec<(&'static str, bool)>> {
    let Made { graph, setup, samples } = make(bytes, &mut vec![]).ok()?;
    if setup.hostile {
        return None;
    }
    let (q, _) = quantized(graph, &setup, &samples, &mut setup.rng.clone()).ok()?;
    let program = lower_apart(&q, &TARGETS[0], Metadata::default()).ok()?;
    let inputs = any_inputs(&program, &samples[0], &mut setup.rng.clone());
    let Run { values, .. } = run_apart(&q, &program, &inputs, false).ok()?;
    let of = |node: &niello_codegen::graph::Node| {
        // What cannot be seen proves nothing: no step, no second channel, all the same.
        let (info, codes) = (program.tensor(node.output()), values[node.output().0].as_ref()?);
        let spread = reals(info, codes).data;
        let (c, row) = (info.shape.c, info.shape.w * info.shape.c);
        let visible = match tamper {
            Tamper::Nothing => true,
            Tamper::ZeroPoint => {
                // These look at nothing but the order of their operands, or at their differences.
                let of_order =
                    ["ArgMax", "MaxPosition2d", "Softmax", "LogSoftmax", "Attention", "LshAttention"];
                node.inputs.first().is_some_and(|id| matches!(program.tensor(*id).format, Format::Int8(_)))
                    && !of_order.contains(&node.op.kind())
                    && spread.iter().map(|x| x.to_bits()).collect::<BTreeSet<_>>().len() > 4
            }
            Tamper::Element => info.format != Format::Label,
            Tamper::Channels => c > 1 && spread.chunks(c).any(|pixel| pixel[0] != pixel[1]),
            Tamper::Row => {
                let rows = spread.len() / row;
                rows > 1 && spread[(rows - 2) * row..(rows - 1) * row] != spread[(rows - 1) * row..]
            }
        };
        let found = visible.then(|| layer(&q, &program, node, &values, tamper))?;
        (found != Ok(false)).then(|| (node.op.kind(), found.is_err()))
    };
    Some(q.graph.nodes.iter().filter_map(of).collect())
}

/// Whether a layer's result is within its bound; `false` if it has none.
fn layer(
    q: &QGraph,
    program: &Program,
    node: &niello_codegen::graph::Node,
    values: &[Option<Vec<i8>>],
    tamper: Tamper,
) -> Result<bool, Failure> {
    let id = node.output();
    let (Some(codes), info) = (&values[id.0], program.tensor(id)) else {
        return Err(format!("`{}` is never made", node.name));
    };
    let mut operands = vec![];
    for input in &node.inputs {
        let Some(codes) = &values[input.0] else {
            return Err(format!("`{}` reads what nobody made", node.name));
        };
        operands.push(reals(program.tensor(*input), codes));
    }
    let mut found = reals(info, codes);
    let step = info.format.step().map_or(f64::NAN, f64::from);
    let (c, len) = (info.shape.c, found.data.len());
    match tamper {
        Tamper::Nothing => {}
        Tamper::ZeroPoint => {
            let step = program.tensor(node.inputs[0]).format.step().map_or(0.0, f64::from);
            operands[0].data.iter_mut().for_each(|x| *x += step);
        }
        Tamper::Element => {
            let x = &mut found.data[len / 2];
            let by = if step.is_nan() { 0.01 * x.abs().max(1e-6) } else { 2.0 * step };
            *x += if *x > 0.0 { -by } else { by };
        }
        Tamper::Channels => found.data.chunks_mut(c).for_each(|pixel| pixel.swap(0, 1)),
        Tamper::Row => {
            let row = info.shape.w * c;
            found.data.copy_within(len - 2 * row..len - row, len - row);
        }
    }
    let layer = Layer {
        node,
        inputs: node.inputs.iter().map(|id| program.tensor(*id)).collect(),
        operands,
        output: info,
        mode: q.modes.get(&id).copied(),
        wide_weights: q.wide_weights.contains(&id),
        corrections: program.corrections.get(&id).map(|steps| &steps[..]),
    };
    let Some(expected) = layer.expected() else { return Ok(false) };
    let range = range(info.format);
    for (i, found) in found.data.iter().enumerate() {
        let result = expected.result[i].clamp(range.0, range.1);
        let (error, bound) = ((found - result).abs(), expected.bound[i]);
        if error.is_nan() || error > bound + 1e-6 * bound {
            return Err(format!(
                "error: {} `{}` {:?} -> {:?}, element {i}: {found:e}, expected {:e}, in range {result:e}, +- {bound:e}: {:.3} steps, {:.3} allowed; steps in {:?}, out {step:e}",
                node.op.kind(),
                node.name,
                layer.inputs.iter().map(|i| i.format.name()).collect::<Vec<_>>(),
                (info.format.name(), layer.mode),
                expected.result[i],
                error / step,
                bound / step,
                layer.inputs.iter().map(|i| i.format.step()).collect::<Vec<_>>(),
            ));
        }
    }
    Ok(true)
}

/// All instruction sets of this machine give the same bytes, whatever the arena held before.
fn same_bytes(
    program: &Program,
    inputs: &[Vec<Vec<i8>>; 2],
    expected: &[Run],
    slow: bool,
) -> Result<(), Failure> {
    let mut executor = Executor::new(program);
    for (inputs, expected) in inputs.iter().zip(expected).rev() {
        same_run(program, &mut executor, inputs, expected)?;
    }
    // Of the others, the outputs; the readable kernels ran layer by layer.
    let others = Isa::available().filter(|isa| *isa != executor.isa() && (slow || *isa != Isa::scalar()));
    for isa in others {
        let outputs = Executor::with_isa(program, isa).run(&views(&inputs[1]));
        same_outputs(program, isa, &outputs.map_err(|error| format!("execution: {error}"))?, &expected[1])?;
    }
    Ok(())
}

fn same_outputs(program: &Program, isa: Isa, outputs: &[Vec<i8>], expected: &Run) -> Result<(), Failure> {
    if outputs != expected.outputs {
        let isa = isa.name();
        return Err(format!("bytes: outputs for {} with {isa} differ from layer by layer", program.target));
    }
    Ok(())
}

fn same_run(
    program: &Program,
    executor: &mut Executor<'_>,
    inputs: &[Vec<i8>],
    expected: &Run,
) -> Result<(), Failure> {
    let isa = executor.isa().name();
    let mut differs = None;
    let last: Vec<_> = (0..program.steps.len())
        .map(|i| program.steps[i + 1..].iter().all(|later| later.writes() != program.steps[i].writes()))
        .collect();
    let outputs = executor.run_observed(&views(inputs), |i, view| {
        let id = program.steps[i].writes();
        let (true, Some(expected), None) = (last[i], &expected.values[id.0], &differs) else { return };
        let parts = program.plan.slice_of.contains(&Some(id));
        if !parts && view.tensor(id) != *expected {
            differs = Some(program.steps[i].name.clone());
        }
    });
    let outputs = outputs.map_err(|error| format!("execution: {error}"))?;
    if let Some(step) = differs {
        return Err(format!(
            "bytes: step `{step}` for {} with {isa} differs from layer by layer",
            program.target
        ));
    }
    same_outputs(program, executor.isa(), &outputs, expected)
}

/// With threads and without.
fn threaded(
    q: &QGraph,
    target: &Target,
    inputs: &[Vec<Vec<i8>>; 2],
    expected: &[Run],
) -> Result<(), Failure> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let target = Target { threads: 3, ..target.clone() };
    let program = must(lower(q, &target, Metadata::default()), &target)?;
    threads::set(3).map_err(|error| format!("threads: {error}"))?;
    let with = same_bytes(&program, inputs, expected, true);
    threads::set(1).map_err(|error| format!("threads: {error}"))?;
    with.map_err(|failure| format!("threads: {failure}"))
}

/// What can be chosen is chosen otherwise.
fn tuned(
    q: &QGraph,
    target: &Target,
    program: &Program,
    inputs: &[Vec<Vec<i8>>; 2],
    expected: &[Run],
    rng: &mut Rng,
) -> Result<(), Failure> {
    let mut choices = program.choices.clone();
    for choice in choices.values_mut() {
        choice.pixels = choice.pixels.map(|_| 1 + rng.next() as usize % 40);
        choice.winograd = choice.winograd.map(|_| rng.next() & 1 == 1);
    }
    let target = Target { tuning: Tuning { source: "tuning.toml".into(), choices }, ..target.clone() };
    let program = must(lower(q, &target, Metadata::default()), &target)?;
    same_bytes(&program, inputs, expected, true).map_err(|failure| format!("tuned: {failure}"))
}
