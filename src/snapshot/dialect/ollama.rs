//! Ollama's `/api/tags` and `/api/show`, for its command line and its other clients. Source:
//! ollama/ollama `api/types.go`, `cmd/cmd.go` and `server/routes.go`.

use serde_json::{Map, Value, json};

use super::openai::Entry;
use crate::{
    model::time::Timestamp,
    snapshot::{body::sha256, view::ModelView},
};

/// The number of fields that identify a model: `name` and `model`.
pub(super) const IDENTITY_FIELDS: usize = 2;

/// The architecture of a model whose source does not report it. The context length is under the name
/// of the architecture, so that there must be one.
const UNKNOWN: &str = "unknown";

/// What Ollama's clients call the capabilities of other sources.
const CAPABILITIES: [(&str, &str); 2] =
    [("function_calling", "tools"), ("function-calling", "tools")];

/// The fields of every entry. Values that no source reports are absent.
pub(super) fn standard_fields(model: &ModelView) -> Vec<(&'static str, Value)> {
    let mut fields = vec![("name", model.id.into()), ("model", model.id.into())];
    let created = model.row.attributes.created;
    if created > 0 {
        let modified = Timestamp::from_millis(created.saturating_mul(1000));
        fields.push(("modified_at", modified.to_string().into()));
    }
    // The command line ends with a panic without one of at least 12 characters. Serializing fails
    // only for maps with keys that are not text; an entry has none.
    let entry = serde_json::to_vec(&Entry::of(model)).unwrap_or_default();
    fields.push(("digest", sha256(&entry).into()));
    if !model.model.is_local && !model.is_own {
        fields.push(("remote_model", model.row.model_id.as_str().into()));
    }
    fields
}

/// The fields of one entry besides the standard ones, for a model without an entry of its source.
pub(super) fn entry(model: &ModelView, mut entry: Map<String, Value>) -> Map<String, Value> {
    let capabilities = capabilities(model);
    if !capabilities.is_empty() {
        entry.insert("capabilities".to_owned(), capabilities.into());
    }
    entry
}

/// The answer to `/api/show` for `model` with this `entry`: `details`, `model_info` and `capabilities`,
/// as far as they are known. The catalog keeps no licence, template or parameters.
pub(super) fn shown(model: &ModelView, mut entry: Map<String, Value>) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in ["details", "modified_at", "remote_model", "remote_host"] {
        shown.extend(entry.remove_entry(name));
    }
    let info = model_info(model, shown.get("details").unwrap_or(&Value::Null));
    shown.insert("model_info".to_owned(), info);
    // Clients look for words in it without checking that it is there.
    shown.insert("capabilities".to_owned(), capabilities(model).into());
    shown
}

/// The values that Ollama reads from a model's file: those that its list repeats.
fn model_info(model: &ModelView, details: &Value) -> Value {
    let context_length = model.row.attributes.context_window;
    let embedding_length = details["embedding_length"].as_i64();
    // Ollama's own list calls the architecture `family`.
    let family = details["family"]
        .as_str()
        .filter(|family| !family.is_empty());
    let lengths = [
        ("context_length", context_length),
        ("embedding_length", embedding_length),
    ];
    let mut info = Map::new();
    for (name, length) in lengths {
        if let Some(length) = length {
            let name = format!("{}.{name}", family.unwrap_or(UNKNOWN));
            info.insert(name, length.into());
        }
    }
    if family.is_some() || !info.is_empty() {
        let architecture = family.unwrap_or(UNKNOWN);
        info.insert("general.architecture".to_owned(), json!(architecture));
    }
    info.into()
}

/// The capabilities in Ollama's words, where it has one, and otherwise in the source's.
fn capabilities(model: &ModelView) -> Vec<String> {
    let attributes = &model.row.attributes;
    let mut words = attributes.capabilities.clone();
    if model.raw.is_some() {
        return words;
    }
    let has = |theirs: &str| attributes.capabilities.iter().any(|word| word == theirs);
    let translated = CAPABILITIES.iter().filter(|(theirs, _)| has(theirs));
    words.extend(translated.map(|(_, ours)| (*ours).to_owned()));
    if attributes
        .input_modalities
        .iter()
        .any(|word| word == "image")
    {
        words.push("vision".to_owned());
    }
    words.sort_unstable();
    words.dedup();
    words
}
