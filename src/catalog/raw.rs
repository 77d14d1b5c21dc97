//! An in-memory cache of the entries as their sources sent them, read from the database once per
//! revision and source.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    model::{
        listing::RawEntries,
        source::{Role, SourceName},
    },
    store::{Store, error::Result},
};

/// The last read entries of each source.
#[derive(Debug, Default)]
pub struct RawCache(Mutex<HashMap<SourceName, Arc<RawEntries>>>);

impl RawCache {
    /// The entries of the source `name` at `revision`. Right after a commit, they may be newer than
    /// the served list for a moment.
    pub async fn get(
        &self,
        name: &SourceName,
        role: Role,
        revision: i64,
        store: &Store,
    ) -> Result<Arc<RawEntries>> {
        let cached = self.lock().get(name).cloned();
        if let Some(cached) = cached.filter(|cached| cached.revision == revision) {
            return Ok(cached);
        }
        let read = Arc::new(store.raw_entries(role, name).await?);
        self.lock().insert(name.clone(), read.clone());
        Ok(read)
    }

    /// Locks the map. Ignores poisoning: the map is valid after every statement.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SourceName, Arc<RawEntries>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
