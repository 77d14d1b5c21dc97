//! Every source's task.

use std::sync::{Arc, Mutex};

use super::{miss::Misses, shared::Shared, tasks::refresh::Refresher};
use crate::{config::source::SourceConfig, model::source::SourceName};

/// A source's task, and when a miss may look at it.
pub struct Member {
    pub refresher: Refresher,
    pub misses: Mutex<Misses>,
}

impl Member {
    pub fn new(shared: &Arc<Shared>, source: SourceConfig) -> Arc<Self> {
        Arc::new(Self {
            refresher: Refresher::spawn(shared.clone(), source),
            misses: Mutex::default(),
        })
    }

    pub fn name(&self) -> &SourceName {
        &self.refresher.source.name
    }
}

/// A lock that a panic elsewhere does not spoil: what it guards is valid after every statement.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
