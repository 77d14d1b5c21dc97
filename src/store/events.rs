//! `model_events`: the events, and the numbering of revisions.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::SqliteConnection;

use super::error::Result;
use crate::{
    ingest::diff::Change,
    model::{event::EventKind, time::Timestamp},
};

/// The revision that a transaction makes, if clients see any change.
#[derive(Clone, Copy, Debug)]
pub(super) struct NextRevision {
    pub(super) number: i64,
    /// When it is made: the time of the transaction, or a millisecond after the last revision when a
    /// clock was set back. So the list that was served at a revision's time never changes.
    pub(super) at: Timestamp,
    /// When the last revision was made; none before the first.
    pub(super) last_at: Option<Timestamp>,
}

impl NextRevision {
    /// The revision after the last one, in the transaction that got the write lock at `now`.
    pub(super) async fn read(connection: &mut SqliteConnection, now: Timestamp) -> Result<Self> {
        let last = sqlx::query!(
            r#"SELECT revision, at AS "at: Timestamp"
               FROM model_events ORDER BY revision DESC LIMIT 1"#
        )
        .fetch_optional(connection)
        .await?;
        let last_at = last.as_ref().map(|last| last.at);
        let earliest = last_at.map(|at| at.plus(TimeDelta::milliseconds(1)));
        Ok(Self {
            number: last.map_or(0, |last| last.revision) + 1,
            at: earliest.map_or(now, |earliest| earliest.max(now)),
            last_at,
        })
    }
}

/// Records that the source `name` was hidden or shown.
pub(super) async fn record_source_event(
    connection: &mut SqliteConnection,
    revision: NextRevision,
    name: &str,
    event: EventKind,
) -> Result<()> {
    let NextRevision { number, at, .. } = revision;
    let event = event.as_str();
    sqlx::query!(
        "INSERT INTO model_events (revision, source, model_id, at, event) VALUES (?1, ?2, '', ?3, ?4)",
        number,
        name,
        at,
        event,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Records the events of `changes`. `last_seen_at` is the source's last success before them.
pub(super) async fn record_events(
    connection: &mut SqliteConnection,
    revision: NextRevision,
    name: &str,
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
    let NextRevision { number, at, .. } = revision;
    sqlx::query!(
        "INSERT INTO model_events (
             revision, source, model_id, at, event, attributes, changed, last_seen_at
         )
         SELECT ?1, ?2, value ->> 'id', ?3, value ->> 'event', value ->> 'attributes', value ->> 'changed',
                IIF(value ->> 'event' = 'removed', ?5, NULL)
         FROM json_each(?4)",
        number,
        name,
        at,
        rows,
        last_seen_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}
