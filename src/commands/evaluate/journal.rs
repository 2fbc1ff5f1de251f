//! Results on the disk while an evaluation runs: a killed one goes on where it ended.

use crate::output::writing;
use niello_codegen::{Error, Result};
use niello_evaluation::{Line, Run};
use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

/// A file of JSON lines beside the result: what is run, then a record per case.
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins one, or goes on with one of the same run; gives the results that it holds, the last of a case.
    ///
    /// # Errors
    /// A journal of another run, damaged lines before the last, a place that cannot be written to.
    pub(super) fn open(result: &Path, run: &Run) -> Result<(Self, Vec<Line>)> {
        let mut name = result.as_os_str().to_owned();
        name.push(".journal");
        let path = PathBuf::from(name);
        let old =
            if path.exists() { fs::read(&path).map_err(Error::io("cannot read", &path))? } else { vec![] };
        // A last line without an end was being written when the process ended.
        let whole = old.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let fail = |message: String| Error::file(&path, message);
        let mut lines = vec![];
        let mut texts = old[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let remedy = "remove it, or write the result elsewhere";
        if let Some(first) = texts.next() {
            let other: Run = serde_json::from_slice(first)
                .map_err(|_| fail(format!("no journal of `niello evaluate`: {remedy}")))?;
            let shard = (other.shard != run.shard).then_some("the shard");
            if let Some(what) = run.difference(&other).or(shard) {
                return Err(fail(format!(
                    "the journal of another evaluation, which differs in {what}: {remedy}"
                )));
            }
            for (at, text) in (2..).zip(texts) {
                let line =
                    serde_json::from_slice(text).map_err(|e| fail(format!("line {at}: {e}: {remedy}")))?;
                lines.push(line);
            }
        }
        let _writing = writing();
        let io = || Error::io("cannot write", &path);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(io())?;
        file.set_len(whole as u64).map_err(io())?;
        if whole == 0 {
            write(&mut file, run).map_err(io())?;
        }
        Ok((Self { path, file }, lines))
    }

    /// Adds a result.
    pub(super) fn add(&mut self, line: &Line) -> Result<()> {
        let _writing = writing();
        write(&mut self.file, line).map_err(Error::io("cannot write", &self.path))
    }

    /// Once the result is written.
    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(Error::io("cannot remove", &self.path))
    }
}

/// A line at once, so that a kill leaves it whole, absent or without its end.
fn write(file: &mut File, value: &impl serde::Serialize) -> std::io::Result<()> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    file.write_all(&text)
}
