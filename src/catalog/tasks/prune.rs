//! Forgetting, now and then, what is older than it is to be kept.

use std::{sync::Arc, time::Duration};

use crate::{catalog::shared::Shared, config::Retention};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Looks at the start and each hour until the catalog stops.
pub async fn run(shared: Arc<Shared>, retention: Retention) {
    let look = async {
        loop {
            match shared.store.prune(retention, shared.clock.now()).await {
                Ok(0) => {}
                Ok(events) => {
                    tracing::info!(
                        events,
                        "{events} events older than keep_events were forgotten"
                    );
                }
                // It is looked again in an hour: nothing is lost by keeping more.
                Err(error) => tracing::warn!("what is old could not be forgotten: {error}"),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    let _ = shared.stop.run_until_cancelled(look).await;
}
