//! An in-memory cache of when each model was first listed, read from the database once per revision.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::store::{Store, charts::FirstSeen, error::Result};

/// What was read last, and the revision that it belongs to.
#[derive(Debug, Default)]
pub struct FirstSeenCache(ArcSwapOption<(i64, Arc<FirstSeen>)>);

impl FirstSeenCache {
    /// When each model was first listed, as known at `revision`. Right after a commit, it may be newer
    /// than the served list for a moment.
    pub async fn get(&self, revision: i64, store: &Store) -> Result<Arc<FirstSeen>> {
        if let Some(cached) = &*self.0.load()
            && cached.0 == revision
        {
            return Ok(cached.1.clone());
        }
        let read = Arc::new(store.first_seen().await?);
        self.0.store(Some(Arc::new((revision, read.clone()))));
        Ok(read)
    }
}
