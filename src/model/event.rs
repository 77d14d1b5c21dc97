//! Changes over time: events, revisions, alerts, and filters for them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
use utoipa::ToSchema;

use super::{
    attributes::Attributes,
    names::{ModelKey, Visibility},
    source::{HiddenReason, Role, SourceName},
    time::Timestamp,
};

/// What happened to a model or to a whole source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// A model was listed for the first time ever.
    Added,
    /// A model was listed with other attributes.
    Changed,
    /// A model was no longer listed.
    Removed,
    /// A model was listed again.
    Returned,
    /// A source's models are not served any more.
    Hidden,
    /// A source's models are served again.
    Shown,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Added,
        Self::Changed,
        Self::Removed,
        Self::Returned,
        Self::Hidden,
        Self::Shown,
    ];

    /// The name used in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Returned => "returned",
            Self::Hidden => "hidden",
            Self::Shown => "shown",
        }
    }
}

/// One event, in the form that every feed uses.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChangeEvent {
    /// The revision that it belongs to.
    pub revision: i64,
    /// When it happened.
    pub at: Timestamp,
    /// The source, or the source of the model.
    pub source: SourceName,
    /// The kind of event.
    pub event: EventKind,
    /// The model's whole id; none when the whole source was hidden or shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why the whole source was hidden; none for other events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<HiddenReason>,
    /// The names of the attributes that changed; `id` when only the whole id did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// The attributes before the event, a JSON object; none when the model was not listed before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Attributes>)]
    pub before: Option<Box<RawValue>>,
    /// The attributes after the event, a JSON object; none when the model is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Attributes>)]
    pub after: Option<Box<RawValue>>,
    /// For a removed model: the last listing of its source that contained it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

impl ChangeEvent {
    /// Each attribute that changed, with its value before and after; null where it had none.
    pub fn field_changes(&self) -> Vec<(&str, Value, Value)> {
        let read = |attributes: &Option<Box<RawValue>>| -> Map<String, Value> {
            let read = attributes
                .as_deref()
                .map(|text| serde_json::from_str(text.get()));
            read.and_then(Result::ok).unwrap_or_default()
        };
        let (before, after) = (read(&self.before), read(&self.after));
        let value =
            |fields: &Map<String, Value>, name| fields.get(name).cloned().unwrap_or_default();
        let names = self.changed.as_deref().unwrap_or_default();
        names
            .iter()
            .map(|name| (name.as_str(), value(&before, name), value(&after, name)))
            .collect()
    }
}

/// One event as it is stored: with its model's key instead of a whole id.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredEvent {
    /// The revision that it belongs to.
    pub revision: i64,
    at: Timestamp,
    /// The source, or the source of the model.
    pub source: SourceName,
    role: Role,
    /// The model's id at the source; empty when the whole source was hidden or shown.
    pub model_id: String,
    event: EventKind,
    reason: Option<HiddenReason>,
    changed: Option<Vec<String>>,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    last_seen_at: Option<Timestamp>,
}

impl StoredEvent {
    /// The event for a reader; none when the reader may not see it. An event of a whole source
    /// concerns each of its models. Aliases of models that the reader may not see are left out.
    pub fn seen_by(self, reader: &Visibility) -> Option<ChangeEvent> {
        let (role, source) = (self.role, self.source);
        let id = match self.model_id.as_str() {
            "" => {
                if !reader.scope().allows_source(source.as_str()) {
                    return None;
                }
                None
            }
            model_id => Some(reader.id_of(role, &source, model_id)?),
        };
        let without_hidden_alias = |attributes: Box<RawValue>| {
            let is_hidden = |alias_of: &str| reader.id_of(role, &source, alias_of).is_none();
            match reader.scope().has_all_models() {
                true => attributes,
                false => remove_alias(attributes, is_hidden),
            }
        };
        Some(ChangeEvent {
            revision: self.revision,
            at: self.at,
            event: self.event,
            id,
            reason: self.reason,
            changed: self.changed,
            before: self.before.map(without_hidden_alias),
            after: self.after.map(without_hidden_alias),
            last_seen_at: self.last_seen_at,
            source,
        })
    }
}

/// Removes `alias_of` from `attributes` if it `is_hidden`.
fn remove_alias(attributes: Box<RawValue>, is_hidden: impl Fn(&str) -> bool) -> Box<RawValue> {
    let mut fields: Map<String, Value> = serde_json::from_str(attributes.get()).unwrap_or_default();
    if !fields
        .get("alias_of")
        .and_then(Value::as_str)
        .is_some_and(is_hidden)
    {
        return attributes;
    }
    fields.remove("alias_of");
    // Parsed JSON can always be serialized again.
    serde_json::value::to_raw_value(&fields).unwrap_or(attributes)
}

/// Filters events. A field that is none matches all events.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Events of this source.
    pub source: Option<String>,
    /// Events of these kinds.
    pub events: Option<Vec<EventKind>>,
    /// Events of these models, and of their whole sources.
    pub models: Option<Vec<ModelKey>>,
    /// What the reader may see, and what it is called.
    pub reader: Arc<Visibility>,
}

impl EventFilter {
    /// The names of the matching sources, a JSON array; none for all sources.
    pub fn sources(&self) -> serde_json::Result<Option<String>> {
        let scope = self.reader.scope();
        let sources: Vec<&String> = match (&self.source, scope.sources()) {
            (None, None) => return Ok(None),
            (None, Some(sources)) => sources.iter().collect(),
            (Some(source), _) if scope.allows_source(source) => vec![source],
            (Some(_), _) => Vec::new(),
        };
        Ok(Some(serde_json::to_string(&sources)?))
    }
}

/// A moment of the past.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// A revision.
    Revision(i64),
    /// The highest revision made at or before a time.
    Time(Timestamp),
}

/// One revision: feeds, streams and webhooks send its events together.
#[derive(Clone, Debug, Serialize)]
pub struct Revision {
    /// Its number, which is also every cursor and id.
    pub revision: i64,
    /// When it was made.
    pub at: Timestamp,
    /// Its events: all of one source, or all from a change of the settings.
    pub events: Vec<ChangeEvent>,
}

impl Revision {
    /// Groups `events`, which are in order, by revision.
    pub fn group(events: Vec<ChangeEvent>) -> Vec<Self> {
        let mut revisions: Vec<Self> = Vec::new();
        for event in events {
            match revisions.last_mut() {
                Some(last) if last.revision == event.revision => last.events.push(event),
                _ => revisions.push(Self {
                    revision: event.revision,
                    at: event.at,
                    events: vec![event],
                }),
            }
        }
        revisions
    }
}

/// How many models changed, by kind of change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Listed for the first time ever.
    pub added: i64,
    /// Listed with other attributes.
    pub changed: i64,
    /// No longer listed.
    pub removed: i64,
    /// Listed again.
    pub returned: i64,
}

/// One source's stored data about a model.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    /// The source.
    pub source: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The model's id at the source.
    pub model_id: String,
    /// The stored model; none when the source's last listing lacks it.
    pub row: Option<TraceRow>,
    /// The last event that clients saw; none when they never saw the model.
    pub last_event: Option<LastEvent>,
    /// The time of the first event that clients saw.
    pub first_event_at: Option<Timestamp>,
}

/// A stored model.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceRow {
    /// When it was first listed.
    pub first_seen_at: Timestamp,
    /// The settings rule that hides it; none when it is served.
    pub hidden_by: Option<String>,
    /// For an alias: the source's own id of its target.
    pub alias_of: Option<String>,
}

/// The last event of a model.
#[derive(Clone, Debug, Deserialize)]
pub struct LastEvent {
    /// The kind of event.
    pub event: EventKind,
    /// When it happened.
    pub at: Timestamp,
    /// Its revision.
    pub revision: i64,
    /// For a removed model: the last listing of its source that contained it.
    pub last_seen_at: Option<Timestamp>,
}

/// A watched model became a problem, changed its problems, or recovered.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    /// Its number. Alerts are delivered in this order.
    pub alert: i64,
    /// When the catalog noticed it.
    pub at: Timestamp,
    /// The model's whole id.
    pub id: String,
    /// Whether the model has no problem any more.
    pub ok: bool,
    /// Its problems, a JSON array.
    pub problems: Box<RawValue>,
    /// The sources that list it; if none does, the sources that may have it.
    pub sources: Vec<SourceName>,
}

/// The kind of a locked model's problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// It is not listed.
    Missing,
    /// It is listed under an id that differs only in case.
    Recased,
    /// Its source marks it as retired.
    Retired,
    /// Its retirement date is near or has passed.
    Retiring,
    /// Its context window became smaller.
    SmallerContext,
    /// Its output limit became smaller.
    SmallerOutput,
}

impl ProblemKind {
    /// The name used in every output format.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Recased => "recased",
            Self::Retired => "retired",
            Self::Retiring => "retiring",
            Self::SmallerContext => "smaller_context",
            Self::SmallerOutput => "smaller_output",
        }
    }
}

/// One problem of a locked model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// One line for the operator.
    pub message: String,
}

impl Problem {
    /// What is news about it: its kind and, where it has become smaller, from what to what. Other
    /// messages change by themselves as days pass.
    pub fn fact(&self) -> (ProblemKind, Option<&str>) {
        let has_size = matches!(
            self.kind,
            ProblemKind::SmallerContext | ProblemKind::SmallerOutput
        );
        (self.kind, has_size.then_some(self.message.as_str()))
    }
}
