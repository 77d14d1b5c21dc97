//! The sources of this process: their tasks, and when a miss may refresh them. Discovery adds
//! sources, and new settings replace them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use futures_util::future::join_all;

use super::{miss::MissRefresh, shared::Shared, supervisor::TaskHandle, tasks::refresh::Refresher};
use crate::{config::source::SourceConfig, model::source::SourceName, store::error::Result};

/// One source: its task, and when a miss may refresh it.
#[derive(Debug)]
pub struct Member {
    /// The source's task.
    pub refresher: Refresher,
    miss: Mutex<MissRefresh>,
    /// None once it was ended.
    handle: Mutex<Option<TaskHandle>>,
}

impl Member {
    /// Starts the task of `source`.
    fn spawn(shared: &Arc<Shared>, source: SourceConfig) -> Arc<Self> {
        let (refresher, handle) = Refresher::spawn(shared.clone(), source);
        Arc::new(Self {
            refresher,
            miss: Mutex::default(),
            handle: Mutex::new(Some(handle)),
        })
    }

    /// Ignores lock poisoning, as `miss` does.
    fn handle(&self) -> MutexGuard<'_, Option<TaskHandle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it refreshes `source` as it is set.
    fn runs(&self, source: &SourceConfig) -> bool {
        *self.refresher.source == *source && self.handle().is_some()
    }

    /// Ends its task.
    async fn end(&self) {
        let handle = self.handle().take();
        if let Some(handle) = handle {
            handle.end().await;
        }
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
pub struct Members {
    all: ArcSwap<Vec<Arc<Member>>>,
    /// Held while they change.
    changing: tokio::sync::Mutex<()>,
}

impl Members {
    /// Ends the tasks of those that are not among `sources` as they are set.
    pub async fn end_others(&self, sources: &[SourceConfig]) {
        let members = self.list();
        let others = members
            .iter()
            .filter(|member| !sources.iter().any(|source| member.runs(source)));
        join_all(others.map(|member| member.end())).await;
    }

    /// Makes `sources` all that there are. Starts the tasks of those that have none.
    pub fn start(&self, shared: &Arc<Shared>, sources: Vec<SourceConfig>) {
        let known = self.list();
        let members = sources.into_iter().map(|source| {
            let running = known.iter().find(|member| member.runs(&source));
            running
                .cloned()
                .unwrap_or_else(|| Member::spawn(shared, source))
        });
        self.all.store(Arc::new(members.collect()));
    }

    /// Keeps others from changing them. Discovery and new settings take turns: neither may lose what the other
    /// has started.
    pub async fn changing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// All of them.
    pub fn list(&self) -> Arc<Vec<Arc<Member>>> {
        self.all.load_full()
    }

    /// Their settings.
    pub fn sources(&self) -> Vec<SourceConfig> {
        let members = self.list();
        let sources = members.iter().map(|member| &*member.refresher.source);
        sources.cloned().collect()
    }

    /// The source `name`.
    pub fn find(&self, name: &SourceName) -> Option<Arc<Member>> {
        let is_it = |member: &&Arc<Member>| member.name() == name;
        self.all.load().iter().find(is_it).cloned()
    }

    /// Configures the discovered `source` and starts its task.
    pub async fn add(&self, shared: &Arc<Shared>, source: SourceConfig) -> Result<()> {
        let _changing = self.changing().await;
        shared.store.add_source(&source.settings()).await?;
        shared.reload().await?;
        let member = Member::spawn(shared, source);
        self.all.rcu(|members| {
            let mut members = members.to_vec();
            members.push(member.clone());
            members
        });
        Ok(())
    }

    /// Makes every task check its schedule now.
    pub fn wake(&self) {
        for member in self.all.load().iter() {
            member.refresher.wake();
        }
    }
}
