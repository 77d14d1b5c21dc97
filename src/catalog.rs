//! The running catalog: the store, the snapshot on top of it, and the tasks that keep both fresh.
//! What a request may wait for is decided here and nowhere else.

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use secrecy::SecretString;
use tokio::{
    sync::Notify,
    time::{Instant, timeout, timeout_at},
};

use self::{
    members::{Member, lock},
    shared::{DatabaseError, Shared},
    tasks::{discover, enrich, follow, prune, refresh::RefreshOutcome},
};
use crate::{
    config::{Config, Unconfigured, error::ConfigError, keys::Keys, source::SourceConfig},
    ingest::schedule::ClaimMode,
    lock::watch::Watch,
    model::{
        scope::Scope,
        source::{Role, SourceName},
        state::SourceState,
        time::Timestamp,
    },
    provider::client::Clients,
    snapshot::Snapshot,
    store::{Store, error::StoreError},
};

pub mod members;
pub mod miss;
pub mod raw;
pub mod shared;
pub mod tasks;

/// How long a request waits for what it cannot be answered without. Clients exist that give up at
/// 3 s.
const FIRST_WAIT: Duration = Duration::from_millis(2500);
/// How long a stop waits for commits under way, and then for the database to close.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// A catalog that cannot start. One line: what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting cannot be used together with another.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// No HTTP client can be made.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// A running catalog. Clones are the same catalog. It runs until [`Catalog::stop`].
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// Every source that is asked; discovery adds to them.
    members: ArcSwap<Vec<Arc<Member>>>,
    /// Wakes whoever tells a webhook or watches models.
    sleepers: Vec<Arc<Notify>>,
    watch: Arc<Watch>,
    unconfigured: Vec<Unconfigured>,
    client_timeout: Duration,
    admin_key: Option<SecretString>,
    keys: Keys,
    started: Instant,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the database, applies the settings to it and starts to refresh what is due. What is
    /// stored is served at once.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        let keys = Keys::new(std::mem::take(&mut config.keys), config.admin_key.as_ref())?;
        // Reads every CA certificate of the system: not on a thread that serves others.
        let clients = tokio::task::spawn_blocking(Clients::new)
            .await
            .map_err(|error| StartError::Client(error.to_string()))?
            .map_err(|error| StartError::Client(error.to_string()))?;
        if let Some(problem) = &clients.tls_problem {
            tracing::warn!(
                "no CA certificates ({problem}): HTTPS sources cannot be asked, what is stored is served; install them (package ca-certificates) and restart"
            );
        }
        let store = Store::open(&config.database).await?;
        match Self::start_with(config, clients, store.clone(), keys).await {
            Ok(catalog) => Ok(catalog),
            Err(error) => {
                let error = store.at_start(error);
                store.close().await;
                Err(error.into())
            }
        }
    }

    async fn start_with(
        config: Config,
        clients: Clients,
        store: Store,
        keys: Keys,
    ) -> Result<Self, StoreError> {
        let mut sources = config.sources;
        let discoverable = discover::candidates(&config.discovery_ports, &sources);
        // What discovery once found is served from the start.
        let known = store.list_source_names().await?;
        let (found, unknown): (Vec<_>, Vec<_>) = discoverable
            .into_iter()
            .partition(|candidate| known.iter().any(|name| name == candidate.name.as_str()));
        sources.extend(found);
        store.apply_enrichment(config.enrichment.as_ref()).await?;
        store.apply_settings(&sources, config.clock.now()).await?;
        let webhooks: Vec<&str> = config
            .webhooks
            .iter()
            .map(|webhook| webhook.name.as_str())
            .collect();
        for webhook in store.apply_webhooks(&webhooks).await? {
            tracing::warn!(%webhook, "webhook {webhook} was not told some revisions that have been forgotten since (keep_events): it goes on with what is kept");
        }
        let watch = Arc::new(config.watch.unwrap_or_default());
        store.apply_watch(&watch.ids()).await?;
        let watcher = store.watch().await?;
        let snapshot = Snapshot::build(store.load().await?)?;
        if sources.is_empty() {
            tracing::warn!("{}", NO_SOURCE);
        }
        let shared = Shared::new(store, snapshot, clients, config.fetch_timeout, config.clock);
        let members = sources
            .into_iter()
            .map(|source| Member::new(&shared, source))
            .collect();
        let mut sleepers: Vec<_> = config
            .webhooks
            .into_iter()
            .map(|webhook| tasks::deliver::Teller::spawn(&shared, webhook))
            .collect();
        if let Some(source) = config.enrichment {
            let wake = Arc::new(Notify::new());
            shared
                .tasks
                .spawn(enrich::run(shared.clone(), source, wake.clone()));
            sleepers.push(wake);
        }
        if !watch.ids().is_empty() {
            let wake = Arc::new(Notify::new());
            shared.tasks.spawn(tasks::watch::run(
                shared.clone(),
                watch.clone(),
                wake.clone(),
            ));
            sleepers.push(wake);
        }
        let catalog = Self(Arc::new(Inner {
            shared: shared.clone(),
            sleepers,
            watch,
            members: ArcSwap::from_pointee(members),
            unconfigured: config.unconfigured,
            client_timeout: config.client_timeout,
            admin_key: config.admin_key,
            keys,
            started: Instant::now(),
        }));
        shared
            .tasks
            .spawn(prune::run(shared.clone(), config.retention));
        shared.tasks.spawn(follow::follow(catalog.clone(), watcher));
        if !unknown.is_empty() {
            shared.tasks.spawn(discover::run(catalog.clone(), unknown));
        }
        Ok(catalog)
    }

    /// Stops asking, gives back what was claimed, and closes the database. Takes 2 s at most.
    pub async fn stop(&self) {
        let Shared {
            stop, tasks, store, ..
        } = &*self.0.shared;
        self.end_waits();
        stop.cancel();
        tasks.close();
        if timeout(STOP_LIMIT, tasks.wait()).await.is_err() {
            tracing::warn!(
                "a commit was still under way; it is rolled back or done, as the database has it"
            );
        }
        // An open connection costs nothing but the WAL's being folded in at the next start.
        let _ = timeout(STOP_LIMIT, store.close()).await;
    }

    /// Ends the requests that wait for a change (long polls, event streams), so that a server can
    /// let its requests end before [`Catalog::stop`].
    pub fn end_waits(&self) {
        self.0.shared.end_waits.cancel();
    }

    /// The base of every answer: the last snapshot, at once if every source that `counts` has been
    /// heard from. Otherwise their first attempts in this process are waited for, until 2.5 s after
    /// they began.
    pub(crate) async fn snapshot(&self, counts: impl Fn(&SourceName) -> bool) -> Arc<Snapshot> {
        let snapshot = self.current();
        let missing: Vec<Arc<Member>> = snapshot
            .list_missing()
            .filter(|name| counts(name))
            .filter_map(|name| self.find_member(name))
            .collect();
        if missing.is_empty() {
            return snapshot;
        }
        for member in missing {
            member.refresher.wait_for_first_attempt(FIRST_WAIT).await;
        }
        self.current()
    }

    /// The last snapshot.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.0.shared.snapshot.load_full()
    }

    /// A snapshot that lists one of `ids` if it can be had within 2.5 s: an unknown `name:…` of a
    /// configured provider may have that provider asked (at most once a minute). What is not in
    /// `scope` counts as unknown, and nobody is asked for it.
    pub(crate) async fn snapshot_with_any(&self, ids: &[&str], scope: &Scope) -> Arc<Snapshot> {
        let lists = |snapshot: &Snapshot| ids.iter().any(|id| scope.finds(snapshot, id));
        let counts = |source: &SourceName| scope.allows_source(source.as_str());
        let snapshot = self.current();
        if lists(&snapshot) {
            return snapshot;
        }
        let deadline = Instant::now() + FIRST_WAIT;
        let Ok(snapshot) = timeout_at(deadline, self.snapshot(counts)).await else {
            return self.current();
        };
        if lists(&snapshot) {
            return snapshot;
        }
        let provider_of = |id: &&str| {
            let member = self.find_provider_of(id)?;
            scope.allows(member.name(), id).then_some(member)
        };
        if let Some(member) = ids.iter().find_map(provider_of)
            && let Some(mut look) = self.look_at(&member, &snapshot)
        {
            let deadline = deadline.min(look.began + FIRST_WAIT);
            // Whether it ended or not, what is known then is the answer.
            let _ = timeout_at(deadline, look.ended.wait_for(|ended| *ended)).await;
        }
        self.current()
    }

    /// The look at `member` that a miss may wait for: the one under way, or a new one if it is
    /// allowed.
    fn look_at(
        &self,
        member: &Arc<Member>,
        snapshot: &Snapshot,
    ) -> Option<crate::catalog::miss::Look> {
        let state = snapshot.find_source(member.name())?;
        let now = self.now();
        let mut misses = lock(&member.misses);
        if let Some(look) = misses.under_way() {
            return Some(look);
        }
        if !state.may_be_looked_at(now) || !misses.may_look(now) {
            return None;
        }
        let (look, end) = misses.begin();
        let outcome = member.refresher.ask(ClaimMode::Miss, false);
        let (member, clock) = (member.clone(), self.0.shared.clock.clone());
        // In a task of its own: it counts even when whoever asked has gone.
        self.0.shared.tasks.spawn(async move {
            let outcome = outcome.await.unwrap_or(RefreshOutcome::Stopped);
            lock(&member.misses).end(&outcome, clock.now());
            end.send_replace(true);
        });
        Some(look)
    }

    /// Asks the source `name`, or every source, whatever its schedule says (at most once in 10 s
    /// each); each one's outcome. `accept` believes an answer that would be held. None when no
    /// configured source has that name.
    pub async fn refresh(
        &self,
        name: Option<&str>,
        accept: bool,
    ) -> Option<Vec<(SourceName, RefreshOutcome)>> {
        let members = self.0.members.load_full();
        let asked: Vec<_> = members
            .iter()
            .filter(|member| name.is_none_or(|name| member.name().as_str() == name))
            .map(|member| {
                (
                    member.name().clone(),
                    member.refresher.ask(ClaimMode::Asked, accept),
                )
            })
            .collect();
        if asked.is_empty() && name.is_some() {
            return None;
        }
        let mut outcomes = Vec::new();
        for (name, outcome) in asked {
            outcomes.push((name, outcome.await.unwrap_or(RefreshOutcome::Stopped)));
        }
        Some(outcomes)
    }

    /// Has every schedule looked at now rather than at the end of a sleep (a minute at most).
    pub fn wake(&self) {
        for sleeper in &self.0.sleepers {
            sleeper.notify_one();
        }
        for member in self.0.members.load().iter() {
            member.refresher.wake();
        }
    }

    /// Whether every source has ever been heard from or has ever failed; in any case 2.5 s after
    /// the start.
    pub fn is_ready(&self) -> bool {
        self.0.started.elapsed() >= FIRST_WAIT
            || self
                .current()
                .sources
                .iter()
                .filter(|source| source.configured)
                .all(SourceState::was_ever_heard_from)
    }

    /// The time by the catalog's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.shared.clock.now()
    }

    /// Why nothing can be written at present, if so.
    pub(crate) fn database_error(&self) -> Option<Arc<DatabaseError>> {
        self.0.shared.database_error.load_full()
    }

    /// Well-known providers that could be configured.
    pub(crate) fn unconfigured(&self) -> &[Unconfigured] {
        &self.0.unconfigured
    }

    /// The models that are watched.
    pub(crate) fn watched(&self) -> &Watch {
        &self.0.watch
    }

    /// What operators have to present, where that is set.
    pub(crate) fn admin_key(&self) -> Option<&SecretString> {
        self.0.admin_key.as_ref()
    }

    /// What clients have to present, where any are set.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// How long a client may take.
    pub(crate) fn client_timeout(&self) -> Duration {
        self.0.client_timeout
    }

    /// The database.
    pub(crate) fn store(&self) -> &Store {
        &self.0.shared.store
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// Starts to ask `source`, which discovery has found.
    pub(crate) async fn add_source(&self, source: SourceConfig) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        shared.store.add_source(&source, self.now()).await?;
        shared.reload().await?;
        let member = Member::new(shared, source);
        self.0.members.rcu(|members| {
            let mut members = members.to_vec();
            members.push(member.clone());
            members
        });
        Ok(())
    }

    fn find_member(&self, name: &SourceName) -> Option<Arc<Member>> {
        self.0
            .members
            .load()
            .iter()
            .find(|member| member.name() == name)
            .cloned()
    }

    /// The configured provider whose prefix `id` carries.
    fn find_provider_of(&self, id: &str) -> Option<Arc<Member>> {
        let (prefix, _) = id.split_once(':')?;
        let is_provider = |member: &&Arc<Member>| {
            member.refresher.source.role == Role::Provider && member.name().as_str() == prefix
        };
        self.0.members.load().iter().find(is_provider).cloned()
    }
}

/// What to set when nothing is.
pub(crate) const NO_SOURCE: &str = "no source is configured, the list is empty: set OPENAI_API_KEY, GEMINI_API_KEY or ANTHROPIC_API_KEY, or MODEL_CATALOG_ENDPOINTS=name=http://host:port, or start a local server (Ollama, LM Studio, vLLM, llama.cpp)";
