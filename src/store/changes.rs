//! The change feed: the events after a revision, and the latest ones.

use super::{Store, error::Result};
use crate::model::event::{ChangeEvent, EventFilter};

/// How many pages without an event of a filter's scope are passed over at a time.
const MAX_EMPTY_PAGES: usize = 100;
/// How many times more revisions than wanted are searched for the latest that a filter wants.
const MAX_LATEST_FACTOR: usize = 64;

/// The events of some whole revisions, in order.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The events, by revision, source and model.
    pub events: Vec<ChangeEvent>,
    /// The cursor of the next page: nothing at or before it is missing.
    pub next: i64,
    /// Whether there is more after `next` already.
    pub has_more: bool,
    /// The first revision that can still be told exactly; 0 where nothing was ever pruned.
    pub history_from: i64,
    /// The last revision; 0 before the first.
    pub head: i64,
}

impl Store {
    /// The events after the revision `since` that `filter` wants: about `limit` of them, no revision
    /// in part. A revision of more than `limit` events comes whole. Where there are very many that the
    /// filter's scope has not, a page without events says where to go on.
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

    /// One page. What is not in the filter's scope is left out of it, and does not move where it ends.
    async fn read_changes(
        &self,
        since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        let mut page = self.read_all_changes(since, filter, limit).await?;
        ChangeEvent::restrict(&mut page.events, &filter.scope);
        Ok(page)
    }

    async fn read_all_changes(
        &self,
        since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        // Read first: what is committed in between is beyond it or among the events.
        let row = sqlx::query!(
            r#"SELECT history_from, (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "head!: i64"
               FROM catalog"#
        )
        .fetch_one(&self.pool)
        .await?;
        let (head, history_from) = (row.head, row.history_from);
        // What is kept of the time before comes in one piece: in part it would be no state that ever was.
        if since < history_from {
            let events = self
                .list_events(since, history_from, filter, usize::MAX)
                .await?;
            return Ok(Changes {
                events,
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
                events,
                next: last.max(head),
                has_more: false,
                history_from,
                head,
            });
        }
        // The last revision may go on behind the limit: it is left for the next page, unless it is
        // all that there is.
        let cut = events.last().map_or(since, |event| event.revision);
        events.retain(|event| event.revision < cut);
        if events.is_empty() {
            events = self.list_events(since, cut, filter, usize::MAX).await?;
        }
        let next = events.last().map_or(since, |event| event.revision);
        Ok(Changes {
            events,
            next,
            has_more: true,
            history_from,
            head,
        })
    }

    /// The events of the last `revisions` revisions that `filter` wants, oldest first. What it wants of
    /// models is looked for among the last few thousand revisions only.
    pub async fn latest_changes(
        &self,
        revisions: usize,
        filter: &EventFilter,
    ) -> Result<Vec<ChangeEvent>> {
        let mut looked_at = revisions;
        loop {
            let (oldest, found) = self.find_latest_revisions(looked_at, filter).await?;
            let Some(oldest) = oldest else {
                return Ok(Vec::new());
            };
            let mut events = self
                .list_events(oldest - 1, i64::MAX, filter, usize::MAX)
                .await?;
            ChangeEvent::restrict(&mut events, &filter.scope);
            let mut kept: Vec<i64> = events.iter().map(|event| event.revision).collect();
            kept.dedup();
            if kept.len() >= revisions
                || found < looked_at
                || looked_at >= revisions * MAX_LATEST_FACTOR
            {
                let first = kept.len().saturating_sub(revisions);
                let first = kept.get(first).copied().unwrap_or_default();
                events.retain(|event| event.revision >= first);
                return Ok(events);
            }
            looked_at *= 4;
        }
    }

    /// The oldest of the last `revisions` revisions with events of the kinds and sources that `filter`
    /// wants, and how many there are.
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
                     -- What is kept of the time before is not what happened.
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

    /// The events after the revision `since` up to `until`, at most `limit`.
    async fn list_events(
        &self,
        since: i64,
        until: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<ChangeEvent>> {
        let (sources, kinds) = (filter.sources()?, kinds(filter)?);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let json = match filter.model.as_deref() {
            None => {
                sqlx::query_scalar!(
                    r#"SELECT '[' || COALESCE(GROUP_CONCAT(event), '') || ']' AS "json!: String" FROM (
                           SELECT json_object(
                               'revision', e.revision, 'at', e.at, 'source', e.source, 'event', e.event,
                               'id', CASE
                                   WHEN e.model_id = '' THEN NULL
                                   WHEN s.role = 'provider' THEN e.source || ':' || e.model_id
                                   ELSE e.model_id
                               END,
                               'changed', json(e.changed),
                               'before', json((
                                   SELECT p.attributes FROM model_events AS p
                                   WHERE p.source = e.source AND p.model_id = e.model_id
                                     AND p.revision < e.revision
                                     -- Of what was before, only some is kept.
                                     AND e.revision > (SELECT history_from FROM catalog)
                                   ORDER BY p.revision DESC LIMIT 1
                               )),
                               'after', json(e.attributes), 'last_seen_at', e.last_seen_at
                           ) AS event
                           FROM model_events AS e CROSS JOIN sources AS s ON s.name = e.source
                           WHERE e.revision > ?1 AND e.revision <= ?2
                             AND (?3 IS NULL OR e.source IN (SELECT value FROM json_each(?3)))
                             AND (?4 IS NULL OR e.event IN (SELECT value FROM json_each(?4)))
                           ORDER BY e.revision, e.source, e.model_id LIMIT ?5
                       )"#,
                    since,
                    until,
                    sources,
                    kinds,
                    limit,
                )
                .fetch_one(&self.pool)
                .await?
            }
            // A whole id is looked up at each source that it may belong to, never taken apart.
            Some(model) => {
                sqlx::query_scalar!(
                    r#"SELECT '[' || COALESCE(GROUP_CONCAT(event), '') || ']' AS "json!: String" FROM (
                           SELECT json_object(
                               'revision', e.revision, 'at', e.at, 'source', e.source, 'event', e.event,
                               'id', ?6, 'changed', json(e.changed),
                               'before', json((
                                   SELECT p.attributes FROM model_events AS p
                                   WHERE p.source = e.source AND p.model_id = e.model_id
                                     AND p.revision < e.revision
                                     -- Of what was before, only some is kept.
                                     AND e.revision > (SELECT history_from FROM catalog)
                                   ORDER BY p.revision DESC LIMIT 1
                               )),
                               'after', json(e.attributes), 'last_seen_at', e.last_seen_at
                           ) AS event
                           FROM sources AS s CROSS JOIN model_events AS e
                               ON e.source = s.name AND e.model_id = CASE s.role
                                   WHEN 'provider' THEN substr(?6, length(s.name) + 2)
                                   ELSE ?6
                               END
                           WHERE e.revision > ?1 AND e.revision <= ?2
                             AND (s.role = 'endpoint' OR substr(?6, 1, length(s.name) + 1) = s.name || ':')
                             AND (?3 IS NULL OR e.source IN (SELECT value FROM json_each(?3)))
                             AND (?4 IS NULL OR e.event IN (SELECT value FROM json_each(?4)))
                           ORDER BY e.revision, e.source, e.model_id LIMIT ?5
                       )"#,
                    since,
                    until,
                    sources,
                    kinds,
                    limit,
                    model,
                )
                .fetch_one(&self.pool)
                .await?
            }
        };
        Ok(serde_json::from_str(&json)?)
    }
}

/// The wanted kinds as a JSON array.
fn kinds(filter: &EventFilter) -> Result<Option<String>> {
    Ok(filter
        .events
        .as_ref()
        .map(serde_json::to_string)
        .transpose()?)
}
