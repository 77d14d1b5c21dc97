//! Reading one page of a list: the envelope field by field, the entries one by one, both
//! leniently. Pure. (What an entry says: [`super::value`].)

use std::collections::BTreeMap;

use serde_json::{Value, value::RawValue};

use crate::model::{
    attributes::Attributes,
    listing::{Entry, is_usable_id},
};

/// One parsed page.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// The usable entries, in the source's order, duplicates included.
    pub entries: Vec<Entry>,
    /// Malformed entries that were left out.
    pub skipped: usize,
    /// The query parameters that ask for the next page; none on the last one.
    pub next: Option<Parameters>,
}

/// Query parameters, in order.
pub type Parameters = Vec<(String, String)>;

/// Most models, malformed ones included, of one listing. The longest lists known have a few
/// thousand.
pub const MAX_MODELS: usize = 20_000;
/// Most levels of nesting in an entry: what is stored of it is read within others, and serde_json
/// reads 127 in all.
pub const MAX_DEPTH: usize = 64;

impl Page {
    /// A page of `raws`, each read by `read`; an entry that it does not understand, or whose id is
    /// unusable (empty, over 512 bytes, with control characters), is skipped and counted.
    pub fn of(raws: &[&RawValue], read: impl Fn(&Value) -> Option<(&str, Attributes)>) -> Self {
        let mut page = Self::default();
        // One more than a listing may have is enough to refuse it.
        for raw in raws.iter().take(MAX_MODELS + 1) {
            // serde_json refuses more than 128 levels of nesting here.
            let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let is_usable = |id: &str| is_usable_id(id) && !is_deeper(&value, MAX_DEPTH);
            match read(&value).filter(|(id, _)| is_usable(id)) {
                Some((id, attributes)) => page.entries.push(Entry {
                    id: id.to_owned(),
                    attributes,
                    raw: raw.get().to_owned(),
                    hidden_by: None,
                }),
                None => page.skipped += 1,
            }
        }
        page
    }

    /// Whether the page held nothing, not even malformed entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.skipped == 0
    }
}

/// Whether `value` has more than `levels` levels of nesting.
pub fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, levels)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, levels)),
        _ => false,
    }
}

/// A page's body, parsed no further than its outer level.
pub enum Envelope<'b> {
    /// A JSON object.
    Object(Fields<'b>),
    /// A bare array of entries.
    Array(Vec<&'b RawValue>),
}

impl<'b> Envelope<'b> {
    /// Reads the outer level; a byte order mark in front is tolerated.
    pub fn read(body: &'b [u8]) -> Result<Self, String> {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
        let not_json =
            |error: serde_json::Error| format!("the answer is not a model list: {error}");
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_slice(body)
                .map(Fields)
                .map(Self::Object)
                .map_err(not_json),
            Some(b'[') => serde_json::from_slice(body)
                .map(Self::Array)
                .map_err(not_json),
            None => Err("the answer is empty, not a model list".to_owned()),
            Some(b'<') => Err("the answer is HTML, not a model list: check base_url".to_owned()),
            Some(_) => Err("the answer is not a JSON object: check base_url".to_owned()),
        }
    }

    /// Its fields; an error when it is an array.
    pub fn object(self) -> Result<Fields<'b>, String> {
        match self {
            Self::Object(fields) => Ok(fields),
            Self::Array(_) => Err("the answer is a JSON array, not an object".to_owned()),
        }
    }
}

/// The fields of an envelope, none of them parsed yet.
#[derive(serde::Deserialize)]
pub struct Fields<'b>(#[serde(borrow)] BTreeMap<String, &'b RawValue>);

impl<'b> Fields<'b> {
    /// The array `name`; `null` counts as empty (Ollama without models), absent as none.
    pub fn list(&self, name: &str) -> Result<Option<Vec<&'b RawValue>>, String> {
        self.0
            .get(name)
            .map(|raw| serde_json::from_str::<Option<Vec<&RawValue>>>(raw.get()))
            .transpose()
            .map(|list| list.map(Option::unwrap_or_default))
            .map_err(|_| format!("`{name}` in the answer is not an array"))
    }

    /// As [`Fields::list`], but an error when it is absent.
    pub fn required_list(&self, name: &str) -> Result<Vec<&'b RawValue>, String> {
        self.list(name)?
            .ok_or_else(|| format!("the answer has no `{name}` array: is base_url a model list's?"))
    }

    /// Whether `name` is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every field, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'b RawValue)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), *raw))
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value `name`, `null` when absent.
    pub fn value(&self, name: &str) -> Value {
        self.0
            .get(name)
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    /// The flag `name`, also where it is given as a number or a text; none when absent or `null`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.value(name) {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(flag)),
            Value::String(text) if text == "true" => Ok(Some(true)),
            Value::String(text) if text == "false" => Ok(Some(false)),
            Value::Number(number) if number.as_i64() == Some(1) => Ok(Some(true)),
            Value::Number(number) if number.as_i64() == Some(0) => Ok(Some(false)),
            _ => Err(cut_short(name)),
        }
    }

    /// The cursor `name`, also where it is given as a number; none when absent, `null` or empty.
    pub fn cursor(&self, name: &str) -> Result<Option<String>, String> {
        cursor(&self.value(name)).ok_or_else(|| cut_short(name))
    }
}

/// `value` as a cursor: the inner option is none where there is none, the outer where it is
/// nothing that could be one.
pub fn cursor(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some((!text.is_empty()).then(|| text.clone())),
        Value::Number(number) => Some(Some(number.to_string())),
        _ => None,
    }
}

/// Says that `name`, by which the list may tell that it goes on, has no readable form. A list that
/// may be cut short is a failure, never a shorter list.
pub fn cut_short(name: &str) -> String {
    format!("`{name}` in the answer cannot be read: the list may be cut short")
}
