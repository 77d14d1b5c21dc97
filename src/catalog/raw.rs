//! The entries that sources sent, kept in memory for whoever asks for a source's own list: read from
//! the database once per revision and source.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    model::{source::SourceName, state::SourceState},
    store::{Store, error::StoreError, raw::Sent},
};

/// What was read last of each source.
#[derive(Debug, Default)]
pub(crate) struct SentEntries(Mutex<HashMap<SourceName, Arc<Sent>>>);

impl SentEntries {
    /// The entries of `source` at `revision`. Those of a commit that has just been made may come a
    /// moment before its revision is served.
    pub(crate) async fn of(
        &self,
        source: &SourceState,
        revision: i64,
        store: &Store,
    ) -> Result<Arc<Sent>, StoreError> {
        let known = self.lock().get(&source.name).cloned();
        if let Some(known) = known.filter(|known| known.revision == revision) {
            return Ok(known);
        }
        let read = Arc::new(store.load_sent(source.role, &source.name).await?);
        self.lock().insert(source.name.clone(), read.clone());
        Ok(read)
    }

    /// What it guards is valid after every statement, whoever panicked.
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SourceName, Arc<Sent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
