//! An in-memory cache of the Atom feeds, each made once per revision.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::snapshot::body::Body;

/// The most feeds of a revision that are kept, each of at most some hundred kilobytes.
const MAX_FEEDS: usize = 32;

/// The feeds of the latest revision, by what they cover.
#[derive(Debug, Default)]
pub struct FeedCache(Mutex<Feeds>);

#[derive(Debug, Default)]
struct Feeds {
    revision: i64,
    by_name: HashMap<String, Body>,
}

impl FeedCache {
    /// The feed called `name` at `revision`, if it was kept.
    pub fn find(&self, name: &str, revision: i64) -> Option<Body> {
        let feeds = self.lock();
        let feed = feeds.by_name.get(name);
        feed.filter(|_| feeds.revision == revision).cloned()
    }

    /// Keeps the feed called `name` at `revision`. Drops those of other revisions.
    pub fn keep(&self, name: String, revision: i64, feed: Body) {
        let mut feeds = self.lock();
        if feeds.revision != revision {
            feeds.by_name.clear();
            feeds.revision = revision;
        }
        if feeds.by_name.len() < MAX_FEEDS {
            feeds.by_name.insert(name, feed);
        }
    }

    /// Locks the map. Ignores poisoning: the map is valid after every statement.
    fn lock(&self) -> MutexGuard<'_, Feeds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
