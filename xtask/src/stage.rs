//! Named steps of a command, run one after the other, each timed; the first failure ends the command.

use crate::Result;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// One external command with a name.
pub(crate) struct Stage {
    name: String,
    program: String,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// Where it runs, without the environment of this program.
    alone: Option<PathBuf>,
}

impl Stage {
    /// `cargo` with `arguments`, separated by spaces. It is the `cargo` in the path, so that `+nightly` works.
    pub(crate) fn cargo(name: impl Into<String>, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(Into::into).collect();
        Self { name: name.into(), program: "cargo".into(), arguments, variables: vec![], alone: None }
    }

    /// Any program.
    pub(crate) fn new(name: impl Into<String>, program: &str) -> Self {
        Self { name: name.into(), program: program.into(), arguments: vec![], variables: vec![], alone: None }
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

    /// In a folder, with no environment but its own variables: what a program finds on its stack does not depend on who starts it.
    pub(crate) fn alone(mut self, folder: PathBuf) -> Self {
        self.alone = Some(folder);
        self
    }

    /// The command that runs it alone.
    fn line(&self) -> String {
        let quoted = |s: &String| if s.contains([' ', '"']) { format!("'{s}'") } else { s.clone() };
        let variables = self.variables.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = [&self.program].into_iter().chain(&self.arguments).map(quoted);
        let alone =
            self.alone.iter().map(|folder| format!("env -i -C {}", quoted(&folder.display().to_string())));
        alone.chain(variables).chain(words).collect::<Vec<_>>().join(" ")
    }

    fn run(&self) -> Result {
        let status = self.command().status().map_err(|e| format!("cannot run `{}`: {e}", self.program))?;
        if status.success() {
            return Ok(());
        }
        Err(self.failed(&status.to_string()))
    }

    /// Its output.
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

    /// What it prints to standard output, whether it fails or not.
    ///
    /// # Errors
    /// It cannot be run.
    pub(crate) fn printed(&self) -> Result<String> {
        let mut command = self.command();
        command.stderr(Stdio::inherit());
        let output = command.output().map_err(|e| format!("cannot run `{}`: {e}", self.program))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn failed(&self, status: &str) -> String {
        format!("{} failed ({status}); run it again with\n\n    {}\n", self.name, self.line())
    }

    fn command(&self) -> Command {
        let mut command = match &self.alone {
            None => Command::new(&self.program),
            Some(folder) => {
                let paths = std::env::var_os("PATH").unwrap_or_default();
                let found = std::env::split_paths(&paths)
                    .map(|path| path.join(&self.program))
                    .find(|file| file.is_file());
                let mut command = Command::new(found.unwrap_or_else(|| self.program.clone().into()));
                command.env_clear().current_dir(folder);
                command
            }
        };
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
    start: Instant,
    parts: Vec<Part>,
    left_out: Vec<String>,
}

/// Stages with a common purpose, for the closing table.
struct Part {
    name: String,
    /// Seconds that it may take, on two cores and with the rest beside it.
    budget: Option<u64>,
    start: Instant,
    took: Duration,
    /// Its stages.
    done: Vec<(String, Duration)>,
}

/// Stages that take longer are lines of the closing table.
const LONG: Duration = Duration::from_secs(10);

impl Runner {
    /// For the command of that name.
    pub(crate) fn new(command: &'static str) -> Self {
        Self { command, start: Instant::now(), parts: vec![], left_out: vec![] }
    }

    /// Begins a part: what follows, up to the next part, should take no longer than `budget` seconds.
    pub(crate) fn part(&mut self, name: impl Into<String>, budget: u64) {
        self.begin(name.into(), Some(budget));
    }

    fn begin(&mut self, name: String, budget: Option<u64>) {
        self.end();
        self.parts.push(Part { name, budget, start: Instant::now(), took: Duration::ZERO, done: vec![] });
    }

    fn end(&mut self) {
        if let Some(last) = self.parts.last_mut() {
            last.took = last.start.elapsed();
        }
    }

    /// Runs a stage.
    pub(crate) fn run(&mut self, stage: Stage) -> Result {
        println!("\n== {}: {}", stage.name, stage.line());
        let start = Instant::now();
        stage.run()?;
        self.note(stage.name, start.elapsed());
        Ok(())
    }

    /// Notes something that was checked without a command of its own.
    pub(crate) fn note(&mut self, what: String, took: Duration) {
        println!("-- {what}: ok, {:.1} s", took.as_secs_f64());
        if self.parts.is_empty() {
            self.begin(self.command.into(), None);
        }
        if let Some(part) = self.parts.last_mut() {
            part.done.push((what, took));
        }
    }

    /// Notes something that cannot be done here; the closing table says so.
    ///
    /// # Errors
    /// In continuous integration, where nobody reads what a passing run left out.
    pub(crate) fn leave_out(&mut self, what: impl Into<String>) -> Result {
        let what = what.into();
        if std::env::var("CI").is_ok_and(|ci| ci == "true") {
            return Err(format!("with CI=true nothing may be left out: {what}"));
        }
        self.mention(what);
        Ok(())
    }

    /// Notes something that could be checked nowhere else either; the closing table says so.
    pub(crate) fn mention(&mut self, what: impl Into<String>) {
        let what = what.into();
        println!("\n-- not checked: {what}");
        self.left_out.push(what);
    }

    /// Prints the closing table.
    pub(crate) fn finish(self) -> Result {
        self.close(None)
    }

    /// The same, and all parts together may take `budget` seconds.
    pub(crate) fn finish_within(self, budget: u64) -> Result {
        self.close(Some(budget))
    }

    fn close(mut self, budget: Option<u64>) -> Result {
        self.end();
        println!("\n{}: all stages passed\n  {:<48}{:>9}{:>9}", self.command, "stage", "seconds", "budget");
        for Part { name, budget, took, done, .. } in &self.parts {
            println!("{}", line(name, *took, *budget));
            let long = done.iter().filter(|(_, took)| *took >= LONG && done.len() > 1);
            for (name, took) in long {
                println!("    {name:<46}{:>9.1}", took.as_secs_f64());
            }
        }
        println!("{}", line("in all", self.start.elapsed(), budget));
        for what in &self.left_out {
            println!("  not checked: {what}");
        }
        Ok(())
    }
}

/// A line of the closing table.
fn line(name: &str, took: Duration, budget: Option<u64>) -> String {
    let over =
        if budget.is_some_and(|budget| took > Duration::from_secs(budget)) { "  over budget" } else { "" };
    let budget = budget.map_or(String::new(), |seconds| seconds.to_string());
    let line = format!("  {name:<48}{:>9.1}{budget:>9}{over}", took.as_secs_f64());
    line.trim_end().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_named() {
        let over =
            |seconds, budget| line("tests", Duration::from_secs(seconds), budget).ends_with("over budget");
        assert_eq!([over(9, Some(9)), over(10, Some(9)), over(10, None)], [false, true, false]);
    }
}
