//! `niello completions` and `niello man`.

use crate::Cli;
use clap::{Args, CommandFactory};
use niello_codegen::{Error, Result};

/// Print a shell's completions
#[derive(Args)]
#[command(
    after_help = "Example:\n  niello completions bash > ~/.local/share/bash-completion/completions/niello"
)]
pub(crate) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<String> {
        let mut text = vec![];
        clap_complete::generate(self.shell, &mut Cli::command(), "niello", &mut text);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Print a page of the manual
#[derive(Args)]
#[command(after_help = "Examples:\n  niello man compile | man -l -\n  niello man > niello.1")]
pub(crate) struct Man {
    /// The command that it is about; absent: all of them in one page
    #[arg(value_name = "COMMAND")]
    about: Option<String>,
}

impl Man {
    pub(crate) fn run(self) -> Result<String> {
        let mut all = Cli::command();
        all.build();
        let command = match &self.about {
            None => all,
            Some(name) => {
                let known = || all.get_subcommands().map(|c| c.get_name()).collect::<Vec<_>>().join(", ");
                let found = all.find_subcommand(name).cloned();
                found.ok_or_else(|| Error::Invalid(format!("no command `{name}`; known: {}", known())))?
            }
        };
        let mut text = vec![];
        clap_mangen::Man::new(command).render(&mut text).map_err(Error::io("cannot write", "the page"))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
