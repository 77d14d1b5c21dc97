//! What the tasks of a catalog share: the store, the snapshot on top of it, and whether the database
//! can be written.

use std::{sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::raw::SentEntries;
use crate::{
    metrics::Metrics,
    model::time::{Clock, Timestamp},
    provider::client::Clients,
    snapshot::Snapshot,
    store::{Store, error::StoreError},
};

/// What the tasks of a catalog share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) clients: Clients,
    pub(crate) fetch_timeout: Duration,
    pub(crate) clock: Clock,
    pub(crate) stop: CancellationToken,
    /// Ends what waits for a change: those requests would never end by themselves.
    pub(crate) end_waits: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// What the last write to the database failed with.
    pub(crate) database_error: ArcSwapOption<DatabaseError>,
    /// Copies of the database that may be under way at a time.
    pub(crate) copying: Arc<Semaphore>,
    /// The snapshot's revision, for those who wait for the next.
    revision: watch::Sender<i64>,
    /// Told when a watched model has become a problem, or fine again.
    pub(crate) alerted: watch::Sender<()>,
    /// What sources sent, as last read.
    pub(crate) sent: SentEntries,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Held while the snapshot is rebuilt, so that an older one never replaces a newer one.
    reloading: Mutex<()>,
}

/// Why nothing can be written at present. What is known keeps being served.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DatabaseError {
    /// One line for people.
    pub(crate) message: String,
    /// The first failure in a row.
    pub(crate) since: Timestamp,
}

impl Shared {
    /// For the tasks of a catalog on `store`, whose state is `snapshot`.
    pub(crate) fn new(
        store: Store,
        snapshot: Snapshot,
        clients: Clients,
        fetch_timeout: Duration,
        clock: Clock,
    ) -> Arc<Self> {
        let (revision, _) = watch::channel(snapshot.revision);
        Arc::new(Self {
            copying: Arc::new(Semaphore::new(2)),
            alerted: watch::channel(()).0,
            sent: SentEntries::default(),
            metrics: Metrics::default(),
            revision,
            store,
            snapshot: ArcSwap::from_pointee(snapshot),
            clients,
            fetch_timeout,
            clock,
            stop: CancellationToken::new(),
            end_waits: CancellationToken::new(),
            tasks: TaskTracker::new(),
            database_error: ArcSwapOption::empty(),
            reloading: Mutex::default(),
        })
    }

    /// Remembers that a write failed; says so once.
    pub(crate) fn record_database_error(&self, error: &StoreError) {
        let known = self.database_error.load();
        let since = known
            .as_ref()
            .map_or_else(|| self.clock.now(), |known| known.since);
        if known.is_none() {
            tracing::error!("nothing can be stored, what is known keeps being served: {error}");
        }
        let message = error.to_string();
        self.database_error
            .store(Some(Arc::new(DatabaseError { message, since })));
    }

    /// Remembers that a write succeeded.
    pub(crate) fn record_database_success(&self) {
        if self.database_error.swap(None).is_some() {
            tracing::info!("the database can be written again");
        }
    }

    /// Rebuilds the snapshot from the store.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.reloading.lock().await;
        let snapshot = Snapshot::build(self.store.load().await?)?;
        let known = self.snapshot.load();
        for (endpoint, id) in &snapshot.shadowed {
            if !known
                .shadowed
                .iter()
                .any(|(name, other)| name == endpoint && other == id)
            {
                tracing::warn!(provider = %endpoint, "{endpoint} claims the id {id}, which is a cloud model's: the cloud model is listed");
            }
        }
        let revision = snapshot.revision;
        self.snapshot.store(Arc::new(snapshot));
        self.revision.send_replace(revision);
        Ok(())
    }

    /// The snapshot's revision as it grows.
    pub(crate) fn revisions(&self) -> watch::Receiver<i64> {
        self.revision.subscribe()
    }
}
