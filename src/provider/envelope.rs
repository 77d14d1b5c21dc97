//! The envelope of a list: the body of an answer, of which only the outer level is parsed. Pure.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value, value::RawValue};

use super::{mend, refusal::refusal};

/// Most field names in one message.
const MAX_NAMES: usize = 12;
/// The longest such name, in characters.
const MAX_NAME_CHARS: usize = 40;

/// The body of an answer, as text.
pub struct Body<'b> {
    text: Cow<'b, str>,
    /// Whether invalid UTF-8 or JSON had to be replaced.
    pub is_mended: bool,
}

impl<'b> Body<'b> {
    /// Reads `bytes` as text, without a leading byte order mark.
    pub fn of(bytes: &'b [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let (text, is_mended) = mend::text(bytes);
        let mut body = Self { text, is_mended };
        // A fault outside the entries would lose them all.
        if body.envelope().is_err() {
            let mended = Self {
                text: Cow::Owned(mend::mended(&body.text)),
                is_mended: true,
            };
            if mended.envelope().is_ok() {
                body = mended;
            }
        }
        body
    }

    /// Parses the outer level.
    pub fn envelope(&self) -> Result<Envelope<'_>, String> {
        let text = self.text.as_ref();
        let not_json =
            |error: serde_json::Error| format!("the answer is not a model list: {error}");
        match text.bytes().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => serde_json::from_str(text)
                .map(Envelope::Object)
                .map_err(not_json),
            Some(b'[') => serde_json::from_str(text)
                .map(Envelope::Array)
                .map_err(not_json),
            None => Err("the answer is empty, not a model list".to_owned()),
            Some(b'<') => Err("the answer is HTML, not a model list: check base_url".to_owned()),
            Some(_) => Err("the answer is not a JSON object: check base_url".to_owned()),
        }
    }
}

/// The outer level of a page's body.
pub enum Envelope<'b> {
    /// A JSON object.
    Object(Fields<'b>),
    /// A bare array of entries.
    Array(Vec<&'b RawValue>),
}

impl<'b> Envelope<'b> {
    /// Returns the fields, or an error for an array.
    pub fn object(self) -> Result<Fields<'b>, String> {
        match self {
            Self::Object(fields) => Ok(fields),
            Self::Array(_) => Err("the answer is a JSON array, not an object".to_owned()),
        }
    }
}

/// The fields of an envelope, not parsed yet.
#[derive(serde::Deserialize)]
pub struct Fields<'b>(#[serde(borrow)] BTreeMap<String, &'b RawValue>);

impl<'b> Fields<'b> {
    /// Returns the array `name`: empty for `null` (Ollama without models), none if absent.
    ///
    /// An answer that reports an error is an error, unless the array has entries.
    pub fn list(&self, name: &str) -> Result<Option<Vec<&'b RawValue>>, String> {
        let list = self
            .0
            .get(name)
            .map(|raw| serde_json::from_str::<Option<Vec<&RawValue>>>(raw.get()))
            .transpose()
            .map(|list| list.map(Option::unwrap_or_default));
        let is_filled = matches!(&list, Ok(Some(list)) if !list.is_empty());
        if !is_filled && let Some(refusal) = refusal(&self.beside("")) {
            return Err(refusal);
        }
        list.map_err(|_| match self.beside("").get(name) {
            Some(Value::Object(inner)) => {
                let has = names(inner.keys().map(String::as_str));
                format!("`{name}` in the answer is not an array: it has {has}")
            }
            _ => format!("`{name}` in the answer is not an array"),
        })
    }

    /// Returns a message that the list `name` is missing, with the fields that are present.
    pub fn without_list(&self, name: &str) -> String {
        let has = names(self.0.keys().map(String::as_str));
        let mut others = LISTS_OF_KINDS.iter();
        let other = others.find(|(list, _)| *list != name && self.has(list));
        let hint = other.map_or_else(String::new, |(list, kinds)| {
            format!(" (`{list}` is read with kind = {kinds})")
        });
        format!("the answer has no `{name}` array but {has}{hint}: check base_url")
    }

    /// Whether the field `name` is present.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Iterates over the fields, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'b RawValue)> {
        self.0.iter().map(|(name, raw)| (name.as_str(), *raw))
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the values of all fields but `name`; `null` for values that cannot be read.
    pub fn beside(&self, name: &str) -> Map<String, Value> {
        let value = |raw: &RawValue| {
            let value = serde_json::from_str(raw.get());
            // A bad number beside a cursor must not hide the cursor.
            let mended = value.or_else(|_| serde_json::from_str(&mend::mended(raw.get())));
            mended.unwrap_or_default()
        };
        let fields = self.0.iter().filter(|(field, _)| *field != name);
        fields
            .map(|(name, raw)| (name.clone(), value(raw)))
            .collect()
    }
}

/// The names of lists, and the kinds that use them.
const LISTS_OF_KINDS: [(&str, &str); 2] = [
    ("models", "\"google\", \"cohere\" or \"ollama\""),
    ("data", "\"openai\" or \"anthropic\""),
];

/// Formats `names` for a message, bounded in number and length.
pub fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let bounded = names.take(MAX_NAMES).map(|name| {
        let chars = name.chars().take(MAX_NAME_CHARS);
        let name: String = chars
            .map(|char| if char.is_control() { ' ' } else { char })
            .collect();
        format!("`{name}`")
    });
    let names: Vec<String> = bounded.collect();
    match names.is_empty() {
        true => "no field".to_owned(),
        false => names.join(", "),
    }
}
