//! The served state: the list at one revision, and the state of its sources. The list changes a few
//! times a day, the sources with every attempt, so each has its own pointer.

use std::sync::Arc;

use crate::{
    model::{
        source::SourceName,
        state::{SourceState, Sources},
    },
    snapshot::Snapshot,
};

/// The list and the sources at one moment.
#[derive(Clone, Debug)]
pub struct Current {
    /// The list.
    pub snapshot: Arc<Snapshot>,
    /// The state of every source ever configured.
    pub sources: Arc<Sources>,
}

impl Current {
    /// The state of the source `name`.
    pub fn find_source(&self, name: &SourceName) -> Option<&SourceState> {
        self.sources.find(name)
    }

    /// The configured sources without any listing yet.
    pub fn list_missing(&self) -> impl Iterator<Item = &SourceName> {
        self.sources
            .states
            .iter()
            .filter(|source| source.is_missing())
            .map(|source| &source.name)
    }
}
