//! The change feed: the events after a revision, in pages of whole revisions, and page by page in pieces
//! that fit in memory however large a revision is.

use super::{Store, error::Result};
use crate::model::event::{ChangeEvent, EventFilter, StoredEvent};

/// The most pages without a matching event that one call reads.
const MAX_EMPTY_PAGES: usize = 100;

/// The events of whole revisions, in order.
#[derive(Clone, Debug)]
pub struct Changes {
    /// The events, by revision, source and model.
    pub events: Vec<ChangeEvent>,
    /// The cursor of the next page. Everything up to it is included.
    pub next: i64,
    /// Whether more revisions follow `next`.
    pub has_more: bool,
}

/// A page of whole revisions: where it ends, without its events.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// The revision that it follows.
    pub since: i64,
    /// The last revision that it covers, and the cursor of the next page.
    pub next: i64,
    /// Whether more revisions follow `next`.
    pub has_more: bool,
    /// The first revision with complete history; 0 when nothing was ever pruned.
    pub history_from: i64,
    /// The last revision; 0 before the first.
    pub head: i64,
}

/// Reads the events of a page in pieces, in order.
#[derive(Clone, Debug)]
pub struct EventReader {
    store: Store,
    filter: EventFilter,
    after: Place,
    until: i64,
    /// Whether every event has been read.
    pub is_done: bool,
}

/// A place in the order of events.
#[derive(Clone, Debug)]
pub(super) struct Place {
    revision: i64,
    source: String,
    model_id: String,
}

impl Place {
    /// The place before the first event after `revision`.
    pub(super) fn after_revision(revision: i64) -> Self {
        Self {
            revision: revision.saturating_add(1),
            source: String::new(),
            model_id: String::new(),
        }
    }

    fn of(event: &StoredEvent) -> Self {
        Self {
            revision: event.revision,
            source: event.source.to_string(),
            model_id: event.model_id.clone(),
        }
    }
}

impl EventReader {
    /// Reads on: at most `limit` events, less those that the reader may not see.
    pub async fn read(&mut self, limit: usize) -> Result<Vec<ChangeEvent>> {
        let events = self
            .store
            .list_events(&self.after, self.until, &self.filter, limit)
            .await?;
        self.is_done = events.len() < limit;
        if let Some(last) = events.last() {
            self.after = Place::of(last);
        }
        Ok(seen(events, &self.filter))
    }
}

impl Store {
    /// The events after revision `since` that match `filter`: about `limit` of them, in whole
    /// revisions. A revision of more than `limit` events comes whole. After many pages that the
    /// reader may not see, returns none, and `next` says where to go on.
    pub async fn changes(
        &self,
        mut since: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Changes> {
        let mut pages = 0;
        loop {
            let Page { next, has_more, .. } = self.find_page(since, filter, limit).await?;
            let mut reader = self.read_events(since, next, filter);
            let events = reader.read(usize::MAX).await?;
            pages += 1;
            if !events.is_empty() || !has_more || pages == MAX_EMPTY_PAGES {
                return Ok(Changes {
                    events,
                    next,
                    has_more,
                });
            }
            since = next;
        }
    }

    /// Reads the events after revision `since` up to `until` that match `filter`.
    pub fn read_events(&self, since: i64, until: i64, filter: &EventFilter) -> EventReader {
        EventReader {
            store: self.clone(),
            filter: filter.clone(),
            after: Place::after_revision(since),
            until,
            is_done: false,
        }
    }

    /// The last revision; 0 before the first.
    pub async fn head(&self) -> Result<i64> {
        let head = sqlx::query_scalar!(
            r#"SELECT COALESCE(MAX(revision), 0) AS "head!: i64" FROM model_events"#
        );
        Ok(head.fetch_one(&self.pool).await?)
    }

    /// Finds the page of whole revisions after `since` with about `limit` events that match `filter`.
    /// What the reader may not see does not affect where the page ends.
    pub async fn find_page(&self, since: i64, filter: &EventFilter, limit: usize) -> Result<Page> {
        let row = sqlx::query!(
            r#"SELECT history_from, (SELECT COALESCE(MAX(revision), 0) FROM model_events) AS "head!: i64"
               FROM catalog"#
        )
        .fetch_one(&self.pool)
        .await?;
        let (head, history_from) = (row.head, row.history_from);
        // The kept events from before `history_from` come in one piece: a part of them would be a
        // state that never existed.
        let next = match since < history_from {
            true => history_from,
            false => self
                .find_cut(since, head, filter, limit)
                .await?
                .unwrap_or(head.max(since)),
        };
        Ok(Page {
            since,
            next,
            has_more: head > next,
            history_from,
            head,
        })
    }

    /// The last of the revisions after `since` that together have at most `limit` events, or the first one
    /// if it alone has more; none when all up to `head` have no more.
    async fn find_cut(
        &self,
        since: i64,
        head: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Option<i64>> {
        let (sources, kinds, models) = parameters(filter)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let one_more = limit.saturating_add(1);
        let row = sqlx::query!(
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
               ),
               page AS MATERIALIZED (SELECT revision FROM found ORDER BY revision LIMIT ?5)
               SELECT COUNT(*) AS "found!: i64", MAX(revision) AS "last: i64",
                      (SELECT MAX(revision) FROM page
                       WHERE revision < (SELECT MAX(revision) FROM page)) AS "before_last: i64"
               FROM page"#,
            since,
            head,
            sources,
            kinds,
            one_more,
            models,
        )
        .fetch_one(&self.pool)
        .await?;
        // The last revision may continue past the limit, so it is left for the next page.
        Ok(match row.found > limit {
            true => row.before_last.or(row.last),
            false => None,
        })
    }

    /// The events after the place `after` up to revision `until`, at most `limit`, whether or not the
    /// reader may see them.
    pub(super) async fn list_events(
        &self,
        after: &Place,
        until: i64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let (sources, kinds, models) = parameters(filter)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let Place {
            revision,
            source,
            model_id,
        } = after;
        let json = sqlx::query_scalar!(
            r#"WITH models AS MATERIALIZED (
                   SELECT value ->> 'source' AS source, value ->> 'model_id' AS model_id FROM json_each(?6)
               ),
               -- Those of all models, or of the wanted ones and of their sources since they had them.
               found AS MATERIALIZED (
                   SELECT * FROM (
                       SELECT revision, source, model_id FROM model_events
                       WHERE ?6 IS NULL AND (revision, source, model_id) > (?1, ?7, ?8) AND revision <= ?2
                         AND (?3 IS NULL OR source IN (SELECT value FROM json_each(?3)))
                         AND (?4 IS NULL OR event IN (SELECT value FROM json_each(?4)))
                       ORDER BY revision, source, model_id LIMIT ?5
                   )
                   UNION
                   SELECT e.revision, e.source, e.model_id
                   FROM models AS m CROSS JOIN model_events AS e
                       ON e.source = m.source AND e.model_id IN (m.model_id, '')
                   WHERE e.revision >= ?1 AND (e.revision, e.source, e.model_id) > (?1, ?7, ?8) AND e.revision <= ?2
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
                       'model_id', e.model_id, 'event', e.event, 'changed', json(e.changed),
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
            revision,
            until,
            sources,
            kinds,
            limit,
            models,
            source,
            model_id,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(serde_json::from_str(&json)?)
    }
}

/// The `events` that the reader of `filter` may see, as it sees them.
pub(super) fn seen(events: Vec<StoredEvent>, filter: &EventFilter) -> Vec<ChangeEvent> {
    let events = events.into_iter();
    events
        .filter_map(|event| event.seen_by(&filter.reader))
        .collect()
}

/// The sources, kinds and models of `filter`, JSON arrays; none for all.
pub(super) fn parameters(
    filter: &EventFilter,
) -> serde_json::Result<(Option<String>, Option<String>, Option<String>)> {
    let kinds = filter.events.as_ref().map(serde_json::to_string);
    let models = filter.models.as_ref().map(serde_json::to_string);
    Ok((filter.sources()?, kinds.transpose()?, models.transpose()?))
}
