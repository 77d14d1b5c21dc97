//! The command line: one file per command, one struct per command's arguments. An error means that
//! the command could not do its work (exit code 2).

mod check;
pub mod demo;
mod files;
mod lock;
mod origin;
mod providers;
mod report;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::{check::Check, lock::Lock, origin::Origin, providers::Providers, report::Format};
use crate::config::{
    environment::Environment,
    read::{DEFAULT_LISTEN, Flags},
};

/// One durable list of every model you can call, at GET /v1/models.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the catalog (the default command)
    Serve(Flags),
    /// Serve made-up models from stand-in providers, to try the catalog without a key
    Demo {
        /// Address to listen on
        #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_LISTEN)]
        listen: String,
    },
    /// Record models as they are listed now, for `check`
    Lock(Lock),
    /// Report locked models that are gone, retiring or smaller
    Check(Check),
    /// List the providers that only need a key, and which of them are on
    Providers(Providers),
}

impl Cli {
    /// Runs the command. Prints an error as one line and exits with code 2.
    pub async fn run(self) -> ExitCode {
        match self.try_run().await {
            Ok(code) => code,
            Err(error) => {
                eprintln!("model-catalog: {error}");
                ExitCode::from(2)
            }
        }
    }

    async fn try_run(self) -> anyhow::Result<ExitCode> {
        let environment = Environment::of_process();
        match self.command.unwrap_or(Command::Serve(self.flags)) {
            Command::Serve(flags) => serve::serve(&flags, &environment).await?,
            Command::Demo { listen } => {
                serve::start_log(&environment)?;
                let stopped = serve::stop_signal()?;
                let listener = serve::bind(&listen).await?;
                demo::run(listener, stopped).await?;
            }
            Command::Lock(lock) => return lock.run(&environment).await,
            Command::Check(check) => return check.run(&environment).await,
            Command::Providers(providers) => return providers.run(&environment),
        }
        Ok(ExitCode::SUCCESS)
    }
}
