//! Fetches the enrichment, the file that fills in the fields that sources omit, whenever it is due.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

use super::refresh::{LONGEST_SLEEP, step_limit, until_due};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{
        shared::Shared,
        supervisor::{Supervised, TookTooLong},
    },
    config::source::SourceConfig,
    ingest::schedule::{self, ClaimMode},
    model::{fetch::Committed, settings::SourceSettings, state::Polling},
    provider::{self, Known},
    store::{commit::Attempt, error::StoreError},
};

/// The shortest sleep between two checks of the schedule.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Fetches `source` whenever it is due, until the catalog stops. `wake` triggers a check of the
/// schedule.
pub async fn run(
    supervised: Supervised,
    shared: Arc<Shared>,
    source: SourceConfig,
    wake: Arc<Notify>,
) -> Result<(), TookTooLong> {
    let settings = source.settings();
    loop {
        let step = step(&shared, &source, &settings, &supervised.stop);
        if let Err(error) = supervised.step(step_limit(&shared), step).await? {
            shared.record_database_error(&error);
        }
        // Another process may have configured another enrichment, or none.
        let sleep = polling(&shared, &settings).map_or(LONGEST_SLEEP, |polling| {
            until_due(&polling, shared.clock.now(), SHORTEST_SLEEP)
        });
        tokio::select! {
            () = supervised.stop.cancelled() => return Ok(()),
            () = wake.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// The enrichment's polling state; none when another process has configured another enrichment, or none.
fn polling(shared: &Shared, settings: &SourceSettings) -> Option<Polling> {
    let current = shared.current.load();
    let enrichment = current.sources.enrichment.as_ref()?;
    (enrichment.address == settings.address).then(|| enrichment.polling.clone())
}

/// One step: claim, fetch, commit, serve the result.
async fn step(
    shared: &Shared,
    source: &SourceConfig,
    settings: &SourceSettings,
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let (store, now) = (&shared.store, shared.clock.now());
    if !polling(shared, settings).is_some_and(|polling| schedule::is_due(&polling, now)) {
        return Ok(());
    }
    let Some(claim) = store
        .claim(settings, ClaimMode::Due, shared.fetch_timeout)
        .await?
    else {
        return Ok(());
    };
    let began = Instant::now();
    let fetched = tokio::select! {
        biased;
        () = stop.cancelled() => return store.release(settings, &claim).await,
        fetched = provider::fetch(&shared.clients, source, Known::default(), shared.fetch_timeout, claim.at) => fetched,
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
    let changed = match store.commit(settings, &claim, fetched, attempt).await? {
        Committed::Failed(error) => {
            tracing::warn!(
                provider = %name, kind = error.kind.as_str(),
                "cannot fetch the enrichment from {name}; still using the last one: {}", error.message
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
            "enrichment from {name}: {models} models described, {changed} listed models changed"
        );
    }
    shared.record_database_success();
    shared.reload().await?;
    Ok(())
}
