//! The tasks that run beside the requests, one file each. Those of the sources are started by their
//! [`Members`], the others here.

pub mod deliver;
pub mod discover;
pub mod enrich;
pub mod follow;
pub mod presence;
pub mod prune;
pub mod refresh;
pub mod watch;
pub mod watchdog;

use std::sync::Arc;

use tokio::sync::Notify;

use self::deliver::Deliverer;
use crate::{
    catalog::{health::TaskName, members::Members, shared::Shared},
    config::{Retention, source::SourceConfig, webhook::WebhookConfig},
    lock::watch::Watch,
    model::settings::CatalogSettings,
};

/// What the tasks are to do.
pub struct Settings {
    /// Deliver to these.
    pub webhooks: Vec<WebhookConfig>,
    /// Fetch this file.
    pub enrichment: Option<SourceConfig>,
    /// Check these models.
    pub watch: Arc<Watch>,
    /// Apply these again when the process ends that has replaced them.
    pub applied: CatalogSettings,
    /// Keep history this long.
    pub retention: Retention,
    /// Look for these local servers.
    pub candidates: Vec<SourceConfig>,
}

/// Starts every task that does not belong to a source. Returns the handles that make those with a
/// schedule check it.
pub fn start(shared: &Arc<Shared>, members: &Arc<Members>, settings: Settings) -> Vec<Arc<Notify>> {
    let mut sleepers: Vec<_> = settings
        .webhooks
        .into_iter()
        .map(|webhook| Deliverer::spawn(shared, webhook))
        .collect();
    let supervisor = &shared.supervisor;
    if let Some(source) = settings.enrichment {
        let (shared, wake) = (shared.clone(), Arc::new(Notify::new()));
        sleepers.push(wake.clone());
        supervisor.start(TaskName::Enrichment, Vec::new(), move |supervised| {
            enrich::run(supervised, shared.clone(), source.clone(), wake.clone())
        });
    }
    if !settings.watch.is_empty() {
        let (shared, wake) = (shared.clone(), Arc::new(Notify::new()));
        sleepers.push(wake.clone());
        supervisor.start(TaskName::Watch, Vec::new(), move |supervised| {
            watch::run(
                supervised,
                shared.clone(),
                settings.watch.clone(),
                wake.clone(),
            )
        });
    }
    let of_task = shared.clone();
    supervisor.start(TaskName::Prune, Vec::new(), move |supervised| {
        prune::run(supervised, of_task.clone(), settings.retention)
    });
    let of_task = (shared.clone(), Arc::new(settings.applied));
    supervisor.start(TaskName::Presence, Vec::new(), move |supervised| {
        let (shared, applied) = of_task.clone();
        presence::run(supervised, shared, applied)
    });
    let of_task = (shared.clone(), members.clone(), sleepers.clone());
    supervisor.start(TaskName::Follow, Vec::new(), move |supervised| {
        let (shared, members, sleepers) = of_task.clone();
        follow::run(supervised, shared, members, sleepers)
    });
    let of_task = shared.clone();
    supervisor.start(TaskName::Watchdog, Vec::new(), move |supervised| {
        watchdog::run(supervised, of_task.clone())
    });
    if !settings.candidates.is_empty() {
        let of_task = (
            shared.clone(),
            members.clone(),
            Arc::new(settings.candidates),
        );
        supervisor.start(TaskName::Discovery, Vec::new(), move |supervised| {
            let (shared, members, candidates) = of_task.clone();
            discover::run(supervised, shared, members, candidates)
        });
    }
    sleepers
}
