//! The change feed: the events after a revision, and the latest ones.

use super::{Store, error::Result};
use crate::model::event::{ChangeEvent, EventFilter, StoredEvent};

/// The most pages without a matching event that one call reads.
const MAX_EMPTY_PAGES: usize = 100;
/// `latest_changes` searches at most this many times the wanted number of revisions.
const MAX_LATEST_FACTOR: usize = 64;

/// The events of whole revisions, in order.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The events, by revision, source and model.
    pub events: Vec<ChangeEvent>,
    /// The cursor of the next page. Everything up to it is included.
    pub next: i64,
    /// Whether more events follow `next`.
    pub has_more: bool,
    /// The first revision with complete history; 0 when nothing was ever pruned.
    pub history_from: i64,
    /// The last revision; 0 before the first.
    pub head: i64,
}

impl Store {
    /// The events after revision `since` that match `filter`: about `limit` of them, in whole
    /// revisions. A revision of more than `limit` events comes whole. After many pages outside the
    /// filter's scope, returns none, and `next` says where to go on.
    pub async fn changes(
        &self,
        mut since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        for _ in 1..MAX_EMPTY_PAGES {
            let page = self.read_changes(since, filter, limit).await?;
            if !page.events.is_empty() || !page.has_more {
                return Ok(page);
            }
            since = page.next;
        }
        self.read_changes(since, filter, limit).await
    }

    /// Reads one page. Events that the reader may not see do not affect where it ends.
    async fn read_changes(
        &self,
        since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        // Read first, so that a commit in between is either beyond `head` or among the events.
        let row = sqlx::query!(
            r#"SELECT history_from, (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "head!: i64"
               FROM catalog"#
        )
        .fetch_one(&self.pool)
        .await?;
        let (head, history_from) = (row.head, row.history_from);
        // The kept events from before `history_from` come in one piece: a part of them would be a
        // state that never existed.
        if since < history_from {
            let events = self
                .list_events(since, history_from, filter, usize::MAX)
                .await?;
            return Ok(Changes {
                events: seen(events, filter),
                next: history_from,
                has_more: head > history_from,
                history_from,
                head,
            });
        }
        let one_more = limit.saturating_add(1);
        let mut events = self.list_events(since, i64::MAX, filter, one_more).await?;
        if events.len() <= limit {
            let last = events.last().map_or(since, |event| event.revision);
            return Ok(Changes {
                events: seen(events, filter),
                next: last.max(head),
                has_more: false,
                history_from,
                head,
            });
        }
        // The last revision may continue past the limit. Leave it for the next page, unless it is
        // the only one.
        let cut = events.last().map_or(since, |event| event.revision);
        events.retain(|event| event.revision < cut);
        if events.is_empty() {
            events = self.list_events(since, cut, filter, usize::MAX).await?;
        }
        let next = events.last().map_or(since, |event| event.revision);
        Ok(Changes {
            events: seen(events, filter),
            next,
            has_more: true,
            history_from,
            head,
        })
    }

    /// The events of the latest `revisions` revisions that match `filter`, oldest first. A filter
    /// on models searches only the last few thousand revisions.
    pub async fn latest_changes(
        &self,
        revisions: usize,
        filter: &EventFilter,
    ) -> Result<Vec<ChangeEvent>> {
        let mut searched = revisions;
        loop {
            let (oldest, found) = self.find_latest_revisions(searched, filter).await?;
            let Some(oldest) = oldest else {
                return Ok(Vec::new());
            };
            let events = self
                .list_events(oldest - 1, i64::MAX, filter, usize::MAX)
                .await?;
            let mut events = seen(events, filter);
            let mut kept: Vec<i64> = events.iter().map(|event| event.revision).collect();
            kept.dedup();
            if kept.len() >= revisions
                || found < searched
                || searched >= revisions * MAX_LATEST_FACTOR
            {
                let first = kept.len().saturating_sub(revisions);
                let first = kept.get(first).copied().unwrap_or_default();
                events.retain(|event| event.revision >= first);
                return Ok(events);
            }
            searched *= 4;
        }
    }

    /// The oldest of the latest `revisions` revisions with events of the kinds and sources of
    /// `filter`, and their number.
    async fn find_latest_revisions(
        &self,
        revisions: usize,
        filter: &EventFilter,
    ) -> Result<(Option<i64>, usize)> {
        let (sources, kinds) = (filter.sources()?, kinds(filter)?);
        let revisions = i64::try_from(revisions).unwrap_or(i64::MAX);
        let row = sqlx::query!(
            r#"SELECT MIN(revision) AS "oldest: i64", COUNT(*) AS "found!: i64" FROM (
                   SELECT DISTINCT revision FROM model_events
                   WHERE (?1 IS NULL OR source IN (SELECT value FROM json_each(?1)))
                     AND (?2 IS NULL OR event IN (SELECT value FROM json_each(?2)))
                     -- The window before the oldest kept revision is incomplete.
                     AND revision >= (SELECT history_from FROM catalog)
                   ORDER BY revision DESC LIMIT ?3
               )"#,
            sources,
            kinds,
            revisions,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((row.oldest, usize::try_from(row.found).unwrap_or_default()))
    }

    /// The events after revision `since` up to `until`, at most `limit`, whether or not the reader
    /// may see them.
    async fn list_events(
        &self,
        since: i64,
        until: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let (sources, kinds) = (filter.sources()?, kinds(filter)?);
        let models = filter.models.as_ref().map(serde_json::to_string);
        let models = models.transpose()?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let json = sqlx::query_scalar!(
            r#"WITH models AS MATERIALIZED (
                   SELECT value ->> 'source' AS source, value ->> 'model_id' AS model_id FROM json_each(?6)
               ),
               -- Those of all models, or of the wanted ones and of their sources since they had them.
               found AS MATERIALIZED (
                   SELECT * FROM (
                       SELECT revision, source, model_id FROM model_events
                       WHERE ?6 IS NULL AND revision > ?1 AND revision <= ?2
                         AND (?3 IS NULL OR source IN (SELECT value FROM json_each(?3)))
                         AND (?4 IS NULL OR event IN (SELECT value FROM json_each(?4)))
                       ORDER BY revision, source, model_id LIMIT ?5
                   )
                   UNION
                   SELECT e.revision, e.source, e.model_id
                   FROM models AS m CROSS JOIN model_events AS e
                       ON e.source = m.source AND e.model_id IN (m.model_id, '')
                   WHERE e.revision > ?1 AND e.revision <= ?2
                     AND (?3 IS NULL OR e.source IN (SELECT value FROM json_each(?3)))
                     AND (?4 IS NULL OR e.event IN (SELECT value FROM json_each(?4)))
                     AND (e.model_id <> '' OR EXISTS (
                         SELECT 1 FROM model_events AS h
                         WHERE h.source = m.source AND h.model_id = m.model_id AND h.revision < e.revision
                     ))
               )
               SELECT '[' || COALESCE(GROUP_CONCAT(event), '') || ']' AS "json!: String" FROM (
                   SELECT json_object(
                       'revision', e.revision, 'at', e.at, 'source', e.source, 'role', s.role,
                       'model_id', e.model_id, 'event', e.event, 'reason', e.reason,
                       'changed', json(e.changed),
                       'before', json((
                           SELECT p.attributes FROM model_events AS p
                           WHERE p.source = e.source AND p.model_id = e.model_id
                             AND p.revision < e.revision
                             -- Older events are kept only in part.
                             AND e.revision > (SELECT history_from FROM catalog)
                           ORDER BY p.revision DESC LIMIT 1
                       )),
                       'after', json(e.attributes), 'last_seen_at', e.last_seen_at
                   ) AS event
                   FROM (SELECT * FROM found ORDER BY revision, source, model_id LIMIT ?5) AS f
                       CROSS JOIN model_events AS e
                           ON e.revision = f.revision AND e.source = f.source AND e.model_id = f.model_id
                       CROSS JOIN sources AS s ON s.name = e.source
                   ORDER BY e.revision, e.source, e.model_id
               )"#,
            since,
            until,
            sources,
            kinds,
            limit,
            models,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }
}

/// The `events` that the reader of `filter` may see, as it sees them.
fn seen(events: Vec<StoredEvent>, filter: &EventFilter) -> Vec<ChangeEvent> {
    let events = events.into_iter();
    events
        .filter_map(|event| event.seen_by(&filter.reader))
        .collect()
}

/// The filter's kinds as a JSON array.
fn kinds(filter: &EventFilter) -> Result<Option<String>> {
    Ok(filter
        .events
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?)
}
