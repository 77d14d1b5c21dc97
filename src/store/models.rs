//! The two model tables: reads a source's stored models and writes changes. Only this file chooses
//! between the tables by role.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use sqlx::SqliteConnection;

use super::{Store, error::Result};
use crate::{
    ingest::{
        damping::{EVENTS_READ, Earlier},
        diff::{Change, FirstEvent, Stored},
    },
    model::{
        attributes::Attributes,
        event::EventKind,
        listing::{Entry, RawEntries},
        source::{Role, SourceName},
        state::StoredModel,
        time::Timestamp,
    },
};

/// The stored models of a source, in one row: decoding a row per model would take most of the time.
pub(super) async fn list_stored(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<BTreeMap<String, Stored>> {
    let json = match role {
        Role::Provider => {
            sqlx::query_scalar!(
                r#"SELECT '{' || COALESCE(GROUP_CONCAT(
                       json_quote(model_id) || ':[' || attributes || ',' || json_quote(hidden_by) || ']'
                   ), '') || '}'
                   AS "json!: String"
                   FROM cloud_models WHERE provider = ?1"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query_scalar!(
                r#"SELECT '{' || COALESCE(GROUP_CONCAT(
                       json_quote(model_id) || ':[' || attributes || ',' || json_quote(hidden_by) || ']'
                   ), '') || '}'
                   AS "json!: String"
                   FROM local_models WHERE endpoint = ?1"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
    };
    Ok(serde_json::from_str(&json)?)
}

/// What the earlier events of the models `ids` of the source `name` say, for those that have any.
pub(super) async fn list_first_events(
    connection: &mut SqliteConnection,
    name: &str,
    ids: &[&str],
) -> Result<BTreeMap<String, FirstEvent>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = serde_json::to_string(ids)?;
    let json = sqlx::query_scalar!(
        r#"SELECT json_group_object(model_id, json_object('at', at, 'created', json((
               SELECT json_group_array(json_array(alias_of, created)) FROM (
                   SELECT attributes ->> 'alias_of' AS alias_of, attributes ->> 'created' AS created
                   FROM model_events AS e
                   WHERE e.source = ?1 AND e.model_id = firsts.model_id AND created <> 0
                   ORDER BY revision
               )
           )))) AS "json!: String"
           FROM (
               -- With a single MIN, SQLite takes the other columns from the row with the minimum.
               SELECT model_id, MIN(revision), at
               FROM model_events
               WHERE source = ?1 AND model_id IN (SELECT value FROM json_each(?2))
               GROUP BY model_id
           ) AS firsts"#,
        name,
        ids,
    )
    .fetch_one(connection)
    .await?;
    Ok(serde_json::from_str(&json)?)
}

/// The last events of the models `ids` of the source `name` that say what their attributes were, the
/// oldest first.
pub(super) async fn list_last_events(
    connection: &mut SqliteConnection,
    name: &str,
    ids: &[&str],
) -> Result<BTreeMap<String, Vec<Earlier>>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = serde_json::to_string(ids)?;
    let json = sqlx::query_scalar!(
        r#"SELECT json_group_object(value, json((
               SELECT json_group_array(json_object('at', at, 'attributes', json(attributes)))
               FROM (
                   SELECT at, attributes FROM (
                       SELECT revision, at, attributes FROM model_events
                       WHERE source = ?1 AND model_id = ids.value AND attributes IS NOT NULL
                       ORDER BY revision DESC LIMIT ?3
                   )
                   ORDER BY revision
               )
           ))) AS "json!: String"
           FROM json_each(?2) AS ids"#,
        name,
        ids,
        EVENTS_READ,
    )
    .fetch_one(connection)
    .await?;
    Ok(serde_json::from_str(&json)?)
}

/// Parses served models from `json`, an array of `[source, model_id, attributes]`.
pub(super) fn parse_models(role: Role, json: &str) -> Result<Vec<Arc<StoredModel>>> {
    let rows: Vec<(SourceName, String, Attributes)> = serde_json::from_str(json)?;
    let model = |(source, model_id, attributes)| {
        Arc::new(StoredModel {
            source,
            role,
            model_id,
            attributes,
        })
    };
    Ok(rows.into_iter().map(model).collect())
}

/// The entries of a source's last listing, as the source sent them: without enrichment and aliases.
pub(super) async fn list_raw(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
) -> Result<Vec<Entry>> {
    let json = match role {
        Role::Provider => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM cloud_models WHERE provider = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query_scalar!(
                r#"SELECT json_group_array(json_array(model_id, json(attributes), raw)) AS "json!: String"
                   FROM local_models WHERE endpoint = ?1 AND alias_of IS NULL"#,
                name,
            )
            .fetch_one(connection)
            .await?
        }
    };
    let rows: Vec<(String, Attributes, String)> = serde_json::from_str(&json)?;
    let entry = |(id, attributes, raw): (String, Attributes, String)| Entry {
        id,
        attributes: attributes.without_enrichment(),
        raw,
        hidden_by: None,
    };
    Ok(rows.into_iter().map(entry).collect())
}

impl Store {
    /// The served entries of the source `name` as it sent them, without aliases. One row, because
    /// they are JSON already.
    pub async fn raw_entries(&self, role: Role, name: &SourceName) -> Result<RawEntries> {
        let name = name.as_str();
        let (revision, entries) = match role {
            Role::Provider => {
                let row = sqlx::query!(
                    r#"SELECT
                        (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "revision!: i64",
                        (SELECT '{' || COALESCE(GROUP_CONCAT(json_quote(model_id) || ':' || raw), '') || '}'
                         FROM cloud_models
                         WHERE provider = ?1 AND hidden_by IS NULL AND alias_of IS NULL) AS "entries!: String""#,
                    name,
                )
                .fetch_one(&self.pool)
                .await?;
                (row.revision, row.entries)
            }
            Role::Endpoint => {
                let row = sqlx::query!(
                    r#"SELECT
                        (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "revision!: i64",
                        (SELECT '{' || COALESCE(GROUP_CONCAT(json_quote(model_id) || ':' || raw), '') || '}'
                         FROM local_models
                         WHERE endpoint = ?1 AND hidden_by IS NULL AND alias_of IS NULL) AS "entries!: String""#,
                    name,
                )
                .fetch_one(&self.pool)
                .await?;
                (row.revision, row.entries)
            }
        };
        Ok(RawEntries {
            revision,
            entries: serde_json::from_str(&entries)?,
        })
    }
}

/// Deletes the rows of removed models.
pub(super) async fn remove_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    changes: &[Change],
) -> Result<()> {
    let ids: Vec<&str> = changes
        .iter()
        .filter(|change| change.row.is_none())
        .map(|change| change.model_id.as_str())
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids = serde_json::to_string(&ids)?;
    match role {
        Role::Provider => {
            sqlx::query!(
                "DELETE FROM cloud_models
                 WHERE provider = ?1 AND model_id IN (SELECT value FROM json_each(?2))",
                name,
                ids,
            )
            .execute(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query!(
                "DELETE FROM local_models
                 WHERE endpoint = ?1 AND model_id IN (SELECT value FROM json_each(?2))",
                name,
                ids,
            )
            .execute(connection)
            .await?
        }
    };
    Ok(())
}

/// Writes the rows of added and changed models in one statement.
pub(super) async fn upsert_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    now: Timestamp,
    fetched_at: Timestamp,
    changes: &[Change],
) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let row = change.row.as_ref()?;
            Some(json!({
                "id": change.model_id, "row": row, "first_seen_at": change.first_seen_at,
                "is_added": change.event == Some(EventKind::Added),
            }))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(&rows)?;
    match role {
        Role::Provider => {
            sqlx::query!(
                "INSERT INTO cloud_models (
                     provider, model_id, attributes, hidden_by, first_seen_at, fetched_at, raw
                 )
                 SELECT ?1, value ->> 'id', value -> '$.row.attributes', value ->> '$.row.hidden_by',
                        -- As the first event says. Without any, since a rule hides it.
                        COALESCE(value ->> 'first_seen_at', (
                            SELECT first_seen_at FROM cloud_models
                            WHERE provider = ?1 AND model_id = value ->> 'id' AND NOT value ->> 'is_added'
                        ), ?2), ?4, value ->> '$.row.raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (provider, model_id) DO UPDATE
                 SET attributes = excluded.attributes, hidden_by = excluded.hidden_by,
                     first_seen_at = excluded.first_seen_at, raw = excluded.raw",
                name,
                now,
                rows,
                fetched_at,
            )
            .execute(connection)
            .await?
        }
        Role::Endpoint => {
            sqlx::query!(
                "INSERT INTO local_models (
                     endpoint, model_id, attributes, hidden_by, first_seen_at, raw
                 )
                 SELECT ?1, value ->> 'id', value -> '$.row.attributes', value ->> '$.row.hidden_by',
                        COALESCE(value ->> 'first_seen_at', (
                            SELECT first_seen_at FROM local_models
                            WHERE endpoint = ?1 AND model_id = value ->> 'id' AND NOT value ->> 'is_added'
                        ), ?2), value ->> '$.row.raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (endpoint, model_id) DO UPDATE
                 SET attributes = excluded.attributes, hidden_by = excluded.hidden_by,
                     first_seen_at = excluded.first_seen_at, raw = excluded.raw",
                name,
                now,
                rows,
            )
            .execute(connection)
            .await?
        }
    };
    Ok(())
}
