//! Filling in what sources leave out, from the enrichment file.

use std::collections::BTreeMap;

use crate::model::{attributes::Attributes, listing::Entry};

/// What the enrichment says of one provider's models.
#[derive(Clone, Debug, Default)]
pub struct Enrichment {
    /// What fields that come from it are marked with.
    pub name: String,
    /// By the provider's own id.
    pub models: BTreeMap<String, Attributes>,
}

impl Enrichment {
    /// Fills in the fields that `entry` leaves out.
    pub fn fill(&self, entry: &mut Entry) {
        if let Some(known) = self.models.get(&entry.id) {
            entry.attributes.fill(known, &self.name);
        }
    }
}
