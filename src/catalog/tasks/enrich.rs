//! Asking the enrichment, the file that fills in what sources do not say, whenever it is due.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{
    catalog::shared::Shared,
    config::source::SourceConfig,
    ingest::schedule,
    model::{source::Role, time::Timestamp},
    provider,
    store::error::StoreError,
};

/// The longest sleep: a clock may jump, and another process may change the schedule.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Asks `source` whenever it is due until the catalog stops; `wake` has its schedule looked at.
pub async fn run(shared: Arc<Shared>, source: SourceConfig, wake: Arc<Notify>) {
    loop {
        if let Err(error) = step(&shared, &source).await {
            shared.record_database_error(&error);
        }
        let sleep = until_due(&shared);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// How long the schedule that we know lets us sleep.
fn until_due(shared: &Shared) -> Duration {
    let snapshot = shared.snapshot.load();
    // Another process has another one, or none.
    let Some(state) = &snapshot.enrichment else {
        return LONGEST_SLEEP;
    };
    let next = state.next_attempt_at;
    let wait = next.map_or(Duration::ZERO, |next| {
        next.since(shared.clock.now()).to_std().unwrap_or_default()
    });
    wait.clamp(Duration::from_secs(1), LONGEST_SLEEP)
}

/// Claim, fetch, commit, and let everybody see it.
async fn step(shared: &Shared, source: &SourceConfig) -> Result<(), StoreError> {
    let (store, now) = (&shared.store, shared.clock.now());
    let due = |shared: &Shared| {
        let snapshot = shared.snapshot.load();
        snapshot
            .enrichment
            .as_ref()
            .is_some_and(|state| state.is_due(now))
    };
    if !due(shared) || !store.claim_enrichment(source, now).await? {
        return Ok(());
    }
    let fetched = tokio::select! {
        biased;
        () = shared.stop.cancelled() => return store.release_enrichment(now).await,
        fetched = provider::fetch(&shared.clients, source, None, None, shared.fetch_timeout, now) => fetched,
    };
    let name = &source.name;
    let ended: Timestamp = shared.clock.now();
    match fetched {
        Ok(fetched) => {
            let entries = &fetched.listing.entries;
            let committed = store.commit_enrichment(source, now, entries, ended).await?;
            if let Some(counts) = committed {
                tracing::info!(
                    provider = %name, models = entries.len(), changed = counts.changed,
                    "{name} describes {} models: {} of ours changed", entries.len(), counts.changed
                );
            }
        }
        Err(error) => {
            let wait = |failures| {
                schedule::backoff(Role::Provider, failures, error.retry_after, fastrand::f64())
            };
            store.fail_enrichment(now, &error, wait, ended).await?;
            tracing::warn!(
                provider = %name, kind = error.kind.as_str(),
                "{name} gave no enrichment, what it said before stays: {}", error.message
            );
        }
    }
    shared.record_database_success();
    shared.reload().await
}
