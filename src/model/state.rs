//! The stored state: the served models, and the state of each source.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    attributes::Attributes,
    fetch::{EndSign, ErrorKind},
    listing::Skipped,
    settings::SourceSettings,
    source::{Freshness, HiddenReason, Kind, Role, SourceName},
    time::Timestamp,
};

/// The stored state at one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Identifies the database.
    pub catalog_id: String,
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// The state of every source ever configured.
    pub sources: Sources,
    /// The models; none when the reader already has this revision.
    pub content: Option<Content>,
}

/// The models of one revision.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The revision; 0 before the first.
    pub revision: i64,
    /// The models of all sources that are not hidden, unordered.
    pub models: Vec<Arc<StoredModel>>,
    /// Every source ever configured, hidden ones included.
    pub sources: Vec<SourceContent>,
}

/// One source's share of the content.
#[derive(Clone, Debug, Deserialize)]
pub struct SourceContent {
    /// Its name.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// Number of its listed models, after the rules.
    pub models: i64,
    /// Whether its name was known at the content's revision; see [`super::names::Names`].
    #[serde(deserialize_with = "zero_or_one")]
    pub is_known: bool,
}

/// One served model.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// Its source.
    pub source: SourceName,
    /// The role of its source.
    pub role: Role,
    /// Its id at the source.
    pub model_id: String,
    /// The attributes that clients read.
    pub attributes: Attributes,
}

/// The polling state of a source or the enrichment: past attempts and the next one. The rules for
/// it are in `ingest::schedule`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Polling {
    /// The TTL of a listing, in seconds, from the settings of the last process that started.
    pub ttl_secs: i64,
    /// The last success.
    #[schema(required = true)]
    pub fetched_at: Option<Timestamp>,
    /// The last attempt.
    #[schema(required = true)]
    pub attempted_at: Option<Timestamp>,
    /// The next scheduled attempt. Only requested refreshes may come before it.
    #[schema(required = true)]
    pub next_attempt_at: Option<Timestamp>,
    /// While a fetch is under way: when others may take it for lost.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    pub claimed_until: Option<Timestamp>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The error of the last attempt; none after a success.
    #[schema(required = true)]
    pub error: Option<LastError>,
}

impl Polling {
    /// The TTL of a listing.
    pub fn ttl(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX)
    }
}

/// The error of the last attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// One line for the operator.
    pub message: String,
    /// When the current run of failures began.
    pub since: Timestamp,
}

/// A suspicious listing that waits for confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Held {
    /// When it was fetched.
    pub since: Timestamp,
    /// Number of its models; absent in answers to restricted keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<i64>,
    /// What it lacks; absent in answers to restricted keys, and if an older version held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// The served models that a held listing lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Missing {
    /// Their number.
    pub count: usize,
    /// The source's own ids of the first hundred: at most 80 characters, control characters escaped.
    pub examples: Vec<String>,
}

impl Held {
    /// Leaves out what is about single models.
    pub fn restrict(&mut self) {
        self.models = None;
        self.missing = None;
    }
}

/// A source whose models are kept but not served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Hidden {
    /// When it was hidden.
    pub since: Timestamp,
    /// Why it was hidden.
    pub reason: HiddenReason,
}

/// Changes that wait, because their models go back and forth between fetches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Damped {
    /// The number of models in the last listing whose change waits.
    pub count: usize,
    /// The ids of the first five: at most 80 characters, control characters escaped.
    pub examples: Vec<String>,
    /// When the last of these changes counts, if the source still says so then.
    pub until: Timestamp,
}

/// The failures in a row that say that a source has ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ending {
    /// What they say.
    pub sign: EndSign,
    /// The first of them.
    pub since: Timestamp,
}

/// The state of one source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SourceState {
    /// Its name.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// Its list API; [`Kind::Auto`] until an endpoint's API is detected.
    pub kind: Kind,
    /// Whether the settings contain it.
    #[serde(deserialize_with = "zero_or_one")]
    pub configured: bool,
    /// Whether the stored listing came from another address than the configured one.
    #[serde(deserialize_with = "zero_or_one")]
    pub moved: bool,
    /// The configured address; none in rows of an older version.
    pub address: Option<String>,
    /// The kind in the settings; none in rows of an older version.
    pub configured_kind: Option<Kind>,
    /// The number of its last claim, or of the change that superseded it.
    pub claim: i64,
    /// Its polling state.
    #[serde(flatten)]
    pub polling: Polling,
    /// Number of key refusals since the last success.
    pub refusals: i64,
    /// The first of these refusals.
    pub refused_since: Option<Timestamp>,
    /// The suspicious listing that waits for confirmation.
    pub held: Option<Held>,
    /// Its last failures, if they say that it has ended.
    pub ending: Option<Ending>,
    /// When and why it was hidden; none while it is served.
    pub hidden: Option<Hidden>,
    /// The unusable entries of its last listing; none when it had none.
    pub skipped: Option<Skipped>,
    /// The models that change back and forth, if the changes of some wait.
    pub damped: Option<Damped>,
    /// The version that its server reported last; none unless it is an Ollama.
    pub server_version: Option<String>,
}

impl SourceState {
    /// The freshness of its listing at `now`. A listing from another address is never fresh.
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

    /// Whether it has said what it lists, or will not say it: it refuses its key, or no setting names it.
    pub fn has_answered(&self) -> bool {
        let error = self.polling.error.as_ref();
        let is_refused = error.is_some_and(|error| error.kind == ErrorKind::Unauthorized);
        !self.is_missing() || is_refused
    }

    /// Whether it is configured but has no listing yet. One that is gone is not expected to have one.
    pub fn is_missing(&self) -> bool {
        self.configured && self.polling.fetched_at.is_none() && !self.is_gone()
    }

    /// Whether it has ended.
    pub fn is_gone(&self) -> bool {
        let reason = self.hidden.as_ref().map(|hidden| hidden.reason);
        reason == Some(HiddenReason::Gone)
    }

    /// Whether it is served but stale at `now`.
    pub fn is_stale(&self, now: Timestamp) -> bool {
        self.configured && self.hidden.is_none() && self.freshness(now) == Freshness::Stale
    }

    /// Whether it is configured as `settings` say. Otherwise the settings of another process are in
    /// force.
    pub fn is_asked_as(&self, settings: &SourceSettings) -> bool {
        let address = self.address.as_ref();
        self.configured
            && address.is_none_or(|address| *address == settings.address)
            && self
                .configured_kind
                .is_none_or(|kind| kind == settings.kind)
    }

    /// When it was hidden; none while it is served.
    pub fn hidden_since(&self) -> Option<Timestamp> {
        self.hidden.as_ref().map(|hidden| hidden.since)
    }
}

/// The state of the enrichment, the file that fills in the fields that sources omit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnrichmentState {
    /// The name that marks the fields it filled in.
    pub name: String,
    /// Identifies its URL.
    #[serde(skip_serializing)]
    #[schema(ignore)]
    pub address: String,
    /// Number of models that it describes.
    pub models: i64,
    /// Its polling state.
    #[serde(flatten)]
    pub polling: Polling,
}

/// The state of every source ever configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The sources, in list order.
    pub states: Vec<SourceState>,
    /// The enrichment; none when none is configured.
    pub enrichment: Option<EnrichmentState>,
    /// The process whose settings are in force.
    pub process: i64,
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
            address: Some("here".to_owned()),
            configured_kind: Some(Kind::OpenAi),
            claim: 0,
            polling: Polling {
                ttl_secs: 60,
                ..Polling::default()
            },
            refusals: 0,
            refused_since: None,
            held: None,
            ending: None,
            hidden: None,
            skipped: None,
            damped: None,
            server_version: None,
        }
    }
}
