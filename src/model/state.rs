//! What is stored: the models that are served, and how each source is doing.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    fetch::ErrorKind,
    source::{Freshness, Kind, Role, SourceName},
    time::Timestamp,
};

/// What is stored, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Identifies the database.
    pub catalog_id: String,
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// How every source ever configured is doing.
    pub sources: Sources,
    /// The models; none where the reader already has those of this revision.
    pub content: Option<Content>,
}

/// The models of one revision.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The revision; 0 before the first.
    pub revision: i64,
    /// The models of all sources that are not hidden, in no order.
    pub models: Vec<Arc<StoredModel>>,
    /// Every source ever configured, hidden ones included.
    pub sources: Vec<SourceContent>,
}

/// How much of the content is a source's.
#[derive(Clone, Debug, Deserialize)]
pub struct SourceContent {
    /// Its name.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// How many models it lists, rules applied.
    pub models: i64,
}

/// One served model.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// Its source.
    pub source: SourceName,
    /// Whether that is a provider or an endpoint.
    pub role: Role,
    /// Its id at that source.
    pub model_id: String,
    /// What clients read.
    pub attributes: Attributes,
}

impl StoredModel {
    /// What clients call it.
    pub fn whole_id(&self) -> String {
        self.role.whole_id(&self.source, &self.model_id)
    }
}

/// When something was polled, how that went, and when it is due again. The rules over it are in
/// `ingest::schedule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polling {
    /// How long a listing is fresh, in seconds, by the settings of the last process that started.
    pub ttl_secs: i64,
    /// Last success.
    pub fetched_at: Option<Timestamp>,
    /// Last attempt.
    pub attempted_at: Option<Timestamp>,
    /// No attempt before then, unless a caller requests one.
    pub next_attempt_at: Option<Timestamp>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The last attempt's error.
    pub error: Option<LastError>,
}

impl Polling {
    /// How long a listing is fresh.
    pub fn ttl(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX)
    }
}

/// The error of the last attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// One line for people.
    pub message: String,
    /// The first failure in a row.
    pub since: Timestamp,
}

/// A suspicious listing that waits for confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// When it came.
    pub since: Timestamp,
    /// How many models it had; absent in answers to keys that see some models only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<i64>,
}

/// Why a source's models are kept but not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HiddenReason {
    /// No setting names the source any more.
    Unconfigured,
    /// It has been stale for longer than `max_stale`.
    Unreachable,
    /// Its key has been refused for a day.
    Refused,
}

impl HiddenReason {
    /// The name used in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unconfigured => "unconfigured",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// A source whose models are kept but not served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hidden {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: HiddenReason,
}

/// One source: how it is polled, and what is doubted of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceState {
    /// Its name.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// The list API that it speaks, [`Kind::Auto`] before an endpoint is recognised.
    pub kind: Kind,
    /// Whether the settings name it.
    #[serde(deserialize_with = "zero_or_one")]
    pub configured: bool,
    /// Whether the stored listing came from another address than that of the settings.
    #[serde(deserialize_with = "zero_or_one")]
    pub moved: bool,
    /// Attempts and schedule.
    #[serde(flatten)]
    pub polling: Polling,
    /// Refusals of the key since the last success.
    pub refusals: i64,
    /// The first of them.
    pub refused_since: Option<Timestamp>,
    /// The listing that waits for confirmation.
    pub held: Option<Held>,
    /// Since when, and why, its models are not served.
    pub hidden: Option<Hidden>,
}

impl SourceState {
    /// The freshness of its listing at `now`. One from another address is never fresh.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        match Freshness::of(self.polling.fetched_at, self.polling.ttl(), now) {
            Freshness::Fresh if self.moved => Freshness::Stale,
            freshness => freshness,
        }
    }

    /// Whether it has ever answered or failed.
    pub fn was_attempted(&self) -> bool {
        self.polling.fetched_at.is_some() || self.polling.error.is_some()
    }

    /// Whether it is configured and has never given a listing.
    pub fn is_missing(&self) -> bool {
        self.configured && self.polling.fetched_at.is_none()
    }

    /// Whether it is served, and stale at `now`.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.configured && self.hidden.is_none() && self.freshness(now) == Freshness::Stale
    }

    /// Since when its models are not served.
    pub fn hidden_since(&self) -> Option<Timestamp> {
        self.hidden.as_ref().map(|hidden| hidden.since)
    }
}

/// The enrichment: the file that fills in what sources leave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrichmentState {
    /// What fields that came from it are marked with.
    pub name: String,
    /// How many models it describes.
    pub models: i64,
    /// Attempts and schedule.
    #[serde(flatten)]
    pub polling: Polling,
}

/// How every source ever configured is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// In the order of the list.
    pub states: Vec<SourceState>,
    /// The file that fills in what sources leave out.
    pub enrichment: Option<EnrichmentState>,
}

impl Sources {
    /// The state of the source `name`.
    pub fn find(&self, name: &SourceName) -> Option<&SourceState> {
        self.states.iter().find(|source| source.name == *name)
    }
}

fn zero_or_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(i64::deserialize(deserializer)? != 0)
}

#[cfg(test)]
impl SourceState {
    /// A configured source that has never been polled, with a TTL of a minute.
    pub fn sample(name: &str, role: Role) -> Self {
        Self {
            name: name.parse().expect("a name"),
            role,
            kind: Kind::OpenAi,
            configured: true,
            moved: false,
            polling: Polling {
                ttl_secs: 60,
                ..Polling::default()
            },
            refusals: 0,
            refused_since: None,
            held: None,
            hidden: None,
        }
    }
}
