//! Named steps of a command, run one after the other, each timed; the first failure ends the command.

use crate::Result;
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// One external command with a name.
pub(crate) struct Stage {
    name: String,
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Stage {
    /// `cargo` with `arguments`, separated by spaces. It is the `cargo` in the path, so that `+nightly` works.
    pub(crate) fn cargo(name: impl Into<String>, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(Into::into).collect();
        Self { name: name.into(), program: "cargo".into(), arguments, variables: vec![] }
    }

    /// Any program.
    pub(crate) fn new(name: impl Into<String>, program: &str) -> Self {
        Self { name: name.into(), program: program.into(), arguments: vec![], variables: vec![] }
    }

    /// Under another name.
    pub(crate) fn named(mut self, name: String) -> Self {
        self.name = name;
        self
    }

    /// More arguments, as they are.
    pub(crate) fn arguments(mut self, more: &[String]) -> Self {
        self.arguments.extend_from_slice(more);
        self
    }

    /// With an environment variable.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// What to type to run it alone.
    fn line(&self) -> String {
        let quoted = |s: &String| if s.contains([' ', '"']) { format!("'{s}'") } else { s.clone() };
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = [&self.program].into_iter().chain(&self.arguments).map(quoted);
        variables.chain(words).collect::<Vec<_>>().join(" ")
    }

    fn run(&self) -> Result {
        let status = self.command().status().map_err(|e| format!("cannot run `{}`: {e}", self.program))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(&status.to_string()))
    }

    /// What it prints.
    ///
    /// # Errors
    /// It cannot be run, or fails: with what it printed to standard error.
    pub(crate) fn output(&self) -> Result<String> {
        let output = self.command().output().map_err(|e| format!("cannot run `{}`: {e}", self.program))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            self.failed(&output.status.to_string())
        ))
    }

    fn failed(&self, status: &str) -> String {
        format!("{} failed ({status}); run it again with\n\n    {}\n", self.name, self.line())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.variables.iter().map(|(name, value)| (name, value)));
        // `cargo xtask` was started by one toolchain's cargo; what it starts chooses for itself.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&*name);
            }
        }
        command
    }
}

/// Runs stages and keeps their times.
pub(crate) struct Runner {
    command: &'static str,
    done: Vec<(String, Duration)>,
    left_out: Vec<String>,
}

impl Runner {
    /// For the command of that name.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, done: vec![], left_out: vec![] }
    }

    /// Runs a stage.
    pub(crate) fn run(&mut self, stage: Stage) -> Result {
        println!("\n== {}: {}", stage.name, stage.line());
        let start = Instant::now();
        stage.run()?;
        let took = start.elapsed();
        println!("-- {}: ok, {:.1} s", stage.name, took.as_secs_f64());
        self.done.push((stage.name, took));
        Ok(())
    }

    /// Notes something that was checked without a command of its own.
    pub(crate) fn note(&mut self, what: String, took: Duration) {
        println!("-- {what}: ok, {:.1} s", took.as_secs_f64());
        self.done.push((what, took));
    }

    /// Notes something that cannot be done here; the closing table says so.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("\n-- not checked: {what}");
        self.left_out.push(what);
    }

    /// Prints the closing table.
    pub(crate) fn finish(self) -> Result {
        println!("\n{}: all stages passed", self.command);
        for (name, took) in &self.done {
            println!("  {name:<40} {:>7.1} s", took.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, took)| *took).sum();
        println!("  {:<40} {:>7.1} s", "together", total.as_secs_f64());
        for what in &self.left_out {
            println!("  not checked: {what}");
        }
        Ok(())
    }
}
