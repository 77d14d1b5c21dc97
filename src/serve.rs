//! Serving a catalog on a listener until it is told to stop.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{Catalog, Config, StartError};

/// How long requests under way may take to end at a stop.
const DRAIN: Duration = Duration::from_millis(2500);

/// Why the service ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The catalog cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The listener failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] io::Error),
}

/// The whole service: starts the catalog, serves it on `listener` until `shutdown` ends, then
/// stops it. Stopping takes less than 5 s.
pub async fn run(
    mut config: Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RunError> {
    // Discovery never asks our own listener.
    let own = listener.local_addr()?;
    config.discovery_ports.retain(|port| *port != own.port());
    let catalog = Catalog::start(config).await?;
    tracing::info!("serving: GET http://{own}/v1/models");
    Ok(serve(catalog, listener, shutdown).await?)
}

/// Serves `catalog` on `listener` until `shutdown` ends, lets requests under way end (for 2.5 s at
/// most), and stops the catalog.
pub async fn serve(
    catalog: Catalog,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let draining = CancellationToken::new();
    let signal = {
        let draining = draining.clone();
        async move {
            shutdown.await;
            draining.cancel();
        }
    };
    let service = crate::api::application(catalog.clone())
        .into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, service).with_graceful_shutdown(signal);
    let drained = async {
        draining.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    let served = tokio::select! {
        served = async { serving.await } => served,
        () = drained => Ok(()),
    };
    catalog.stop().await;
    served
}
