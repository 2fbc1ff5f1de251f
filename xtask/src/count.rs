//! `cargo xtask count`: executed instructions of one inference, as a whole and of each layer.
//!
//! `targets/count` (Linux) and `targets/count-cortex-m` (firmware) run a generated model with marks around it and between its
//! layers; QEMU with the plugin `targets/count/count.c`, or callgrind on this machine, counts what is executed between them.
//! Counts are exact and repeatable: they depend on the source and the compilers, and not on what else the machine does.

mod cases;
mod listing;
mod loops;
mod machine;
mod measured;
mod table;

use crate::{Result, generate, stage::Runner};
use cases::{ALL, Case, SMALL};
use machine::Machine;
use std::time::Instant;
use table::{Entry, Table};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A target of `cargo xtask test --list`, or `host`
    #[arg(long, value_name = "T", requires = "recipe")]
    target: Option<String>,
    /// The recipe of a model, or `kernels`
    #[arg(long, value_name = "R", requires = "target")]
    recipe: Option<String>,
    /// Everything that docs/performance.md shows, instead of the small set
    #[arg(long, conflicts_with = "target")]
    all: bool,
    /// Print each layer
    #[arg(long)]
    layers: bool,
    /// Print the loops of what was counted last
    #[arg(long)]
    loops: bool,
    /// Print costs as `niello tune` reads them
    #[arg(long)]
    costs: bool,
    /// Fail for what has grown by more than one per cent
    #[arg(long, conflicts_with = "update")]
    check: bool,
    /// Write benches/counts.txt
    #[arg(long)]
    update: bool,
}

pub(crate) fn run(options: &Options) -> Result {
    let Options { target, recipe, all, layers, loops, costs, check, update } = options;
    let own;
    let cases = match (target, recipe) {
        (Some(target), Some(recipe)) => {
            own = [Case { target, recipe }];
            &own[..]
        }
        _ if *all => ALL,
        _ => SMALL,
    };
    let mut runner = Runner::new("count");
    generate::build(&mut runner)?;
    generate::sources(&mut runner, &sources(cases)?)?;
    runner.part("instruction counts", if *all { BUDGET_OF_ALL } else { BUDGET });
    let found = measure(&mut runner, cases)?;
    println!();
    for entry in &found {
        print!("{}", entry.show(*layers));
        if *costs {
            print!("{}", entry.costs());
        }
    }
    // The last build is the one in the folder.
    if let (true, Some(entry)) = (*loops, found.last()) {
        print!("{}", Machine::find(&entry.target)?.loops(&entry.target)?);
    }
    let mut table = Table::read()?;
    if *update {
        table.replace(found);
        table.write()?;
    } else if *check {
        table.check(&mut runner, &found)?;
    }
    runner.finish()
}

/// Seconds that the small set may take.
const BUDGET: u64 = 60;
/// Seconds that everything may take: a minute for each case, and more where half floats are emulated.
const BUDGET_OF_ALL: u64 = BUDGET * ALL.len() as u64;

/// The sources of what `ci` counts.
pub(crate) fn models() -> Result<Vec<generate::Model>> {
    sources(SMALL)
}

/// The sources of some cases.
fn sources(cases: &[Case<'_>]) -> Result<Vec<generate::Model>> {
    let mut models = vec![];
    for case in cases {
        if case.missing()?.is_none() {
            models.push(Machine::find(case.target)?.model(case.recipe));
        }
    }
    Ok(models)
}

/// The small set against the table, for `ci`.
pub(crate) fn stages(runner: &mut Runner) -> Result {
    check(runner, SMALL, BUDGET)
}

/// Everything against the table, for a sweep, which has built the generator.
pub(crate) fn sweep(runner: &mut Runner) -> Result {
    generate::sources(runner, &sources(ALL)?)?;
    check(runner, ALL, BUDGET_OF_ALL)
}

fn check(runner: &mut Runner, cases: &[Case<'_>], budget: u64) -> Result {
    runner.part("instruction counts", budget);
    let found = measure(runner, cases)?;
    Table::read()?.check(runner, &found)
}

/// Builds and runs each case. Consecutive ones that share a program share its build.
fn measure(runner: &mut Runner, cases: &[Case<'_>]) -> Result<Vec<Entry>> {
    let (mut found, mut built, mut plugin) = (vec![], None, false);
    for case in cases {
        let Case { target, recipe } = *case;
        let machine = Machine::find(target)?;
        if let Some(missing) = case.missing()?.or_else(|| machine.missing().map(Into::into)) {
            runner.leave_out(format!("instructions of {recipe} on {target}: no {missing}"))?;
            continue;
        }
        if machine.is_emulated() && !plugin {
            runner.run(machine::plugin()?)?;
            plugin = true;
        }
        let program = Some((machine.program(), recipe));
        if built != program {
            runner.run(machine.build(recipe)?)?;
            built = program;
        }
        let start = Instant::now();
        let measured = machine.measure()?;
        runner.note(format!("count, {target}, {recipe}"), start.elapsed());
        found.push(Entry { target: target.into(), recipe: recipe.into(), measured });
    }
    Ok(found)
}
