//! The sources of this process: their tasks, and when a miss may refresh them. Discovery adds
//! sources.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

use super::{miss::MissRefresh, shared::Shared, tasks::refresh::Refresher};
use crate::{config::source::SourceConfig, model::source::SourceName, store::error::Result};

/// One source: its task, and when a miss may refresh it.
#[derive(Debug)]
pub struct Member {
    /// The source's task.
    pub refresher: Refresher,
    miss: Mutex<MissRefresh>,
}

impl Member {
    /// Starts the task of `source`.
    fn spawn(shared: &Arc<Shared>, source: SourceConfig) -> Arc<Self> {
        Arc::new(Self {
            refresher: Refresher::spawn(shared.clone(), source),
            miss: Mutex::default(),
        })
    }

    /// The source's name.
    pub fn name(&self) -> &SourceName {
        &self.refresher.source.name
    }

    /// When a miss may refresh it. Ignores lock poisoning: the value is valid after every
    /// statement.
    pub fn miss(&self) -> MutexGuard<'_, MissRefresh> {
        self.miss.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every source of this process.
#[derive(Debug, Default)]
pub struct Members(ArcSwap<Vec<Arc<Member>>>);

impl Members {
    /// Starts the tasks of `sources`.
    pub fn spawn(shared: &Arc<Shared>, sources: Vec<SourceConfig>) -> Self {
        let members = sources
            .into_iter()
            .map(|source| Member::spawn(shared, source));
        Self(ArcSwap::from_pointee(members.collect()))
    }

    /// All of them.
    pub fn list(&self) -> Arc<Vec<Arc<Member>>> {
        self.0.load_full()
    }

    /// The source `name`.
    pub fn find(&self, name: &SourceName) -> Option<Arc<Member>> {
        let is_it = |member: &&Arc<Member>| member.name() == name;
        self.0.load().iter().find(is_it).cloned()
    }

    /// Configures the discovered `source` and starts its task.
    pub async fn add(&self, shared: &Arc<Shared>, source: SourceConfig) -> Result<()> {
        shared.store.add_source(&source.settings()).await?;
        shared.reload().await?;
        let member = Member::spawn(shared, source);
        self.0.rcu(|members| {
            let mut members = members.to_vec();
            members.push(member.clone());
            members
        });
        Ok(())
    }

    /// Makes every task check its schedule now.
    pub fn wake(&self) {
        for member in self.0.load().iter() {
            member.refresher.wake();
        }
    }
}
