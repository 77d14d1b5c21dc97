//! An axum application of your own that mounts the catalog beside its other routes.
//!
//! `cargo run --example embed -- 127.0.0.1:3000 http://127.0.0.1:11434`, then
//! `curl http://127.0.0.1:3000/v1/models`.

use std::net::SocketAddr;

use axum::{Router, routing::get};
use model_catalog::{Catalog, Config, SourceConfig};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(local_server)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: embed HOST:PORT URL-OF-A-LOCAL-SERVER");
    };
    let mut config = Config::new("sqlite://embedded.db")?;
    config
        .sources
        .push(SourceConfig::endpoint("box", &local_server)?);
    let interrupted = async {
        // Without a handler the process ends at once, which loses nothing either.
        let _ = tokio::signal::ctrl_c().await;
    };
    run(config, TcpListener::bind(&listen).await?, interrupted).await
}

/// Serves the application on `listener` until `stop` ends.
pub async fn run(
    config: Config,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let catalog = Catalog::start(config).await?;
    let app = Router::new()
        .route("/hello", get(async || "hello"))
        .merge(catalog.router())
        // Or below a path of its own: GET /llm/v1/models.
        .nest("/llm", catalog.router())
        .fallback(async || "a page of your own");
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(stop)
    .await?;
    catalog.stop().await;
    Ok(())
}
