//! Fetching the enrichment, the file that fills in what sources leave out, whenever it is due.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use super::refresh::{LONGEST_SLEEP, until_due};
use crate::{
    catalog::shared::Shared,
    config::source::SourceConfig,
    ingest::schedule::{self, ClaimMode},
    model::{fetch::Committed, state::Polling},
    provider,
    store::{commit::Attempt, error::StoreError},
};

/// The shortest sleep between two looks at the schedule.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Fetches `source` whenever it is due until the catalog stops; `wake` has its schedule looked at.
pub async fn run(shared: Arc<Shared>, source: SourceConfig, wake: Arc<Notify>) {
    loop {
        if let Err(error) = step(&shared, &source).await {
            shared.record_database_error(&error);
        }
        // Another process may have configured another one, or none.
        let sleep = polling(&shared).map_or(LONGEST_SLEEP, |polling| {
            until_due(&polling, shared.clock.now(), SHORTEST_SLEEP)
        });
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// The schedule that is known; none where another process has configured no enrichment.
fn polling(shared: &Shared) -> Option<Polling> {
    let current = shared.current.load();
    let enrichment = current.sources.enrichment.as_ref()?;
    Some(enrichment.polling.clone())
}

/// Claim, fetch, commit, and serve the result.
async fn step(shared: &Shared, source: &SourceConfig) -> Result<(), StoreError> {
    let (store, now) = (&shared.store, shared.clock.now());
    if !polling(shared).is_some_and(|polling| schedule::is_due(&polling, now)) {
        return Ok(());
    }
    let settings = source.settings();
    let Some(claim) = store.claim(&settings, ClaimMode::Due, now).await? else {
        return Ok(());
    };
    let began = Instant::now();
    let fetched = tokio::select! {
        biased;
        () = shared.stop.cancelled() => return store.release(&settings, &claim).await,
        fetched = provider::fetch(&shared.clients, source, None, None, shared.fetch_timeout, now) => fetched,
    };
    let models = fetched
        .as_ref()
        .map_or(0, |fetched| fetched.listing.entries.len());
    let attempt = Attempt {
        accept: false,
        duration: began.elapsed(),
        jitter: fastrand::f64(),
    };
    let name = &source.name;
    let changed = match store.commit(&settings, &claim, fetched, attempt).await? {
        Committed::Failed(error) => {
            tracing::warn!(
                provider = %name, kind = error.kind.as_str(),
                "{name} gave no enrichment; still using what it said before: {}", error.message
            );
            None
        }
        Committed::Changed(counts) => Some(counts.changed),
        Committed::Unchanged => Some(0),
        Committed::Superseded | Committed::Held { .. } => None,
    };
    if let Some(changed) = changed {
        tracing::info!(
            provider = %name, models, changed,
            "{name} describes {models} models: {changed} of ours changed"
        );
    }
    shared.record_database_success();
    shared.reload().await?;
    Ok(())
}
