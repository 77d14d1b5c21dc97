//! The entries as their sources sent them, in memory: read from the database once per revision and
//! source.

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

/// The entries that were read last, by source.
#[derive(Debug, Default)]
pub struct RawCache(Mutex<HashMap<SourceName, Arc<RawEntries>>>);

impl RawCache {
    /// The entries of the source `name` at `revision`. Those of a commit that has just been made may come a
    /// moment before its revision is served.
    pub async fn get(
        &self,
        name: &SourceName,
        role: Role,
        revision: i64,
        store: &Store,
    ) -> Result<Arc<RawEntries>> {
        let known = self.lock().get(name).cloned();
        if let Some(known) = known.filter(|known| known.revision == revision) {
            return Ok(known);
        }
        let read = Arc::new(store.raw_entries(role, name).await?);
        self.lock().insert(name.clone(), read.clone());
        Ok(read)
    }

    /// The map is valid after every statement, so that a panic elsewhere does not spoil it.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SourceName, Arc<RawEntries>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
