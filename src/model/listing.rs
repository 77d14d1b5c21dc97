//! What a source says of its models at one time: entries, details and the whole listing.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::attributes::Attributes;

/// The longest usable model id, in bytes.
const MAX_ID_BYTES: usize = 512;

/// Whether a model can be listed under `id`.
pub fn is_usable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.chars().any(char::is_control)
}

/// One model as a source listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id as the source gave it (Google's without its leading `models/`).
    pub id: String,
    /// What clients read.
    pub attributes: Attributes,
    /// The entry as the source sent it, JSON.
    pub raw: String,
    /// The rule of the settings that keeps it from being served.
    pub hidden_by: Option<String>,
}

/// What a source told of one model beyond its list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is true of (Ollama's digest); empty where that is not told.
    pub version: String,
    /// What was learnt. The list's own word comes first.
    pub attributes: Attributes,
}

/// What a source told of its models beyond its list, by model id.
pub type Details = BTreeMap<String, Detail>;

/// What one source said at one time, all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The models, each id once, in the source's order.
    pub entries: Vec<Entry>,
    /// Malformed entries that were left out.
    pub skipped: usize,
    /// Pages read.
    pub pages: usize,
    /// What is known of the models beyond the list; the entries say it too.
    pub details: Details,
}

/// The entries of one source as it sent them.
#[derive(Debug)]
pub struct RawEntries {
    /// The last revision when they were read.
    pub revision: i64,
    /// JSON, by the source's own id.
    pub entries: HashMap<String, Box<RawValue>>,
}

impl RawEntries {
    /// The entry of the model with this id at the source.
    pub fn find(&self, model_id: &str) -> Option<&RawValue> {
        self.entries.get(model_id).map(AsRef::as_ref)
    }
}
