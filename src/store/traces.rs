//! The stored data about single models, listed or not.

use super::{Store, error::Result};
use crate::model::{event::Trace, names::ModelKey};

impl Store {
    /// The data about each of `models`, including those without any.
    pub async fn traces(&self, models: &[ModelKey]) -> Result<Vec<Trace>> {
        let models = serde_json::to_string(models)?;
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
               FROM (
                   SELECT s.name, s.role, value ->> 'model_id' AS model_id
                   FROM json_each(?1) CROSS JOIN sources AS s ON s.name = value ->> 'source'
               ) AS s"#,
            models,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }
}
