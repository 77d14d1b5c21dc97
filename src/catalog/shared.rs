//! State shared by the tasks of a catalog: the store, the served list, and the health of the
//! database.

use std::{sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use serde::Serialize;
use tokio::sync::{Mutex, Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{
    costly::CostlyWork, current::Current, feeds::FeedCache, first_seen::FirstSeenCache,
    raw::RawCache, supervisor::Supervisor,
};
use crate::{
    config::OnStep,
    metrics::Metrics,
    model::{
        settings::CatalogSettings,
        state::{Content, State},
        time::{Clock, Timestamp},
    },
    provider::client::Clients,
    snapshot::{Snapshot, remembered::Remembered},
    store::{
        Store,
        error::{Result, StoreError},
    },
};

/// State shared by the tasks of a catalog.
#[derive(Debug)]
pub struct Shared {
    /// The database.
    pub store: Store,
    /// Identifies the database.
    pub catalog_id: String,
    /// The served list and sources.
    pub current: ArcSwap<Current>,
    /// The HTTP clients for fetching sources.
    pub clients: Clients,
    /// Time limit for fetching one source's whole listing.
    pub fetch_timeout: Duration,
    /// The clock.
    pub clock: Clock,
    /// Runs the tasks, and stops them.
    pub supervisor: Supervisor,
    /// Ends requests that wait for a change, which would otherwise never end.
    pub waits: Waits,
    /// What this process has put in force, or would if no other process had.
    pub applied: ArcSwap<CatalogSettings>,
    /// Signals that a source refused its key.
    pub key_refused: Notify,
    /// The error of the last write to the database; none after a success.
    pub database_error: ArcSwapOption<DatabaseError>,
    /// Permits for concurrent copies of the database.
    pub copying: Arc<Semaphore>,
    /// Where the costly work of requests is done.
    pub costly: CostlyWork,
    /// The served revision.
    revision: watch::Sender<i64>,
    /// Signals every attempt at a source.
    polled: watch::Sender<()>,
    /// Signals when a watched model becomes a problem or recovers.
    pub alerted: watch::Sender<()>,
    /// Cache of parts, pages and past lists.
    pub remembered: Arc<Remembered>,
    /// Cache of the entries as their sources sent them.
    pub raw: RawCache,
    /// Cache of the Atom feeds.
    pub feeds: FeedCache,
    /// Cache of when each model was first listed.
    pub first_seen: FirstSeenCache,
    /// The counters.
    pub metrics: Metrics,
    /// Held while `current` is replaced, so that an older state never replaces a newer one.
    reloading: Mutex<()>,
}

/// Why the database cannot be written at the moment. The last state read is still served.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DatabaseError {
    /// One line for the operator.
    pub message: String,
    /// When the current run of failures began.
    pub since: Timestamp,
}

/// Ends the requests that wait for a change.
#[derive(Debug)]
pub struct Waits(ArcSwap<CancellationToken>);

impl Default for Waits {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(CancellationToken::new()))
    }
}

impl Waits {
    /// Cancelled when the requests that wait now are to end.
    pub fn token(&self) -> CancellationToken {
        (**self.0.load()).clone()
    }

    /// Ends those that wait now and all that will.
    pub fn end(&self) {
        self.0.load().cancel();
    }

    /// Ends those that wait now: what they may see has changed, and their clients ask again.
    pub fn restart(&self) {
        if !self.0.load().is_cancelled() {
            self.0.swap(Arc::default()).cancel();
        }
    }
}

impl Shared {
    /// The shared state of a catalog on `store`. Fails when the stored models cannot be read.
    pub async fn new(
        store: Store,
        clients: Clients,
        fetch_timeout: Duration,
        clock: Clock,
        on_step: OnStep,
    ) -> Result<Arc<Self>> {
        let State {
            catalog_id,
            revision,
            sources,
            content,
        } = store.load(None).await?;
        let remembered = Arc::default();
        let current = Current {
            snapshot: build(content.unwrap_or_default(), &remembered).await?,
            sources: Arc::new(sources),
        };
        let metrics = Metrics::default();
        metrics.count_build();
        Ok(Arc::new(Self {
            catalog_id,
            current: ArcSwap::from_pointee(current),
            copying: Arc::new(Semaphore::new(2)),
            costly: CostlyWork::default(),
            alerted: watch::channel(()).0,
            polled: watch::channel(()).0,
            remembered,
            raw: RawCache::default(),
            feeds: FeedCache::default(),
            first_seen: FirstSeenCache::default(),
            supervisor: Supervisor::new(metrics.clone(), clock.clone(), on_step),
            metrics,
            revision: watch::channel(revision).0,
            store,
            clients,
            fetch_timeout,
            clock,
            waits: Waits::default(),
            applied: ArcSwap::default(),
            key_refused: Notify::new(),
            database_error: ArcSwapOption::empty(),
            reloading: Mutex::default(),
        }))
    }

    /// Records a failed write. Logs only the first failure in a row.
    pub fn record_database_error(&self, error: &StoreError) {
        let known = self.database_error.load();
        let since = known
            .as_ref()
            .map_or_else(|| self.clock.now(), |known| known.since);
        if known.is_none() {
            tracing::error!("database write failed; still serving the last catalog: {error}");
        }
        let message = error.to_string();
        self.database_error
            .store(Some(Arc::new(DatabaseError { message, since })));
    }

    /// Records a successful write, and logs the first one after failures.
    pub fn record_database_success(&self) {
        if self.database_error.swap(None).is_some() {
            tracing::info!("database writes work again");
        }
    }

    /// Loads the store's state and serves it; returns whether anything changed. Rebuilds the list
    /// only for a new revision.
    pub async fn reload(&self) -> Result<bool> {
        let _one_at_a_time = self.reloading.lock().await;
        let known = self.current.load_full();
        let State {
            sources, content, ..
        } = self.store.load(Some(known.snapshot.revision)).await?;
        let snapshot = match content {
            Some(content) => {
                self.metrics.count_build();
                build(content, &self.remembered).await?
            }
            None if sources == *known.sources => return Ok(false),
            None => known.snapshot.clone(),
        };
        warn_of_renamed(&known.snapshot, &snapshot);
        let revision = snapshot.revision;
        let is_replaced = !Arc::ptr_eq(&known.snapshot, &snapshot);
        self.current.store(Arc::new(Current {
            snapshot,
            sources: Arc::new(sources),
        }));
        if is_replaced {
            self.remembered.forget(&known.snapshot);
        }
        self.revision
            .send_if_modified(|known| std::mem::replace(known, revision) != revision);
        self.polled.send_replace(());
        Ok(true)
    }

    /// Follows the served revision.
    pub fn revisions(&self) -> watch::Receiver<i64> {
        self.revision.subscribe()
    }

    /// Signals every attempt at a source.
    pub fn polled(&self) -> watch::Receiver<()> {
        self.polled.subscribe()
    }
}

/// Builds the snapshot of `content` off the serving threads: with 10,000 models it takes some tens
/// of milliseconds.
async fn build(content: Content, remembered: &Arc<Remembered>) -> Result<Arc<Snapshot>> {
    let built = tokio::task::spawn_blocking(|| Snapshot::build(content)).await;
    match built {
        Ok(snapshot) => Ok(Arc::new(snapshot?.remembered_in(remembered))),
        Err(error) => match error.try_into_panic() {
            // Panic as a direct call would have.
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels the task; then no caller needs the answer.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Warns of the local models that are new in `snapshot` and not called by their own ids.
fn warn_of_renamed(known: &Snapshot, snapshot: &Snapshot) {
    for model in snapshot.models.iter().filter(|model| model.is_local) {
        let own_id = &model.rows[0].model_id;
        if *own_id != model.id && !known.lists(&model.id) {
            let source = &model.rows[0].source;
            tracing::warn!(provider = %source, "{source} lists {own_id}, which reads as another provider's model: serving it as {}", model.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, source::SourceConfig},
        ingest::schedule::ClaimMode,
        model::{
            attributes::Attributes,
            fetch::{ErrorKind, FetchError, Fetched},
            listing::{Entry, Listing},
            settings::CatalogSettings,
            source::Kind,
        },
        store::commit::Attempt,
    };

    fn fetched(ids: &[&str]) -> Fetched {
        let entry = |id: &&str| Entry {
            id: (*id).to_owned(),
            attributes: Attributes::default(),
            raw: "{}".to_owned(),
            hidden_by: None,
        };
        Fetched {
            kind: Kind::OpenAi,
            listing: Listing {
                entries: ids.iter().map(entry).collect(),
                ..Listing::default()
            },
        }
    }

    /// Whatever an attempt comes to, the bytes of a revision are made once, and so are its parts.
    #[tokio::test]
    async fn an_attempt_that_changes_no_model_touches_only_the_polling_state() {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("c.db").display());
        let clock = Config::new(&url).expect("usable").clock;
        let source = SourceConfig::provider("acme", Kind::OpenAi, "http://x", None);
        let source = source.expect("usable").settings();
        let store = Store::open(&url, clock.clone()).await.expect("it opens");
        let settings = CatalogSettings {
            sources: vec![source.clone()],
            ..CatalogSettings::default()
        };
        store.apply(&settings).await.expect("settings");
        let clients = Clients::new().expect("clients");
        let shared = Shared::new(
            store,
            clients,
            Duration::from_secs(1),
            clock.clone(),
            OnStep::default(),
        );
        let shared = shared.await.expect("it starts");
        let attempt = async |result: std::result::Result<Fetched, FetchError>| {
            clock.advance(chrono::TimeDelta::seconds(11));
            let store = &shared.store;
            let claim = store
                .claim(&source, ClaimMode::Requested, Duration::from_secs(10))
                .await;
            let claim = claim.expect("a claim").expect("it is allowed");
            let attempt = Attempt {
                accept: true,
                duration: Duration::ZERO,
                jitter: 0.0,
            };
            let committed = store.commit(&source, &claim, result, attempt).await;
            committed.expect("a commit");
            assert!(shared.reload().await.expect("read"), "the state is news");
            shared.current.load_full()
        };

        let mut revisions = shared.revisions();
        let listed = attempt(Ok(fetched(&["a", "b"]))).await;
        assert!(revisions.has_changed().expect("it runs"));
        revisions.mark_unchanged();
        let part = || {
            listed
                .snapshot
                .part("x", || Snapshot::build(Content::default()))
        };
        let part_before = part().expect("made");
        let failure = FetchError::new(ErrorKind::Timeout, "on purpose");
        for result in [
            Ok(fetched(&["b", "a"])),
            Err(failure),
            Ok(fetched(&["a", "b"])),
        ] {
            let later = attempt(result).await;
            assert!(Arc::ptr_eq(&later.snapshot, &listed.snapshot));
            assert!(!Arc::ptr_eq(&later.sources, &listed.sources));
            assert_ne!(later.sources, listed.sources, "attempted later");
        }
        assert!(Arc::ptr_eq(&part_before, &part().expect("made")));
        assert!(
            !revisions.has_changed().expect("it runs"),
            "nobody is woken"
        );
        assert!(!shared.reload().await.expect("read"), "nothing is new");

        let changed = attempt(Ok(fetched(&["a"]))).await;
        assert!(!Arc::ptr_eq(&changed.snapshot, &listed.snapshot));
        assert_eq!(changed.snapshot.revision, listed.snapshot.revision + 1);
        shared.store.close().await;
    }
}
