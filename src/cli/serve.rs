//! `model-catalog serve`: reads the settings, starts the log, binds, and serves until a signal.

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    config::{
        environment::Environment,
        read::{Flags, Settings},
    },
    log, server,
};

/// Serves until SIGTERM or SIGINT.
pub(super) async fn serve(flags: &Flags, environment: &Environment<'_>) -> anyhow::Result<()> {
    let settings = Settings::read(flags, environment)?;
    start_log(environment)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let stopped = stop_signal()?;
    let listener = bind(&settings.listen).await?;
    server::run(settings.config, listener, stopped).await?;
    Ok(())
}

pub(super) fn start_log(environment: &Environment) -> anyhow::Result<()> {
    let directives = environment
        .get("RUST_LOG")
        .unwrap_or_else(|| "info".to_owned());
    log::start(&directives).map_err(|error| {
        anyhow::anyhow!("RUST_LOG is not a log filter ({error}): set it to info or debug")
    })
}

pub(super) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot listen on {address}: {error}; stop the program that uses it, or set MODEL_CATALOG_LISTEN (or --listen) to another host:port"
        )
    })
}

/// Completes at SIGTERM or SIGINT. Created after the settings are read (a read may block, and until
/// then a signal should simply end the process) and before the catalog starts.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down: finishing in-flight requests");
    })
}
