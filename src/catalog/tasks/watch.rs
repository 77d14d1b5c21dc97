//! Watching models in the service, as `model-catalog check` does from outside: a change of what is
//! wrong with one is logged, counted and told to webhooks.

use std::sync::Arc;

use tokio::{sync::Notify, time::Duration};

use crate::{
    catalog::shared::Shared,
    lock::{verdict::Verdict, watch::Watch},
    store::error::StoreError,
};

/// How often dates are looked at, when nothing changes.
const INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the start, after each change and each minute, until the catalog stops.
pub async fn run(shared: Arc<Shared>, watch: Arc<Watch>, wake: Arc<Notify>) {
    let mut revisions = shared.revisions();
    let look = async {
        loop {
            if let Err(error) = look(&shared, &watch).await {
                // Looked at again in a minute.
                tracing::warn!("the watched models cannot be looked at: {error}");
            }
            tokio::select! {
                () = wake.notified() => {}
                // An error is a catalog that is gone.
                changed = revisions.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    };
    let _ = shared.stop.run_until_cancelled(look).await;
}

async fn look(shared: &Shared, watch: &Watch) -> Result<(), StoreError> {
    let (snapshot, now) = (shared.snapshot.load_full(), shared.clock.now());
    for verdict in watch.verdicts(&snapshot, now)? {
        let Verdict { id, problems, .. } = &verdict;
        if !shared.store.record_watched(id, problems, now).await? {
            continue;
        }
        let messages: Vec<&str> = problems
            .iter()
            .map(|problem| problem.message.as_str())
            .collect();
        if messages.is_empty() {
            tracing::info!(model = %id, "watched model {id} is fine again");
        } else {
            tracing::warn!(model = %id, "watched model {id}: {}", messages.join("; "));
        }
        shared.alerted.send_replace(());
    }
    Ok(())
}
