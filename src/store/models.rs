//! The two model tables: what is stored of a source, and writing what changed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use sqlx::SqliteConnection;

use super::error::Result;
use crate::{
    ingest::diff::{Change, Event, Stored, with_first_created},
    model::{source::Role, time::Timestamp},
};

/// What is stored of a source's models. One row: decoding a row each would take most of the time.
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

/// Turns `added` into `returned` for models that were listed before; answers when each of them was
/// seen first.
pub(super) async fn mark_returned<'a>(
    connection: &mut SqliteConnection,
    name: &str,
    changes: &mut [Change<'a>],
) -> Result<BTreeMap<&'a str, String>> {
    #[derive(Deserialize)]
    struct First {
        at: String,
        created: i64,
        alias_of: Option<String>,
    }
    let mut added: BTreeMap<&'a str, &mut Change<'a>> = changes
        .iter_mut()
        .filter(|change| change.event == Some(Event::Added))
        .map(|change| (change.model_id, change))
        .collect();
    if added.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = serde_json::to_string(&added.keys().collect::<Vec<_>>())?;
    let json = sqlx::query_scalar!(
        r#"SELECT json_group_object(model_id, json_object('at', at, 'created', created, 'alias_of', alias_of)) AS "json!: String"
           FROM (
               -- With a single MIN, SQLite takes the other columns from the row that has it.
               SELECT model_id, MIN(revision), at, attributes ->> 'created' AS created,
                      attributes ->> 'alias_of' AS alias_of
               FROM model_events
               WHERE source = ?1 AND model_id IN (SELECT value FROM json_each(?2))
               GROUP BY model_id
           )"#,
        name,
        ids,
    )
    .fetch_one(connection)
    .await?;
    let firsts: BTreeMap<String, First> = serde_json::from_str(&json)?;
    let mut first_seen = BTreeMap::new();
    for (id, first) in firsts {
        if let Some(change) = added.get_mut(id.as_str()) {
            change.event = Some(Event::Returned);
            if let Some(row) = &mut change.row
                && row.attributes.alias_of == first.alias_of
            {
                let new = std::mem::take(&mut row.attributes);
                row.attributes = with_first_created(new, first.created);
            }
            first_seen.insert(change.model_id, first.at);
        }
    }
    Ok(first_seen)
}

pub(super) async fn remove_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    changes: &[Change<'_>],
) -> Result<()> {
    let ids: Vec<&str> = changes
        .iter()
        .filter(|change| change.row.is_none())
        .map(|change| change.model_id)
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

/// One statement for all rows, however many.
pub(super) async fn upsert_models(
    connection: &mut SqliteConnection,
    role: Role,
    name: &str,
    now: Timestamp,
    fetched_at: Timestamp,
    changes: &[Change<'_>],
    first_seen: &BTreeMap<&str, String>,
) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let row = change.row.as_ref()?;
            Some(json!({
                "id": change.model_id, "row": row, "first_seen_at": first_seen.get(change.model_id),
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
                        COALESCE(value ->> 'first_seen_at', ?2), ?4, value ->> '$.row.raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (provider, model_id) DO UPDATE
                 SET attributes = excluded.attributes, hidden_by = excluded.hidden_by,
                     raw = excluded.raw",
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
                        COALESCE(value ->> 'first_seen_at', ?2), value ->> '$.row.raw'
                 FROM json_each(?3)
                 WHERE true
                 ON CONFLICT (endpoint, model_id) DO UPDATE
                 SET attributes = excluded.attributes, hidden_by = excluded.hidden_by,
                     raw = excluded.raw",
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
