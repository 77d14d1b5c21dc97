//! The dialects of model lists: the same models in the shape of OpenAI's, Anthropic's, Gemini's and
//! Ollama's lists. Pure: turns models into bytes.

pub mod anthropic;
mod gemini;
mod ollama;
pub mod openai;
pub mod shapes;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Datelike};
use serde::Serialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{fields::write_fields, page::Page, view::ModelView};
use crate::model::{source::Kind, time::Timestamp};

/// The shape in which a client reads models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's, used by most clients.
    OpenAi,
    /// Anthropic's.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Ollama's `/api/tags`.
    Ollama,
}

/// Headers that only the clients of one dialect send.
const DIALECT_HEADERS: [(&str, Dialect); 3] = [
    ("anthropic-version", Dialect::Anthropic),
    ("x-goog-api-client", Dialect::Gemini),
    ("x-goog-api-key", Dialect::Gemini),
];

impl Dialect {
    /// The dialect that the headers of a request imply, if any.
    pub fn of_headers(headers: &HeaderMap) -> Option<Self> {
        DIALECT_HEADERS
            .iter()
            .find(|(name, _)| headers.contains_key(*name))
            .map(|(_, dialect)| *dialect)
    }

    /// The dialect of a source's own list below `/v1`.
    pub fn of_kind(kind: Kind) -> Self {
        match kind {
            Kind::Anthropic => Self::Anthropic,
            Kind::Google => Self::Gemini,
            // Ollama has both lists; the one below `/v1` is OpenAI's. The others are variations of
            // OpenAI's.
            Kind::OpenAi
            | Kind::OpenRouter
            | Kind::Cohere
            | Kind::Azure
            | Kind::Ollama
            | Kind::Bedrock
            | Kind::Cloudflare
            | Kind::Auto
            | Kind::Enrichment => Self::OpenAi,
        }
    }

    /// Whether a source of this kind sends its entries in this dialect.
    pub fn is_native_to(self, kind: Kind) -> bool {
        match kind {
            Kind::Ollama => self == Self::Ollama,
            // The API is unknown, has no model list, or uses another shape (Cloudflare's `id` is a
            // different id).
            Kind::Auto | Kind::Enrichment | Kind::Bedrock | Kind::Cloudflare => false,
            other => self == Self::of_kind(other),
        }
    }

    /// Serializes the answer for one model, asked for at `now`.
    pub fn model(self, model: &ModelView, now: Timestamp) -> serde_json::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.write(model, now, &mut body)?;
        Ok(body)
    }

    /// Serializes the answer for `page`, asked for at `now`. OpenAI's entries are limited to `fields`,
    /// unless that is empty.
    pub fn list(
        self,
        page: &Page,
        fields: &BTreeSet<String>,
        now: Timestamp,
    ) -> serde_json::Result<Vec<u8>> {
        let mut body = match self {
            Self::OpenAi => openai::HEAD.to_vec(),
            Self::Anthropic => br#"{"data":["#.to_vec(),
            Self::Gemini | Self::Ollama => br#"{"models":["#.to_vec(),
        };
        for (place, model) in page.models.iter().enumerate() {
            if place > 0 {
                body.push(b',');
            }
            if self == Self::OpenAi && !fields.is_empty() {
                write_fields(&self.model(model, now)?, fields, &mut body)?;
            } else {
                self.write(model, now, &mut body)?;
            }
        }
        body.push(b']');
        let (first, last) = (page.models.first(), page.models.last());
        match self {
            // Without paging parameters, the list has OpenAI's own shape.
            Self::OpenAi if page.is_whole => {}
            Self::OpenAi | Self::Anthropic => {
                field(&mut body, "has_more", &page.has_more)?;
                field(&mut body, "first_id", &first.map(|model| model.id))?;
                field(&mut body, "last_id", &last.map(|model| model.id))?;
            }
            Self::Gemini if page.has_more => {
                field(&mut body, "nextPageToken", &last.map(|model| model.id))?;
            }
            Self::Gemini | Self::Ollama => {}
        }
        body.push(b'}');
        Ok(body)
    }

    /// Serializes Ollama's answer to `/api/show` for one model, asked for at `now`.
    pub fn show(model: &ModelView, now: Timestamp) -> serde_json::Result<Vec<u8>> {
        let entry = serde_json::from_slice(&Self::Ollama.model(model, now)?)?;
        serde_json::to_vec(&ollama::shown(model, entry))
    }

    /// Writes one entry: as its source sent it, if that is available.
    fn write(
        self,
        model: &ModelView,
        now: Timestamp,
        body: &mut Vec<u8>,
    ) -> serde_json::Result<()> {
        let standard = match self {
            Self::OpenAi => openai::standard_fields(model),
            Self::Anthropic => anthropic::standard_fields(model),
            Self::Gemini => gemini::standard_fields(model),
            Self::Ollama => ollama::standard_fields(model),
        };
        if let Some(raw) = model.raw {
            body.extend_from_slice(self.completed(raw, &standard)?.as_bytes());
            return Ok(());
        }
        match self {
            Self::OpenAi => serde_json::to_writer(body, &openai::Entry::of(model)),
            Self::Anthropic => {
                serde_json::to_writer(body, &anthropic::entry(model, object(standard), now))
            }
            Self::Gemini => serde_json::to_writer(body, &gemini::entry(model, object(standard))),
            Self::Ollama => serde_json::to_writer(body, &ollama::entry(model, object(standard))),
        }
    }

    /// Completes a source's `raw` entry with each of the `standard` fields that is missing or has a
    /// value that this dialect's strict clients cannot read. The fields that identify the model always
    /// have our value.
    fn completed<'a>(
        self,
        raw: &'a RawValue,
        standard: &[(&'static str, Value)],
    ) -> serde_json::Result<Cow<'a, str>> {
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(raw.get())?;
        let unreadable: Vec<&str> = self
            .time_fields()
            .iter()
            .copied()
            .filter(|name| {
                fields
                    .get(*name)
                    .is_some_and(|time| !is_readable_time(time))
            })
            .collect();
        let mut added = Vec::new();
        for (place, (name, value)) in standard.iter().enumerate() {
            let present = fields.get(*name).filter(|_| !unreadable.contains(name));
            let usable = present.is_some_and(|present| match value {
                Value::String(text) => serde_json::from_str::<String>(present.get())
                    .is_ok_and(|own| place >= self.identity_fields() || own == *text),
                // The only number is `created`.
                Value::Number(_) => is_readable_second(present),
                _ => true,
            });
            if !usable {
                added.push((*name, serde_json::value::to_raw_value(value)?));
            }
        }
        if added.is_empty() && unreadable.is_empty() {
            return Ok(Cow::Borrowed(raw.get()));
        }
        fields.retain(|name, _| !unreadable.contains(&name.as_str()));
        for (name, value) in &added {
            fields.insert((*name).to_owned(), value);
        }
        serde_json::to_string(&fields).map(Cow::Owned)
    }

    /// The fields that its clients read as a time.
    fn time_fields(self) -> &'static [&'static str] {
        match self {
            Self::Anthropic => &["created_at", "deprecated_at", "retires_at"],
            Self::Ollama => &["modified_at"],
            Self::OpenAi | Self::Gemini => &[],
        }
    }

    /// The number of standard fields that identify the model, at their start.
    fn identity_fields(self) -> usize {
        match self {
            Self::Ollama => ollama::IDENTITY_FIELDS,
            Self::OpenAi | Self::Anthropic | Self::Gemini => 1,
        }
    }

    /// An error in this dialect. `code` is our own, stable code.
    pub fn error(
        self,
        status: StatusCode,
        kind: &str,
        code: &str,
        param: Option<&str>,
        message: &str,
    ) -> Value {
        match self {
            Self::OpenAi => {
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
            }
            Self::Anthropic => anthropic::error(status, code, message),
            Self::Gemini => gemini::error(status, code, message),
            Self::Ollama => json!({ "error": message }),
        }
    }
}

fn object(fields: Vec<(&'static str, Value)>) -> Map<String, Value> {
    let named = |(name, value): (&str, Value)| (name.to_owned(), value);
    fields.into_iter().map(named).collect()
}

/// Appends a field to an object that already has one.
fn field(body: &mut Vec<u8>, name: &str, value: &impl Serialize) -> serde_json::Result<()> {
    body.extend_from_slice(format!(",\"{name}\":").as_bytes());
    serde_json::to_writer(body, value)
}

/// Whether strict clients read `value` as a time: null, or RFC 3339 within the years 1 to 9999, which
/// .NET and Python require.
fn is_readable_time(value: &RawValue) -> bool {
    match serde_json::from_str::<Option<String>>(value.get()) {
        Ok(None) => true,
        Ok(Some(text)) => DateTime::parse_from_rfc3339(&text)
            .is_ok_and(|time| (1..=9999).contains(&time.to_utc().year())),
        Err(_) => false,
    }
}

/// Whether strict clients read `value` as a second since 1970, up to the year 9999.
fn is_readable_second(value: &RawValue) -> bool {
    const LAST: i64 = 253_402_300_799;
    let second = value.get().parse::<i64>();
    second.is_ok_and(|second| (0..=LAST).contains(&second))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("null", true)]
    #[case(r#""2026-02-03T00:54:07.035483248-05:00""#, true)]
    #[case(r#""0001-01-01T00:00:00Z""#, true)]
    #[case(r#""0000-12-31T23:59:59Z""#, false)]
    #[case(r#""0001-01-01T00:00:00+05:00""#, false)]
    #[case(r#""9999-12-31T23:59:59-05:00""#, false)]
    #[case(r#""2026-02-30T00:00:00Z""#, false)]
    #[case(r#""2026-02-03""#, false)]
    #[case(r#""""#, false)]
    #[case("1770163200", false)]
    fn times_of_strict_clients(#[case] json: &str, #[case] readable: bool) {
        let value: &RawValue = serde_json::from_str(json).expect("JSON");
        assert_eq!(is_readable_time(value), readable);
    }

    #[rstest]
    #[case("0", true)]
    #[case("253402300799", true)]
    #[case("253402300800", false)]
    #[case("1790000000000", false)]
    #[case("-1", false)]
    #[case("1.7e9", false)]
    #[case("null", false)]
    fn seconds_of_strict_clients(#[case] json: &str, #[case] readable: bool) {
        let value: &RawValue = serde_json::from_str(json).expect("JSON");
        assert_eq!(is_readable_second(value), readable);
    }
}
