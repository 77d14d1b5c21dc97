//! One durable list of every model that you can call.
//!
//! The catalog asks cloud providers and local inference servers for their model lists, keeps what
//! they said in SQLite, and serves the merged list at `GET /v1/models`. Data flows one way:
//!
//! ```text
//! a source's pages → provider (parse) → guard → enrichment, rules → store (diff, commit)
//!     → snapshot (bytes) → api (send)
//! ```
//!
//! [`run`] is the whole service; [`Catalog::start`] and [`Catalog::router`] are for mounting it in
//! another axum application:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use model_catalog::{Catalog, Config, SourceConfig};
//!
//! let mut config = Config::new("sqlite://catalog.db")?;
//! config.sources.push(SourceConfig::endpoint("box", "http://127.0.0.1:11434")?);
//! let catalog = Catalog::start(config).await?;
//! let app: axum::Router = axum::Router::new().merge(catalog.router());
//! // … serve `app`, and at the end:
//! catalog.stop().await;
//! # Ok(())
//! # }
//! ```

mod api;
mod catalog;
pub mod cli;
mod closest;
mod config;
pub mod demo;
mod dialect;
mod diff;
mod discovery;
mod enrichment;
mod feed;
#[doc(hidden)]
pub mod fuzzing;
mod globs;
mod guard;
mod keys;
mod listed;
mod lockfile;
mod metrics;
mod misses;
mod model;
mod provider;
mod refresh;
mod retention;
mod rules;
mod schedule;
mod scope;
mod select;
mod sent;
mod serve;
mod shared;
mod snapshot;
mod store;
mod time;
mod verdict;
mod watch;
mod webhook;

pub use crate::{
    catalog::{Catalog, StartError},
    config::{
        Config, ConfigError, DEFAULT_LISTEN, DISCOVERY_PORTS, ENDPOINT_MAX_STALE, ENDPOINT_TTL,
        Environment, Flags, PROVIDER_TTL, Settings, SourceConfig, Unconfigured,
    },
    diff::Counts,
    keys::ClientKey,
    model::{BadSourceName, Kind, Role, SourceName},
    provider::{ErrorKind, FetchError},
    refresh::RefreshOutcome,
    serve::{RunError, run, serve},
    store::{Retention, StoreError},
    time::{Clock, Timestamp},
    watch::Watch,
    webhook::WebhookConfig,
};

impl Catalog {
    /// The catalog's routes: `/v1/models`, `/v1beta/…`, `/catalog/…`, `/healthz`, `/readyz` and others.
    /// They have no fallback, so they merge with routes of your own. `POST /catalog/refresh` needs the peer's address: serve with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }
}
