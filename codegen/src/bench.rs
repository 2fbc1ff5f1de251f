//! The time of a program on this machine, layer by layer.

use crate::{error::Result, execute::Executor, program::Program, tuning::Costs};
use niello_kernels::{Isa, peak};
use serde::Serialize;
use std::time::{Duration, Instant};

/// One layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerTime {
    /// The layer.
    pub name: String,
    /// The operator.
    pub kind: String,
    /// Median over the repetitions.
    pub median_ms: f64,
    /// Share of the sum of all layers' medians.
    pub share: f64,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Multiply-accumulates per second.
    pub macs_per_second: f64,
    /// [`LayerTime::macs_per_second`] as a part of [`Timing::peak_macs_per_second`]; absent where either is.
    pub peak_share: Option<f64>,
}

/// The whole program.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Median of whole inferences.
    pub median_ms: f64,
    /// Fastest one.
    pub min_ms: f64,
    /// Inferences that were timed.
    pub repetitions: usize,
    /// Threads.
    pub threads: usize,
    /// Instruction set.
    pub isa: String,
    /// The rate of its multiply instructions alone, on registers, measured here and now: see [`peak`]. Absent for sets without vectors.
    pub peak_macs_per_second: Option<f64>,
    /// Layers in order of execution.
    pub layers: Vec<LayerTime>,
}

/// Times `repetitions` inferences after one that is not counted. Input codes are pseudo-random.
///
/// # Errors
/// None that a lowered program can cause.
pub fn bench(program: &Program, isa: Isa, repetitions: usize) -> Result<Timing> {
    let inputs = program.seeded_inputs(1);
    let inputs: Vec<&[i8]> = inputs.iter().map(|i| &i[..]).collect();
    let mut executor = Executor::with_isa(program, isa);
    executor.run(&inputs)?;
    let peak_macs_per_second = peak_macs_per_second(isa);
    let mut whole = vec![];
    let mut layers: Vec<Vec<Duration>> = vec![vec![]; program.steps.len()];
    for _ in 0..repetitions.max(1) {
        whole.push(time(&mut executor, &inputs, |i, took| layers[i].push(took))?);
    }
    let ms = |d: Duration| d.as_secs_f64() * 1e3;
    let medians: Vec<f64> = layers.iter_mut().map(|times| ms(median(times))).collect();
    let sum: f64 = medians.iter().sum();
    let layers = program
        .steps
        .iter()
        .zip(medians)
        .map(|(step, median_ms)| {
            let macs_per_second = step.macs as f64 / (median_ms / 1e3);
            LayerTime {
                name: step.name.clone(),
                kind: step.kind.into(),
                median_ms,
                share: median_ms / sum,
                macs: step.macs,
                macs_per_second,
                peak_share: peak_macs_per_second.filter(|_| step.macs > 0).map(|peak| macs_per_second / peak),
            }
        })
        .collect();
    Ok(Timing {
        median_ms: ms(median(&mut whole)),
        min_ms: ms(*whole.iter().min().expect("at least one repetition")),
        repetitions: whole.len(),
        threads: niello_kernels::threads::count(),
        isa: isa.name().into(),
        peak_macs_per_second,
        layers,
    })
}

/// The minimum time of each step of each program over some rounds, in nanoseconds. In a round every program has its turn, so that
/// changes of the clock and other programs meet all of them alike; `done` is called after each turn. No total is given: on a machine
/// that does other things too, a step has an undisturbed turn sooner than a whole inference.
///
/// # Errors
/// As [`bench()`].
pub fn alternate(
    programs: &[&Program],
    isa: Isa,
    rounds: usize,
    mut done: impl FnMut(),
) -> Result<Vec<Costs>> {
    let mut costs = vec![Costs::default(); programs.len()];
    let mut executors: Vec<Executor<'_>> = programs.iter().map(|p| Executor::with_isa(p, isa)).collect();
    let ns = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    for _ in 0..rounds.max(1) {
        for ((program, executor), costs) in programs.iter().zip(&mut executors).zip(&mut costs) {
            let inputs = program.seeded_inputs(1);
            let inputs: Vec<&[i8]> = inputs.iter().map(|i| &i[..]).collect();
            // Another program's weights are in the caches.
            executor.run(&inputs)?;
            let mut round = Costs::default();
            time(executor, &inputs, |i, took| {
                *round.steps.entry(program.steps[i].layers.clone()).or_default() += ns(took);
            })?;
            costs.merge(&round);
            done();
        }
    }
    Ok(costs)
}

/// The time of one inference; `step` gets that of each step.
fn time(
    executor: &mut Executor<'_>,
    inputs: &[&[i8]],
    mut step: impl FnMut(usize, Duration),
) -> Result<Duration> {
    let start = Instant::now();
    let mut last = start;
    executor.run_observed(inputs, |i, _| {
        let now = Instant::now();
        step(i, now - last);
        last = now;
    })?;
    Ok(start.elapsed())
}

/// The fastest of some short runs: the clock changes, and other programs may hold the core for a while.
fn peak_macs_per_second(isa: Isa) -> Option<f64> {
    const RUNS: usize = 20;
    const ROUNDS: u64 = 200_000;
    let run = |_| {
        let start = Instant::now();
        let macs = peak::multiply(isa, ROUNDS)?;
        Some(macs as f64 / start.elapsed().as_secs_f64())
    };
    (0..RUNS).map(run).collect::<Option<Vec<f64>>>()?.into_iter().reduce(f64::max)
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
