//! Deletes history past its retention.

use std::{sync::Arc, time::Duration};

use crate::{catalog::shared::Shared, config::Retention};

/// Time between two runs.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Prunes at the start and every hour until the catalog stops.
pub async fn run(shared: Arc<Shared>, retention: Retention) {
    let prune = async {
        loop {
            let now = shared.clock.now();
            let events_from = retention.events.map(|kept| now.plus(-kept));
            let attempts_from = now.plus(-retention.attempts);
            match shared.store.prune(events_from, attempts_from).await {
                Ok(0) => {}
                Ok(events) => {
                    tracing::info!(events, "deleted {events} events older than keep_events");
                }
                // Keeping more loses nothing; the next run is in an hour.
                Err(error) => {
                    tracing::warn!("cannot delete history past its retention: {error}");
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _ = shared.stop.run_until_cancelled(prune).await;
}
