//! Discovery of local servers: probes the well-known loopback ports at the start and every minute,
//! without keys and without log noise. A server it finds becomes an ordinary endpoint.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{members::Members, shared::Shared},
    config::source::SourceConfig,
    provider::{self, Known},
};

/// Time between two probes.
const INTERVAL: Duration = Duration::from_secs(60);
/// Time limit for a port to answer; it is on this machine.
const LIMIT: Duration = Duration::from_secs(2);

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

/// Probes `candidates` until all are found or the catalog stops.
pub async fn run(shared: Arc<Shared>, members: Arc<Members>, mut candidates: Vec<SourceConfig>) {
    let probe = async {
        while !candidates.is_empty() {
            let mut unseen = Vec::new();
            for candidate in candidates {
                if !answers(&shared, &candidate).await || !add(&shared, &members, &candidate).await
                {
                    unseen.push(candidate);
                }
            }
            candidates = unseen;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _ = shared.stop.run_until_cancelled(probe).await;
}

async fn answers(shared: &Shared, candidate: &SourceConfig) -> bool {
    let now = shared.clock.now();
    let fetched = provider::fetch(&shared.clients, candidate, Known::default(), LIMIT, now).await;
    if let Err(error) = &fetched {
        tracing::trace!(provider = %candidate.name, %error, "no local server found");
    }
    fetched.is_ok()
}

async fn add(shared: &Arc<Shared>, members: &Members, candidate: &SourceConfig) -> bool {
    let name = &candidate.name;
    match members.add(shared, candidate.clone()).await {
        Ok(()) => {
            tracing::info!(provider = %name, "found a local server: listing its models under {name}");
            true
        }
        Err(error) => {
            tracing::warn!(provider = %name, "found a local server, but cannot add it: {error}");
            false
        }
    }
}
