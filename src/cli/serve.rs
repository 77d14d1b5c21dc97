//! `model-catalog serve`: reads the settings, starts the log, binds, and serves until a signal.

use std::io::ErrorKind;

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    config::{
        environment::Environment,
        read::{DEFAULT_LISTEN, Flags, Settings},
    },
    log, server,
};

/// Serves until SIGTERM or SIGINT. SIGHUP ends nothing.
pub(super) async fn serve(flags: &Flags, environment: &Environment<'_>) -> anyhow::Result<()> {
    // From the first moment on it ends nothing; `stop_signal` logs it.
    let _hangup = signal(SignalKind::hangup())?;
    let settings = Settings::read(flags, environment)?;
    start_log(flags.log_format.clone(), environment)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let stopped = stop_signal()?;
    let listener = bind(&settings.listen).await?;
    server::run(settings.config, listener, stopped).await?;
    Ok(())
}

/// Starts the log in the `format` of the flag, or of the environment.
pub(super) fn start_log(format: Option<String>, environment: &Environment) -> anyhow::Result<()> {
    let directives = environment
        .get("RUST_LOG")
        .unwrap_or_else(|| "info".to_owned());
    let format = format.or_else(|| environment.get("MODEL_CATALOG_LOG_FORMAT"));
    let format = log::Format::find(format.as_deref()).ok_or_else(|| {
        anyhow::anyhow!("--log-format (MODEL_CATALOG_LOG_FORMAT) must be human or json")
    })?;
    log::start(&directives, format).map_err(|error| {
        anyhow::anyhow!("RUST_LOG is not a log filter ({error}): set it to info or debug")
    })
}

/// Listens on `address`. The error says what to do about it.
pub(super) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    const SET: &str = "set MODEL_CATALOG_LISTEN (or --listen) to";
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => {
                format!("stop the program that uses it, or {SET} another host:port")
            }
            ErrorKind::AddrNotAvailable => {
                format!("{SET} an address of this machine, such as 127.0.0.1:8484 or 0.0.0.0:8484")
            }
            ErrorKind::PermissionDenied => format!("{SET} a port from 1024 on"),
            _ => format!("{SET} host:port, such as {DEFAULT_LISTEN}"),
        };
        anyhow::anyhow!("cannot listen on {address}: {error}; {advice}")
    })
}

/// Completes at SIGTERM or SIGINT; logs SIGHUP, which would end the process otherwise. Created after
/// the settings are read (a read may block, and until then a signal should simply end the process)
/// and before the catalog starts.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP changes nothing: settings are read at the start only");
                }
            }
        }
        tracing::info!("shutting down: finishing in-flight requests");
    })
}
