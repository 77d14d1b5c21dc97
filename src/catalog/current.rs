//! The served state: the list at one revision, and the state of its sources. The list changes a few
//! times a day, the sources with every attempt, so each has its own pointer.

use std::sync::Arc;

use crate::{
    model::{
        names::Visibility,
        scope::Scope,
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

    /// What a caller who may see `scope` sees now, and what it is called there.
    pub fn visibility(&self, scope: Arc<Scope>) -> Visibility {
        let sources = self.sources.states.iter();
        let sources = sources.map(|source| (&source.name, source.role));
        Visibility::new(scope, &self.snapshot.names, sources)
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
