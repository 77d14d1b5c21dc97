//! `model_events`: the events, and the numbering of revisions.

use serde_json::json;
use sqlx::SqliteConnection;

use super::error::Result;
use crate::{
    ingest::{diff::Change, plan::SourceEvent},
    model::{event::EventKind, time::Timestamp},
};

/// The number of the next revision.
pub(super) async fn next_revision(connection: &mut SqliteConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!(
        r#"SELECT COALESCE(MAX(revision), 0) + 1 AS "revision!: i64" FROM model_events"#
    )
    .fetch_one(connection)
    .await?)
}

/// Records that the source `name` was hidden or shown.
pub(super) async fn record_source_event(
    connection: &mut SqliteConnection,
    revision: i64,
    name: &str,
    at: Timestamp,
    event: SourceEvent,
) -> Result<()> {
    let (event, reason) = match event {
        SourceEvent::Hidden(reason) => (EventKind::Hidden, Some(reason.as_str())),
        SourceEvent::Shown => (EventKind::Shown, None),
    };
    let event = event.as_str();
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event, reason)
         VALUES (?1, ?2, '', ?3, ?4, ?5)",
        revision,
        name,
        at,
        event,
        reason,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records the events of `changes`. `last_seen_at` is the source's last success before them.
pub(super) async fn record_events(
    connection: &mut SqliteConnection,
    revision: i64,
    name: &str,
    at: Timestamp,
    last_seen_at: Option<Timestamp>,
    changes: &[Change],
) -> Result<()> {
    let rows: Vec<_> = changes
        .iter()
        .filter_map(|change| {
            let event = change.event?;
            Some(json!({
                "id": change.model_id, "event": event, "attributes": change.served(),
                "changed": (event == EventKind::Changed).then_some(&change.changed),
            }))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let rows = serde_json::to_string(&rows)?;
    sqlx::query!(
        "INSERT INTO model_events (
             revision, source, model_id, at, event, attributes, changed, last_seen_at
         )
         SELECT ?1, ?2, value ->> 'id', ?3, value ->> 'event', value ->> 'attributes', value ->> 'changed',
                IIF(value ->> 'event' = 'removed', ?5, NULL)
         FROM json_each(?4)",
        revision,
        name,
        at,
        rows,
        last_seen_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
