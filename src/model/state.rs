//! Everything that is served, and how each source is doing.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{
    attributes::Attributes,
    fetch::ErrorKind,
    source::{Freshness, Kind, Role, SourceName},
    time::Timestamp,
};
use crate::ingest::schedule;

/// Everything that is served, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The last revision; 0 before the first.
    pub revision: i64,
    /// Every source ever configured.
    pub sources: Vec<SourceState>,
    /// The models of all sources that are not hidden, in no order.
    pub models: Vec<Arc<StoredModel>>,
    /// The file that fills in what sources do not say.
    pub enrichment: Option<EnrichmentState>,
}

/// One source's row.
#[derive(Clone, Debug, Deserialize)]
pub struct SourceState {
    /// Its name.
    pub name: SourceName,
    /// Provider or endpoint.
    pub role: Role,
    /// What it speaks, [`Kind::Auto`] before an endpoint was recognised.
    pub kind: Kind,
    #[serde(deserialize_with = "zero_or_one")]
    /// Whether the settings name it.
    pub configured: bool,
    /// How long its listing is fresh.
    pub ttl_secs: i64,
    #[serde(deserialize_with = "zero_or_one")]
    /// Whether the stored listing is from another address than that of the settings.
    pub moved: bool,
    /// Last success.
    pub fetched_at: Option<Timestamp>,
    /// Last attempt.
    pub attempted_at: Option<Timestamp>,
    /// Not before then is it asked again.
    pub next_attempt_at: Option<Timestamp>,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The last attempt's error.
    pub error: Option<LastError>,
    /// The strange answer that was not believed.
    pub held: Option<Held>,
    /// Since when its models are not served.
    pub hidden_since: Option<Timestamp>,
    /// How many models it lists.
    pub models: i64,
}

/// The error of a source's last attempt.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct LastError {
    /// Its kind.
    pub kind: ErrorKind,
    /// One line for people.
    pub message: String,
    /// The first failure in a row.
    pub since: Timestamp,
}

/// A strange answer that was not believed; a second one will be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, serde::Serialize)]
pub struct Held {
    /// When it came.
    pub since: Timestamp,
    /// How many models it had; none where that is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<i64>,
}

impl SourceState {
    /// A source of the past, of which nothing but this is known.
    pub fn of_past(name: SourceName, role: Role) -> Self {
        Self {
            name,
            role,
            kind: Kind::Auto,
            configured: true,
            ttl_secs: 0,
            moved: false,
            fetched_at: None,
            attempted_at: None,
            next_attempt_at: None,
            consecutive_failures: 0,
            error: None,
            held: None,
            hidden_since: None,
            models: 0,
        }
    }

    /// How long its listing is fresh.
    pub fn ttl(&self) -> TimeDelta {
        TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX)
    }

    /// The freshness of its listing at `now`. One from another address is never fresh.
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        match Freshness::of(self.fetched_at, self.ttl(), now) {
            Freshness::Fresh if self.moved => Freshness::Stale,
            freshness => freshness,
        }
    }

    /// Whether it is to be asked at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.configured && schedule::is_due(self.next_attempt_at, self.ttl(), now)
    }

    /// Whether a miss may have it asked at `now`.
    pub fn may_be_looked_at(&self, now: Timestamp) -> bool {
        self.consecutive_failures == 0
            && self.held.is_none()
            && schedule::has_rested(self.attempted_at, schedule::MISS_GAP, now)
    }

    /// Whether it ever answered, or ever failed.
    pub fn was_ever_heard_from(&self) -> bool {
        self.fetched_at.is_some() || self.error.is_some()
    }
}

/// One served model.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// Whose it is.
    pub source: SourceName,
    /// Its id at that source.
    pub model_id: String,
    /// What clients read.
    pub attributes: Attributes,
}

impl StoredModel {
    /// The models of `json`: an array of `[source, model_id, attributes]`.
    pub fn parse_rows(json: &str) -> serde_json::Result<Vec<Arc<Self>>> {
        let rows: Vec<(SourceName, String, Attributes)> = serde_json::from_str(json)?;
        Ok(rows
            .into_iter()
            .map(|(source, model_id, attributes)| {
                Arc::new(Self {
                    source,
                    model_id,
                    attributes,
                })
            })
            .collect())
    }
}

fn zero_or_one<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<bool, D::Error> {
    Ok(i64::deserialize(deserializer)? != 0)
}

/// The state of the enrichment's polling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrichmentState {
    /// What fields that came from it are marked with.
    pub name: String,
    /// How many models it describes.
    pub models: i64,
    /// Last success.
    pub fetched_at: Option<Timestamp>,
    /// Last attempt.
    pub attempted_at: Option<Timestamp>,
    /// Not before then is it asked again.
    pub next_attempt_at: Option<Timestamp>,
    /// For how long it is not asked again after a success.
    pub ttl_secs: i64,
    /// Failures since the last success.
    pub consecutive_failures: i64,
    /// The last attempt's error.
    pub error: Option<LastError>,
}

impl EnrichmentState {
    /// Whether it is to be asked at `now`.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let ttl = TimeDelta::try_seconds(self.ttl_secs).unwrap_or(TimeDelta::MAX);
        schedule::is_due(self.next_attempt_at, ttl, now)
    }
}
