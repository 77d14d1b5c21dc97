//! Finding local servers: the well-known loopback ports are asked at start and each minute,
//! without keys, quietly. What is found becomes an endpoint like any other.

use std::time::Duration;

use crate::{catalog::Catalog, config::source::SourceConfig, provider};

/// How often the ports are looked at.
const INTERVAL: Duration = Duration::from_secs(60);
/// How long a port has to answer: it is on this machine.
const LIMIT: Duration = Duration::from_secs(2);

/// The endpoints that may be found on `ports`: those that no configured source covers.
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

/// Looks for `candidates` until all are found or the catalog stops.
pub async fn run(catalog: Catalog, mut candidates: Vec<SourceConfig>) {
    let shared = catalog.shared().clone();
    let look = async {
        while !candidates.is_empty() {
            let mut unseen = Vec::new();
            for candidate in candidates {
                if !is_there(&catalog, &candidate).await || !add(&catalog, &candidate).await {
                    unseen.push(candidate);
                }
            }
            candidates = unseen;
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _ = shared.stop.run_until_cancelled(look).await;
}

async fn is_there(catalog: &Catalog, candidate: &SourceConfig) -> bool {
    let fetched = provider::fetch(
        &catalog.shared().clients,
        candidate,
        None,
        None,
        LIMIT,
        catalog.now(),
    )
    .await;
    if let Err(error) = &fetched {
        tracing::trace!(provider = %candidate.name, %error, "no local server found");
    }
    fetched.is_ok()
}

async fn add(catalog: &Catalog, candidate: &SourceConfig) -> bool {
    let name = &candidate.name;
    match catalog.add_source(candidate.clone()).await {
        Ok(()) => {
            tracing::info!(provider = %name, "found a local server: its models are listed as those of {name}");
            true
        }
        Err(error) => {
            tracing::warn!(provider = %name, "a local server was found and cannot be added: {error}");
            false
        }
    }
}
