//! Reads the stored state, in one query and one row.

use sqlx::SqliteConnection;

use super::{Store, error::Result, models::parse_models};
use crate::model::{
    source::{Role, source_order},
    state::{Content, EnrichmentState, SourceState, Sources, State},
};

/// The requested part of the state.
#[derive(Clone, Copy, Debug)]
enum Requested<'a> {
    /// Everything; the models only if their revision differs from this one.
    UnlessAt(Option<i64>),
    /// One source, without its models.
    Source(&'a str),
}

impl Store {
    /// Reads the served state. Includes the models only if their revision is not `known_revision`:
    /// every change of them makes a revision.
    pub async fn load(&self, known_revision: Option<i64>) -> Result<State> {
        let mut connection = self.pool.acquire().await?;
        read_state(&mut connection, Requested::UnlessAt(known_revision)).await
    }
}

/// The state of the source `name`; none when the database does not have it.
pub(super) async fn find_source(
    connection: &mut SqliteConnection,
    name: &str,
) -> Result<Option<SourceState>> {
    let state = read_state(connection, Requested::Source(name)).await?;
    Ok(state.sources.states.into_iter().next())
}

async fn read_state(connection: &mut SqliteConnection, requested: Requested<'_>) -> Result<State> {
    let (name, known, with_models) = match requested {
        Requested::UnlessAt(known) => (None, known, true),
        Requested::Source(name) => (Some(name), None, false),
    };
    let row = sqlx::query!(
        r#"SELECT
            c.id AS "catalog_id!: String",
            c.revision AS "revision!: i64",
            c.process AS "process!: i64",
            (SELECT json_group_array(json_object(
                 'name', name, 'role', role, 'kind', kind, 'configured', configured,
                 'moved', COALESCE(listed_address <> address, 0), 'address', address,
                 'configured_kind', configured_kind, 'claim', claim, 'ttl_secs', ttl_secs,
                 'fetched_at', fetched_at, 'attempted_at', attempted_at,
                 'next_attempt_at', next_attempt_at, 'claimed_until', claimed_until,
                 'consecutive_failures', consecutive_failures,
                 'error', CASE WHEN error_kind IS NOT NULL THEN json_object(
                     'kind', error_kind, 'message', error_message, 'since', error_since
                 ) END,
                 'refusals', refusals, 'refused_since', refused_since,
                 'held', CASE WHEN held_since IS NOT NULL THEN json_object(
                     'since', held_since, 'models', held_models, 'missing', json(held_missing)
                 ) END,
                 'hidden', CASE WHEN hidden_since IS NOT NULL THEN json_object(
                     'since', hidden_since, 'reason', IIF(gone, 'gone', hidden_reason)
                 ) END,
                 'ending', CASE WHEN end_sign IS NOT NULL THEN json_object(
                     'sign', end_sign, 'since', end_sign_since
                 ) END,
                 'skipped', json(skipped), 'damped', json(damped),
                 'server_version', server_version
             )) FROM sources WHERE ?1 IS NULL OR name = ?1) AS "sources!: String",
            (SELECT json_object(
                 'name', name, 'address', address,
                 'models', (SELECT COUNT(*) FROM enrichment_models),
                 'ttl_secs', ttl_secs, 'fetched_at', fetched_at, 'attempted_at', attempted_at,
                 'next_attempt_at', next_attempt_at,
                 'consecutive_failures', consecutive_failures,
                 'error', CASE WHEN error_kind IS NOT NULL THEN json_object(
                     'kind', error_kind, 'message', error_message, 'since', error_since
                 ) END
             ) FROM enrichment) AS "enrichment: String",
            IIF(c.wants_models, (SELECT json_group_array(json_object(
                 'name', name, 'role', role, 'models', CASE role
                     WHEN 'provider' THEN (SELECT COUNT(*) FROM cloud_models WHERE provider = name AND hidden_by IS NULL)
                     ELSE (SELECT COUNT(*) FROM local_models WHERE endpoint = name AND hidden_by IS NULL)
                 END, 'is_known', known_from <= c.revision
             )) FROM sources), NULL) AS "contents: String",
            -- Attributes are already JSON; parsing them here would dominate the cost.
            IIF(c.wants_models, (SELECT '[' || COALESCE(GROUP_CONCAT(
                 '[' || json_quote(s.name) || ',' || json_quote(m.model_id) || ',' || m.attributes || ']'
             ), '') || ']'
             FROM sources AS s CROSS JOIN cloud_models AS m ON m.provider = s.name
             WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL), NULL) AS "cloud_models: String",
            IIF(c.wants_models, (SELECT '[' || COALESCE(GROUP_CONCAT(
                 '[' || json_quote(s.name) || ',' || json_quote(m.model_id) || ',' || m.attributes || ']'
             ), '') || ']'
             FROM sources AS s CROSS JOIN local_models AS m ON m.endpoint = s.name
             WHERE s.hidden_since IS NULL AND m.hidden_by IS NULL), NULL) AS "local_models: String"
           FROM (
               SELECT id, process, revision, ?2 AND ?3 IS NOT revision AS wants_models
               FROM catalog, (SELECT COALESCE(MAX(revision), 0) AS revision FROM model_events)
           ) AS c"#,
        name,
        with_models,
        known,
    )
    .fetch_one(connection)
    .await?;
    let content = match (row.contents, row.cloud_models, row.local_models) {
        (Some(contents), Some(cloud), Some(local)) => {
            let mut models = parse_models(Role::Provider, &cloud)?;
            models.extend(parse_models(Role::Endpoint, &local)?);
            Some(Content {
                revision: row.revision,
                models,
                sources: serde_json::from_str(&contents)?,
            })
        }
        _ => None,
    };
    let mut states: Vec<SourceState> = serde_json::from_str(&row.sources)?;
    states.sort_by(|a, b| {
        source_order(a.role, a.name.as_str()).cmp(&source_order(b.role, b.name.as_str()))
    });
    let enrichment: Option<EnrichmentState> = row
        .enrichment
        .map(|state| serde_json::from_str(&state))
        .transpose()?;
    Ok(State {
        catalog_id: row.catalog_id,
        revision: row.revision,
        sources: Sources {
            states,
            enrichment,
            process: row.process,
        },
        content,
    })
}
