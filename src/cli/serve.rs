//! `model-catalog serve`: reads the settings, starts the log, binds, and serves until a signal.

use std::{io::ErrorKind, path::PathBuf};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{
    manager,
    reload::{FileState, Reloads},
};
use crate::{
    config::{
        environment::Environment,
        read::{DEFAULT_LISTEN, Flags, Settings, settings_file},
    },
    log, server,
};

/// Serves until SIGTERM or SIGINT. SIGHUP makes it read its settings again.
pub(super) async fn serve(flags: &Flags, environment: &Environment<'_>) -> anyhow::Result<()> {
    // From the first moment on it does not end the process.
    let hangup = hangup()?;
    let file = settings_file(flags, environment).map(PathBuf::from);
    // Before it is read, so that no change after that is missed.
    let known = FileState::of(file.as_deref());
    let settings = Settings::read(flags, environment)?;
    start_log(flags.log_format.clone(), environment)?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let stopped = stop_signal()?;
    let listener = bind(&settings.listen).await?;
    let reloads = Reloads {
        flags: flags.clone(),
        listen: settings.listen,
        file,
        known,
        waiting: Vec::new(),
        hangup,
    };
    server::run_beside(settings.config, listener, stopped, |catalog, own| {
        let attending = manager::attend(catalog.clone());
        let following = reloads.follow(catalog, own);
        async move {
            tokio::select! {
                never = attending => never,
                never = following => never,
            }
        }
    })
    .await?;
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
    log::start(&directives, format, traces(environment)?).map_err(|error| {
        anyhow::anyhow!("RUST_LOG is not a log filter ({error}): set it to info or debug")
    })
}

/// The variables that name an OpenTelemetry collector.
const COLLECTORS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Where traces go; none unless the environment names a collector.
fn traces(environment: &Environment) -> anyhow::Result<Option<log::FurtherLayer>> {
    let is_disabled = environment.get("OTEL_SDK_DISABLED");
    let is_disabled = is_disabled.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let named = COLLECTORS
        .into_iter()
        .find(|name| environment.get(name).is_some());
    match named.filter(|_| !is_disabled) {
        None => Ok(None),
        #[cfg(feature = "otlp")]
        Some(name) => {
            use tracing_subscriber::Layer;
            let is_named = environment.get("OTEL_SERVICE_NAME").is_some();
            let layer = log::traces::layer(is_named)
                .map_err(|error| anyhow::anyhow!("{name} cannot be used: {error}"))?;
            Ok(Some(layer.boxed()))
        }
        #[cfg(not(feature = "otlp"))]
        Some(name) => {
            let warning = format!(
                "model-catalog: {name} is set, but this build sends no traces: build it with --features otlp"
            );
            log::say(&warning);
            Ok(None)
        }
    }
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

/// The SIGHUPs, which would end the process otherwise.
pub(super) fn hangup() -> anyhow::Result<Signal> {
    Ok(signal(SignalKind::hangup())?)
}

/// Completes at SIGTERM or SIGINT. Created after the settings are read (a read may block, and until then a signal should simply end the process)
/// and before the catalog starts.
pub(super) fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        manager::say_stopping();
        tracing::info!("shutting down: finishing in-flight requests");
    })
}
