//! How long a program takes on this machine, layer by layer.

use crate::{error::Result, execute::Executor, program::Program};
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
    /// What its multiply instructions reach here and now, on registers: see [`peak`]. Absent for sets without vectors.
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
        let start = Instant::now();
        let mut last = start;
        executor.run_observed(&inputs, |i, _| {
            let now = Instant::now();
            layers[i].push(now - last);
            last = now;
        })?;
        whole.push(start.elapsed());
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
