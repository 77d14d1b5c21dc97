//! The change feed: the events after a revision, the latest ones, and one model's.

use super::error::Result;
use crate::model::{
    event::{ChangeEvent, EventFilter},
    time::Timestamp,
};

/// How many pages without an event of a filter's scope are passed over at a time.
pub(super) const MAX_EMPTY_PAGES: usize = 100;

/// How many times more revisions than wanted are looked at for the latest that a filter wants.
pub(super) const MAX_LATEST_FACTOR: usize = 64;

/// Some whole revisions' events, in order.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The events, by revision, source and model.
    pub events: Vec<ChangeEvent>,
    /// Where to go on: nothing at or before it is missing.
    pub next: i64,
    /// Whether there is more after `next` already.
    pub has_more: bool,
}

/// What is known of one model.
#[derive(Clone, Debug)]
pub struct ModelHistory {
    /// Its events of all sources, oldest first.
    pub events: Vec<ChangeEvent>,
    /// The last success of the sources that list it now; none when it is gone.
    pub listed_at: Option<Timestamp>,
}

/// The wanted kinds as a JSON array.
pub(super) fn kinds(filter: &EventFilter) -> Result<Option<String>> {
    Ok(filter
        .events
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?)
}
