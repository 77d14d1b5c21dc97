//! Fills in the fields that sources omit, from the enrichment file.

use std::collections::BTreeMap;

use crate::model::{attributes::Attributes, listing::Entry};

/// The enrichment data for one provider's models.
#[derive(Clone, Debug, Default)]
pub struct Enrichment {
    /// The name that marks the fields it filled in.
    pub name: String,
    /// Attributes by the provider's own model id.
    pub models: BTreeMap<String, Attributes>,
}

impl Enrichment {
    /// Fills in the fields that `entry` omits.
    pub fn fill(&self, entry: &mut Entry) {
        if let Some(known) = self.models.get(&entry.id) {
            entry.attributes.fill(known, &self.name);
        }
    }
}
