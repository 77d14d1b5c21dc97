//! The stored data about one id, listed or not.

use super::{Store, error::Result};
use crate::model::event::Trace;

impl Store {
    /// The data about the whole id `id` at every source it may belong to, including sources without
    /// any.
    pub async fn traces(&self, id: &str) -> Result<Vec<Trace>> {
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
               -- Looks a whole id up at each source it may belong to; never splits it.
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
