//! Serving a catalog on a listener until shutdown. Cuts off slow clients and limits the number of
//! connections.

mod fair;

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tower::Service;

use self::fair::FairStream;
use crate::{
    api,
    catalog::{Catalog, StartError},
    config::{Config, source::SourceConfig},
    model::source::SourceName,
    web,
};

/// How long in-flight requests may take to finish at shutdown.
const DRAIN: Duration = Duration::from_millis(2500);
/// The memory that the system holds for a client that does not read, in bytes; Linux takes it twice.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// The largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// The most connections at a time; further ones wait in the backlog.
const MAX_CONNECTIONS: u64 = 16_384;
/// Open files reserved for everything but clients, unless that is more than half of them.
const OTHER_FILES: u64 = 256;
/// The pause after a failed accept (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the service stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The catalog cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A source points at this service, which would then list its own list.
    #[error("`{name}` is this catalog itself, at {own}: correct its base URL, or listen elsewhere")]
    Itself {
        /// The source.
        name: SourceName,
        /// The address that the service listens on.
        own: SocketAddr,
    },
    /// The listener has no address.
    #[error("cannot serve: {0}")]
    Listener(#[from] io::Error),
}

/// Runs the whole service: starts the catalog, serves it on `listener` until `shutdown` ends, then
/// stops it. Stopping takes less than 5 s.
pub async fn run(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    run_beside(config, listener, shutdown, |_, _| std::future::pending()).await
}

/// The settings of a catalog that listens at `own`. Discovery must not probe that listener. Fails when a
/// source points at it.
pub(crate) fn fit(mut config: Config, own: SocketAddr) -> Result<Config, RunError> {
    config.discovery_ports.retain(|port| *port != own.port());
    let itself = |source: &&SourceConfig| source.is_on_loopback_port(own.port());
    match config.sources.iter().find(itself) {
        Some(source) => Err(RunError::Itself {
            name: source.name.clone(),
            own,
        }),
        None => Ok(config),
    }
}

/// The same as [`run`], with what `beside` makes of the catalog and its address running for as long.
pub(crate) async fn run_beside<F>(
    config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    beside: impl FnOnce(Catalog, SocketAddr) -> F,
) -> Result<(), RunError>
where
    F: Future<Output = Infallible> + Send + 'static,
{
    let own = listener.local_addr()?;
    let config = fit(config, own)?;
    if !own.ip().to_canonical().is_loopback() && config.keys.is_empty() {
        tracing::warn!(
            "listening on {own} without keys: whoever reaches that address may read the catalog; set [[keys]], or listen on 127.0.0.1"
        );
    }
    let mut shutdown = Box::pin(shutdown);
    // The start may wait for another process's lock, so shutdown must be able to end it.
    let catalog = tokio::select! {
        catalog = Catalog::start(config) => catalog?,
        () = &mut shutdown => return Ok(()),
    };
    tracing::info!("serving: GET http://{own}/v1/models; for people: http://{own}/");
    let beside = tokio::spawn(beside(catalog.clone(), own));
    serve(catalog, listener, shutdown).await;
    beside.abort();
    Ok(())
}

/// Serves `catalog` over HTTP/1.1 on `listener` until `shutdown` ends, gives in-flight requests 2.5
/// s to finish, then stops the catalog.
pub async fn serve(
    catalog: Catalog,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let connections = Connections {
        client_timeout: catalog.client_timeout(),
        service: api::application(
            catalog.clone(),
            listener.local_addr().ok(),
            web::pages(&catalog),
        )
        .into_make_service_with_connect_info(),
        under_way: GracefulShutdown::new(),
        slots: Arc::new(Semaphore::new(connection_limit())),
    };
    // Accepted connections inherit it.
    if let Err(error) = SockRef::from(&listener).set_send_buffer_size(SEND_BUFFER_BYTES) {
        tracing::debug!(%error, "cannot limit the send buffers");
    }
    tokio::select! {
        () = shutdown => {}
        never = connections.accept(&listener) => match never {},
    }
    // Refuses new clients from here on, so that they try elsewhere.
    drop(listener);
    catalog.end_waits();
    if timeout(DRAIN, connections.under_way.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("cutting off requests that did not finish in time");
    }
    catalog.stop().await;
}

/// The most clients at a time: the open-file limit, raised as far as possible, less our own files.
fn connection_limit() -> usize {
    let files =
        rlimit::increase_nofile_limit(MAX_CONNECTIONS + OTHER_FILES).unwrap_or(OTHER_FILES * 2);
    connections_with(files)
}

/// The most clients at a time with an open-file limit of `files`.
fn connections_with(files: u64) -> usize {
    let others = OTHER_FILES.min(files / 2);
    let limit = (files - others).clamp(1, MAX_CONNECTIONS);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

struct Connections {
    client_timeout: Duration,
    service: IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
    under_way: GracefulShutdown,
    slots: Arc<Semaphore>,
}

impl Connections {
    async fn accept(&self, listener: &TcpListener) -> Infallible {
        loop {
            // The semaphore is never closed; if it were, the next turn would fail the same way.
            let Ok(slot) = self.slots.clone().acquire_owned().await else {
                continue;
            };
            match listener.accept().await {
                Ok((stream, peer)) => self.start(stream, peer, slot),
                Err(error) => {
                    tracing::debug!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, peer: SocketAddr, slot: OwnedSemaphorePermit) {
        // The last piece of an answer does not wait until the client has acknowledged the others. Where
        // the system refuses, answers are only later.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(FairStream::new(stream));
        stream.set_write_timeout(Some(self.client_timeout));
        let client_timeout = self.client_timeout;
        let mut make_service = self.service.clone();
        let watcher = self.under_way.watcher();
        tokio::spawn(async move {
            let service = match make_service.call(peer).await {
                Ok(service) => TowerToHyperService::new(service),
                Err(never) => match never {},
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(client_timeout)
                .max_buf_size(MAX_HEAD_BYTES)
                .serve_connection(TokioIo::new(Box::pin(stream)), service);
            // Disconnects and cut-offs are the client's business: trace level.
            if let Err(error) = watcher.watch(connection).await {
                tracing::trace!(%error, "a connection ended early");
            }
            drop(slot);
        });
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::hardly_any(1, 1)]
    #[case::few(64, 32)]
    #[case::usual(1024, 768)]
    #[case::many(1 << 20, 16_384)]
    fn connections_follow_the_limit_of_files(#[case] files: u64, #[case] connections: usize) {
        assert_eq!(connections_with(files), connections);
    }
}
