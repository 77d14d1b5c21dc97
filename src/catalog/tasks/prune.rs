//! Deletes history past its retention.

use std::{sync::Arc, time::Duration};

use crate::{
    catalog::{
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    config::Retention,
};

/// Time between two runs.
const INTERVAL: Duration = Duration::from_secs(3600);
/// Time limit of a run, which may have years to delete.
const LIMIT: Duration = Duration::from_secs(1800);

/// Prunes at the start and every hour until the catalog stops.
pub async fn run(
    supervised: Supervised,
    shared: Arc<Shared>,
    retention: Retention,
) -> Result<(), TookTooLong> {
    let prune = async {
        loop {
            let now = shared.clock.now();
            let events_from = retention.events.map(|kept| now.plus(-kept));
            let attempts_from = now.plus(-retention.attempts);
            let step = shared.store.prune(events_from, attempts_from);
            match supervised.step(LIMIT, step).await? {
                Ok(0) => {}
                Ok(events) => {
                    shared.remembered.forget_past();
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
    let stop = &supervised.stop;
    stop.run_until_cancelled(prune).await.unwrap_or(Ok(()))
}
