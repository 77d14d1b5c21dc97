//! Reads one page of a list leniently, entry by entry. Pure. ([`super::envelope`] reads the JSON
//! around the entries, [`super::fields`] their fields; [`super::paging`] finds the next page.)

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value, value::RawValue};

use super::{
    envelope::{Body, Envelope, Fields, names},
    mend::{self, REPLACEMENT},
    paging::{self, Held, Paging},
    progress::{Next, NoPage, Progress},
    refusal::refusal,
};
use crate::model::{
    attributes::Attributes,
    fetch::ErrorKind,
    listing::{Entry, MAX_ID_BYTES, Skipped, is_usable_id},
};

/// One parsed page.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// The usable entries, in the source's order, duplicates included.
    pub entries: Vec<Entry>,
    /// The entries that were skipped.
    pub skipped: Skipped,
    /// How to request the next page; none on the last one.
    pub next: Option<Next>,
    /// Its own number, if the answer has it.
    pub number: Option<i64>,
}

/// The most models in one listing, malformed ones included. The longest known list has 22,060.
pub const MAX_MODELS: usize = 40_000;
/// The message for a list with more than [`MAX_MODELS`].
pub fn too_many() -> String {
    format!("the list has more than {MAX_MODELS} entries")
}

/// The most levels of nesting in an entry: stored entries are read inside other JSON, and
/// serde_json reads 127 levels in all.
pub const MAX_DEPTH: usize = 64;

/// Reads the entries of one kind.
pub struct EntryReader {
    /// The fields that hold the id, best first.
    pub ids: &'static [&'static str],
    /// The fields that hold it in lists where no entry has one of `ids`.
    pub other_ids: &'static [&'static str],
    /// Turns the listed id into the id to serve.
    pub served_id: fn(&str) -> &str,
    /// Reads the attributes of an entry.
    pub attributes: fn(&Value) -> Attributes,
}

/// Leaves an id unchanged.
pub const AS_IT_IS: fn(&str) -> &str = |id| id;

/// Reads the pages of one kind.
pub struct PageReader {
    /// The field of the envelope that holds the entries.
    pub list: &'static str,
    /// Whether a bare array is accepted as well.
    pub takes_array: bool,
    /// Whether an answer with these fields and without the list is an empty list.
    pub may_lack_list: fn(&Fields) -> bool,
    /// Reads the entries.
    pub entries: EntryReader,
    /// How the list pages.
    pub paging: Paging,
}

impl PageReader {
    /// Reads `body`, the answer for the next page of a listing with this `progress`.
    pub fn read(&self, body: &[u8], progress: &Progress) -> Result<Page, NoPage> {
        let body = Body::of(body);
        let (entries, beside) = match body.envelope()? {
            Envelope::Array(entries) if self.takes_array => (entries, Map::new()),
            Envelope::Array(entries) => {
                let not_an_object = || "the answer is a JSON array, not an object".to_owned();
                return Err(only_refusal(&entries).unwrap_or_else(not_an_object).into());
            }
            Envelope::Object(fields) => {
                let entries = match fields.list(self.list)? {
                    None if (self.may_lack_list)(&fields) => Vec::new(),
                    None => return Err(fields.without_list(self.list).into()),
                    Some(entries) => entries,
                };
                (entries, fields.beside(self.list))
            }
        };
        if entries.len() > MAX_MODELS {
            return Err(NoPage {
                kind: ErrorKind::TooLarge,
                message: too_many(),
            });
        }
        let mut page = self.entries.read(&body, &entries);
        if page.entries.is_empty()
            && let Some(refusal) = only_refusal(&entries)
        {
            return Err(refusal.into());
        }
        let held = Held {
            count: page.count(),
            last_id: page.entries.last().map(|entry| entry.id.as_str()),
        };
        let (next, number) = paging::next(&beside, &held, progress, self.paging)?;
        page.next = next;
        page.number = number;
        Ok(page)
    }
}

/// Returns the error in a list whose only entry it is: Google wraps its errors like this.
fn only_refusal(entries: &[&RawValue]) -> Option<String> {
    let [only] = entries else {
        return None;
    };
    refusal(&serde_json::from_str(only.get()).ok()?)
}

impl Page {
    /// The number of entries on the page, skipped ones included.
    pub fn count(&self) -> usize {
        self.entries.len() + self.skipped.count
    }
}

impl EntryReader {
    /// Reads a page of `raws`. Skips and counts entries without a usable id (a text of 1 to 512
    /// bytes without control characters, after trimming white space). A text is an entry with only
    /// an id.
    pub fn read(&self, body: &Body, raws: &[&RawValue]) -> Page {
        let mut page = Page::default();
        let ids = if raws.iter().any(|raw| has_any(raw, self.ids)) {
            self.ids
        } else {
            self.other_ids
        };
        for raw in raws {
            match self.entry(body, raw, ids) {
                Ok(entry) => page.entries.push(entry),
                Err((what, why)) => page.skipped.push(&what, &why),
            }
        }
        page
    }

    /// Reads `raw`. If it is unusable, returns what it is and why it is skipped.
    fn entry(&self, body: &Body, raw: &RawValue, ids: &[&str]) -> Result<Entry, (String, String)> {
        let mut raw = Cow::Borrowed(raw.get());
        let value = match serde_json::from_str::<Value>(&raw) {
            Ok(value) => value,
            Err(_) => {
                let mended = mend::mended(&raw);
                // serde_json refuses more than 128 levels of nesting here.
                let value = serde_json::from_str(&mended)
                    // Not quoted: escapes may hide a key in it.
                    .map_err(|error| {
                        let what = format!("an entry of {} bytes", mended.len());
                        (what, format!("not readable: {error}"))
                    })?;
                raw = Cow::Owned(mended);
                value
            }
        };
        let listed = match &value {
            Value::String(id) => Some(id.as_str()),
            value => ids.iter().find_map(|name| value[*name].as_str()),
        };
        let Some(listed) = listed else {
            let names = match &value {
                Value::Object(fields) => names(fields.keys().map(String::as_str)),
                _ => "no field".to_owned(),
            };
            let why = format!("no text in `{}`; it has {names}", self.ids.join("` or `"));
            return Err((value.to_string(), why));
        };
        let id = (self.served_id)(listed.trim()).trim();
        let skip = |why: String| Err((id.to_owned(), why));
        if !is_usable_id(id) {
            return skip(if id.is_empty() {
                "its id is empty".to_owned()
            } else if id.len() > MAX_ID_BYTES {
                format!("its id is longer than {MAX_ID_BYTES} bytes")
            } else {
                "its id has control characters".to_owned()
            });
        }
        // With a replaced character, it would be an id that the source never sent.
        if id.contains(REPLACEMENT) && (body.is_mended || matches!(raw, Cow::Owned(_))) {
            return skip("its id is not readable as UTF-8".to_owned());
        }
        if is_deeper(&value, MAX_DEPTH) {
            return skip(format!("it has more than {MAX_DEPTH} levels of nesting"));
        }
        let raw = match &value {
            // The readers of `raw` expect an object.
            Value::String(_) => Value::from_iter([(self.ids[0], id)]).to_string(),
            _ => raw.into_owned(),
        };
        Ok(Entry {
            id: id.to_owned(),
            attributes: (self.attributes)(&value),
            raw,
            hidden_by: None,
        })
    }
}

/// Whether `raw` is an entry with one of `fields`, or a text.
fn has_any(raw: &RawValue, fields: &[&str]) -> bool {
    let Ok(names) = serde_json::from_str::<BTreeMap<Cow<str>, &RawValue>>(raw.get()) else {
        return raw.get().starts_with('"');
    };
    fields
        .iter()
        .any(|field| names.get(*field).is_some_and(|value| value.get() != "null"))
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
