//! Refreshing one source: a loop that only sleeps, and the step that it takes. One task per source
//! and therefore one fetch at a time per source, whoever asks for it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::shared::Shared,
    config::source::SourceConfig,
    ingest::{
        diff::Counts,
        schedule::{ClaimMode, backoff},
    },
    model::{
        fetch::{ErrorKind, FetchError},
        source::{Kind, Role, SourceName},
        time::Timestamp,
    },
    provider,
    store::{commit::Committed, error::StoreError},
};

/// The longest sleep: a clock may jump, and another process may change the schedule.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The shortest sleep between two looks at the schedule.
const SHORTEST_SLEEP: Duration = Duration::from_millis(250);
/// The sleep after the database has failed, or after a bug of ours.
const SLEEP_AFTER_ERROR: Duration = Duration::from_secs(5);

/// What one step came to.
#[derive(Clone, Debug)]
pub enum RefreshOutcome {
    /// It was not due, or somebody else has it.
    NotDue,
    /// The same models as before.
    Unchanged,
    /// A new revision.
    Changed(Counts),
    /// A strange answer, not believed.
    Held {
        /// How many models it has.
        listed: usize,
        /// How many keep being served.
        stored: usize,
    },
    /// The fetch failed; what is stored keeps being served.
    Failed(FetchError),
    /// The database failed.
    StoreFailed(Arc<StoreError>),
    /// A bug of ours; the log says more. The source is asked again.
    Panicked,
    /// The catalog is stopping; the claim was given back.
    Stopped,
}

/// Somebody who wants a source asked and waits for the outcome.
pub struct Ask {
    mode: ClaimMode,
    /// Whether a strange answer is believed.
    accept: bool,
    reply: oneshot::Sender<RefreshOutcome>,
}

/// How others reach a source's task.
#[derive(Clone, Debug)]
pub struct Refresher {
    /// The source.
    pub source: Arc<SourceConfig>,
    asks: mpsc::UnboundedSender<Ask>,
    wake: Arc<Notify>,
    first_attempt: watch::Receiver<bool>,
    began: Instant,
}

impl Refresher {
    /// Starts the task of `source`.
    pub(crate) fn spawn(shared: Arc<Shared>, source: SourceConfig) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        let (first_done, first_attempt) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        let source = Arc::new(source);
        let task = Task {
            shared: shared.clone(),
            source: source.clone(),
            wake: wake.clone(),
            stop: shared.stop.clone(),
        };
        shared.tasks.spawn(Arc::new(task).run(asked, first_done));
        Self {
            source,
            asks,
            wake,
            first_attempt,
            began: Instant::now(),
        }
    }

    /// Asks for a refresh; the outcome comes when it is done. It is done whether or not anybody
    /// waits.
    pub fn ask(&self, mode: ClaimMode, accept: bool) -> oneshot::Receiver<RefreshOutcome> {
        let (reply, outcome) = oneshot::channel();
        // A closed channel is a stopped catalog: the receiver then says so.
        let _ = self.asks.send(Ask {
            mode,
            accept,
            reply,
        });
        outcome
    }

    /// Has the schedule looked at now.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits for the end of the first attempt in this process, until `limit` after it began.
    pub async fn wait_for_first_attempt(&self, limit: Duration) {
        let mut done = self.first_attempt.clone();
        // Neither the end of the time nor that of the task leaves anything to wait for.
        let _ = tokio::time::timeout_at(self.began + limit, done.wait_for(|done| *done)).await;
    }
}

/// Runs one step of the source `name`; a panic in it ends the step and not the task.
async fn survive(
    name: &SourceName,
    step: impl Future<Output = RefreshOutcome> + Send + 'static,
) -> RefreshOutcome {
    tokio::spawn(step).await.unwrap_or_else(|error| {
        tracing::error!(provider = %name, %error, "refreshing {name} panicked: please report this; it is tried again");
        RefreshOutcome::Panicked
    })
}

struct Task {
    shared: Arc<Shared>,
    source: Arc<SourceConfig>,
    wake: Arc<Notify>,
    stop: CancellationToken,
}

impl Task {
    async fn run(
        self: Arc<Self>,
        mut asked: mpsc::UnboundedReceiver<Ask>,
        first_done: watch::Sender<bool>,
    ) {
        let mut sleep = Duration::ZERO;
        loop {
            let ask = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                ask = asked.recv() => match ask {
                    Some(ask) => Some(ask),
                    None => break,
                },
                () = self.wake.notified() => None,
                () = tokio::time::sleep(sleep) => None,
            };
            let now = self.shared.clock.now();
            let (task, wanted) = (self.clone(), ask.as_ref().map(|ask| (ask.mode, ask.accept)));
            let step = async move {
                match wanted {
                    Some((mode, accept)) => task.refresh(mode, accept, now).await,
                    None => task.refresh_if_due(now).await,
                }
            };
            let outcome = survive(&self.source.name, step).await;
            first_done.send_replace(true);
            sleep = match &outcome {
                RefreshOutcome::StoreFailed(_) | RefreshOutcome::Panicked => SLEEP_AFTER_ERROR,
                _ => self.until_due(self.shared.clock.now()),
            };
            if let Some(ask) = ask {
                // Whoever asked may have gone.
                let _ = ask.reply.send(outcome);
            }
        }
    }

    fn until_due(&self, now: Timestamp) -> Duration {
        let snapshot = self.shared.snapshot.load();
        let state = snapshot.find_source(&self.source.name);
        if state.is_some_and(|state| !state.configured) {
            return LONGEST_SLEEP;
        }
        let next = state.and_then(|state| (!state.is_due(now)).then_some(state.next_attempt_at?));
        let wait = next.map_or(Duration::ZERO, |next| {
            next.since(now).to_std().unwrap_or_default()
        });
        wait.clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
    }

    /// Asks the source if its schedule says so.
    async fn refresh_if_due(&self, now: Timestamp) -> RefreshOutcome {
        let snapshot = self.shared.snapshot.load();
        if snapshot
            .find_source(&self.source.name)
            .is_some_and(|state| !state.is_due(now))
        {
            return RefreshOutcome::NotDue;
        }
        self.refresh(ClaimMode::Due, false, now).await
    }

    /// The step: claim, fetch, commit, and let everybody see it.
    async fn refresh(&self, mode: ClaimMode, accept: bool, now: Timestamp) -> RefreshOutcome {
        let known_error = self.last_error();
        let outcome = match self.claim_and_fetch(mode, accept, now).await {
            Ok(outcome) => {
                // A claim that is not made writes nothing and shows nothing.
                if !matches!(outcome, RefreshOutcome::NotDue) {
                    self.shared.record_database_success();
                }
                outcome
            }
            Err(error) => {
                self.shared.record_database_error(&error);
                RefreshOutcome::StoreFailed(Arc::new(error))
            }
        };
        // Also when it was not due: another process may have changed the schedule that we know.
        let reloaded = self.shared.reload().await;
        self.log(&outcome, known_error);
        if let Some(outcome) = outcome.label() {
            let metrics = &self.shared.metrics;
            metrics.count_fetch(self.source.name.as_str(), outcome);
        }
        match reloaded {
            Ok(()) => outcome,
            Err(error) => {
                tracing::error!(provider = %self.source.name, %error, "cannot read the catalog back; the last known list keeps being served");
                RefreshOutcome::StoreFailed(Arc::new(error))
            }
        }
    }

    async fn claim_and_fetch(
        &self,
        mode: ClaimMode,
        accept: bool,
        now: Timestamp,
    ) -> Result<RefreshOutcome, StoreError> {
        let Shared {
            store,
            clients,
            fetch_timeout,
            ..
        } = &*self.shared;
        let source = &*self.source;
        let Some(claim) = store.claim(source, mode, now).await? else {
            return Ok(RefreshOutcome::NotDue);
        };
        let known = store.list_details(source).await?;
        let began = Instant::now();
        let recognised = self.recognised();
        let fetched = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                store.release(&claim).await?;
                return Ok(RefreshOutcome::Stopped);
            }
            fetched = provider::fetch(clients, source, recognised, Some(&known), *fetch_timeout, now) => fetched,
        };
        let duration = began.elapsed();
        let committed = match &fetched {
            Ok(fetched) => {
                store
                    .commit_listing(source, &claim, fetched, accept, duration)
                    .await?
            }
            Err(error) => {
                let wait =
                    |failures| backoff(source.role, failures, error.retry_after, fastrand::f64());
                store
                    .commit_failure(source, &claim, error, wait, duration)
                    .await?
            }
        };
        Ok(match (committed, fetched) {
            (Committed::Superseded, _) => RefreshOutcome::NotDue,
            (_, Err(error)) => RefreshOutcome::Failed(error),
            (Committed::Unchanged, Ok(_)) => RefreshOutcome::Unchanged,
            (Committed::Held { listed, stored }, Ok(_)) => RefreshOutcome::Held { listed, stored },
            (Committed::Changed(counts), Ok(_)) => RefreshOutcome::Changed(counts),
        })
    }

    /// The kind in which the source last answered.
    fn recognised(&self) -> Option<Kind> {
        self.shared
            .snapshot
            .load()
            .find_source(&self.source.name)
            .map(|state| state.kind)
    }

    /// Why the last attempt failed, if it did.
    fn last_error(&self) -> Option<ErrorKind> {
        let snapshot = self.shared.snapshot.load();
        Some(
            snapshot
                .find_source(&self.source.name)?
                .error
                .as_ref()?
                .kind,
        )
    }

    fn log(&self, outcome: &RefreshOutcome, known_error: Option<ErrorKind>) {
        let provider = &self.source.name;
        match outcome {
            RefreshOutcome::NotDue | RefreshOutcome::Stopped | RefreshOutcome::Panicked => {}
            RefreshOutcome::Unchanged => {
                tracing::debug!(%provider, outcome = "unchanged", "{provider} lists the same models as before");
            }
            RefreshOutcome::Changed(counts) => {
                let Counts {
                    added,
                    changed,
                    removed,
                    returned,
                } = counts;
                tracing::info!(
                    %provider, outcome = "changed", added, changed, removed, returned,
                    "{provider} lists other models: {added} added, {changed} changed, {removed} removed, {returned} returned"
                );
            }
            RefreshOutcome::Held { listed, stored } => {
                tracing::warn!(
                    %provider, outcome = "held", listed, stored,
                    "{provider} suddenly lists {listed} instead of {stored} models: not believed unless the next answer, in 10 minutes, is alike; POST /catalog/refresh?source={provider}&accept=true believes it now"
                );
            }
            // A local server that is off is asked every 30 s: once is enough to say so.
            RefreshOutcome::Failed(error)
                if self.source.role == Role::Endpoint && known_error == Some(error.kind) =>
            {
                tracing::debug!(%provider, outcome = "failed", "{provider} still cannot be listed: {error}");
            }
            RefreshOutcome::Failed(error) => {
                let kind = error.kind.as_str();
                tracing::warn!(%provider, outcome = "failed", error = kind, "{provider} could not be listed ({kind}): {error}");
            }
            RefreshOutcome::StoreFailed(error) => {
                tracing::debug!(%provider, outcome = "store_failed", "{provider} was not refreshed: {error}");
            }
        }
    }
}

impl RefreshOutcome {
    /// What an attempt came to; none where there was none.
    fn label(&self) -> Option<&'static str> {
        match self {
            Self::NotDue | Self::Stopped | Self::Panicked => None,
            Self::Unchanged => Some("unchanged"),
            Self::Changed(_) => Some("changed"),
            Self::Held { .. } => Some("held"),
            Self::Failed(_) => Some("failed"),
            Self::StoreFailed(_) => Some("store_failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_a_step_and_not_the_task() {
        let name = "acme".parse().expect("a name");
        let outcome = survive(&name, async { panic!("on purpose") }).await;
        assert!(matches!(outcome, RefreshOutcome::Panicked));
        let outcome = survive(&name, async { RefreshOutcome::Unchanged }).await;
        assert!(matches!(outcome, RefreshOutcome::Unchanged));
    }
}
