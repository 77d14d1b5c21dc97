//! New settings for a running catalog: only what they change is stopped and started anew, and nothing that
//! is served is lost.

use std::{collections::BTreeSet, sync::Arc};

use secrecy::ExposeSecret;

use super::{
    Catalog, Fixed, InForce, Inner, StartError,
    tasks::{Job, discover},
};
use crate::{
    config::{Config, keys::Keys, source::SourceConfig, webhook::WebhookConfig},
    ingest::schedule::ClaimMode,
    lock::watch::Watch,
    model::{settings::CatalogSettings, source::SourceName},
    store::Applied,
};

/// What new settings have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfigured {
    /// Sources that are new.
    pub added: Vec<SourceName>,
    /// Sources with other settings than before.
    pub changed: Vec<SourceName>,
    /// Sources that are not configured any more.
    pub removed: Vec<SourceName>,
    /// What else has changed: `keys`, `webhooks`, `enrichment`, `watch`, `retention`, `discovery`.
    pub others: Vec<&'static str>,
    /// Settings that differ and take effect at the next start only, by their names in the settings file.
    pub at_next_start: Vec<&'static str>,
}

impl Reconfigured {
    /// Whether nothing has changed.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What settings mean for the tasks and the database.
pub(super) struct Plan {
    sources: Vec<SourceConfig>,
    discoverable: Vec<SourceConfig>,
    /// What the database is told.
    pub(super) settings: CatalogSettings,
    /// What the tasks are to do that belong to no source.
    pub(super) jobs: Vec<Job>,
    pub(super) watch: Arc<Watch>,
}

impl Plan {
    pub(super) fn of(config: &Config) -> Self {
        let watch = Arc::new(config.watch.clone().unwrap_or_default());
        let sources = config.sources.clone();
        let discoverable = discover::candidates(&config.discovery_ports, &sources);
        let settings =
            |sources: &[SourceConfig]| sources.iter().map(SourceConfig::settings).collect();
        let settings = CatalogSettings {
            sources: settings(&sources),
            discoverable: settings(&discoverable),
            enrichment: config.enrichment.as_ref().map(SourceConfig::settings),
            webhooks: config
                .webhooks
                .iter()
                .map(WebhookConfig::settings)
                .collect(),
            watched: watch.ids().map(str::to_owned).collect(),
        };
        let mut jobs: Vec<Job> = config.webhooks.iter().cloned().map(Job::Deliver).collect();
        jobs.extend(config.enrichment.clone().map(Job::Enrich));
        if !watch.is_empty() {
            jobs.push(Job::Watch(watch.clone()));
        }
        if !discoverable.is_empty() {
            jobs.push(Job::Discover(discoverable.clone()));
        }
        jobs.extend([
            Job::Prune(config.retention),
            Job::TakeOver,
            Job::Follow,
            Job::WatchSources,
        ]);
        Self {
            sources,
            discoverable,
            settings,
            jobs,
            watch,
        }
    }

    /// The configured sources, and the discoverable ones that were `found`.
    pub(super) fn sources(&self, found: &[SourceName]) -> Vec<SourceConfig> {
        let found = self
            .discoverable
            .iter()
            .filter(|candidate| found.contains(&candidate.name));
        self.sources.iter().chain(found).cloned().collect()
    }
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            database_url: config.database_url.clone(),
            fetch_timeout: config.fetch_timeout,
            client_timeout: config.client_timeout,
            cors_origins: config.cors_origins.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
        }
    }

    /// The names of the settings in which `other` differs.
    fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("database_url", self.database_url != other.database_url),
            ("fetch_timeout", self.fetch_timeout != other.fetch_timeout),
            (
                "client_timeout",
                self.client_timeout != other.client_timeout,
            ),
            ("cors_origins", self.cors_origins != other.cors_origins),
            ("allowed_hosts", self.allowed_hosts != other.allowed_hosts),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// Logs which webhooks were away for too long.
pub(super) fn log_late(applied: &Applied) {
    for webhook in &applied.late_webhooks {
        tracing::warn!(%webhook, "webhook {webhook} missed revisions that keep_events has since deleted: continuing with the oldest kept revision");
    }
}

impl Catalog {
    /// Replaces the settings of the running catalog by `config`, all of them or, on an error, none. What is
    /// served stays: a source whose settings are the same is not asked again, one that is gone or new is
    /// treated as at a start. Settings that only a start can change are named in the answer. The clock of
    /// `config` is ignored.
    pub async fn reconfigure(&self, config: Config) -> Result<Reconfigured, StartError> {
        let catalog = self.clone();
        // In its own task: whoever stops waiting for it does not stop it halfway.
        let replacing = async move { catalog.replace_settings(config).await };
        let replaced = self.0.shared.supervisor.tasks.spawn(replacing).await;
        match replaced.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(changes) => changes,
            // Panic as a direct call would have.
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels the task; then no caller needs the answer.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    async fn replace_settings(&self, config: Config) -> Result<Reconfigured, StartError> {
        let Inner {
            shared,
            members,
            tasks,
            in_force,
            fixed,
            ..
        } = &*self.0;
        let _changing = members.changing().await;
        let keys = Keys::new(config.keys.clone(), config.admin_key.as_ref())?;
        let plan = Plan::of(&config);
        let (known, known_jobs) = (members.sources(), tasks.jobs());
        let found: Vec<SourceName> = known
            .iter()
            .filter(|source| source.discovered)
            .map(|source| source.name.clone())
            .collect();
        // Another process, which started later, may have set others; then these wait for its end.
        let is_in_force = shared.store.processes().await?.in_force == shared.store.process();
        members.end_others(&plan.sources(&found)).await;
        tasks.end_others(&plan.jobs).await;
        // The schedule is looked at again only for a reason.
        let applied = match is_in_force && **shared.applied.load() != plan.settings {
            true => shared.store.apply(&plan.settings).await,
            false => Ok(Applied {
                found,
                late_webhooks: Vec::new(),
            }),
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(error) => {
                members.start(shared, known);
                tasks.start(shared, members, known_jobs);
                return Err(error.into());
            }
        };
        log_late(&applied);
        if let Err(error) = shared.reload().await {
            // It is read again as soon as anything changes.
            shared.record_database_error(&error);
        }
        let sources = plan.sources(&applied.found);
        let mut changes = compare(&known, &sources);
        let in_both = |job: &&Job| known_jobs.contains(job) && plan.jobs.contains(job);
        let jobs = known_jobs.iter().chain(&plan.jobs);
        let others = jobs.filter(|job| !in_both(job)).map(Job::setting);
        changes.others = BTreeSet::from_iter(others).into_iter().collect();
        changes.at_next_start = fixed.differences(&Fixed::of(&config));
        let known_keys = in_force.load().keys.clone();
        let has_other_keys = !known_keys.are_same(&keys);
        if has_other_keys {
            changes.others.insert(0, "keys");
        }
        let with_new_key = with_new_key(&known, &sources);
        shared.applied.store(Arc::new(plan.settings));
        in_force.store(Arc::new(InForce {
            // With the same keys, what was made for each stays of use.
            keys: if has_other_keys {
                Arc::new(keys)
            } else {
                known_keys
            },
            watch: plan.watch,
            unconfigured: config.unconfigured,
            presets: config.presets,
        }));
        if has_other_keys {
            shared.waits.restart();
        }
        members.start(shared, sources);
        tasks.start(shared, members, plan.jobs);
        shared
            .metrics
            .set_settings_read(shared.clock.now().unix_seconds());
        for member in with_new_key.iter().filter_map(|name| members.find(name)) {
            // Nobody waits for the outcome.
            drop(member.refresher.request(ClaimMode::NewKey, false));
        }
        Ok(changes)
    }
}

/// Which sources are new, changed and gone.
fn compare(known: &[SourceConfig], sources: &[SourceConfig]) -> Reconfigured {
    let names = |sources: &[SourceConfig], is_it: &dyn Fn(&SourceConfig) -> bool| {
        let sources = sources.iter().filter(|source| is_it(source));
        sources.map(|source| source.name.clone()).collect()
    };
    Reconfigured {
        added: names(sources, &|source| find(known, &source.name).is_none()),
        changed: names(sources, &|source| {
            find(known, &source.name).is_some_and(|known| known != source)
        }),
        removed: names(known, &|known| find(sources, &known.name).is_none()),
        ..Reconfigured::default()
    }
}

/// The known sources that only now have the key that they have.
fn with_new_key(known: &[SourceConfig], sources: &[SourceConfig]) -> Vec<SourceName> {
    let key = |source: &SourceConfig| {
        source
            .key
            .as_ref()
            .map(|key| key.expose_secret().to_owned())
    };
    let has_new_key = |source: &&SourceConfig| {
        find(known, &source.name).is_some_and(|known| key(known) != key(source))
    };
    let sources = sources.iter().filter(has_new_key);
    sources.map(|source| source.name.clone()).collect()
}

fn find<'a>(sources: &'a [SourceConfig], name: &SourceName) -> Option<&'a SourceConfig> {
    sources.iter().find(|source| source.name == *name)
}
