//! `model-catalog completions`, `man` and `openapi`: what a package installs beside the binary, and what
//! clients are generated from.

use std::process::ExitCode;

use clap::{Command, CommandFactory};

use super::{Cli, files::print};
use crate::api::openapi;

/// The name of the binary.
const NAME: &str = "model-catalog";

/// `model-catalog completions`.
#[derive(Clone, Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

impl Completions {
    /// Prints the completions for the shell.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), NAME, &mut script);
        print(&String::from_utf8(script)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `model-catalog man`.
#[derive(Clone, Debug, clap::Args)]
pub struct Man {
    /// Print the page of this command instead of the first one
    #[arg(value_name = "COMMAND")]
    pub command: Option<String>,
}

impl Man {
    /// Prints a manual page, in roff.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let whole = Cli::command();
        let command = match &self.command {
            None => whole,
            Some(name) => {
                let found = whole
                    .get_subcommands()
                    .find(|known| known.get_name() == name);
                let Some(command) = found else {
                    anyhow::bail!(
                        "there is no command of that name: `model-catalog --help` lists them"
                    );
                };
                page_of(command)
            }
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        print(&String::from_utf8(page)?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `model-catalog openapi`.
#[derive(Clone, Debug, clap::Args)]
pub struct OpenApi {}

impl OpenApi {
    /// Prints the OpenAPI document, as it is served at `/openapi.json`.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        print(std::str::from_utf8(openapi::text())?)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `command` with the name that its page has.
fn page_of(command: &Command) -> Command {
    let name = format!("{NAME}-{}", command.get_name());
    command.clone().name(name.clone()).bin_name(name)
}
