//! Refreshes one source: a loop that only sleeps, and the step it runs. One task per source, so a
//! source is never fetched twice at the same time.

mod report;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field::Empty};

use crate::{
    catalog::{
        health::TaskName,
        shared::Shared,
        supervisor::{Supervised, TaskHandle, TookTooLong},
    },
    config::source::SourceConfig,
    ingest::schedule::{self, ClaimMode},
    model::{
        event::Counts,
        fetch::{Committed, ErrorKind, FetchError, Outcome},
        settings::SourceSettings,
        source::Kind,
        state::{Polling, SourceState},
        time::Timestamp,
    },
    provider::{self, Known},
    store::{commit::Attempt, error::StoreError},
};

/// The longest sleep: the clock may jump, and another process may change the schedule.
pub const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The shortest sleep between two checks of the schedule.
const SHORTEST_SLEEP: Duration = Duration::from_millis(250);
/// How much longer than its fetch a step may take: the database may be locked or slow.
const DATABASE_LIMIT: Duration = Duration::from_secs(120);
/// The number of fetches between two looks at the kind of a source.
const LOOK_INTERVAL: u32 = 20;
/// The sleep after a database failure.
const SLEEP_AFTER_ERROR: Duration = Duration::from_secs(5);

/// The outcome of one step.
#[derive(Clone, Debug)]
pub enum RefreshOutcome {
    /// The source was not due, or another task or process holds the claim.
    NotDue,
    /// The listing has the same models as before.
    Unchanged,
    /// The listing made a new revision.
    Changed(Counts),
    /// The listing is suspicious and waits for confirmation.
    Held {
        /// Models in the suspicious listing.
        listed: usize,
        /// Models that are stored, and still served.
        stored: usize,
    },
    /// The fetch failed. The stored models are still served.
    Failed(FetchError),
    /// The database failed.
    StoreFailed(Arc<StoreError>),
    /// The step panicked or did not end: a bug in the catalog. The log has details, and the source's
    /// task is restarted.
    Panicked,
    /// The catalog is stopping. The claim was released.
    Stopped,
    /// Another process on the database has configured the source otherwise, as this line says.
    Elsewhere(String),
}

impl RefreshOutcome {
    /// The outcome's name for metrics and the log; none when there was no attempt.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::NotDue | Self::Stopped | Self::Panicked | Self::Elsewhere(_) => None,
            Self::Unchanged => Some(Outcome::Unchanged),
            Self::Changed(_) => Some(Outcome::Changed),
            Self::Held { .. } => Some(Outcome::Held),
            Self::Failed(_) => Some(Outcome::Failed),
            Self::StoreFailed(_) => Some(Outcome::StoreFailed),
        }
    }
}

/// What a fetch brought.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// Whole pages.
    pages: usize,
    /// Models on all of them; 0 after a failure.
    models: usize,
}

/// A request for a refresh.
struct Request {
    mode: ClaimMode,
    /// Whether to accept a suspicious listing at once.
    accept: bool,
    reply: oneshot::Sender<RefreshOutcome>,
}

/// A handle to one source's task.
#[derive(Clone, Debug)]
pub struct Refresher {
    /// The source.
    pub source: Arc<SourceConfig>,
    settings: Arc<SourceSettings>,
    requests: mpsc::UnboundedSender<Request>,
    wake: Arc<Notify>,
    first_attempt: watch::Receiver<bool>,
    began: Instant,
    stop: CancellationToken,
}

impl Refresher {
    /// Starts the task of `source`; also returns the handle that ends it.
    pub fn spawn(shared: Arc<Shared>, source: SourceConfig) -> (Self, TaskHandle) {
        let (requests, requested) = mpsc::unbounded_channel();
        let (first_done, first_attempt) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        let settings = Arc::new(source.settings());
        let source = Arc::new(source);
        let task = Arc::new(Task {
            shared: shared.clone(),
            settings: settings.clone(),
            source: source.clone(),
            wake: wake.clone(),
            is_elsewhere_logged: AtomicBool::new(false),
            fetches: AtomicU32::new(0),
            requested: Mutex::new(requested),
            first_done,
        });
        let name = TaskName::Source(source.name.clone());
        let secrets = source.key.iter().cloned().collect();
        let supervisor = &shared.supervisor;
        let handle = supervisor.start(name, secrets, move |supervised| {
            task.clone().run(supervised)
        });
        let refresher = Self {
            stop: handle.stop.clone(),
            source,
            settings,
            requests,
            wake,
            first_attempt,
            began: Instant::now(),
        };
        (refresher, handle)
    }

    /// Requests a refresh, and returns its outcome. It runs even if the caller does not wait.
    pub fn request(
        &self,
        mode: ClaimMode,
        accept: bool,
    ) -> impl Future<Output = RefreshOutcome> + Send + use<> {
        let (reply, outcome) = oneshot::channel();
        // The channel is closed when the catalog has stopped.
        let _ = self.requests.send(Request {
            mode,
            accept,
            reply,
        });
        let stop = self.stop.clone();
        async move {
            outcome.await.unwrap_or_else(|_| match stop.is_cancelled() {
                true => RefreshOutcome::Stopped,
                false => RefreshOutcome::Panicked,
            })
        }
    }

    /// Why this process does not refresh the source, whose state is `state`: another one has configured
    /// it otherwise. None when it does.
    pub fn elsewhere(&self, state: &SourceState) -> Option<String> {
        elsewhere(state, &self.settings)
    }

    /// Makes the task check its schedule now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for the end of the first attempt in this process, at most until `limit` after the task
    /// began.
    pub async fn wait_for_first_attempt(&self, limit: Duration) {
        let mut done = self.first_attempt.clone();
        // Both errors, the timeout and the end of the task, leave nothing to wait for.
        let _ = tokio::time::timeout_at(self.began + limit, done.wait_for(|done| *done)).await;
    }
}

/// Time limit of a step that fetches once.
pub fn step_limit(shared: &Shared) -> Duration {
    shared.fetch_timeout + DATABASE_LIMIT
}

/// Time from `now` until `polling` is due, at least `shortest`.
pub fn until_due(polling: &Polling, now: Timestamp, shortest: Duration) -> Duration {
    let next = polling
        .next_attempt_at
        .filter(|_| !schedule::is_due(polling, now));
    let wait = next.map_or(Duration::ZERO, |next| {
        next.since(now).to_std().unwrap_or_default()
    });
    wait.clamp(shortest, LONGEST_SLEEP)
}

/// Why `state` is not what `settings` say; none when it is.
pub fn elsewhere(state: &SourceState, settings: &SourceSettings) -> Option<String> {
    if state.is_asked_as(settings) {
        return None;
    }
    let what = match state.configured {
        true => "has configured another address or kind for it",
        false => "does not have it in its settings",
    };
    Some(format!(
        "another process on this database, which started later, {what}; this process takes over when that one has ended"
    ))
}

struct Task {
    shared: Arc<Shared>,
    source: Arc<SourceConfig>,
    settings: Arc<SourceSettings>,
    wake: Arc<Notify>,
    /// Outlives a restart of the task, with the requests that wait in it.
    requested: Mutex<mpsc::UnboundedReceiver<Request>>,
    first_done: watch::Sender<bool>,
    is_elsewhere_logged: AtomicBool,
    /// Fetches since the start, or since the source seemed to be Ollama no more.
    fetches: AtomicU32,
}

impl Task {
    async fn run(self: Arc<Self>, supervised: Supervised) -> Result<(), TookTooLong> {
        let mut requested = self.requested.lock().await;
        let mut sleep = Duration::ZERO;
        loop {
            let request = tokio::select! {
                biased;
                () = supervised.stop.cancelled() => return Ok(()),
                request = requested.recv() => match request {
                    Some(request) => Some(request),
                    None => return Ok(()),
                },
                () = self.wake.notified() => None,
                () = tokio::time::sleep(sleep) => None,
            };
            let now = self.shared.clock.now();
            let step = async {
                let stop = &supervised.stop;
                match &request {
                    Some(request) => self.refresh(request.mode, request.accept, stop).await,
                    None => self.refresh_if_due(now, stop).await,
                }
            };
            let outcome = supervised.step(step_limit(&self.shared), step).await?;
            self.first_done.send_replace(true);
            sleep = match &outcome {
                RefreshOutcome::StoreFailed(_) => SLEEP_AFTER_ERROR,
                _ => self.until_due(self.shared.clock.now()),
            };
            if let Some(request) = request {
                // The caller may have disconnected.
                let _ = request.reply.send(outcome);
            }
        }
    }

    /// The source's state in the served sources.
    fn state(&self) -> Option<SourceState> {
        let current = self.shared.current.load();
        current.find_source(&self.source.name).cloned()
    }

    fn until_due(&self, now: Timestamp) -> Duration {
        match self.state() {
            None => SHORTEST_SLEEP,
            Some(state) if !state.is_asked_as(&self.settings) => LONGEST_SLEEP,
            Some(state) => until_due(&state.polling, now, SHORTEST_SLEEP),
        }
    }

    /// Says, once in the log, that another process has configured the source otherwise; none when that
    /// is not so.
    fn elsewhere(&self) -> Option<RefreshOutcome> {
        let provider = &self.source.name;
        let why = self
            .state()
            .and_then(|state| elsewhere(&state, &self.settings));
        let is_logged = self
            .is_elsewhere_logged
            .swap(why.is_some(), Ordering::Relaxed);
        if let (Some(why), false) = (&why, is_logged) {
            tracing::warn!(%provider, "not refreshing {provider}: {why}");
        }
        why.map(RefreshOutcome::Elsewhere)
    }

    /// Refreshes the source if it is due.
    async fn refresh_if_due(&self, now: Timestamp, stop: &CancellationToken) -> RefreshOutcome {
        if let Some(elsewhere) = self.elsewhere() {
            return elsewhere;
        }
        let is_due = |state: &SourceState| schedule::may_claim(state, ClaimMode::Due, now);
        if self.state().is_some_and(|state| !is_due(&state)) {
            return RefreshOutcome::NotDue;
        }
        self.refresh(ClaimMode::Due, false, stop).await
    }

    /// One step: claim, fetch, commit, serve the result.
    async fn refresh(
        &self,
        mode: ClaimMode,
        accept: bool,
        stop: &CancellationToken,
    ) -> RefreshOutcome {
        let before = self.state();
        let began = Instant::now();
        let (outcome, size) = match self.claim_and_fetch(mode, accept, stop).await {
            Ok((outcome, size)) => {
                // Without a claim, the database was not written: nothing to record.
                if !matches!(outcome, RefreshOutcome::NotDue) {
                    self.shared.record_database_success();
                }
                (outcome, size)
            }
            Err(error) => {
                self.shared.record_database_error(&error);
                (
                    RefreshOutcome::StoreFailed(Arc::new(error)),
                    Size::default(),
                )
            }
        };
        let took = began.elapsed();
        // Also when it was not due: another process may have changed the schedule.
        let reloaded = self.shared.reload().await;
        let was_gone = before.as_ref().is_some_and(SourceState::is_gone);
        let was_ollama = before
            .as_ref()
            .is_some_and(|state| state.kind == Kind::Ollama);
        if was_ollama && self.state().is_some_and(|state| state.kind != Kind::Ollama) {
            self.fetches.store(0, Ordering::Relaxed);
        }
        self.log(&outcome, before.as_ref(), size, took);
        if !was_gone && self.state().is_some_and(|state| state.is_gone()) {
            let provider = &self.source.name;
            tracing::warn!(%provider, "{provider} has ended: its models are hidden, and it is asked once a day from now on; correct its base_url or remove it from the settings");
        }
        let was_damped = before
            .as_ref()
            .is_some_and(|before| before.damped.is_some());
        self.log_skipped(before.and_then(|before| before.skipped).as_ref());
        self.log_damped(was_damped);
        self.count(&outcome, took);
        if let RefreshOutcome::Failed(error) = &outcome
            && matches!(error.kind, ErrorKind::Unauthorized | ErrorKind::Forbidden)
        {
            // Whoever read the key may find another one.
            self.shared.key_refused.notify_one();
        }
        match reloaded {
            Ok(_) if matches!(outcome, RefreshOutcome::NotDue) => {
                self.elsewhere().unwrap_or(RefreshOutcome::NotDue)
            }
            Ok(_) => outcome,
            Err(error) => {
                tracing::error!(provider = %self.source.name, %error, "cannot reload the catalog; still serving the last list");
                RefreshOutcome::StoreFailed(Arc::new(error))
            }
        }
    }

    async fn claim_and_fetch(
        &self,
        mode: ClaimMode,
        accept: bool,
        stop: &CancellationToken,
    ) -> Result<(RefreshOutcome, Size), StoreError> {
        let Shared {
            store,
            clients,
            fetch_timeout,
            ..
        } = &*self.shared;
        let Some(claim) = store.claim(&self.settings, mode, *fetch_timeout).await? else {
            return Ok((RefreshOutcome::NotDue, Size::default()));
        };
        let began = Instant::now();
        let known = Known {
            kind: self.state().map(|state| state.kind),
            looks_again: self.looks_again(),
            details: Some(&claim.details),
        };
        let span = tracing::debug_span!(
            "fetch",
            otel.kind = "client",
            source = %self.source.name,
            pages = Empty,
            error.type = Empty,
        );
        let fetched = tokio::select! {
            biased;
            () = stop.cancelled() => {
                store.release(&self.settings, &claim).await?;
                return Ok((RefreshOutcome::Stopped, Size::default()));
            }
            fetched = provider::fetch(clients, &self.source, known, *fetch_timeout, claim.at)
                .instrument(span.clone()) => fetched,
        };
        let size = match &fetched {
            Ok(fetched) => Size {
                pages: fetched.listing.pages,
                models: fetched.listing.entries.len(),
            },
            Err(error) => Size {
                pages: error.pages,
                models: 0,
            },
        };
        span.record("pages", size.pages);
        if let Err(error) = &fetched {
            span.record("error.type", error.kind.as_str());
        }
        let attempt = Attempt {
            accept,
            duration: began.elapsed(),
            jitter: fastrand::f64(),
        };
        let committed = store
            .commit(&self.settings, &claim, fetched, attempt)
            .await?;
        let outcome = match committed {
            Committed::Superseded => RefreshOutcome::NotDue,
            Committed::Unchanged => RefreshOutcome::Unchanged,
            Committed::Changed(counts) => RefreshOutcome::Changed(counts),
            Committed::Held { listed, stored } => RefreshOutcome::Held { listed, stored },
            Committed::Failed(error) => RefreshOutcome::Failed(error),
        };
        Ok((outcome, size))
    }

    /// Whether to look if the source is of another kind than it seems: at the first fetch after a start
    /// or after an Ollama seemed to be another server, and now and again.
    fn looks_again(&self) -> bool {
        let fetches = self.fetches.fetch_add(1, Ordering::Relaxed);
        fetches.is_multiple_of(LOOK_INTERVAL)
    }
}
