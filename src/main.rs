//! The binary: reads the command line and the settings, starts the log, binds, and runs the library.

use std::{io::IsTerminal, process::ExitCode};

use clap::{Parser, Subcommand};
use model_catalog::{DEFAULT_LISTEN, Environment, Flags, Settings, cli, demo};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// One durable list of every model you can call, at GET /v1/models.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the catalog (also without any command)
    Serve(Flags),
    /// Serve made-up models of stand-in providers, to look around without a key
    Demo {
        /// Address to listen on
        #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_LISTEN)]
        listen: String,
    },
    /// Write down models as they are listed now, for `check`
    Lock(cli::Lock),
    /// Say which of the models written down have gone, are retiring or have become smaller
    Check(cli::Check),
    /// List the providers that need nothing but a key, and which of them are on
    Providers(cli::Providers),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("model-catalog: {error}");
            ExitCode::from(2)
        }
    }
}

async fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let environment = Environment::of_process();
    match cli.command.unwrap_or(Command::Serve(cli.flags)) {
        Command::Serve(flags) => {
            let settings = Settings::read(&flags, &environment)?;
            start_log(&environment)?;
            for warning in &settings.warnings {
                tracing::warn!("{warning}");
            }
            let stopped = stop_signal()?;
            let listener = bind(&settings.listen).await?;
            model_catalog::run(settings.config, listener, stopped).await?;
        }
        Command::Demo { listen } => {
            start_log(&environment)?;
            let stopped = stop_signal()?;
            let listener = bind(&listen).await?;
            demo::run(listener, stopped).await?;
        }
        Command::Lock(lock) => return lock.run(&environment).await,
        Command::Check(check) => return check.run(&environment).await,
        Command::Providers(providers) => return providers.run(&environment),
    }
    Ok(ExitCode::SUCCESS)
}

fn start_log(environment: &Environment) -> anyhow::Result<()> {
    let directives = environment
        .get("RUST_LOG")
        .unwrap_or_else(|| "info".to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        anyhow::anyhow!("RUST_LOG is not a log filter ({error}): set it to info or debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    Ok(())
}

async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot listen on {address}: {error}; stop what listens there, or set MODEL_CATALOG_LISTEN (or --listen) to another host:port"
        )
    })
}

/// Ends at SIGTERM or SIGINT. Made after the settings have been read (a read may wait, and a signal
/// then simply ends the process) and before the catalog starts.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests under way may end, nothing new is asked");
    })
}
