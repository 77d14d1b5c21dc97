//! What the database knows of one id, listed or not: for whoever asks why.

use serde::Deserialize;

use super::{EventKind, Result, Store};
use crate::{
    model::{Role, SourceName},
    time::Timestamp,
};

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

impl Store {
    /// What every source that a model with the whole id `id` may belong to knows of it; those that
    /// know nothing included.
    pub async fn find_traces(&self, id: &str) -> Result<Vec<Trace>> {
        let json = sqlx::query_scalar!(
            r#"SELECT json_group_array(json_object(
                   'source', s.name, 'role', s.role, 'model_id', s.model_id,
                   'row', json(CASE s.role
                       WHEN 'provider' THEN (
                           SELECT json_object('first_seen_at', first_seen_at, 'hidden_by', hidden_by, 'alias_of', alias_of)
                           FROM cloud_models WHERE provider = s.name AND model_id = s.model_id
                       )
                       ELSE (
                           SELECT json_object('first_seen_at', first_seen_at, 'hidden_by', hidden_by, 'alias_of', alias_of)
                           FROM local_models WHERE endpoint = s.name AND model_id = s.model_id
                       )
                   END),
                   'last_event', json((
                       SELECT json_object('event', event, 'at', at, 'revision', revision, 'last_seen_at', last_seen_at)
                       FROM model_events WHERE source = s.name AND model_id = s.model_id
                       ORDER BY revision DESC LIMIT 1
                   )),
                   'first_event_at', (
                       SELECT at FROM model_events WHERE source = s.name AND model_id = s.model_id
                       ORDER BY revision LIMIT 1
                   )
               )) AS "json!: String"
               -- A whole id is looked up at each source that it may belong to, never taken apart.
               FROM (
                   SELECT name, role, IIF(role = 'provider', substr(?1, length(name) + 2), ?1) AS model_id
                   FROM sources
                   WHERE role = 'endpoint' OR substr(?1, 1, length(name) + 1) = name || ':'
               ) AS s"#,
            id,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }
}
