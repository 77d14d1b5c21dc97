//! What a snapshot is built from: the whole served state in one query, one row.

use super::{Store, error::Result};
use crate::model::state::{State, StoredModel};

impl Store {
    /// Reads what is served now.
    pub async fn load(&self) -> Result<State> {
        let row = sqlx::query!(
            r#"SELECT
                (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "revision!: i64",
                (SELECT json_group_array(json_object(
                     'name', name, 'role', role, 'kind', kind, 'configured', configured,
                     'ttl_secs', ttl_secs, 'moved', COALESCE(listed_address <> address, 0),
                     'fetched_at', fetched_at, 'attempted_at', attempted_at,
                     'next_attempt_at', next_attempt_at,
                     'consecutive_failures', consecutive_failures,
                     'error', CASE WHEN error_kind IS NOT NULL THEN json_object(
                         'kind', error_kind, 'message', error_message, 'since', error_since
                     ) END,
                     'held', CASE WHEN held_since IS NOT NULL THEN json_object(
                         'since', held_since, 'models', held_models
                     ) END,
                     'hidden_since', hidden_since,
                     'models', CASE role
                         WHEN 'provider' THEN (SELECT COUNT(*) FROM cloud_models WHERE provider = name AND hidden_by IS NULL)
                         ELSE (SELECT COUNT(*) FROM local_models WHERE endpoint = name AND hidden_by IS NULL)
                     END
                 )) FROM sources) AS "sources!: String",
                (SELECT json_object(
                     'name', name, 'models', (SELECT COUNT(*) FROM enrichment_models),
                     'fetched_at', fetched_at, 'attempted_at', attempted_at,
                     'next_attempt_at', next_attempt_at, 'ttl_secs', ttl_secs,
                     'consecutive_failures', consecutive_failures,
                     'error', CASE WHEN error_kind IS NOT NULL THEN json_object(
                         'kind', error_kind, 'message', error_message, 'since', error_since
                     ) END
                 ) FROM enrichment) AS "enrichment: String",
                -- Attributes are JSON already: parsing them here would take most of the time.
                (SELECT '[' || COALESCE(GROUP_CONCAT(
                     '[' || json_quote(s.name) || ',' || json_quote(m.model_id) || ',' || m.attributes || ']'
                 ), '') || ']'
                 FROM sources AS s CROSS JOIN cloud_models AS m ON m.provider = s.name
                 WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL) AS "cloud_models!: String",
                (SELECT '[' || COALESCE(GROUP_CONCAT(
                     '[' || json_quote(s.name) || ',' || json_quote(m.model_id) || ',' || m.attributes || ']'
                 ), '') || ']'
                 FROM sources AS s CROSS JOIN local_models AS m ON m.endpoint = s.name
                 WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL) AS "local_models!: String""#
        )
        .fetch_one(&self.pool)
        .await?;
        let mut models = StoredModel::parse_rows(&row.cloud_models)?;
        models.extend(StoredModel::parse_rows(&row.local_models)?);
        Ok(State {
            revision: row.revision,
            sources: serde_json::from_str(&row.sources)?,
            models,
            enrichment: row
                .enrichment
                .map(|state| serde_json::from_str(&state))
                .transpose()?,
        })
    }
}
