//! Discovery of local servers: probes the well-known loopback ports at the start and every minute,
//! without keys and without log noise. A server it finds becomes an ordinary endpoint.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{
        members::Members,
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    config::source::SourceConfig,
    provider::{self, Known},
};

/// Time between two probes.
const INTERVAL: Duration = Duration::from_secs(60);
/// Time limit for a port to answer; it is on this machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Time limit of a look at all ports. Adding a source may wait for another process's lock.
const LIMIT: Duration = Duration::from_secs(120);

/// The candidate endpoints on `ports`, except those that a configured source covers.
pub fn candidates(ports: &[u16], configured: &[SourceConfig]) -> Vec<SourceConfig> {
    ports
        .iter()
        .filter(|port| {
            !configured
                .iter()
                .any(|source| source.is_on_loopback_port(**port))
        })
        .filter_map(|port| SourceConfig::discovered(*port).ok())
        .filter(|candidate| {
            !configured
                .iter()
                .any(|source| source.name == candidate.name)
        })
        .collect()
}

/// Probes those of `candidates` that are no sources yet, until the catalog stops.
pub async fn run(
    supervised: Supervised,
    shared: Arc<Shared>,
    members: Arc<Members>,
    candidates: Arc<Vec<SourceConfig>>,
) -> Result<(), TookTooLong> {
    let probe = async {
        loop {
            let step = async {
                for candidate in &*candidates {
                    let is_known = members.find(&candidate.name).is_some();
                    if !is_known && answers(&shared, candidate).await {
                        add(&shared, &members, candidate).await;
                    }
                }
            };
            supervised.step(LIMIT, step).await?;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let stop = &supervised.stop;
    stop.run_until_cancelled(probe).await.unwrap_or(Ok(()))
}

async fn answers(shared: &Shared, candidate: &SourceConfig) -> bool {
    let now = shared.clock.now();
    let known = Known::default();
    let fetched = provider::fetch(&shared.clients, candidate, known, ANSWER_LIMIT, now).await;
    if let Err(error) = &fetched {
        tracing::trace!(provider = %candidate.name, %error, "no local server found");
    }
    fetched.is_ok()
}

async fn add(shared: &Arc<Shared>, members: &Members, candidate: &SourceConfig) {
    let name = &candidate.name;
    match members.add(shared, candidate.clone()).await {
        Ok(()) => {
            tracing::info!(provider = %name, "found a local server: listing its models under {name}");
        }
        Err(error) => {
            tracing::warn!(provider = %name, "found a local server, but cannot add it: {error}");
        }
    }
}
