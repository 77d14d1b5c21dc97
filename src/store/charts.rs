//! What charts show: how the number of each source's models went up and down, how its last attempts went,
//! and since when each model is known.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use serde::Deserialize;

use super::{Store, error::Result};
use crate::model::{source::SourceName, time::Timestamp};

/// One recorded attempt at a source. Of an endpoint only those are recorded that went otherwise than the
/// one before.
#[derive(Clone, Debug, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// `changed`, `unchanged`, `held` or `failed`.
    pub outcome: String,
    /// The number of models in the listing; none without one.
    pub models: Option<i64>,
    /// Why there was no listing.
    pub error: Option<String>,
}

/// How many models each source had more (or, below 0, fewer) at the end of a day than at its beginning.
pub type DailyChanges = BTreeMap<SourceName, BTreeMap<NaiveDate, i64>>;

/// When each model was first listed: by source, and by its id there.
pub type FirstSeen = HashMap<SourceName, HashMap<String, Timestamp>>;

impl Store {
    /// How the number of each source's models changed on each day (UTC) since `since` until `until`. Days
    /// without a change are absent.
    pub async fn daily_changes(&self, since: Timestamp, until: Timestamp) -> Result<DailyChanges> {
        let json = sqlx::query_scalar!(
            r#"SELECT json_group_array(json_array(source, day, net)) AS "json!: String" FROM (
                   SELECT source, substr(at, 1, 10) AS day,
                          SUM(CASE event WHEN 'removed' THEN -1 WHEN 'changed' THEN 0 ELSE 1 END) AS net
                   FROM model_events
                   WHERE at >= ?1 AND at <= ?2 AND model_id <> ''
                   GROUP BY source, day HAVING net <> 0
               )"#,
            since,
            until,
        )
        .fetch_one(&self.pool)
        .await?;
        let rows: Vec<(SourceName, NaiveDate, i64)> = serde_json::from_str(&json)?;
        let mut changes = DailyChanges::new();
        for (source, day, net) in rows {
            changes.entry(source).or_default().insert(day, net);
        }
        Ok(changes)
    }

    /// The last `limit` recorded attempts at each source that began at or before `until`, oldest first.
    pub async fn recent_attempts(
        &self,
        until: Timestamp,
        limit: i64,
    ) -> Result<BTreeMap<SourceName, Vec<Attempt>>> {
        let json = sqlx::query_scalar!(
            r#"SELECT json_group_object(s.name, json((
                   SELECT json_group_array(json_object(
                       'started_at', started_at, 'duration_ms', duration_ms, 'outcome', outcome,
                       'models', models, 'error', error_message
                   )) FROM (
                       SELECT * FROM (
                           SELECT * FROM fetches WHERE source = s.name AND started_at <= ?1
                           ORDER BY started_at DESC, id DESC LIMIT ?2
                       ) ORDER BY started_at, id
                   )
               ))) AS "json!: String" FROM sources AS s"#,
            until,
            limit,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }

    /// When each model was first listed, also of those that are gone.
    pub async fn first_seen(&self) -> Result<FirstSeen> {
        let json = sqlx::query_scalar!(
            r#"SELECT json_group_array(json_array(source, model_id, at)) AS "json!: String" FROM (
                   SELECT provider AS source, model_id, first_seen_at AS at FROM cloud_models
                   UNION ALL
                   SELECT endpoint, model_id, first_seen_at FROM local_models
                   UNION ALL
                   SELECT f.source, f.model_id, e.at
                   FROM (
                       SELECT source, model_id, MIN(revision) AS revision FROM model_events
                       WHERE model_id <> '' GROUP BY source, model_id
                   ) AS f
                   CROSS JOIN model_events AS e
                       ON e.revision = f.revision AND e.source = f.source AND e.model_id = f.model_id
                   WHERE NOT EXISTS (
                       SELECT 1 FROM cloud_models WHERE provider = f.source AND model_id = f.model_id
                   ) AND NOT EXISTS (
                       SELECT 1 FROM local_models WHERE endpoint = f.source AND model_id = f.model_id
                   )
               )"#
        )
        .fetch_one(&self.pool)
        .await?;
        let rows: Vec<(SourceName, String, Timestamp)> = serde_json::from_str(&json)?;
        let mut first_seen = FirstSeen::new();
        for (source, model_id, at) in rows {
            first_seen.entry(source).or_default().insert(model_id, at);
        }
        Ok(first_seen)
    }
}
