//! What happened: events, revisions, alerts, and which of them are wanted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use super::{
    scope::Scope,
    source::{Role, SourceName},
    time::Timestamp,
};

/// What happened, to a model or to a whole source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// All of them.
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

/// One event, as every feed tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeEvent {
    /// The commit that it belongs to.
    pub revision: i64,
    /// When that was.
    pub at: Timestamp,
    /// Whose model, or which source.
    pub source: SourceName,
    /// What happened.
    pub event: EventKind,
    /// The model's id as it is listed; none where the whole source was hidden or shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The names of the attributes that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Vec<String>>,
    /// The attributes before the event, a JSON object; none where it was not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<RawValue>>,
    /// The attributes after the event, a JSON object; none where it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Box<RawValue>>,
    /// Of a removed model: its source's last listing that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

impl ChangeEvent {
    /// Whether `scope` covers it. An event about a whole source is about each of its models.
    pub fn is_in(&self, scope: &Scope) -> bool {
        match &self.id {
            Some(id) => scope.allows(&self.source, id),
            None => scope.allows_source(self.source.as_str()),
        }
    }

    /// Keeps those of `events` that `scope` covers, without a word about other models.
    pub fn restrict(events: &mut Vec<Self>, scope: &Scope) {
        events.retain(|event| event.is_in(scope));
        if !scope.has_all_models() {
            for event in events {
                event.hide_aliases(scope);
            }
        }
    }

    /// Removes `alias_of` where it names a model outside `scope`.
    fn hide_aliases(&mut self, scope: &Scope) {
        let Some(id) = &self.id else { return };
        let prefix = format!("{}:", self.source);
        let prefix = if id.starts_with(&prefix) {
            prefix.as_str()
        } else {
            ""
        };
        for attributes in [&mut self.before, &mut self.after].into_iter().flatten() {
            let mut fields: Map<String, Value> =
                serde_json::from_str(attributes.get()).unwrap_or_default();
            let alias_of = fields.get("alias_of").and_then(Value::as_str);
            if alias_of.is_some_and(|id| !scope.allows_id(&format!("{prefix}{id}"))) {
                fields.remove("alias_of");
                // What was read can be written.
                if let Ok(hidden) = serde_json::value::to_raw_value(&fields) {
                    *attributes = hidden;
                }
            }
        }
    }
}

/// Which events are wanted; all where a field is none.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this source.
    pub source: Option<String>,
    /// Of these kinds.
    pub events: Option<Vec<EventKind>>,
    /// Of the model with this whole id.
    pub model: Option<String>,
    /// Of what whoever asks may see.
    pub scope: Arc<Scope>,
}

impl EventFilter {
    /// The names of the wanted sources, a JSON array; none where all are.
    pub fn sources(&self) -> serde_json::Result<Option<String>> {
        let scope = self.scope.sources();
        let sources: Vec<&String> = match (&self.source, scope) {
            (None, None) => return Ok(None),
            (None, Some(scope)) => scope.iter().collect(),
            (Some(source), _) if self.scope.allows_source(source) => vec![source],
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

/// One revision: what feeds, streams and webhooks tell in one piece.
#[derive(Clone, Debug, Serialize)]
pub struct Revision {
    /// Its number: every cursor and id is this one.
    pub revision: i64,
    /// When it was made.
    pub at: Timestamp,
    /// Its events, all of one source or of the settings.
    pub events: Vec<ChangeEvent>,
}

impl Revision {
    /// The revisions that `events`, which are in order, belong to.
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

    /// `openai: 2 added, 1 removed`.
    pub fn title(&self) -> String {
        let mut sources: Vec<&str> = self
            .events
            .iter()
            .map(|event| event.source.as_str())
            .collect();
        sources.dedup();
        let counts: Vec<String> = EventKind::ALL
            .into_iter()
            .filter_map(|kind| {
                let count = self
                    .events
                    .iter()
                    .filter(|event| event.event == kind)
                    .count();
                (count > 0).then(|| format!("{count} {}", kind.as_str()))
            })
            .collect();
        format!("{}: {}", sources.join(", "), counts.join(", "))
    }
}

/// How many models changed, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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

/// What is known of a model at one source.
#[derive(Clone, Debug, Deserialize)]
pub struct Trace {
    /// The source.
    pub source: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The model's id there.
    pub model_id: String,
    /// What is stored of it now; none when the source's last listing does not have it.
    pub row: Option<TraceRow>,
    /// The last that clients saw happen to it; none where they never saw it.
    pub last_event: Option<LastEvent>,
    /// When clients saw it first.
    pub first_event_at: Option<Timestamp>,
}

/// A stored model.
#[derive(Clone, Debug, Deserialize)]
pub struct TraceRow {
    /// When it was listed for the first time ever.
    pub first_seen_at: Timestamp,
    /// The rule of the settings that keeps it from being served.
    pub hidden_by: Option<String>,
    /// The source's id of the model that it is another name of.
    pub alias_of: Option<String>,
}

/// The last event of a model.
#[derive(Clone, Debug, Deserialize)]
pub struct LastEvent {
    /// What happened.
    pub event: EventKind,
    /// When.
    pub at: Timestamp,
    /// In which revision.
    pub revision: i64,
    /// Of a removed model: its source's last listing that had it.
    pub last_seen_at: Option<Timestamp>,
}

/// A watched model has become a problem, another one, or fine again.
#[derive(Clone, Debug, Serialize)]
pub struct Alert {
    /// Its number: alerts are told in this order.
    pub alert: i64,
    /// When it was noticed.
    pub at: Timestamp,
    /// The model's whole id.
    pub id: String,
    /// Whether nothing is wrong any more.
    pub ok: bool,
    /// What is wrong, a JSON array.
    pub problems: Box<RawValue>,
    /// The sources that list it or, where none does, those that may have it.
    pub sources: Vec<SourceName>,
}

/// What is wrong with a locked model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// It is not listed.
    Missing,
    /// It is listed under an id that differs in case only.
    Recased,
    /// Its source says that it is retired.
    Retired,
    /// The day of its retirement is near, or has passed.
    Retiring,
    /// Less fits into its input.
    SmallerContext,
    /// It can answer less.
    SmallerOutput,
}

impl ProblemKind {
    /// The name used in every format.
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

/// One thing that is wrong with a locked model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which.
    pub kind: ProblemKind,
    /// One line for people.
    pub message: String,
}
