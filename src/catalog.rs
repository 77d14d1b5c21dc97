//! The running catalog: the store, the served list, and the tasks that keep both fresh. Every limit
//! on how long a request may wait is set here.

pub mod costly;
pub mod current;
pub mod feeds;
pub mod first_seen;
pub mod health;
pub mod listed;
pub mod members;
pub mod miss;
pub mod raw;
pub mod reconfigure;
pub mod shared;
pub mod supervisor;
pub mod tasks;

use std::{fmt, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, Guard};
use tokio::time::{Instant, timeout, timeout_at};

use self::{
    current::Current,
    health::Health,
    members::{Member, Members},
    miss::MissAttempt,
    reconfigure::{Plan, log_late},
    shared::{DatabaseError, Shared},
    supervisor::Supervisor,
    tasks::{Tasks, refresh::RefreshOutcome, watch::verdicts},
};
use crate::{
    config::{
        Config, OnStep, PresetStatus, Unconfigured, cors::CorsOrigins, error::ConfigError,
        hosts::AllowedHosts, keys::Keys,
    },
    ingest::{
        rules,
        schedule::{self, ClaimMode},
    },
    lock::{verdict::Verdict, watch::Watch},
    model::{
        names::ModelKey,
        source::{Role, SourceName},
        state::SourceState,
        time::{Clock, Timestamp},
    },
    provider::client::Clients,
    store::{Store, error::StoreError},
};

/// How long a request waits for data that its answer needs. Some clients give up after 3 s.
const FIRST_WAIT: Duration = Duration::from_millis(2500);
/// How long a stop waits for running commits, and then for the database to close.
const STOP_LIMIT: Duration = Duration::from_secs(1);
/// The hint for operators when no source is configured.
pub(crate) const NO_SOURCE: &str = "no source is configured, so the list is empty: set OPENAI_API_KEY, GEMINI_API_KEY or ANTHROPIC_API_KEY, or MODEL_CATALOG_ENDPOINTS=name=http://host:port, or start a local server (Ollama, LM Studio, vLLM, llama.cpp)";

/// Why a catalog cannot start. One line: what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A setting conflicts with another.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// The HTTP clients cannot be created.
    #[error("cannot make an HTTP client: {0}")]
    Client(String),
}

/// A running catalog. Clones share it. It runs until [`Catalog::stop`].
#[derive(Clone)]
pub struct Catalog(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    members: Arc<Members>,
    tasks: Arc<Tasks>,
    in_force: ArcSwap<InForce>,
    fixed: Fixed,
    started: Instant,
}

/// Settings that requests read, and that others may replace.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    /// The keys of clients and operators.
    pub(crate) keys: Arc<Keys>,
    /// The watched models.
    watch: Arc<Watch>,
    /// The well-known providers that are not configured.
    pub(crate) unconfigured: Vec<Unconfigured>,
    /// Every preset, and whether it is on.
    pub(crate) presets: Vec<PresetStatus>,
}

/// Settings that take effect at a start only.
#[derive(Debug, PartialEq)]
struct Fixed {
    database_url: String,
    fetch_timeout: Duration,
    client_timeout: Duration,
    cors_origins: CorsOrigins,
    allowed_hosts: AllowedHosts,
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").finish_non_exhaustive()
    }
}

impl Catalog {
    /// Opens the database, applies the settings and starts refreshing due sources. Serves the
    /// stored models at once. Fails when the database or a setting cannot be used.
    pub async fn start(mut config: Config) -> Result<Self, StartError> {
        if config.fetch_timeout.is_zero() || config.fetch_timeout > schedule::LONGEST_FETCH {
            let longest = schedule::LONGEST_FETCH.as_secs();
            let message = format!("fetch_timeout must be longer than 0 and at most {longest} s");
            return Err(ConfigError(message).into());
        }
        let keys = Keys::new(std::mem::take(&mut config.keys), config.admin_key.as_ref())?;
        // Reads every CA certificate of the system: too slow for a serving thread.
        let clients = tokio::task::spawn_blocking(Clients::new)
            .await
            .map_err(|error| StartError::Client(error.to_string()))?
            .map_err(|error| StartError::Client(error.to_string()))?;
        if let Some(problem) = &clients.tls_problem {
            tracing::warn!(
                "no CA certificates ({problem}): cannot reach HTTPS sources, still serving stored models; install the package ca-certificates and restart"
            );
        }
        let store = Store::open(&config.database_url, config.clock.clone()).await?;
        match Self::start_with(config, clients, store.clone(), keys).await {
            Ok(catalog) => Ok(catalog),
            Err(error) => {
                let error = store.at_start(error).await;
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
        let fixed = Fixed::of(&config);
        let plan = Plan::of(&config);
        let applied = store.apply(&plan.settings).await?;
        log_late(&applied);
        let sources = plan.sources(&applied.found);
        if sources.is_empty() {
            tracing::warn!("{}", NO_SOURCE);
        }
        let shared = Shared::new(
            store,
            clients,
            config.fetch_timeout,
            config.clock,
            config.on_step,
        )
        .await?;
        let (members, tasks) = (Arc::new(Members::default()), Arc::new(Tasks::default()));
        members.start(&shared, sources);
        tasks.start(&shared, &members, plan.jobs);
        shared.applied.store(Arc::new(plan.settings));
        shared
            .metrics
            .set_settings_read(shared.clock.now().unix_seconds());
        let in_force = InForce {
            keys: Arc::new(keys),
            watch: plan.watch,
            unconfigured: config.unconfigured,
            presets: config.presets,
        };
        Ok(Self::of(shared, members, tasks, in_force, fixed))
    }

    /// The catalog in `store` as it is stored: nothing is fetched, followed or written.
    pub(crate) async fn of_stored(store: Store) -> Result<Self, StartError> {
        let clients = tokio::task::spawn_blocking(Clients::new)
            .await
            .map_err(|error| StartError::Client(error.to_string()))?
            .map_err(|error| StartError::Client(error.to_string()))?;
        let clock = Clock::system();
        let on_step = OnStep::default();
        let shared = Shared::new(store.clone(), clients, Duration::ZERO, clock, on_step).await;
        let shared = match shared {
            Ok(shared) => shared,
            Err(error) => return Err(store.at_start(error).await.into()),
        };
        let fixed = Fixed {
            database_url: String::new(),
            fetch_timeout: Duration::ZERO,
            client_timeout: Duration::from_secs(60),
            cors_origins: CorsOrigins::default(),
            allowed_hosts: AllowedHosts::default(),
        };
        let (members, tasks) = Default::default();
        Ok(Self::of(shared, members, tasks, InForce::default(), fixed))
    }

    fn of(
        shared: Arc<Shared>,
        members: Arc<Members>,
        tasks: Arc<Tasks>,
        in_force: InForce,
        fixed: Fixed,
    ) -> Self {
        Self(Arc::new(Inner {
            shared,
            members,
            tasks,
            in_force: ArcSwap::from_pointee(in_force),
            fixed,
            started: Instant::now(),
        }))
    }

    /// Stops fetching, releases claims and closes the database. Takes 2 s at most.
    pub async fn stop(&self) {
        let Shared {
            supervisor: Supervisor { stop, tasks, .. },
            store,
            ..
        } = &*self.0.shared;
        self.end_waits();
        stop.cancel();
        tasks.close();
        if timeout(STOP_LIMIT, tasks.wait()).await.is_err() {
            tracing::warn!(
                "stopped during a commit: the database either has all of it or rolls it back"
            );
        }
        // If it stays open, the next start only has to fold in the WAL.
        let _ = timeout(STOP_LIMIT, store.close()).await;
    }

    /// Ends the requests that wait for a change (long polls and event streams), so that a server
    /// can drain before [`Catalog::stop`].
    pub fn end_waits(&self) {
        self.0.shared.waits.end();
    }

    /// The served list and sources, for an answer. Returns at once if every source that `counts`
    /// has answered before. Otherwise waits for their first attempts in this process, at most 2.5 s
    /// after those began.
    pub(crate) async fn current_with(&self, counts: impl Fn(&SourceName) -> bool) -> Arc<Current> {
        let current = self.current();
        let missing: Vec<Arc<Member>> = current
            .list_missing()
            .filter(|name| counts(name))
            .filter_map(|name| self.0.members.find(name))
            .collect();
        if missing.is_empty() {
            return current;
        }
        for member in missing {
            member.refresher.wait_for_first_attempt(FIRST_WAIT).await;
        }
        self.current()
    }

    /// The served list and sources, without waiting.
    pub(crate) fn current(&self) -> Arc<Current> {
        self.0.shared.current.load_full()
    }

    /// The served list and sources, with the model that `lists` looks for if a refresh can find it
    /// within 2.5 s. `keys` are the models that are meant. Waits only for sources that may have one of
    /// them, and refreshes only a configured provider of one (at most once a minute).
    pub(crate) async fn current_with_model(
        &self,
        lists: impl Fn(&Current) -> bool,
        keys: impl Fn(&Current) -> Vec<ModelKey>,
    ) -> Arc<Current> {
        let current = self.current();
        if lists(&current) {
            return current;
        }
        let keys = keys(&current);
        let deadline = Instant::now() + FIRST_WAIT;
        let may_have_it = |source: &SourceName| keys.iter().any(|key| key.source == *source);
        let Ok(current) = timeout_at(deadline, self.current_with(may_have_it)).await else {
            return self.current();
        };
        if lists(&current) {
            return current;
        }
        let provider_of = |key: &ModelKey| {
            let member = self.0.members.find(&key.source)?;
            let source = &member.refresher.source;
            let may_serve = key.role == Role::Provider
                && source.role == Role::Provider
                && rules::may_serve(&source.rules, &key.model_id);
            may_serve.then_some(member)
        };
        if let Some(member) = keys.iter().find_map(provider_of)
            && let Some(mut attempt) = self.refresh_on_miss(&member, &current)
        {
            let deadline = deadline.min(attempt.began + FIRST_WAIT);
            // After a timeout too, answer with the models known by then.
            let _ = timeout_at(deadline, attempt.ended.wait_for(|ended| *ended)).await;
        }
        self.current()
    }

    /// The attempt at `member` that a miss may wait for: the running one, or a new one if allowed.
    fn refresh_on_miss(&self, member: &Arc<Member>, current: &Current) -> Option<MissAttempt> {
        let state = current.find_source(member.name())?;
        let now = self.now();
        let mut miss = member.miss();
        if let Some(attempt) = miss.under_way() {
            return Some(attempt);
        }
        if !schedule::may_claim(state, ClaimMode::Miss, now) || !miss.may_refresh(now) {
            return None;
        }
        let (attempt, end) = miss.begin();
        drop(miss);
        let outcome = member.refresher.request(ClaimMode::Miss, false);
        let (member, clock) = (member.clone(), self.0.shared.clock.clone());
        // In its own task: the attempt counts even when the caller disconnects.
        self.0.shared.supervisor.tasks.spawn(async move {
            let outcome = outcome.await;
            member.miss().end(&outcome, clock.now());
            end.send_replace(true);
        });
        Some(attempt)
    }

    /// Refreshes the source `name`, or every source, whatever the schedule says (at most once in
    /// 10 s each). Returns each outcome; none when no configured source has that name. `accept`
    /// accepts a suspicious listing at once.
    pub async fn refresh(
        &self,
        name: Option<&str>,
        accept: bool,
    ) -> Option<Vec<(SourceName, RefreshOutcome)>> {
        let members = self.0.members.list();
        let requested: Vec<_> = members
            .iter()
            .filter(|member| name.is_none_or(|name| member.name().as_str() == name))
            .map(|member| {
                let outcome = member.refresher.request(ClaimMode::Requested, accept);
                (member.name().clone(), outcome)
            })
            .collect();
        if requested.is_empty() && name.is_some() {
            return None;
        }
        let mut outcomes = Vec::new();
        for (name, outcome) in requested {
            outcomes.push((name, outcome.await));
        }
        Some(outcomes)
    }

    /// Makes every task check its schedule now instead of at the end of its sleep (a minute at
    /// most).
    pub fn wake(&self) {
        self.0.tasks.wake();
        self.0.members.wake();
    }

    /// Whether every source has ever answered or failed. Always true 2.5 s after the start.
    pub fn is_ready(&self) -> bool {
        self.0.started.elapsed() >= FIRST_WAIT
            || self
                .current()
                .sources
                .states
                .iter()
                .filter(|source| source.configured)
                .all(SourceState::was_attempted)
    }

    /// How the tasks are doing.
    pub(crate) fn health(&self) -> &Health {
        &self.0.shared.supervisor.health
    }

    /// Why this process does not ask the source with this `state`, although its settings have it:
    /// another process has configured it otherwise.
    pub(crate) fn elsewhere(&self, state: &SourceState) -> Option<String> {
        self.0.members.find(&state.name)?.refresher.elsewhere(state)
    }

    /// The current time by the catalog's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.shared.clock.now()
    }

    /// Why the database cannot be written at the moment; none when it can.
    pub(crate) fn database_error(&self) -> Option<Arc<DatabaseError>> {
        self.0.shared.database_error.load_full()
    }

    /// The settings that requests read.
    pub(crate) fn in_force(&self) -> Guard<Arc<InForce>> {
        self.0.in_force.load()
    }

    /// The verdict on each watched model, from the list in `current`.
    pub(crate) fn verdicts(&self, current: &Current) -> Vec<Verdict> {
        verdicts(&self.in_force().watch, current, self.now())
    }

    /// The web pages that may read answers.
    pub(crate) fn cors_origins(&self) -> &CorsOrigins {
        &self.0.fixed.cors_origins
    }

    /// The public names under which it may be asked.
    pub(crate) fn allowed_hosts(&self) -> &AllowedHosts {
        &self.0.fixed.allowed_hosts
    }

    /// Completes when a source has refused its key.
    pub(crate) async fn key_refused(&self) {
        self.0.shared.key_refused.notified().await;
    }

    /// How long a client may take; see [`Config::client_timeout`].
    pub(crate) fn client_timeout(&self) -> Duration {
        self.0.fixed.client_timeout
    }

    /// The database.
    pub(crate) fn store(&self) -> &Store {
        &self.0.shared.store
    }

    /// The state that the tasks share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}
