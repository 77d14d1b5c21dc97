//! A source's answer about its models: entries, details and the whole listing.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::attributes::Attributes;

/// The longest usable model id, in bytes.
const MAX_ID_BYTES: usize = 512;

/// Whether `id` is usable as a model id: 1 to 512 bytes, without control characters.
pub fn is_usable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control)
}

/// One model in a source's listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id from the source (Google's without its leading `models/`).
    pub id: String,
    /// The attributes that clients read.
    pub attributes: Attributes,
    /// The entry as the source sent it, JSON.
    pub raw: String,
    /// The settings rule that hides it; none when it is served.
    pub hidden_by: Option<String>,
}

/// A source's answer about one model, beyond its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The model version that it describes (Ollama's digest); empty when the source gives none.
    pub version: String,
    /// The attributes from the detail request. Values from the list take precedence.
    pub attributes: Attributes,
}

/// The details of a source's models, by model id.
pub type Details = BTreeMap<String, Detail>;

/// One source's whole listing, from all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The models in the source's order, each id once.
    pub entries: Vec<Entry>,
    /// Number of malformed entries that were skipped.
    pub skipped: usize,
    /// Number of pages read.
    pub pages: usize,
    /// The details of the models. The entries already include them.
    pub details: Details,
}

/// One source's entries as it sent them.
#[derive(Debug)]
pub struct RawEntries {
    /// The last revision when they were read.
    pub revision: i64,
    /// Raw JSON by the source's own model id.
    pub entries: HashMap<String, Box<RawValue>>,
}

impl RawEntries {
    /// The entry of the model with this id at the source.
    pub fn find(&self, model_id: &str) -> Option<&RawValue> {
        self.entries.get(model_id).map(AsRef::as_ref)
    }
}
