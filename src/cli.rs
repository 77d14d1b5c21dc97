//! The command line: one file per command, one struct per command's arguments. An error means that
//! the command could not do its work (exit code 2).

mod backup;
mod changes;
mod check;
mod config;
pub mod demo;
mod diff;
mod doctor;
mod files;
mod generate;
mod health;
mod init;
mod list;
mod lock;
mod manager;
mod origin;
mod providers;
mod reader;
mod refresh;
mod reload;
mod report;
mod restore;
mod serve;
mod show;
mod sources;
mod text;

use std::{
    convert::Infallible,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;

pub use self::{
    backup::Backup,
    changes::{Changes, Since},
    check::Check,
    config::ConfigCommand,
    diff::Diff,
    doctor::Doctor,
    generate::{Completions, Man, OpenApi},
    health::Health,
    list::{Filters, List},
    lock::Lock,
    origin::Origin,
    providers::Providers,
    refresh::Refresh,
    report::Format,
    restore::Restore,
    show::Show,
    sources::Sources,
};
use crate::{
    config::{environment::Environment, read::Flags},
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
        /// TOML file with settings; the demo has sources and a database of its own
        #[arg(long, value_name = "FILE")]
        config: Option<String>,
        /// Keep the database in this file, which must not exist yet
        #[arg(long, value_name = "FILE")]
        database: Option<PathBuf>,
        /// How the log is written: human or json (MODEL_CATALOG_LOG_FORMAT, default human on a terminal, else json)
        #[arg(long, value_name = "FORMAT")]
        log_format: Option<String>,
    },
    /// List the models
    #[command(
        after_help = "Examples:\n  model-catalog list -q claude\n  model-catalog list --capability tools --ids\n  model-catalog list --at 2026-11-01 --url http://127.0.0.1:8484"
    )]
    List(List),
    /// Show everything known of one model: its fields, its history, why it is listed or not
    Show(Show),
    /// Show how each source is doing
    Sources(Sources),
    /// Show what changed
    #[command(
        after_help = "Examples:\n  model-catalog changes --since 30d --event removed\n  model-catalog changes --since 2026-11-01 --source openai"
    )]
    Changes(Changes),
    /// Compare the lists of two times
    #[command(
        after_help = "Examples:\n  model-catalog diff 2026-11-01\n  model-catalog diff 2026-11-01 2026-11-15"
    )]
    Diff(Diff),
    /// Make a running catalog fetch its sources now
    Refresh(Refresh),
    /// Record models as they are listed now, for `check`
    Lock(Lock),
    /// Report locked models that are gone, retiring or smaller
    Check(Check),
    /// Write a consistent copy of the database, also while a service runs on it
    #[command(
        after_help = "Examples:\n  model-catalog backup catalog-2026-11-26.sqlite\n  model-catalog backup copy.sqlite --force --url http://127.0.0.1:8484"
    )]
    Backup(Backup),
    /// Put a copy in the place of the database, which is kept under another name
    Restore(Restore),
    /// Check the settings, or print an example of them
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look once at everything that the catalog depends on, and say what to do about what is wrong
    Doctor(Doctor),
    /// List the providers that only need a key, and which of them are on
    Providers(Providers),
    /// Say whether a running catalog is well (for health checks; exit code 2 when it is not)
    Health(Health),
    /// Print completions for a shell
    Completions(Completions),
    /// Print a manual page
    Man(Man),
    /// Print the OpenAPI document that a running catalog answers at /openapi.json
    #[command(name = "openapi")]
    OpenApi(OpenApi),
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
    #[cfg(feature = "otlp")]
    log::traces::stop();
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
            Command::Demo {
                listen,
                config,
                database,
                log_format,
            } => {
                let settings = demo::settings(listen, config, &environment)?;
                serve::start_log(log_format, &environment)?;
                for warning in &settings.warnings {
                    tracing::warn!("{warning}");
                }
                let mut hangup = serve::hangup()?;
                let stopped = serve::stop_signal()?;
                let listener = serve::bind(&settings.listen).await?;
                let hung_up = async {
                    while hangup.recv().await.is_some() {
                        tracing::info!("SIGHUP: the demo has no settings to read again");
                    }
                    std::future::pending::<Infallible>().await
                };
                tokio::select! {
                    ended = demo::run(settings.config, listener, database, stopped) => ended?,
                    never = hung_up => match never {},
                }
            }
            Command::List(list) => return list.run(&environment).await,
            Command::Show(show) => return show.run(&environment).await,
            Command::Sources(sources) => return sources.run(&environment).await,
            Command::Changes(changes) => return changes.run(&environment).await,
            Command::Diff(diff) => return diff.run(&environment).await,
            Command::Refresh(refresh) => return refresh.run(&environment).await,
            Command::Lock(lock) => return lock.run(&environment).await,
            Command::Check(check) => return check.run(&environment).await,
            Command::Backup(backup) => return backup.run(&environment).await,
            Command::Restore(restore) => return restore.run(&environment).await,
            Command::Config(config) => return config.run(&environment),
            Command::Doctor(doctor) => return doctor.run(&environment).await,
            Command::Providers(providers) => return providers.run(&environment),
            Command::Health(health) => return health.run().await,
            Command::Completions(completions) => return completions.run(),
            Command::Man(man) => return man.run(),
            Command::OpenApi(openapi) => return openapi.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}
