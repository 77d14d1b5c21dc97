//! Watches models inside the service, as `model-catalog check` does from outside. Logs and counts
//! each change of a model's problems and alerts webhooks.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::{
        current::Current,
        listed::find_listed,
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    lock::{verdict::Verdict, watch::Watch},
    model::{names::ModelKey, source::SourceName, state::SourceState, time::Timestamp},
    store::error::StoreError,
};

/// How often to check dates when nothing changes.
const INTERVAL: Duration = Duration::from_secs(60);
/// Time limit of a check: a write per model, each of which may wait for another process.
const LIMIT: Duration = Duration::from_secs(300);

/// Checks at the start, after each change and every minute, until the catalog stops.
pub async fn run(
    supervised: Supervised,
    shared: Arc<Shared>,
    watch: Arc<Watch>,
    wake: Arc<Notify>,
) -> Result<(), TookTooLong> {
    let mut polled = shared.polled();
    let check_all = async {
        loop {
            if let Err(error) = supervised.step(LIMIT, check(&shared, &watch)).await? {
                // The next check is in a minute.
                tracing::warn!("cannot check the watched models: {error}");
            }
            tokio::select! {
                () = wake.notified() => {}
                // An error means that the catalog is gone.
                changed = polled.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(INTERVAL) => {}
            }
        }
    };
    let stop = &supervised.stop;
    stop.run_until_cancelled(check_all).await.unwrap_or(Ok(()))
}

async fn check(shared: &Shared, watch: &Watch) -> Result<(), StoreError> {
    let (current, now) = (shared.current.load_full(), shared.clock.now());
    if current.sources.process != shared.store.process() {
        // Of several processes with different settings, one raises alerts.
        return Ok(());
    }
    let everything = current.visibility(Arc::default());
    for verdict in verdicts(watch, &current, now) {
        let Verdict { id, problems, .. } = &verdict;
        let listed_by: Vec<&SourceName> = current
            .snapshot
            .find(id)
            .map(|model| model.sources().collect())
            .unwrap_or_default();
        let is_news = shared
            .store
            .record_watched(id, problems, &listed_by, &everything.keys_of(id))
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

/// The verdict on each watched model, from the list in `current` at `now`. Leaves out a missing model
/// while a source that may have it has never answered.
pub fn verdicts(watch: &Watch, current: &Current, now: Timestamp) -> Vec<Verdict> {
    let everything = current.visibility(Arc::default());
    let has_answered = |key: &ModelKey| {
        let source = current.find_source(&key.source);
        source.is_none_or(SourceState::has_answered)
    };
    let is_known = |id: &str| everything.keys_of(id).iter().all(has_answered);
    watch.verdicts(|id| find_listed(&current.snapshot, id), is_known, now)
}
