//! Errors before flashing. Each names the file, tensor or layer, what was expected and what was found.

use serde::de::DeserializeOwned;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Result of build-time code.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A build-time error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// "cannot read", "cannot write", …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file's contents are wrong.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        message: String,
    },
    /// Weights do not fit the architecture; one line per tensor.
    #[error("{source_name}: weights do not fit {network}:{}", listed(problems, 12))]
    Weights {
        /// The source of the weights.
        source_name: String,
        /// The architecture.
        network: String,
        /// One per missing, extra, mis-shaped or non-finite tensor.
        problems: Vec<String>,
    },
    /// A model's file is broken, or holds what cannot be imported; one line per problem.
    #[error("{file}: cannot be imported:{}", listed(problems, 100))]
    Model {
        /// The file.
        file: String,
        /// One per tensor or operator and what is wrong with it.
        problems: Vec<String>,
    },
    /// A layer cannot be built, quantised or lowered.
    #[error("layer `{layer}` ({kind}): {message}")]
    Layer {
        /// Name of the layer.
        layer: String,
        /// Its operator.
        kind: &'static str,
        /// Expected and found.
        message: String,
    },
    /// No network has that name.
    #[error("no network `{name}`; {near}")]
    Network {
        /// The name.
        name: String,
        /// Networks with names like it, in words.
        near: String,
    },
    /// The range that a recipe gives a tensor.
    #[error("range override for `{tensor}`: {message}")]
    RangeOverride {
        /// Name of the tensor.
        tensor: String,
        /// Expected and found.
        message: String,
    },
    /// The value of a dependency, for `Cargo.toml`.
    #[error("dependency `{name} = {value}`: {message}")]
    Dependency {
        /// Name of the crate.
        name: String,
        /// The value.
        value: String,
        /// Expected and found.
        message: String,
    },
    /// A file that niello did not write lies where it would write one.
    #[error("{}: is there already, and niello did not write it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The result of a layer that cannot be shown.
    #[error("{flag} `{layer}`: {message}")]
    Intermediate {
        /// What asked for it: "--dump", …
        flag: &'static str,
        /// Name of the layer.
        layer: String,
        /// Why.
        message: String,
    },
    /// Anything else that the user asked for and cannot be had.
    #[error("{0}")]
    Invalid(String),
}

/// One line each, up to so many.
fn listed(problems: &[String], shown: usize) -> String {
    let mut text: String = problems.iter().take(shown).map(|p| format!("\n  {p}")).collect();
    if problems.len() > shown {
        text += &format!("\n  and {} more", problems.len() - shown);
    }
    text
}

/// Says something to cargo, which listens to build scripts only.
pub(crate) fn tell_cargo(line: std::fmt::Arguments<'_>) {
    if std::env::var_os("CARGO_CFG_TARGET_ARCH").is_some() {
        println!("cargo::{line}");
    }
}

impl Error {
    /// An [`Error::Io`] constructor for `map_err`.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { action, path, source }
    }

    /// Ends a build script with this error, readably: cargo shows each line of it.
    pub fn fail(&self) -> ! {
        for (i, line) in self.to_string().lines().enumerate() {
            tell_cargo(format_args!("error={line}"));
            eprintln!("{}{line}", if i == 0 { "error: " } else { "" });
        }
        std::process::exit(1)
    }

    /// An [`Error::File`].
    pub fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Error::File { path: path.into(), message: message.into() }
    }
}

/// The text of a file; `expected` is its description in errors.
pub(crate) fn read_text(path: &Path, expected: &str) -> Result<String> {
    String::from_utf8(fs::read(path).map_err(Error::io("cannot read", path))?)
        .map_err(|_| Error::file(path, format!("expected {expected}, found bytes that are not text")))
}

/// A value from TOML; errors begin with `name` and the line.
pub(crate) fn parse_toml<T: DeserializeOwned>(name: &Path, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1));
        let message = error.message().trim().replace('\n', ", ");
        Error::file(name, format!("{}{message}", line.unwrap_or_default()))
    })
}

#[cfg(feature = "imaging")]
impl From<niello_imaging::Error> for Error {
    fn from(error: niello_imaging::Error) -> Self {
        match error {
            niello_imaging::Error::Io { action, path, source } => Error::Io { action, path, source },
            niello_imaging::Error::File { path, message } => Error::File { path, message },
            other => Error::Invalid(other.to_string()),
        }
    }
}
