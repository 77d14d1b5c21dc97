//! The problems of each watched model, and the alerts about their changes.

use serde_json::value::RawValue;
use sqlx::SqliteConnection;

use super::{Store, Write, error::Result};
use crate::model::{
    event::{Alert, Problem},
    names::ModelKey,
    source::SourceName,
    time::Timestamp,
};

/// Deletes the problems of models that are no longer `watched`.
pub(super) async fn apply_watch(
    connection: &mut SqliteConnection,
    watched: &[String],
) -> Result<()> {
    let watched = serde_json::to_string(watched)?;
    sqlx::query!(
        "DELETE FROM watched_models WHERE model NOT IN (SELECT value FROM json_each(?1))",
        watched,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Records the `problems` of `model`, which the sources `listed_by` list. `keys` are the
    /// models that its id may mean. Returns whether
    /// they are news: other problems than before, or other sizes. That a date comes nearer is none.
    pub async fn record_watched(
        &self,
        model: &str,
        problems: &[Problem],
        listed_by: &[&SourceName],
        keys: &[ModelKey],
    ) -> Result<bool> {
        let facts = |problems: &[Problem]| -> Vec<_> {
            let facts = problems.iter().map(Problem::fact);
            facts
                .map(|(kind, size)| (kind, size.map(str::to_owned)))
                .collect()
        };
        let is_known = |known: &Option<Vec<Problem>>| {
            known
                .as_ref()
                .is_some_and(|known| facts(known) == facts(problems))
        };
        // Usually nothing changed; finding that out takes no write lock.
        let mut connection = self.pool.acquire().await?;
        if is_known(&find_problems(&mut connection, model).await?) {
            return Ok(false);
        }
        drop(connection);
        let Write { mut tx, now, .. } = self.begin().await?;
        let known = find_problems(&mut tx, model).await?;
        if is_known(&known) {
            return Ok(false);
        }
        // The first check of a model without problems is not news.
        let news = known.is_some() || !problems.is_empty();
        let json = serde_json::to_string(problems)?;
        sqlx::query!(
            "INSERT INTO watched_models (model, problems, since) VALUES (?1, ?2, ?3)
             ON CONFLICT (model) DO UPDATE SET problems = excluded.problems, since = excluded.since",
            model,
            json,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if news {
            let listed_by = serde_json::to_string(listed_by)?;
            let keys = serde_json::to_string(keys)?;
            sqlx::query!(
                "INSERT INTO watch_alerts (at, model, problems, sources)
                 SELECT ?1, ?2, ?3, CASE
                     WHEN json_array_length(?4) > 0 THEN ?4
                     -- No source lists it now. It may belong to its provider, or to any endpoint that
                     -- once had it.
                     ELSE (
                         SELECT json_group_array(DISTINCT value ->> 'source') FROM json_each(?5)
                         WHERE value ->> 'role' = 'provider' OR EXISTS (
                             SELECT 1 FROM model_events
                             WHERE source = value ->> 'source' AND model_id = value ->> 'model_id'
                         )
                     )
                 END",
                now,
                model,
                json,
                listed_by,
                keys,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(news)
    }

    /// The first alert after `cursor`.
    pub async fn next_alert(&self, cursor: i64) -> Result<Option<Alert>> {
        let row = sqlx::query!(
            r#"SELECT alert, at AS "at: Timestamp", model, problems,
                      COALESCE(sources, '[]') AS "sources!: String"
               FROM watch_alerts WHERE alert > ?1 ORDER BY alert LIMIT 1"#,
            cursor,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Alert {
            alert: row.alert,
            at: row.at,
            id: row.model,
            ok: row.problems == "[]",
            problems: RawValue::from_string(row.problems)?,
            sources: serde_json::from_str(&row.sources)?,
        }))
    }
}

/// The recorded problems of `model`; none before its first check.
async fn find_problems(
    connection: &mut SqliteConnection,
    model: &str,
) -> Result<Option<Vec<Problem>>> {
    let json = sqlx::query_scalar!(
        "SELECT problems FROM watched_models WHERE model = ?1",
        model,
    )
    .fetch_optional(connection)
    .await?;
    Ok(json.map(|json| serde_json::from_str(&json)).transpose()?)
}
