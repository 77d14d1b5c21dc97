//! A source's answer about its models: entries, details and the whole listing.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{attributes::Attributes, time::Timestamp};

/// The longest usable model id, in bytes.
pub const MAX_ID_BYTES: usize = 512;

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
    /// The malformed entries that were skipped.
    pub skipped: Skipped,
    /// Number of pages read.
    pub pages: usize,
    /// The details of the models. The entries already include them.
    pub details: Details,
    /// The version that the server reports; none unless it is an Ollama.
    pub server_version: Option<String>,
    /// What the source's clock showed when it sent the first page, to the second; none if it did not say.
    pub sent_at: Option<Timestamp>,
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

/// Most examples of skipped entries that are kept.
const MAX_EXAMPLES: usize = 5;
/// The longest excerpt of a skipped entry, in characters.
const MAX_EXCERPT_CHARS: usize = 80;

/// The entries of a list that could not be used: how many, and some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// How many.
    pub count: usize,
    /// The first five.
    pub examples: Vec<SkippedEntry>,
}

/// One entry that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SkippedEntry {
    /// Its id, or how it begins: at most 80 characters, control characters escaped.
    pub what: String,
    /// Why it cannot be used.
    pub why: String,
}

impl Skipped {
    /// Counts one more entry, of which `what` is the id or the text.
    pub fn push(&mut self, what: &str, why: &str) {
        self.count += 1;
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(SkippedEntry {
                what: excerpt(what),
                why: why.to_owned(),
            });
        }
    }

    /// The reason why the entry with this id was skipped, if it is among the examples.
    pub fn find_reason(&self, id: &str) -> Option<&str> {
        let what = excerpt(id);
        // A usable id is another one than a long one that begins like it.
        if what.ends_with('…') && is_usable_id(id) {
            return None;
        }
        let mut examples = self.examples.iter();
        let example = examples.find(|example| example.what == what)?;
        Some(&example.why)
    }

    /// Adds those of a further page.
    pub fn add(&mut self, further: Self) {
        self.count += further.count;
        let room = MAX_EXAMPLES.saturating_sub(self.examples.len());
        self.examples
            .extend(further.examples.into_iter().take(room));
    }
}

/// How `text` begins, on one line.
pub fn excerpt(text: &str) -> String {
    let mut excerpt = String::new();
    for (number, char) in text.chars().enumerate() {
        if number == MAX_EXCERPT_CHARS {
            excerpt.push('…');
            break;
        }
        if char.is_control() {
            excerpt.extend(char.escape_default());
        } else {
            excerpt.push(char);
        }
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_count_and_five_bounded_examples() {
        let mut skipped = Skipped::default();
        skipped.push("a\u{7}b\n", "control");
        skipped.push(&"ö".repeat(1000), "long");
        let mut further = Skipped::default();
        for number in 0..9 {
            further.push(&number.to_string(), "further");
        }
        skipped.add(further);
        assert_eq!((skipped.count, skipped.examples.len()), (11, 5));
        assert_eq!(skipped.examples[0].what, "a\\u{7}b\\n");
        assert_eq!(skipped.examples[1].what.chars().count(), 81);
        assert_eq!(skipped.examples[4].what, "2");
    }
}
