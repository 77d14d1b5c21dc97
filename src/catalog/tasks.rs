//! The tasks that run beside the requests, one file each. Those of the sources are started by their
//! [`Members`], the others here, anew when their settings change.

pub mod deliver;
pub mod discover;
pub mod enrich;
pub mod follow;
pub mod presence;
pub mod prune;
pub mod refresh;
pub mod watch;
pub mod watchdog;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::Notify;

use self::deliver::Deliverer;
use crate::{
    catalog::{health::TaskName, members::Members, shared::Shared, supervisor::TaskHandle},
    config::{Retention, source::SourceConfig, webhook::WebhookConfig},
    lock::watch::Watch,
};

/// What one task is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Delivers to this webhook.
    Deliver(WebhookConfig),
    /// Fetches this file.
    Enrich(SourceConfig),
    /// Checks these models.
    Watch(Arc<Watch>),
    /// Keeps history this long.
    Prune(Retention),
    /// Looks for these local servers.
    Discover(Vec<SourceConfig>),
    /// Takes over from a process that has ended.
    TakeOver,
    /// Follows other processes' commits.
    Follow,
    /// Looks for overdue sources.
    WatchSources,
}

impl Job {
    /// The setting that it comes from.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Deliver(_) => "webhooks",
            Self::Enrich(_) => "enrichment",
            Self::Watch(_) => "watch",
            Self::Prune(_) => "retention",
            Self::Discover(_) => "discover",
            Self::TakeOver | Self::Follow | Self::WatchSources => "nothing",
        }
    }
}

/// The tasks that do not belong to a source.
#[derive(Debug, Default)]
pub struct Tasks(Mutex<Vec<Running>>);

#[derive(Debug)]
struct Running {
    job: Job,
    handle: TaskHandle,
    /// Makes it check its schedule.
    wake: Arc<Notify>,
}

impl Tasks {
    /// What they do.
    pub fn jobs(&self) -> Vec<Job> {
        let running = self.lock();
        running.iter().map(|running| running.job.clone()).collect()
    }

    /// Ends the tasks that are not among `jobs`.
    pub async fn end_others(&self, jobs: &[Job]) {
        let ended: Vec<Running> = {
            let mut running = self.lock();
            running
                .extract_if(.., |running| !jobs.contains(&running.job))
                .collect()
        };
        join_all(ended.into_iter().map(|running| running.handle.end())).await;
    }

    /// Starts those of `jobs` that do not run yet.
    pub fn start(self: &Arc<Self>, shared: &Arc<Shared>, members: &Arc<Members>, jobs: Vec<Job>) {
        for job in jobs {
            let mut running = self.lock();
            if running.iter().any(|running| running.job == job) {
                continue;
            }
            let (handle, wake) = self.spawn(shared, members, job.clone());
            running.push(Running { job, handle, wake });
        }
    }

    fn spawn(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        members: &Arc<Members>,
        job: Job,
    ) -> (TaskHandle, Arc<Notify>) {
        let supervisor = &shared.supervisor;
        let (of_task, members, tasks) = (shared.clone(), members.clone(), self.clone());
        let wake = Arc::new(Notify::new());
        let woken = wake.clone();
        let handle = match job {
            Job::Deliver(webhook) => return Deliverer::spawn(shared, webhook),
            Job::Enrich(source) => {
                supervisor.start(TaskName::Enrichment, Vec::new(), move |supervised| {
                    enrich::run(supervised, of_task.clone(), source.clone(), woken.clone())
                })
            }
            Job::Watch(watch) => supervisor.start(TaskName::Watch, Vec::new(), move |supervised| {
                watch::run(supervised, of_task.clone(), watch.clone(), woken.clone())
            }),
            Job::Prune(retention) => {
                supervisor.start(TaskName::Prune, Vec::new(), move |supervised| {
                    prune::run(supervised, of_task.clone(), retention)
                })
            }
            Job::Discover(candidates) => {
                let candidates = Arc::new(candidates);
                supervisor.start(TaskName::Discovery, Vec::new(), move |supervised| {
                    let (shared, members) = (of_task.clone(), members.clone());
                    discover::run(supervised, shared, members, candidates.clone())
                })
            }
            Job::TakeOver => supervisor.start(TaskName::Presence, Vec::new(), move |supervised| {
                presence::run(supervised, of_task.clone())
            }),
            Job::Follow => supervisor.start(TaskName::Follow, Vec::new(), move |supervised| {
                let (shared, members) = (of_task.clone(), members.clone());
                follow::run(supervised, shared, members, tasks.clone())
            }),
            Job::WatchSources => {
                supervisor.start(TaskName::Watchdog, Vec::new(), move |supervised| {
                    watchdog::run(supervised, of_task.clone())
                })
            }
        };
        (handle, wake)
    }

    /// Makes those with a schedule check it.
    pub fn wake(&self) {
        for running in &*self.lock() {
            running.wake.notify_one();
        }
    }

    /// Ignores lock poisoning: the list is valid after every statement.
    fn lock(&self) -> MutexGuard<'_, Vec<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
