//! Reading one page of a list, its entries one by one and leniently. Pure. (What holds them:
//! [`super::envelope`]; what an entry says: [`super::fields`]; which page is next: [`super::paging`].)

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
    /// The entries that were left out.
    pub skipped: Skipped,
    /// What asks for the next page; none on the last one.
    pub next: Option<Next>,
    /// Its own number, where it says it.
    pub number: Option<i64>,
}

/// Most models, malformed ones included, of one listing. The longest list known has 22,060.
pub const MAX_MODELS: usize = 40_000;
/// Says that there are more.
pub fn too_many() -> String {
    format!("the list has more than {MAX_MODELS} entries")
}

/// Most levels of nesting in an entry: what is stored of it is read within others, and serde_json
/// reads 127 in all.
pub const MAX_DEPTH: usize = 64;
/// How entries of one kind are read.
pub struct EntryReader {
    /// The fields that hold the id, best first.
    pub ids: &'static [&'static str],
    /// Those that hold it in lists in which no entry has one of `ids`.
    pub other_ids: &'static [&'static str],
    /// The id as it is served.
    pub served_id: fn(&str) -> &str,
    /// What an entry says.
    pub attributes: fn(&Value) -> Attributes,
}

/// An id as it is.
pub const AS_IT_IS: fn(&str) -> &str = |id| id;

/// How the pages of one kind are read.
pub struct PageReader {
    /// The field of the envelope that holds the entries.
    pub list: &'static str,
    /// Whether a bare array will do as well.
    pub takes_array: bool,
    /// Whether an answer without the list may be an empty one.
    pub may_lack_list: fn(&Fields) -> bool,
    /// How its entries are read.
    pub entries: EntryReader,
    /// How it pages.
    pub paging: Paging,
}

impl PageReader {
    /// Reads `body`, the answer of a page of which so much is known.
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

/// The error that the one entry of a list is: Google wraps its errors so.
fn only_refusal(entries: &[&RawValue]) -> Option<String> {
    let [only] = entries else {
        return None;
    };
    refusal(&serde_json::from_str(only.get()).ok()?)
}

impl Page {
    /// How many entries it held, those included that were left out.
    pub fn count(&self) -> usize {
        self.entries.len() + self.skipped.count
    }
}

impl EntryReader {
    /// Reads a page of `raws`. What has no usable id (a text of 1 to 512 bytes without control
    /// characters, white space around it taken off) is skipped and counted; a text is an entry
    /// that says only its id.
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

    /// The entry that `raw` is, or what it is instead and why that cannot be used.
    fn entry(&self, body: &Body, raw: &RawValue, ids: &[&str]) -> Result<Entry, (String, String)> {
        let mut raw = Cow::Borrowed(raw.get());
        let value = match serde_json::from_str::<Value>(&raw) {
            Ok(value) => value,
            Err(_) => {
                let mended = mend::mended(&raw);
                // serde_json refuses more than 128 levels of nesting here.
                let value = serde_json::from_str(&mended)
                    .map_err(|error| (raw.as_ref().to_owned(), format!("not readable: {error}")))?;
                raw = Cow::Owned(mended);
                value
            }
        };
        let said = match &value {
            Value::String(id) => Some(id.as_str()),
            value => ids.iter().find_map(|name| value[*name].as_str()),
        };
        let Some(said) = said else {
            let names = match &value {
                Value::Object(fields) => names(fields.keys().map(String::as_str)),
                _ => "no field".to_owned(),
            };
            let why = format!("no text in `{}`; it has {names}", self.ids.join("` or `"));
            return Err((raw.into_owned(), why));
        };
        let id = (self.served_id)(said.trim()).trim();
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
        // An id with a character that nobody sent would be invented.
        if id.contains(REPLACEMENT) && (body.is_mended || matches!(raw, Cow::Owned(_))) {
            return skip("its id is not readable as UTF-8".to_owned());
        }
        if is_deeper(&value, MAX_DEPTH) {
            return skip(format!("it has more than {MAX_DEPTH} levels of nesting"));
        }
        let raw = match &value {
            // As those who read it expect it: an object.
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
