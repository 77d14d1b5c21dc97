//! Watching models in the service, as `model-catalog check` does from outside: a change of what is wrong
//! with one is logged, counted and sent to webhooks.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::{current::Current, listed::find_listed, shared::Shared},
    lock::{verdict::Verdict, watch::Watch},
    model::{source::SourceName, time::Timestamp},
    store::error::StoreError,
};

/// How often dates are looked at, when nothing changes.
const INTERVAL: Duration = Duration::from_secs(60);

/// Looks at the start, after each change and each minute, until the catalog stops.
pub async fn run(shared: Arc<Shared>, watch: Arc<Watch>, wake: Arc<Notify>) {
    let mut polled = shared.polled();
    let look = async {
        loop {
            if let Err(error) = look(&shared, &watch).await {
                // The next look is in a minute.
                tracing::warn!("cannot check the watched models: {error}");
            }
            tokio::select! {
                () = wake.notified() => {}
                // An error is a catalog that is gone.
                changed = polled.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    };
    let _ = shared.stop.run_until_cancelled(look).await;
}

async fn look(shared: &Shared, watch: &Watch) -> Result<(), StoreError> {
    let (current, now) = (shared.current.load_full(), shared.clock.now());
    for verdict in verdicts(watch, &current, now) {
        let Verdict { id, problems, .. } = &verdict;
        let listed_by: Vec<&SourceName> = current
            .snapshot
            .find(id)
            .map(|model| model.sources().collect())
            .unwrap_or_default();
        let is_news = shared
            .store
            .record_watched(id, problems, &listed_by, now)
            .await?;
        if !is_news {
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

/// What has become of each watched model, by what `current` lists at `now`. Missing models are left out
/// while a source has never answered: they may be that source's.
pub fn verdicts(watch: &Watch, current: &Current, now: Timestamp) -> Vec<Verdict> {
    let is_complete = current.list_missing().next().is_none();
    watch.verdicts(|id| find_listed(&current.snapshot, id), is_complete, now)
}
