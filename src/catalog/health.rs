//! How the tasks are doing: which were restarted and why, which sources are overdue, and whether the
//! service can still do its work.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{source::SourceName, time::Timestamp};

/// A task that has run this long since its last restart is well again.
pub const RECOVERED_AFTER: Duration = Duration::from_secs(600);
/// From this many restarts in a row on, a task fails again and again.
const FAILING_RESTARTS: u32 = 5;
/// How long the watchdog may be silent. It shows itself every second.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// A background task.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskName {
    /// Refreshes this source.
    Source(SourceName),
    /// Fetches the enrichment.
    Enrichment,
    /// Delivers to this webhook.
    Webhook(SourceName),
    /// Checks the watched models.
    Watch,
    /// Deletes old history.
    Prune,
    /// Follows other processes' commits.
    Follow,
    /// Takes over from a process that has ended.
    Presence,
    /// Looks for local servers.
    Discovery,
    /// Looks for overdue sources.
    Watchdog,
}

impl TaskName {
    /// What kind of task it is. Names of sources and webhooks are not for everybody; this is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Enrichment => "enrichment",
            Self::Webhook(_) => "webhook",
            Self::Watch => "watch",
            Self::Prune => "prune",
            Self::Follow => "follow",
            Self::Presence => "presence",
            Self::Discovery => "discovery",
            Self::Watchdog => "watchdog",
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) | Self::Webhook(name) => write!(f, "{}:{name}", self.kind()),
            _ => f.write_str(self.kind()),
        }
    }
}

/// The restarts of one task since the start of the process.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Restarts {
    /// How many there were.
    pub count: u64,
    /// The last one.
    pub last_at: Timestamp,
    /// Why it was needed, in one line; none for callers who may see only some models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many there were without a recovery in between.
    #[serde(skip)]
    in_a_row: u32,
    #[serde(skip)]
    last: Instant,
}

impl Restarts {
    fn is_recent(&self, now: Instant) -> bool {
        now.duration_since(self.last) < RECOVERED_AFTER
    }

    fn is_failing(&self, now: Instant) -> bool {
        self.in_a_row >= FAILING_RESTARTS && self.is_recent(now)
    }
}

/// How all tasks are doing.
#[derive(Debug)]
pub struct Health {
    /// Every task that was started, and its restarts.
    tasks: Mutex<BTreeMap<TaskName, Option<Restarts>>>,
    /// The overdue sources, and since when each is due.
    overdue: ArcSwap<BTreeMap<SourceName, Timestamp>>,
    /// When the watchdog last looked.
    looked: Mutex<Instant>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            tasks: Mutex::default(),
            overdue: ArcSwap::default(),
            looked: Mutex::new(Instant::now()),
        }
    }
}

impl Health {
    /// Ignores lock poisoning: the map is valid after every statement.
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<TaskName, Option<Restarts>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that a task was started.
    pub fn record_start(&self, task: &TaskName) {
        self.tasks().entry(task.clone()).or_default();
    }

    /// Forgets a task that is not to run any more.
    pub fn forget(&self, task: &TaskName) {
        self.tasks().remove(task);
    }

    /// Records that a task which began to run at `began` must be restarted `now`; returns how many
    /// restarts there were in a row.
    pub fn record_restart(
        &self,
        task: &TaskName,
        message: String,
        began: Instant,
        (now, last_at): (Instant, Timestamp),
    ) -> u32 {
        let has_recovered = now.duration_since(began) >= RECOVERED_AFTER;
        let mut tasks = self.tasks();
        let known = tasks.entry(task.clone()).or_default();
        let (count, in_a_row) = match known {
            Some(known) if has_recovered => (known.count, 0),
            Some(known) => (known.count, known.in_a_row),
            None => (0, 0),
        };
        *known = Some(Restarts {
            count: count + 1,
            last_at,
            message: Some(message),
            in_a_row: in_a_row + 1,
            last: now,
        });
        in_a_row + 1
    }

    /// Records a look of the watchdog `now`, which found these sources `overdue`.
    pub fn record_look(&self, overdue: BTreeMap<SourceName, Timestamp>, now: Instant) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = now;
        self.overdue.store(Arc::new(overdue));
    }

    /// The restarts of the task of a source; none when there were none.
    pub fn of_source(&self, name: &SourceName) -> Option<Restarts> {
        self.tasks()
            .get(&TaskName::Source(name.clone()))
            .cloned()
            .flatten()
    }

    /// The overdue sources, and since when each is due.
    pub fn overdue(&self) -> Arc<BTreeMap<SourceName, Timestamp>> {
        self.overdue.load_full()
    }

    /// How often tasks of each kind were restarted that have not recovered yet.
    pub fn list_troubled(&self, now: Instant) -> BTreeMap<&'static str, u64> {
        let mut troubled = BTreeMap::new();
        for (task, restarts) in &*self.tasks() {
            if let Some(restarts) = restarts.as_ref().filter(|restarts| restarts.is_recent(now)) {
                *troubled.entry(task.kind()).or_default() += restarts.count;
            }
        }
        troubled
    }

    /// Why the service cannot do its work any more, in one line without names; none while it can.
    /// It cannot when all tasks of one kind fail again and again, or nothing runs any more.
    pub fn find_problem(&self, now: Instant) -> Option<String> {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let silence = now.duration_since(looked);
        if silence > SILENCE_LIMIT {
            return Some(format!(
                "the watchdog has not run for {} s: restart the service and report this",
                silence.as_secs()
            ));
        }
        let mut is_broken = BTreeMap::new();
        for (task, restarts) in &*self.tasks() {
            let is_failing = restarts
                .as_ref()
                .is_some_and(|restarts| restarts.is_failing(now));
            *is_broken.entry(task.kind()).or_insert(true) &= is_failing;
        }
        let (kind, _) = is_broken.into_iter().find(|(_, is_broken)| *is_broken)?;
        Some(format!(
            "every task of the kind {kind} fails again and again: see the log and report this"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn the_service_is_ill_when_all_tasks_of_a_kind_fail_again_and_again() {
        let health = Health::default();
        let source = |name: &str| TaskName::Source(name.parse().expect("a name"));
        let began = Instant::now();
        let fail_at = |task: &TaskName, now| {
            let at = Timestamp::from_millis(NOW_MS);
            health.record_restart(task, "why".to_owned(), began, (now, at))
        };
        let fail = |task: &TaskName| fail_at(task, began);
        for task in [source("a"), source("b"), TaskName::Prune] {
            health.record_start(&task);
        }
        for count in 1..=9 {
            assert_eq!(fail(&source("a")), count);
        }
        assert_eq!(
            health.find_problem(began),
            None,
            "the other source is refreshed"
        );
        assert_eq!(health.list_troubled(began), [("source", 9)].into());
        for _ in 0..4 {
            fail(&source("b"));
        }
        assert_eq!(health.find_problem(began), None, "not yet again and again");
        fail(&source("b"));
        let problem = health.find_problem(began).expect("ill");
        assert!(problem.contains("kind source"), "{problem}");

        // It recovers when one of them runs, and counts anew from then on.
        let later = began + RECOVERED_AFTER;
        health.record_look(BTreeMap::new(), later);
        assert_eq!(health.find_problem(later), None);
        assert!(health.list_troubled(later).is_empty());
        assert_eq!(fail_at(&source("b"), later), 1);
        let restarts = health.of_source(&"b".parse().expect("a name"));
        assert_eq!(restarts.expect("some").count, 6);

        let problem = health.find_problem(later + SILENCE_LIMIT + Duration::from_secs(1));
        let problem = problem.expect("ill");
        assert!(problem.contains("has not run for 31 s"), "{problem}");
    }
}
