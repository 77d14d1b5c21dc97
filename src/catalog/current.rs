//! What is served now: the list of one revision, and how its sources are doing. The list changes a few
//! times a day, the sources with every attempt; so each is shared by its own pointer.

use std::sync::Arc;

use crate::{
    model::{
        source::SourceName,
        state::{SourceState, Sources},
    },
    snapshot::Snapshot,
};

/// The list and its sources, as of one moment.
#[derive(Clone, Debug)]
pub struct Current {
    /// The list.
    pub snapshot: Arc<Snapshot>,
    /// How every source ever configured is doing.
    pub sources: Arc<Sources>,
}

impl Current {
    /// The state of the source `name`.
    pub fn find_source(&self, name: &SourceName) -> Option<&SourceState> {
        self.sources.find(name)
    }

    /// The configured sources that have never given a listing.
    pub fn list_missing(&self) -> impl Iterator<Item = &SourceName> {
        self.sources
            .states
            .iter()
            .filter(|source| source.is_missing())
            .map(|source| &source.name)
    }
}
