//! One durable list of every model that you can call.
//!
//! The catalog fetches model lists from cloud providers and local inference servers, keeps them in
//! SQLite with their history, and serves the merged list at `GET /v1/models`. Data flows one way:
//!
//! ```text
//! a source's pages → provider (parse) → guard → enrichment, rules → store (diff, commit)
//!     → snapshot (bytes) → api (send)
//! ```
//!
//! [`run`] is the whole service. To mount the catalog in another axum application, use
//! [`Catalog::start`] and [`Catalog::router`]:
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
mod config;
#[doc(hidden)]
pub mod fuzzing;
mod ingest;
mod lock;
mod log;
mod metrics;
mod model;
mod provider;
mod server;
mod snapshot;
mod store;
mod web;

pub use crate::{
    catalog::{Catalog, StartError, reconfigure::Reconfigured, tasks::refresh::RefreshOutcome},
    cli::demo,
    config::{
        Config, DISCOVERY_PORTS, OnStep, PresetState, PresetStatus, Retention, Unconfigured,
        cors::CorsOrigins,
        environment::Environment,
        error::ConfigError,
        hosts::AllowedHosts,
        keys::ClientKey,
        read::{DEFAULT_LISTEN, Flags, Settings},
        source::{ENDPOINT_MAX_STALE, ENDPOINT_TTL, PROVIDER_TTL, SourceConfig},
        webhook::WebhookConfig,
    },
    lock::watch::Watch,
    model::event::Counts,
    model::{
        fetch::{ErrorKind, FetchError},
        source::{BadSourceName, Kind, Role, SourceName},
        time::{Clock, Timestamp},
    },
    server::{RunError, run, serve},
    store::error::StoreError,
};
