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

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

pub use self::{check::Check, lock::Lock, origin::Origin, providers::Providers, report::Format};
use crate::{
    config::{
        environment::Environment,
        read::{Flags, listen_address},
    },
    log,
};

/// The exit code of a command that could not do its work.
const FAILED: u8 = 2;
/// The exit code of a command whose output nobody reads any more: that of a shell for SIGPIPE.
const PIPE_CLOSED: u8 = 128 + 13;
/// The exit code of Rust for a panic.
const PANICKED: u8 = 101;
/// How long the end waits for what still runs on other threads, and then for the log.
const END_LIMIT: Duration = Duration::from_secs(1);

/// One durable list of every model you can call, at GET /v1/models.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
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
        /// Address to listen on (MODEL_CATALOG_LISTEN, default 127.0.0.1:8484)
        #[arg(long, value_name = "HOST:PORT")]
        listen: Option<String>,
    },
    /// Record models as they are listed now, for `check`
    Lock(Lock),
    /// Report locked models that are gone, retiring or smaller
    Check(Check),
    /// List the providers that only need a key, and which of them are on
    Providers(Providers),
}

/// Runs the command of this process's arguments and returns its exit code. Prints an error as one
/// line.
pub fn main() -> ExitCode {
    let code = match Cli::try_parse() {
        // A panic has been said; what it left behind is not used again.
        Ok(cli) => match catch_unwind(AssertUnwindSafe(|| cli.run())) {
            Ok(ended) => ended.unwrap_or_else(|error| failed(&error)),
            Err(_) => ExitCode::from(PANICKED),
        },
        // Also `--help` and `--version`.
        Err(usage) => match usage.print() {
            Err(error) => failed(&error.into()),
            Ok(()) => ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(FAILED)),
        },
    };
    log::flush(END_LIMIT);
    code
}

/// Says why the command failed, unless that is because nobody reads its output.
fn failed(error: &anyhow::Error) -> ExitCode {
    let io = error.downcast_ref::<io::Error>();
    if io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::from(PIPE_CLOSED);
    }
    log::say(&format!("model-catalog: {error}"));
    ExitCode::from(FAILED)
}

impl Cli {
    fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = Runtime::new()?;
        let code = runtime.block_on(self.execute());
        // What blocks a thread, such as the look-up of a name, must not keep the process.
        runtime.shutdown_timeout(END_LIMIT);
        code
    }

    async fn execute(self) -> anyhow::Result<ExitCode> {
        let environment = Environment::of_process();
        match self.command.unwrap_or(Command::Serve(self.flags)) {
            Command::Serve(flags) => serve::serve(&flags, &environment).await?,
            Command::Demo { listen } => {
                let address = listen_address(listen, &environment, None);
                serve::start_log(&environment)?;
                let stopped = serve::stop_signal()?;
                let listener = serve::bind(&address).await?;
                demo::run(listener, stopped).await?;
            }
            Command::Lock(lock) => return lock.run(&environment).await,
            Command::Check(check) => return check.run(&environment).await,
            Command::Providers(providers) => return providers.run(&environment),
        }
        Ok(ExitCode::SUCCESS)
    }
}
